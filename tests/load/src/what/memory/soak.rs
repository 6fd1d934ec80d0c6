//! A mixed load through the public door for as long as a person wants: messages in sessions that grow and are deleted,
//! facts that are saved, forgotten, restored and erased, questions, and lists. Every minute says what happened and what it cost.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harombe::attach::Client;
use harombe_proto::agent::v1::DeleteSessionRequest;
use harombe_proto::memory::v1::{
    EraseMemoryRequest, ForgetMemoryRequest, ListMemoriesRequest, RestoreMemoryRequest, SaveMemoryRequest,
    SearchMemoriesRequest,
};
use harombe_types::{EventId, SystemClock};
use serde_json::{Value, json};

use super::corpus;
use crate::measure::{self, Report, Round};
use crate::usage::Usages;
use crate::what::world::World;
use crate::what::{Result, message};
use crate::{Plan, raw};

/// Between two lines about how it goes.
const MINUTE: Duration = Duration::from_secs(60);
/// Messages in a session before it is deleted.
const TURNS: u32 = 20;

pub(in crate::what) async fn measure(plan: &Plan) -> Result<Report> {
    let world = World::open(plan).await?;
    let fdatasync = raw::fdatasync_p50_us(world.path())?;
    let counts = Arc::new(Counts::default());
    let clients = (0..plan.concurrency).map(|_| world.client());
    let clients = Arc::new(clients.collect::<Result<Vec<_>>>()?);
    let (next, done) = (Arc::new(AtomicU32::new(0)), Arc::clone(&counts));
    let load = measure::run(plan, move || {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        let at = usize::try_from(nth).unwrap_or_default() % clients.len().max(1);
        let (client, counts) = (clients.get(at).cloned(), Arc::clone(&done));
        async move {
            match client {
                Some(client) => session(client, nth, &counts).await,
                None => Round::default(),
            }
        }
    });
    let report = tokio::select! {
        report = load => report,
        never = minutes(&world, &counts) => match never {},
    };
    let resident = resident(&world)?;
    world.close().await;
    Ok(report
        .with("fdatasync_p50_us", fdatasync)
        .with("done", counts.said())
        .with("resident_mib", resident))
}

/// What was done, and what of it failed.
#[derive(Default)]
struct Counts {
    messages: AtomicU64,
    saved: AtomicU64,
    searched: AtomicU64,
    listed: AtomicU64,
    forgotten: AtomicU64,
    restored: AtomicU64,
    erased: AtomicU64,
    sessions_deleted: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    /// Counts an operation as one of its kind, or as failed.
    fn count(&self, kind: &AtomicU64, succeeded: bool) {
        let counter = if succeeded { kind } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn said(&self) -> Value {
        json!({
            "messages": self.messages.load(Ordering::Relaxed),
            "saved": self.saved.load(Ordering::Relaxed),
            "searched": self.searched.load(Ordering::Relaxed),
            "listed": self.listed.load(Ordering::Relaxed),
            "forgotten": self.forgotten.load(Ordering::Relaxed),
            "restored": self.restored.load(Ordering::Relaxed),
            "erased": self.erased.load(Ordering::Relaxed),
            "sessions_deleted": self.sessions_deleted.load(Ordering::Relaxed),
            "failed": self.failed.load(Ordering::Relaxed),
        })
    }
}

/// Says how it goes, until it is dropped.
async fn minutes(world: &World, counts: &Counts) -> Infallible {
    let began = Instant::now();
    loop {
        tokio::time::sleep(MINUTE).await;
        let minute = began.elapsed().as_secs() / 60;
        let resident = resident(world).unwrap_or_default();
        // Nobody is left to hear it when standard error is closed.
        let _ = writeln!(
            std::io::stderr(),
            "minute {minute}: {} · resident MiB {resident}",
            counts.said()
        );
    }
}

/// One session's life. The messages alone are timed; everything is counted.
async fn session(mut client: Client, nth: u32, counts: &Counts) -> Round {
    let mut round = Round::default();
    let Ok(session) = message::begin(&mut client).await else {
        counts.count(&counts.messages, false);
        round.add(None);
        return round;
    };
    let mut saved = None;
    for turn in 0..TURNS {
        let began = Instant::now();
        let text = corpus::sentence(nth, turn).text;
        let answered = message::say(&mut client, &session, text).await.unwrap_or(false);
        round.add(answered.then(|| began.elapsed()));
        counts.count(&counts.messages, answered);
        match turn % 4 {
            0 => saved = save(&mut client, nth, turn, counts).await.or(saved),
            1 => search(&mut client, nth, counts).await,
            2 => list(&mut client, counts).await,
            _ => forget(&mut client, saved.take(), counts).await,
        }
    }
    let deleted = client
        .agent
        .delete_session(DeleteSessionRequest { session_id: session })
        .await;
    counts.count(&counts.sessions_deleted, deleted.is_ok());
    round
}

async fn save(client: &mut Client, nth: u32, turn: u32, counts: &Counts) -> Option<String> {
    let memory_id = EventId::generate(&SystemClock).to_string();
    let request = SaveMemoryRequest {
        memory_id: memory_id.clone(),
        text: corpus::sentence(nth, turn.wrapping_add(TURNS)).text,
        ..SaveMemoryRequest::default()
    };
    let saved = client.memories.save_memory(request).await.is_ok();
    counts.count(&counts.saved, saved);
    saved.then_some(memory_id)
}

async fn search(client: &mut Client, nth: u32, counts: &Counts) {
    let request = SearchMemoriesRequest {
        query: corpus::question(nth),
        ..SearchMemoriesRequest::default()
    };
    let found = client.memories.search_memories(request).await;
    counts.count(&counts.searched, found.is_ok());
}

async fn list(client: &mut Client, counts: &Counts) {
    let listed = client
        .memories
        .list_memories(ListMemoriesRequest::default())
        .await;
    counts.count(&counts.listed, listed.is_ok());
}

/// What a person can do with a fact, one after the other; in the end it is gone.
async fn forget(client: &mut Client, saved: Option<String>, counts: &Counts) {
    let Some(memory_id) = saved else { return };
    let forget = ForgetMemoryRequest {
        memory_id: memory_id.clone(),
    };
    let restore = RestoreMemoryRequest {
        memory_id: memory_id.clone(),
    };
    let forgotten = client.memories.forget_memory(forget).await;
    counts.count(&counts.forgotten, forgotten.is_ok());
    let restored = client.memories.restore_memory(restore).await;
    counts.count(&counts.restored, restored.is_ok());
    let erased = client
        .memories
        .erase_memory(EraseMemoryRequest { memory_id })
        .await;
    counts.count(&counts.erased, erased.is_ok());
}

/// MiB by service where each is a process; else of this process, which is the server too when it is embedded
/// (proc_pid_status(5)).
fn resident(world: &World) -> Result<Value> {
    if let Ok(cluster) = world.cluster() {
        return Ok(Usages::of(cluster)?.pss());
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: u64 = kib
        .ok_or("the kernel does not say what this process holds")?
        .parse()?;
    Ok((kib / 1024).into())
}
