//! The suite that every adapter of the store passes, on each database.

mod choosing;
mod consolidation;
mod conversations;
mod erasing;
mod forgetting;
mod generations;
mod leases;
mod limits;
pub(crate) mod memories;
mod outbox;
mod outside;
mod pages;
mod person;
mod place;
mod races;
mod remembering;
mod steps;
mod summaries;
mod trust;
mod unshown;

use std::time::Duration;

use harombe_types::{RunId, RunPrincipal, SessionId, SystemClock, Timestamp};

use crate::domain::{
    Begin, Begun, Content, Expired, Finish, Held, NewEntry, Owner, Renewal, Room, RunLimits, RunState,
    Selection, Turns,
};
use crate::error::Error;
use crate::store::Store;

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);
const LEASE: Duration = Duration::from_secs(10);

fn expires() -> Timestamp {
    NOW.plus(LEASE)
}

fn owner(tenant: &str, subject: &str) -> Owner {
    Owner {
        tenant: tenant.parse().unwrap(),
        subject: subject.parse().unwrap(),
    }
}

fn ann() -> Owner {
    owner("acme", "ann")
}

/// A new run of Ann's.
fn run_in(session: SessionId) -> RunPrincipal {
    RunPrincipal {
        tenant: ann().tenant,
        subject: ann().subject,
        agent: "default".parse().unwrap(),
        session,
        run: RunId::generate(&SystemClock),
    }
}

fn entry(state: &str) -> NewEntry {
    NewEntry {
        event: state
            .starts_with("seen")
            .then(|| format!("event of {state}").into_bytes()),
        state: state.as_bytes().to_vec().into(),
    }
}

fn content(texts: &[&str]) -> Content {
    let messages: Vec<_> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    Content {
        tokens: 10 * texts.len() as u64,
        bytes: messages.iter().map(|message| message.len() as u64).sum(),
        messages,
    }
}

fn begin(run: &RunPrincipal, message: &str) -> Begin {
    Begin {
        run: run.clone(),
        token: format!("token of {}", run.run),
        client_message_id: message.to_owned(),
        message: content(&[message]),
        entries: vec![entry("seen begun"), entry("hidden")],
        history: Vec::new(),
        client_instructions: String::new(),
        now: NOW,
        expires: expires(),
        most: RunLimits {
            per_subject: 1000,
            per_tenant: 1000,
        },
    }
}

fn finish(run: &RunPrincipal, epoch: u64, texts: &[&str]) -> Finish {
    Finish {
        run: run.clone(),
        epoch,
        messages: content(texts),
        entries: vec![entry("seen finished")],
        state: RunState::Finished,
        saw_outside: false,
        now: NOW,
    }
}

fn everything() -> Selection {
    Selection {
        which: Turns::All,
        count: 100,
        bytes: u64::MAX,
    }
}

async fn session(store: &dyn Store) -> SessionId {
    let id = SessionId::generate(&SystemClock);
    let agent = "default".parse().unwrap();
    store.create_session(&ann(), id, &agent, NOW).await.unwrap();
    id
}

/// A run that has begun in a session of its own.
async fn begun(store: &dyn Store) -> (RunPrincipal, Begun) {
    let run = run_in(session(store).await);
    let begun = store.begin_turn(begin(&run, "m1")).await.unwrap();
    (run, begun)
}

/// The journal, as text.
async fn journal(store: &dyn Store, run: &RunPrincipal) -> Vec<(u64, String)> {
    let entries = store.entries(&ann(), run.run, 0, ALL).await.unwrap();
    entries
        .into_iter()
        .map(|entry| (entry.cursor, String::from_utf8(entry.state).unwrap()))
        .collect()
}

fn held(run: &RunPrincipal, epoch: u64) -> Held {
    Held {
        tenant: run.tenant.clone(),
        run: run.run,
        epoch,
    }
}

/// What became of one lease.
async fn renew(store: &dyn Store, run: &RunPrincipal, epoch: u64, until: Timestamp) -> Renewal {
    let renewed = store.renew_leases(vec![held(run, epoch)], until).await.unwrap();
    assert_eq!(renewed.len(), 1);
    renewed[0]
}

const ALL: Room = Room {
    entries: 1000,
    bytes: u32::MAX,
};

const KEPT: Renewal = Renewal::Held {
    cancel_requested: false,
};

async fn expired_now(store: &dyn Store, now: Timestamp) -> Vec<Expired> {
    store.expired(now, None, 100).await.unwrap().runs
}

fn is_lost<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::LeaseLost))
}
