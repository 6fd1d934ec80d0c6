//! Statements that save memories, and make them visible.

use std::collections::HashMap;

use harombe_types::SessionId;

use super::{Connection, Outbox, Unit, columns, derived, listed, outbox, owners, refuse, steps};
use crate::domain::{Actor, MemoryKind, NewMemory, Owner, Saved, Saving, Step};
use crate::error::Error;
use crate::store::memories::rows::{MemoryRow, OwnerRow, kind_number, label, label_number};
use crate::store::rows::signed;

/// Saves what somebody asks for. What a run asks for goes with its session, which must be there.
pub(in crate::store) async fn save_asked(tx: &mut Connection, saving: &Saving) -> Unit<Saved> {
    if let Actor::Run { session, .. } = &saving.actor {
        // the session first, as everybody does who locks both
        hold_session(tx, &saving.owner, *session).await?;
    }
    save(tx, saving).await
}

/// Nobody deletes it before the transaction ends.
async fn hold_session(tx: &mut Connection, owner: &Owner, session: SessionId) -> Unit<()> {
    let there: Option<i64> = sqlx::query_scalar(concat!(
        "SELECT id FROM sessions WHERE tenant = $1 AND session_id = $2 AND subject = $3",
        locked!()
    ))
    .bind(owner.tenant.as_str())
    .bind(session.to_string())
    .bind(owner.subject.as_str())
    .fetch_optional(tx)
    .await?;
    match there {
        Some(_) => Ok(()),
        None => refuse(Error::NotFound("session")),
    }
}

/// Saves what is new.
pub(super) async fn save(tx: &mut Connection, saving: &Saving) -> Unit<Saved> {
    let owner = owners::hold(tx, &saving.owner, saving.event).await?;
    let known = known(tx, &owner, saving).await?;
    save_beside(tx, owner, saving, known).await
}

/// Saves memories whose ids nobody can have used.
pub(super) async fn save_new(tx: &mut Connection, saving: &Saving) -> Unit<Saved> {
    if saving.memories.is_empty() {
        return Ok(Saved::default());
    }
    let owner = owners::hold(tx, &saving.owner, saving.event).await?;
    save_beside(tx, owner, saving, Rows::new()).await
}

async fn save_beside(
    tx: &mut Connection,
    mut owner: OwnerRow,
    saving: &Saving,
    mut known: Rows,
) -> Unit<Saved> {
    let new: Vec<&NewMemory> = saving
        .memories
        .iter()
        .filter(|memory| !known.contains_key(memory.id.as_uuid().as_bytes().as_slice()))
        .collect();
    let mut steps = Vec::new();
    for row in known.values().filter(|row| !row.is_recorded()) {
        steps.extend(steps::with_event(tx, row.event()).await?);
    }
    steps.dedup_by_key(|step| step.event);
    let mut inserted = add(tx, &mut owner, saving, &new).await?;
    if !new.is_empty() {
        owners::keep(tx, &owner).await?;
        let step = saving.step(&new);
        steps::add(tx, &step).await?;
        steps.push(step);
    }
    let mut memories = Vec::with_capacity(saving.memories.len());
    for memory in &saving.memories {
        let key = memory.id.as_uuid().as_bytes().as_slice();
        let row = known.remove(key).or_else(|| inserted.remove(key));
        let row = row.ok_or(Error::Stored("memory")).or_else(refuse)?;
        memories.push(row.of(&saving.owner).or_else(refuse)?);
    }
    Ok(Saved {
        memories,
        new: u32::try_from(new.len()).unwrap_or(u32::MAX),
        steps,
    })
}

type Rows = HashMap<Vec<u8>, MemoryRow>;

fn by_id(rows: Vec<MemoryRow>) -> Rows {
    rows.into_iter().map(|row| (row.id().to_vec(), row)).collect()
}

/// Those of the memories that are there.
async fn known(tx: &mut Connection, owner: &OwnerRow, saving: &Saving) -> Unit<Rows> {
    let ids = saving
        .memories
        .iter()
        .map(|memory| memory.id.as_uuid().as_bytes().as_slice());
    let rows = sqlx::query_as(concat!(
        "SELECT ",
        columns!(),
        " FROM memories m WHERE m.owner = $1 AND m.memory_id ",
        among!(bytes "$2")
    ))
    .bind(owner.id)
    .bind(listed(ids))
    .fetch_all(tx)
    .await?;
    Ok(by_id(rows))
}

