//! Statements on summaries: what they cover, what a model is given to write the next, and how one is saved.

use harombe_types::{SessionId, Timestamp};

use super::{Connection, Unit, columns, owners, refuse, saving, steps};
use crate::domain::consolidation::{
    Basis, Former, NewSummary, Put, Putting, Segment, Taking, Told, Work, Writer, Written,
};
use crate::domain::{Memory, MemoryKind, Owner, Saved};
use crate::error::Error;
use crate::store::memories::rows::{MemoryRow, OwnerRow, event_id, kind_number, label, memory_id};
use crate::store::rows::signed;

const fn writer_number(writer: Writer) -> i64 {
    match writer {
        Writer::Sentences => 1,
        Writer::Model => 2,
    }
}

fn ordinal(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[derive(sqlx::FromRow)]
struct FormerRow {
    memory_id: Vec<u8>,
    rev: i64,
    event: Vec<u8>,
    valid_to_ms: Option<i64>,
    hidden_ms: Option<i64>,
    last: i64,
    written_by: i64,
}

impl TryFrom<FormerRow> for Former {
    type Error = Error;

    fn try_from(row: FormerRow) -> Result<Self, Error> {
        Ok(Self {
            id: memory_id(&row.memory_id)?,
            by: if row.written_by == writer_number(Writer::Model) {
                Writer::Model
            } else {
                Writer::Sentences
            },
            reaches: ordinal(row.last),
            event: event_id(&row.event)?,
            pending: row.rev == 0,
            current: row.valid_to_ms.is_none() && row.hidden_ms.is_none(),
        })
    }
}

/// The newest summary of a segment.
async fn former(connection: &mut Connection, owner: i64, segment: Segment) -> Unit<Option<Former>> {
    let row: Option<FormerRow> = sqlx::query_as(
        "SELECT m.memory_id, m.rev, m.event, m.valid_to_ms, m.hidden_ms, s.last, s.written_by FROM summaries s \
         JOIN memories m ON m.seq = s.memory WHERE s.owner = $1 AND s.session = $2 AND s.first = $3 \
           AND (m.valid_to_ms IS NULL OR EXISTS (SELECT 1 FROM memories t \
                WHERE t.owner = m.owner AND t.memory_id = m.superseded_by AND t.hidden_ms IS NULL)) \
         ORDER BY s.last DESC, m.seq DESC LIMIT 1",
    )
    .bind(owner)
    .bind(segment.session.to_string())
    .bind(i64::from(segment.first))
    .fetch_optional(connection)
    .await?;
    row.map(TryInto::try_into).transpose().or_else(refuse)
}

pub(in crate::store) async fn reach(
    connection: &mut Connection,
    owner: &Owner,
    session: SessionId,
) -> Unit<Option<u32>> {
    let Some(row) = owners::find(connection, owner).await? else {
        return Ok(None);
    };
    reach_of(connection, row.id, session).await
}

async fn reach_of(connection: &mut Connection, owner: i64, session: SessionId) -> Unit<Option<u32>> {
    // unequal, and not greater: that would be looked up by the revision, among all that the owner has
    let reach: Option<i64> = sqlx::query_scalar(
        "SELECT max(ordinal) FROM memories WHERE owner = $1 AND session = $2 AND kind = 1 AND rev <> 0",
    )
    .bind(owner)
    .bind(session.to_string())
    .fetch_one(connection)
    .await?;
    Ok(reach.map(ordinal))
}

pub(in crate::store) async fn told(
    connection: &mut Connection,
    owner: &Owner,
    segment: Segment,
) -> Unit<Told> {
    let Some(row) = owners::find(connection, owner).await? else {
        return Ok(Told::default());
    };
    told_of(connection, row.id, segment).await
}

async fn told_of(connection: &mut Connection, owner: i64, segment: Segment) -> Unit<Told> {
    let former = former(connection, owner, segment).await?;
    let session = segment.session.to_string();
    let written: Option<i64> = sqlx::query_scalar(
        "SELECT max(last) FROM summaries WHERE owner = $1 AND session = $2 AND first = $3 AND written_by = $4",
    )
    .bind(owner)
    .bind(&session)
    .bind(i64::from(segment.first))
    .bind(writer_number(Writer::Model))
    .fetch_one(&mut *connection)
    .await?;
    let (turns, new, unwritten): (i64, i64, i64) = sqlx::query_as(
        "SELECT count(*), count(*) FILTER (WHERE ordinal > $5), count(*) FILTER (WHERE ordinal > $6) FROM memories \
         WHERE owner = $1 AND session = $2 AND ordinal BETWEEN $3 AND $4 \
           AND kind = 1 AND rev > 0 AND hidden_ms IS NULL AND valid_to_ms IS NULL",
    )
    .bind(owner)
    .bind(&session)
    .bind(i64::from(segment.first))
    .bind(i64::from(segment.last))
    .bind(former.map_or(0, |former| i64::from(former.reaches)))
    .bind(written.unwrap_or(0))
    .fetch_one(&mut *connection)
    .await?;
    let reach = reach_of(connection, owner, segment.session).await?;
    Ok(Told {
        turns: ordinal(turns),
        new: ordinal(new),
        unwritten: ordinal(unwritten),
        beyond: reach.unwrap_or(0).saturating_sub(segment.last),
        former,
    })
}

/// How many of these can still be told of, and the lowest trust of them.
async fn there(tx: &mut Connection, owner: &OwnerRow, sources: &[u64]) -> Unit<(usize, Option<i64>)> {
    let sources: Vec<i64> = sources.iter().map(|seq| signed(*seq)).collect();
    let (there, label): (i64, Option<i64>) = sqlx::query_as(concat!(
        "SELECT count(*), max(label) FROM memories WHERE owner = $1 AND hidden_ms IS NULL AND seq ",
        among!(number "$2")
    ))
    .bind(owner.id)
    .bind(serde_json::json!(sources).to_string())
    .fetch_one(tx)
    .await?;
    Ok((usize::try_from(there).unwrap_or_default(), label))
}

/// Whether all that a summary was made of can still be told of, and nobody has written another meanwhile.
pub(super) async fn holds(tx: &mut Connection, owner: &OwnerRow, summary: &NewSummary) -> Unit<bool> {
    let newest = former(tx, owner.id, summary.segment).await?;
    if newest.map(|former| former.id) != summary.former {
        return Ok(false);
    }
    let (there, _) = there(tx, owner, &summary.sources).await?;
    Ok(there == summary.sources.len())
}

pub(super) async fn save(tx: &mut Connection, owner: &OwnerRow, summary: &NewSummary) -> Unit<Saved> {
    let saved = saving::save(tx, &summary.saving).await?;
    for memory in &saved.memories {
        sqlx::query(
            "INSERT INTO summaries (memory, owner, session, first, last, written_by) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(signed(memory.seq))
        .bind(owner.id)
        .bind(summary.segment.session.to_string())
        .bind(i64::from(summary.segment.first))
        .bind(i64::from(summary.reaches))
        .bind(writer_number(summary.by))
        .execute(&mut *tx)
        .await?;
    }
    Ok(saved)
}

pub(in crate::store) async fn take_work(tx: &mut Connection, taking: &Taking) -> Unit<Option<Work>> {
    let Some(owner) = owners::hold_known(tx, &taking.owner).await? else {
        return Ok(None);
    };
    let told = told_of(tx, owner.id, taking.segment).await?;
    if !told.is_for_a_model() || is_taken(tx, &owner, taking).await? {
        return Ok(None);
    }
    let written = written(tx, &owner, taking).await?;
    if written.as_ref().is_some_and(Written::is_pending) {
        return Ok(None);
    }
    let written = written.filter(Written::is_shown);
    let first = written
        .as_ref()
        .map_or(taking.segment.first, |written| written.reaches.saturating_add(1));
    let turns = turns_from(tx, &owner, taking, first).await?;
    let Some(work) = taking.work(written, turns) else {
        return Ok(None);
    };
    note(tx, &owner, taking, &work).await?;
    Ok(Some(work))
}

/// Whether somebody else has work of the session.
async fn is_taken(tx: &mut Connection, owner: &OwnerRow, taking: &Taking) -> Unit<bool> {
    // nobody has it for longer: a later moment is of before the clock has gone back
    let taken = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM summary_work WHERE owner = $1 AND session = $2 \
            AND until_ms > $3 AND until_ms <= $4)",
    )
    .bind(owner.id)
    .bind(taking.segment.session.to_string())
    .bind(taking.now.as_millis())
    .bind(taking.until.as_millis())
    .fetch_one(tx)
    .await?;
    Ok(taken)
}

