//! A conversation that a client brings along, as turns: what budgets leave out is left out turn by turn.

use harombe_proto::memory::v1::{Author, Message, Turn};
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole};
use prost::Message as _;

use crate::domain::{ClaimedTurn, content};
use crate::error::Error;

const MESSAGES_MAX: usize = 1000;
/// All texts together, in bytes; with the user's message the request still fits 4 MiB.
const HISTORY_MAX: usize = 2 * 1024 * 1024;

/// The turns of a claimed conversation. A turn begins with what the user says after an answer.
pub(crate) fn claimed_turns(history: Vec<ClaimedMessage>) -> Result<Vec<ClaimedTurn>, Error> {
    let bytes: usize = history.iter().map(|message| message.text.len()).sum();
    if history.len() > MESSAGES_MAX || bytes > HISTORY_MAX {
        return Err(Error::Invalid(
            "history has at most 1000 messages and 2 MiB; leave the oldest messages out".to_owned(),
        ));
    }
    let mut turns: Vec<Vec<Message>> = Vec::new();
    for (place, claimed) in history.into_iter().enumerate() {
        let author = match claimed.role() {
            ClaimedRole::User => Author::User,
            ClaimedRole::Assistant => Author::Assistant,
            ClaimedRole::Unspecified => {
                return Err(Error::Invalid(format!(
                    "history[{place}].role must be user or assistant"
                )));
            }
        };
        if claimed.text.is_empty() {
            return Err(Error::Invalid(format!("history[{place}].text must not be empty")));
        }
        let message = Message {
            author: author.into(),
            text: claimed.text,
            ..Message::default()
        };
        match turns.last_mut() {
            Some(turn) if author == Author::Assistant || !answered(turn) => turn.push(message),
            _ => turns.push(vec![message]),
        }
    }
    Ok(turns.into_iter().map(stored).collect())
}

fn answered(turn: &[Message]) -> bool {
    turn.last()
        .is_some_and(|message| message.author() == Author::Assistant)
}

fn stored(messages: Vec<Message>) -> ClaimedTurn {
    let size = content(&messages);
    let turn = Turn {
        messages,
        claimed: true,
        ..Turn::default()
    };
    ClaimedTurn {
        body: turn.encode_to_vec(),
        tokens: size.tokens,
        bytes: size.bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(roles: &str) -> Vec<ClaimedMessage> {
        let role = |letter| match letter {
            'u' => ClaimedRole::User,
            'a' => ClaimedRole::Assistant,
            _ => ClaimedRole::Unspecified,
        };
        roles
            .chars()
            .map(|letter| ClaimedMessage {
                role: role(letter).into(),
                text: letter.to_string(),
            })
            .collect()
    }

    fn check(roles: &str, expected: &[&str]) {
        let turns: Vec<String> = claimed_turns(said(roles))
            .unwrap()
            .into_iter()
            .map(|turn| {
                let turn = Turn::decode(turn.body.as_slice()).unwrap();
                assert!(turn.claimed && turn.run_id.is_empty());
                turn.messages
                    .iter()
                    .map(|message| message.text.as_str())
                    .collect()
            })
            .collect();
        assert_eq!(turns, expected);
    }

    #[test]
    fn a_turn_begins_with_what_the_user_says_after_an_answer() {
        check("", &[]);
        check("uaua", &["ua", "ua"]);
        check("uuaau", &["uuaa", "u"]);
        check("aua", &["a", "ua"]);
    }

    #[test]
    fn what_is_no_conversation_is_refused() {
        let refused = |history| {
            let Err(Error::Invalid(words)) = claimed_turns(history) else {
                panic!("taken")
            };
            words
        };
        assert!(refused(said("u?")).contains("history[1].role"));
        assert!(refused(said(&"u".repeat(1001))).contains("1000 messages"));
        let mut long = said("u");
        long[0].text = "x".repeat(HISTORY_MAX + 1);
        assert!(refused(long.clone()).contains("2 MiB"));
        long[0].text = String::new();
        assert!(refused(long).contains("history[0].text"));
    }
}
