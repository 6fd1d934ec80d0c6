//! What a request must look like, and the sentences that say so.

use harombe_proto::memory::v1::{Author, JournalEntry, Message};
use harombe_proto::types::v1::run_event::Event;

use crate::domain::bytes;
use crate::error::Error;

/// The longest text of one message, in bytes.
const TEXT_MAX: usize = 1024 * 1024;
/// The most that one turn adds; with the user's message it still fits one answer of 4 MiB.
const TURN_MAX: usize = 2 * 1024 * 1024;
const MESSAGES_MAX: usize = 1000;
const ENTRIES_MAX: usize = 256;
/// One entry, in bytes: read back, it must fit a message.
const ENTRY_MAX: usize = 3 * 1024 * 1024;
const RENEWALS_MAX: usize = 512;
const CLIENT_ID_MAX: usize = 128;
const CANCEL_REASON_MAX: usize = 1024;
const INSTRUCTIONS_MAX: usize = 64 * 1024;

pub(crate) fn user_text(text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return invalid("text must not be empty");
    }
    if text.len() > TEXT_MAX {
        return invalid(format!(
            "text has {} bytes; a message has at most 1 MiB (1048576 bytes)",
            text.len()
        ));
    }
    Ok(())
}

pub(crate) fn client_message_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > CLIENT_ID_MAX || id.chars().any(char::is_control) {
        return invalid("client_message_id must have 1 to 128 bytes and no control characters");
    }
    Ok(())
}

pub(crate) fn client_instructions(text: &str) -> Result<(), Error> {
    if text.len() > INSTRUCTIONS_MAX {
        return invalid("client_instructions must have at most 65536 bytes");
    }
    Ok(())
}

pub(crate) fn cancel_reason(reason: &str) -> Result<(), Error> {
    if reason.len() > CANCEL_REASON_MAX {
        return invalid("reason must have at most 1024 bytes");
    }
    Ok(())
}

pub(crate) fn renewals(count: usize) -> Result<(), Error> {
    if !(1..=RENEWALS_MAX).contains(&count) {
        return invalid("leases must be from 1 to 512");
    }
    Ok(())
}

pub(crate) fn turn(messages: &[Message]) -> Result<(), Error> {
    if messages.len() > MESSAGES_MAX || bytes(messages) > TURN_MAX {
        return invalid("a turn adds at most 1000 messages and 2 MiB");
    }
    if messages
        .iter()
        .any(|message| matches!(message.author(), Author::Unspecified | Author::User))
    {
        return invalid("what a turn adds is by the assistant or a tool; set author accordingly");
    }
    Ok(())
}

/// Entries that belong into a journal.
pub(crate) fn entries(entries: &[JournalEntry]) -> Result<(), Error> {
    if entries.len() > ENTRIES_MAX {
        return invalid("entries must be at most 256");
    }
    if entries
        .iter()
        .any(|entry| prost::Message::encoded_len(entry) > ENTRY_MAX)
    {
        return invalid("an entry has at most 3 MiB");
    }
    for event in entries.iter().filter_map(|entry| entry.event.as_ref()) {
        match event.event {
            None => return invalid("an entry's event must say what happened"),
            Some(Event::TextDelta(_) | Event::ToolOutput(_)) => {
                return invalid(
                    "text_delta and tool_output are not journalled; text_finished and tool_finished are",
                );
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(message.into()))
}

#[cfg(test)]
mod tests {
    use harombe_proto::types::v1::{RunEvent, TextDelta, TextFinished};

    use super::*;

    #[test]
    fn a_message_has_between_one_byte_and_a_mebibyte() {
        assert!(user_text("").is_err());
        assert!(user_text(&"x".repeat(TEXT_MAX)).is_ok());
        assert!(user_text(&"x".repeat(TEXT_MAX + 1)).is_err());
    }

    #[test]
    fn deltas_stay_out_of_the_journal() {
        let entry = |event| JournalEntry {
            event: Some(RunEvent {
                event,
                ..RunEvent::default()
            }),
            ..JournalEntry::default()
        };
        assert!(entries(&[entry(Some(Event::TextFinished(TextFinished::default())))]).is_ok());
        assert!(entries(&[entry(Some(Event::TextDelta(TextDelta::default())))]).is_err());
        assert!(entries(&[entry(None)]).is_err());
        assert!(entries(&[JournalEntry::default()]).is_ok());
    }

    #[test]
    fn a_turn_adds_no_user_messages() {
        let by = |author: Author| Message {
            author: author.into(),
            ..Message::default()
        };
        assert!(turn(&[by(Author::Assistant), by(Author::Tool)]).is_ok());
        assert!(turn(&[by(Author::User)]).is_err());
    }
}