/// The newest summary of a segment that a model wrote.
async fn written(tx: &mut Connection, owner: &OwnerRow, taking: &Taking) -> Unit<Option<Written>> {
    let newest: Option<(i64, i64)> = sqlx::query_as(
        "SELECT memory, last FROM summaries WHERE owner = $1 AND session = $2 AND first = $3 AND written_by = $4 \
         ORDER BY last DESC, memory DESC LIMIT 1",
    )
    .bind(owner.id)
    .bind(taking.segment.session.to_string())
    .bind(i64::from(taking.segment.first))
    .bind(writer_number(Writer::Model))
    .fetch_optional(&mut *tx)
    .await?;
    let Some((seq, last)) = newest else {
        return Ok(None);
    };
    let row: Option<MemoryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m WHERE m.owner = $1 AND m.seq = $2"
    ))
    .bind(owner.id)
    .bind(seq)
    .fetch_optional(tx)
    .await?;
    let written = row.map(|row| {
        Ok(Written {
            memory: row.of(&taking.owner)?,
            reaches: ordinal(last),
        })
    });
    written.transpose().or_else(refuse)
}

async fn turns_from(tx: &mut Connection, owner: &OwnerRow, taking: &Taking, first: u32) -> Unit<Vec<Memory>> {
    let rows: Vec<MemoryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m WHERE m.owner = $1 AND m.session = $2 AND m.ordinal BETWEEN $3 AND $4 \
           AND m.kind = 1 AND m.rev > 0 AND m.hidden_ms IS NULL AND m.valid_to_ms IS NULL \
         ORDER BY m.ordinal, m.seq LIMIT 400"
    ))
    .bind(owner.id)
    .bind(taking.segment.session.to_string())
    .bind(i64::from(first))
    .bind(i64::from(taking.segment.last))
    .fetch_all(tx)
    .await?;
    let turns: Result<_, _> = rows.into_iter().map(|row| row.of(&taking.owner)).collect();
    turns.or_else(refuse)
}