async fn add(tx: &mut Connection, owner: &mut OwnerRow, saving: &Saving, new: &[&NewMemory]) -> Unit<Rows> {
    if new.is_empty() {
        return Ok(Rows::new());
    }
    for memory in new {
        may_supersede(tx, owner, memory, &saving.actor).await?;
    }
    let count = i64::try_from(new.len()).unwrap_or(i64::MAX);
    owners::admit(tx, &saving.owner, owner, count, saving.most).await?;
    let mut ordinals = HashMap::new();
    let mut rows = Vec::with_capacity(new.len());
    for memory in new {
        let ordinal = ordinal(tx, owner, memory, &mut ordinals).await?;
        rows.push(insert(tx, owner, saving, memory, ordinal).await?);
    }
    Ok(by_id(rows))
}

#[derive(sqlx::FromRow)]
struct Superseding {
    kind: i64,
    label: i64,
    valid_to_ms: Option<i64>,
    is_taken: bool,
}

/// Whether there is what it supersedes, it may take the place of such a memory, and nothing else has taken it or is about to.
async fn may_supersede(tx: &mut Connection, owner: &OwnerRow, memory: &NewMemory, actor: &Actor) -> Unit<()> {
    let Some(old) = memory.supersedes else {
        return Ok(());
    };
    let found: Option<Superseding> = sqlx::query_as(
        "SELECT m.kind, m.label, m.valid_to_ms, \
                EXISTS (SELECT 1 FROM memories n WHERE n.owner = $1 AND n.supersedes = $2) AS is_taken \
         FROM memories m WHERE m.owner = $1 AND m.memory_id = $2 AND m.rev > 0 AND m.hidden_ms IS NULL",
    )
    .bind(owner.id)
    .bind(old.as_uuid().as_bytes().as_slice())
    .fetch_optional(tx)
    .await?;
    let Some(found) = found else {
        return refuse(Error::NotFound("memory to supersede"));
    };
    if found.kind != kind_number(memory.kind) {
        return refuse(Error::Invalid(format!(
            "memory {old} is no fact, and only facts are superseded; save this one without supersedes"
        )));
    }
    let is = label(found.label).or_else(refuse)?;
    let by_a_run = matches!(actor, Actor::Run { .. }) && memory.kind == MemoryKind::Fact;
    if by_a_run && memory.label > is {
        return refuse(Error::MoreTrusted {
            old,
            is: is.as_str(),
            new: memory.label.as_str(),
        });
    }
    if found.is_taken || found.valid_to_ms.is_some() {
        return refuse(Error::Superseded(old));
    }
    Ok(())
}

/// The place of a memory in its session.
async fn ordinal(
    tx: &mut Connection,
    owner: &OwnerRow,
    memory: &NewMemory,
    last: &mut HashMap<SessionId, i64>,
) -> Unit<i64> {
    let session = match (memory.session, memory.ordinal) {
        (_, Some(given)) => return Ok(i64::from(given)),
        (None, None) => return Ok(0),
        (Some(session), None) => session,
    };
    let before = match last.get(&session) {
        Some(before) => *before,
        None => {
            let found: Option<i64> =
                sqlx::query_scalar("SELECT max(ordinal) FROM memories WHERE owner = $1 AND session = $2")
                    .bind(owner.id)
                    .bind(session.to_string())
                    .fetch_one(tx)
                    .await?;
            found.unwrap_or(0)
        }
    };
    // an import may have brought the highest number along
    let next = before.saturating_add(1).min(i64::from(u32::MAX));
    last.insert(session, next);
    Ok(next)
}

