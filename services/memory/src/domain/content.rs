//! What is stored of messages and journal entries: the wire message, without what the row around it says already.

use harombe_proto::memory::v1::{JournalEntry, Message, Turn};
use harombe_proto::types::v1::RunEvent;
use harombe_types::RunId;
use prost::Message as _;

use crate::domain::{Entry, NewEntry, Page, StoredPage, StoredTurn};
use crate::error::Error;

/// Run id and cursor are the journal's own to give, so an entry is stored without them.
pub(crate) fn encode_entries(entries: Vec<JournalEntry>) -> Vec<NewEntry> {
    let encode = |entry: JournalEntry| {
        let event = entry.event.map(|mut event| {
            event.run_id.clear();
            event.cursor = 0;
            event.encode_to_vec()
        });
        NewEntry {
            event,
            state: entry.state,
        }
    };
    entries.into_iter().map(encode).collect()
}

/// The entry as it is told: an event that came without a time has the one at which it was written.
pub(crate) fn decode_entry(run: RunId, entry: Entry) -> Result<JournalEntry, Error> {
    let mut event: Option<RunEvent> = entry
        .event
        .map(|event| prost::Message::decode(event.as_slice()))
        .transpose()?;
    if let Some(event) = &mut event {
        event.run_id = run.to_string();
        event.cursor = entry.cursor;
        event.time.get_or_insert_with(|| entry.written.into());
    }
    Ok(JournalEntry {
        cursor: entry.cursor,
        event,
        state: entry.state.into(),
    })
}

pub(crate) fn decode_message(body: &[u8]) -> Result<Message, Error> {
    Ok(Message::decode(body)?)
}

pub(crate) fn decode_page(page: StoredPage) -> Result<Page, Error> {
    let claimed = page.claimed.iter().map(|body| Ok(Turn::decode(body.as_slice())?));
    let turns = claimed
        .chain(page.turns.into_iter().map(decode_turn))
        .collect::<Result<_, Error>>()?;
    Ok(Page {
        turns,
        left_out: page.left_out,
        workspace: page.workspace,
        last_run: page.last_run,
        saw_outside: page.saw_outside,
    })
}

fn decode_turn(turn: StoredTurn) -> Result<Turn, Error> {
    let messages = turn
        .messages
        .iter()
        .map(|body| decode_message(body))
        .collect::<Result<_, _>>()?;
    Ok(Turn {
        run_id: turn.run_id,
        messages,
        claimed: false,
    })
}

#[cfg(test)]
mod tests {
    use harombe_types::{SystemClock, Timestamp};

    use super::*;

    #[test]
    fn an_entry_is_told_with_its_place() {
        let run = RunId::generate(&SystemClock);
        let given = JournalEntry {
            cursor: 99,
            event: Some(RunEvent {
                run_id: "forged".into(),
                cursor: 7,
                ..RunEvent::default()
            }),
            state: b"s".to_vec().into(),
        };
        let Some(NewEntry { event, state }) = encode_entries(vec![given]).pop() else {
            panic!("no entry")
        };
        let entry = Entry {
            cursor: 3,
            written: Timestamp::from_millis(1500),
            event,
            state: state.to_vec(),
        };
        let told = decode_entry(run, entry).unwrap();
        let event = told.event.unwrap();
        assert_eq!((event.run_id, event.cursor, told.cursor), (run.to_string(), 3, 3));
        assert_eq!(
            event.time,
            Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 500_000_000
            })
        );
        assert_eq!(told.state.as_ref(), b"s");
    }
}