async fn note(tx: &mut Connection, owner: &OwnerRow, taking: &Taking, work: &Work) -> Unit<()> {
    sqlx::query(
        "INSERT INTO summary_work (owner, session, memory_id, first, last, sources, until_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (owner, session) DO UPDATE \
         SET memory_id = excluded.memory_id, first = excluded.first, last = excluded.last, sources = excluded.sources, \
             until_ms = excluded.until_ms",
    )
    .bind(owner.id)
    .bind(taking.segment.session.to_string())
    .bind(work.id.as_uuid().as_bytes().as_slice())
    .bind(i64::from(taking.segment.first))
    .bind(i64::from(work.reaches()))
    .bind(serde_json::json!(work.sources()).to_string())
    .bind(taking.until.as_millis())
    .execute(tx)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct WorkRow {
    first: i64,
    last: i64,
    sources: String,
}

pub(in crate::store) async fn put_summary(tx: &mut Connection, putting: &Putting) -> Unit<Put> {
    let whose = putting.owner();
    let Some(owner) = owners::hold_known(tx, &whose).await? else {
        return Ok(Put::Outdated);
    };
    if let Some(kept) = kept(tx, &owner, putting).await? {
        return Ok(kept);
    }
    let session = putting.session().to_string();
    let work: Option<WorkRow> = sqlx::query_as(
        "SELECT first, last, sources FROM summary_work WHERE owner = $1 AND session = $2 AND memory_id = $3",
    )
    .bind(owner.id)
    .bind(&session)
    .bind(putting.id.as_uuid().as_bytes().as_slice())
    .fetch_optional(&mut *tx)
    .await?;
    let Some(work) = work else {
        return Ok(Put::Outdated);
    };
    let basis = basis(tx, &owner, putting, &work).await?;
    if let Some(former) = basis.as_ref().and_then(|basis| basis.former)
        && former.pending
    {
        let event = former.event.as_uuid().as_bytes().as_slice();
        return Ok(Put::First(steps::with_event(tx, event).await?));
    }
    sqlx::query("DELETE FROM summary_work WHERE owner = $1 AND session = $2")
        .bind(owner.id)
        .bind(&session)
        .execute(&mut *tx)
        .await?;
    let Some(basis) = basis else {
        return Ok(Put::Outdated);
    };
    let saved = save(tx, &owner, &putting.summary(basis)).await?;
    match saved.memories.into_iter().next() {
        Some(memory) => Ok(Put::Kept(Box::new(memory), saved.steps)),
        None => refuse(Error::Stored("memory")),
    }
}

/// The summary, if it was saved before.
async fn kept(tx: &mut Connection, owner: &OwnerRow, putting: &Putting) -> Unit<Option<Put>> {
    let row: Option<MemoryRow> = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m WHERE m.owner = $1 AND m.memory_id = $2 AND m.session = $3 AND m.kind = $4"
    ))
    .bind(owner.id)
    .bind(putting.id.as_uuid().as_bytes().as_slice())
    .bind(putting.session().to_string())
    .bind(kind_number(MemoryKind::Summary))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let steps = if row.is_recorded() {
        Vec::new()
    } else {
        steps::with_event(tx, row.event()).await?
    };
    let memory = row.of(&putting.owner()).or_else(refuse)?;
    Ok(Some(Put::Kept(Box::new(memory), steps)))
}