async fn insert(
    tx: &mut Connection,
    owner: &OwnerRow,
    saving: &Saving,
    memory: &NewMemory,
    ordinal: i64,
) -> Unit<MemoryRow> {
    let row = sqlx::query_as(
        "INSERT INTO memories (owner, memory_id, point, kind, label, text, speaker, time_ms, valid_to_ms, \
         superseded_by, supersedes, agent, session, run, ordinal, importance, saved_ms, event, hidden_ms, hidden_by, \
         erase_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
         RETURNING seq, memory_id, point, rev, kind, label, text, speaker, time_ms, valid_to_ms, superseded_by, agent, \
         session, run, ordinal, importance, saved_ms, event, audit_index, hidden_ms, hidden_by, erase_ms",
    )
    .bind(owner.id)
    .bind(memory.id.as_uuid().as_bytes().as_slice())
    .bind(memory.point.as_bytes().as_slice())
    .bind(kind_number(memory.kind))
    .bind(label_number(memory.label))
    .bind(memory.text.as_bytes())
    .bind(memory.speaker.as_bytes())
    .bind(memory.time.as_millis())
    .bind(memory.valid_to.map(|time| time.as_millis()))
    .bind(memory.superseded_by.map(|id| id.as_uuid().as_bytes().to_vec()))
    .bind(memory.supersedes.map(|id| id.as_uuid().as_bytes().to_vec()))
    .bind(&memory.agent)
    .bind(memory.session.map(|session| session.to_string()))
    .bind(memory.run.map(|run| run.to_string()))
    .bind(ordinal)
    .bind(memory.importance)
    .bind(saving.now.as_millis())
    .bind(saving.event.as_uuid().as_bytes().as_slice())
    .bind(memory.hidden_at.map(|time| time.as_millis()))
    .bind(memory.hidden_at.map(|_| BY_PERSON))
    .bind(memory.erased_at.map(|time| time.as_millis()))
    .fetch_one(tx)
    .await?;
    Ok(row)
}

/// What is hidden when it is saved was hidden by its person before.
const BY_PERSON: i64 = 2;

/// A memory that is seen from now on.
#[derive(sqlx::FromRow)]
struct Seen {
    seq: i64,
    memory_id: Vec<u8>,
    time_ms: i64,
    supersedes: Option<Vec<u8>>,
}

pub(in crate::store) async fn recorded(
    tx: &mut Connection,
    step: &Step,
    index: u64,
    kept: Outbox,
) -> Unit<()> {
    if step.deed.is_saving()
        && let Some(mut owner) = owners::hold_known(tx, &step.owner).await?
    {
        outbox::add_unseen(tx, (&step.owner, &owner), step.event, kept).await?;
        for memory in see(tx, &mut owner, step, index).await? {
            supersede(tx, &mut owner, &memory).await?;
        }
        if step.deed.is_linking() {
            derived::link(tx, &mut owner, step.event).await?;
        }
        owners::keep(tx, &owner).await?;
    }
    steps::remove(tx, step.event).await
}

/// The step's memories are seen, with a revision each in the order in which they were saved.
async fn see(tx: &mut Connection, owner: &mut OwnerRow, step: &Step, index: u64) -> Unit<Vec<Seen>> {
    let mut seen: Vec<Seen> = sqlx::query_as(
        "WITH unseen AS ( \
            SELECT seq AS memory, row_number() OVER (ORDER BY seq) AS nth FROM memories \
            WHERE owner = $1 AND event = $2 AND audit_index IS NULL) \
         UPDATE memories SET audit_index = $3, rev = $4 + unseen.nth FROM unseen WHERE seq = unseen.memory \
         RETURNING seq, memory_id, time_ms, supersedes",
    )
    .bind(owner.id)
    .bind(step.event.as_uuid().as_bytes().as_slice())
    .bind(signed(index))
    .bind(owner.rev)
    .fetch_all(tx)
    .await?;
    owner.rev += i64::try_from(seen.len()).unwrap_or(i64::MAX);
    seen.sort_unstable_by_key(|memory| memory.seq);
    Ok(seen)
}

/// The memory takes the place of the one that it supersedes, if it does.
async fn supersede(tx: &mut Connection, owner: &mut OwnerRow, memory: &Seen) -> Unit<()> {
    let Some(old) = &memory.supersedes else {
        return Ok(());
    };
    // the clock may have gone back since the old one was saved
    sqlx::query(
        "UPDATE memories SET superseded_by = $3, rev = $5, \
         valid_to_ms = CASE WHEN time_ms > $4 THEN time_ms ELSE $4 END \
         WHERE owner = $1 AND memory_id = $2 AND valid_to_ms IS NULL",
    )
    .bind(owner.id)
    .bind(old)
    .bind(&memory.memory_id)
    .bind(memory.time_ms)
    .bind(owner.next_rev())
    .execute(tx)
    .await?;
    Ok(())
}
