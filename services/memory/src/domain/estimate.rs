//! How large a turn is, for budgets.

use harombe_proto::memory::v1::Message;
use prost::Message as _;

use crate::domain::Content;

/// Every message costs this many tokens besides its text: roles and separators.
const OVERHEAD: usize = 4;
/// English text and code take about four bytes a token in common tokenizers.
const BYTES_PER_TOKEN: usize = 4;

/// Estimated tokens: a quarter of the bytes, rounded up, and 4 a message.
fn tokens<'a>(messages: impl IntoIterator<Item = &'a Message>) -> u64 {
    let sum: usize = messages
        .into_iter()
        .map(|message| length(message).div_ceil(BYTES_PER_TOKEN) + OVERHEAD)
        .sum();
    u64::try_from(sum).unwrap_or(u64::MAX)
}

/// The messages as they are stored, measured.
pub(crate) fn content(messages: &[Message]) -> Content {
    Content {
        messages: messages.iter().map(prost::Message::encode_to_vec).collect(),
        tokens: tokens(messages),
        bytes: u64::try_from(bytes(messages)).unwrap_or(u64::MAX),
    }
}

/// Bytes that the messages take on the wire.
pub(crate) fn bytes<'a>(messages: impl IntoIterator<Item = &'a Message>) -> usize {
    messages.into_iter().map(|message| message.encoded_len()).sum()
}

fn length(message: &Message) -> usize {
    let calls: usize = message
        .tool_calls
        .iter()
        .map(|call| call.tool.len() + call.arguments.len())
        .sum();
    message.text.len() + calls
}

#[cfg(test)]
mod tests {
    use harombe_proto::memory::v1::ToolCall;

    use super::*;

    #[test]
    fn a_message_costs_its_bytes_and_its_frame() {
        let text = |text: &str| Message {
            text: text.to_owned(),
            ..Message::default()
        };
        assert_eq!(tokens(&[text("")]), 4);
        assert_eq!(tokens(&[text("abcd"), text("abcde")]), (1 + 4) + (2 + 4));
        let call = ToolCall {
            tool: "file_read".into(),
            arguments: "{}".into(),
            ..ToolCall::default()
        };
        assert_eq!(
            tokens(&[Message {
                tool_calls: vec![call],
                ..Message::default()
            }]),
            3 + 4
        );
    }
}