#[derive(sqlx::FromRow)]
struct LastRow {
    agent: String,
    time_ms: i64,
}

/// What the summary was made of, as that is now; `None` when something of it is gone.
async fn basis(
    tx: &mut Connection,
    owner: &OwnerRow,
    putting: &Putting,
    work: &WorkRow,
) -> Unit<Option<Basis>> {
    let sources: Vec<u64> = serde_json::from_str(&work.sources)
        .map_err(|_| Error::Stored("sources of a summary"))
        .or_else(refuse)?;
    let (there, trust) = there(tx, owner, &sources).await?;
    let last: Option<LastRow> = sqlx::query_as(concat!(
        "SELECT agent, time_ms FROM memories WHERE owner = $1 AND kind = 1 AND seq ",
        among!(number "$2"),
        " ORDER BY ordinal DESC, seq DESC LIMIT 1"
    ))
    .bind(owner.id)
    .bind(&work.sources)
    .fetch_optional(&mut *tx)
    .await?;
    let (Some(last), Some(trust), true) = (last, trust, there == sources.len()) else {
        return Ok(None);
    };
    let segment = Segment::of(putting.session(), ordinal(work.first));
    Ok(Some(Basis {
        segment,
        reaches: ordinal(work.last),
        time: Timestamp::from_millis(last.time_ms),
        agent: last.agent,
        sources,
        label: label(trust).or_else(refuse)?,
        former: former(tx, owner.id, segment).await?,
    }))
}
