//! Which turns of a session fit, the newest first: the same choice whatever the database.

use sqlx::FromRow;

use crate::domain::{Selection, StoredPage, StoredTurn, Turns};
use crate::store::rows::{SessionRow, unsigned};

/// Turns of one answer, in bytes: it must fit a message of 4 MiB.
const PAGE_BYTES: u64 = 3_500_000;

/// One message of a turn that fits, or the newest turn that does not.
#[derive(FromRow)]
pub(super) struct Said {
    id: i64,
    run_id: String,
    bytes: i64,
    fits: bool,
    body: Option<Vec<u8>>,
}

/// [`Said`] of a session's newest turns, the oldest first: `$2` is one more than there may be of them, `$3` how many bytes they
/// have at most. Sizes come first, which are known without reading messages.
macro_rules! newest_turns {
    ($which:literal) => {
        concat!(
            "WITH newest AS (SELECT id, run_id, bytes FROM runs WHERE session = $1",
            $which,
            " ORDER BY id DESC LIMIT $2), \
             placed AS (SELECT id, run_id, bytes, ROW_NUMBER() OVER (ORDER BY id DESC) AS nth, \
                CAST(SUM(bytes) OVER (ORDER BY id DESC) AS BIGINT) AS upto FROM newest), \
             sized AS (SELECT id, run_id, bytes, upto <= $3 AND nth < $2 AS fits FROM placed WHERE upto - bytes <= $3) \
             SELECT s.id, s.run_id, s.bytes, s.fits, m.body FROM sized s LEFT JOIN messages m ON s.fits AND m.run = s.id \
             ORDER BY s.id, m.ordinal"
        )
    };
}

/// The statement for a selection.
pub(super) const fn newest_turns(which: Turns) -> &'static str {
    match which {
        Turns::All => newest_turns!(""),
        Turns::Answered => newest_turns!(
            " AND state IN (2, 4) AND EXISTS (SELECT 1 FROM messages m WHERE m.run = runs.id AND m.ordinal > 0)"
        ),
    }
}

/// How large a turn is that a client brought along.
#[derive(FromRow)]
pub(super) struct ClaimedSize {
    ordinal: i64,
    bytes: i64,
}

/// The turns of one session.
pub(super) trait Source {
    /// What [`newest_turns`] finds.
    async fn newest(&mut self, selection: Selection) -> Result<Vec<Said>, harombe_sql::Error>;
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
    session: &SessionRow,
    mut selection: Selection,
) -> Result<StoredPage, harombe_sql::Error> {
    selection.bytes = selection.bytes.min(PAGE_BYTES);
    let mut room = Room {
        count: selection.count,
        bytes: selection.bytes,
    };
    let said = source.newest(selection).await?;
    let mut truncated = said.first().is_some_and(|oldest| !oldest.fits);
    let turns = turns(said, &mut room);
    let mut claimed = Vec::new();
    // what a client brought along is older than all of them
    if !truncated && session.has_claimed {
        (claimed, truncated) = newest_claimed(source, room).await?;
    }
    let left_out = if truncated {
        let shown = turns.len() + claimed.len();
        let total = source.total(selection.which).await?;
        // at least one, whatever has changed since
        total
            .saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX))
            .max(1)
    } else {
        0
    };
    Ok(StoredPage {
        claimed,
        turns,
        left_out,
        workspace: session.workspace_id.clone(),
        last_run: session.last_run_id.clone(),
        saw_outside: session.saw_outside(),
    })
}

/// The turns that fit, and what they leave of the room.
fn turns(said: Vec<Said>, room: &mut Room) -> Vec<StoredTurn> {
    let mut turns: Vec<StoredTurn> = Vec::new();
    let mut last = None;
    for said in said.into_iter().filter(|said| said.fits) {
        if last != Some(said.id) {
            last = Some(said.id);
            room.takes(said.bytes);
            turns.push(StoredTurn {
                run_id: said.run_id,
                messages: Vec::new(),
            });
        }
        if let Some(turn) = turns.last_mut() {
            turn.messages.extend(said.body);
        }
    }
    turns
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
