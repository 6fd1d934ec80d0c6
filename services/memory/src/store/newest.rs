//! Which turns of a session fit, the newest first: the same choice whatever the database.

use sqlx::FromRow;

use crate::domain::{Selection, StoredPage, StoredTurn, Turns};
use crate::store::rows::unsigned;

/// Turns of one answer, in bytes: it must fit a message of 4 MiB.
const PAGE_BYTES: u64 = 3_500_000;

/// How large a turn is: its messages, in bytes.
#[derive(FromRow)]
pub(super) struct Size {
    id: i64,
    run_id: String,
    bytes: i64,
}

/// How large a turn is that a client brought along.
#[derive(FromRow)]
pub(super) struct ClaimedSize {
    ordinal: i64,
    bytes: i64,
}

/// The turns of one session.
pub(super) trait Source {
    /// Of the newest turns, one more than the selection's count.
    async fn sizes(&mut self, selection: Selection) -> Result<Vec<Size>, harombe_sql::Error>;
    /// The messages of these runs (ascending ids), in the same order.
    async fn messages(&mut self, runs: &[i64]) -> Result<Vec<(i64, Vec<u8>)>, harombe_sql::Error>;
    /// Newest first.
    async fn claimed_sizes(&mut self) -> Result<Vec<ClaimedSize>, harombe_sql::Error>;
    /// How many turns there are, claimed ones included.
    async fn total(&mut self, which: Turns) -> Result<u64, harombe_sql::Error>;
    /// From an ordinal on, oldest first.
    async fn claimed(&mut self, oldest: i64) -> Result<Vec<Vec<u8>>, harombe_sql::Error>;
}

/// What is left of the selection.
struct Room {
    count: u32,
    bytes: u64,
}

impl Room {
    /// Whether a turn of this size fits too.
    fn takes(&mut self, bytes: i64) -> bool {
        let (Some(count), Some(bytes)) = (self.count.checked_sub(1), self.bytes.checked_sub(unsigned(bytes)))
        else {
            return false;
        };
        *self = Self { count, bytes };
        true
    }
}

/// The newest whole turns within the selection, oldest first, and how many older ones were left out.
pub(super) async fn newest(
    source: &mut impl Source,
    selection: Selection,
) -> Result<StoredPage, harombe_sql::Error> {
    let mut room = Room {
        count: selection.count,
        bytes: selection.bytes.min(PAGE_BYTES),
    };
    let sizes = source.sizes(selection).await?;
    let found = sizes.len();
    let mut chosen: Vec<Size> = sizes
        .into_iter()
        .take_while(|size| room.takes(size.bytes))
        .collect();
    let mut truncated = chosen.len() < found;
    let mut claimed = Vec::new();
    // what a client brought along is older than all of them
    if !truncated {
        (claimed, truncated) = newest_claimed(source, room).await?;
    }
    let left_out = if truncated {
        let shown = chosen.len() + claimed.len();
        let total = source.total(selection.which).await?;
        // at least one, whatever has changed since
        total
            .saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX))
            .max(1)
    } else {
        0
    };
    chosen.reverse();
    Ok(StoredPage {
        claimed,
        turns: load(source, chosen).await?,
        left_out,
        workspace: None,
        last_run: None,
        saw_outside: false,
    })
}

async fn newest_claimed(
    source: &mut impl Source,
    mut room: Room,
) -> Result<(Vec<Vec<u8>>, bool), harombe_sql::Error> {
    let sizes = source.claimed_sizes().await?;
    let oldest = sizes.iter().take_while(|size| room.takes(size.bytes)).last();
    let Some(oldest) = oldest else {
        return Ok((Vec::new(), !sizes.is_empty()));
    };
    let bodies = source.claimed(oldest.ordinal).await?;
    let left_out = bodies.len() < sizes.len();
    Ok((bodies, left_out))
}

/// The chosen turns with their messages, in the order given (ascending ids).
async fn load(source: &mut impl Source, chosen: Vec<Size>) -> Result<Vec<StoredTurn>, harombe_sql::Error> {
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<i64> = chosen.iter().map(|size| size.id).collect();
    let mut messages = source.messages(&ids).await?.into_iter().peekable();
    let mut turns = Vec::with_capacity(chosen.len());
    for size in chosen {
        let mut bodies = Vec::new();
        while let Some((_, body)) = messages.next_if(|(run, _)| *run == size.id) {
            bodies.push(body);
        }
        turns.push(StoredTurn {
            run_id: size.run_id,
            messages: bodies,
        });
    }
    Ok(turns)
}
