//! What a turn costs: BeginTurn, Append and FinishTurn, beside what one fsync costs on the same disk.
//!
//! `cargo run --release -p harombe-memory --example turns -- [CALLERS] [TURNS] [POSTGRES_URL]`; without a url, on SQLite.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe_identity::{CertificateAuthority, TokenMinter};
use harombe_memory::{Config, Deps, build};
use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::run_journal_service_client::RunJournalServiceClient;
use harombe_rpc::{GrpcChannel, RequestExt as _, TaskSet};
use harombe_sql::{PostgresConfig, StoreConfig};
use harombe_testkit::{AuditSink, TestPki};
use harombe_types::{Clock as _, Person, Role, RunId, RunPrincipal, ServiceName, SessionId, SystemClock};
use tonic::Request;

type Failed = Box<dyn Error + Send + Sync>;

/// Begin, append, finish.
type Times = [Vec<Duration>; 3];

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut arguments = std::env::args().skip(1);
    let callers: usize = arguments.next().as_deref().unwrap_or("1").parse()?;
    let turns: usize = arguments.next().as_deref().unwrap_or("300").parse()?;
    let postgres = arguments.next().map(|url| PostgresConfig {
        url,
        ..PostgresConfig::default()
    });
    let config = Config {
        store: StoreConfig { postgres },
        ..Config::default()
    };
    let directory = tempfile::tempdir()?;
    let fsync = fdatasync_p50(directory.path())?;
    let authority = CertificateAuthority::create("load.example", &SystemClock)?;
    let minter = TokenMinter::new(authority.issue(ServiceName::Gateway, &SystemClock)?);
    let pki = TestPki::new(Arc::new(SystemClock));
    let (sink, trails) = (AuditSink::new(&pki, Arc::new(SystemClock)), TaskSet::new());
    let deps = Deps {
        metrics: harombe_rpc::Metrics::new(),
        clock: Arc::new(SystemClock),
        identity: authority.issue(ServiceName::Memory, &SystemClock)?,
        trail: sink.trail(ServiceName::Memory, Arc::new(SystemClock), &trails),
        data: directory.path().join("memory"),
        models: directory.path().join("models"),
        egress_proxy: sink.channel(ServiceName::Memory),
    };
    let service = build(config, deps).await?;
    let started = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let caller = Caller {
                minter: minter.clone(),
                gateway: GrpcChannel::local(service.server(), ServiceName::Gateway),
                runtime: GrpcChannel::local(service.server(), ServiceName::Runtime),
            };
            tokio::spawn(caller.drive(turns))
        })
        .collect();
    let mut times = Times::default();
    for task in tasks {
        for (all, some) in times.iter_mut().zip(task.await??) {
            all.extend(some);
        }
    }
    let elapsed = started.elapsed().as_secs_f64();
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{callers} callers, {:.0} turns/s; fdatasync p50 {fsync:?}",
        (callers * turns) as f64 / elapsed
    )?;
    for (name, mut times) in ["BeginTurn", "Append", "FinishTurn"].into_iter().zip(times) {
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
        writeln!(out, "{name:>10}: p50 {:?}, p99 {:?}", at(50), at(99))?;
    }
    service.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

struct Caller {
    minter: TokenMinter,
    gateway: GrpcChannel,
    runtime: GrpcChannel,
}

impl Caller {
    async fn drive(self, turns: usize) -> Result<Times, Failed> {
        let person = Person {
            tenant: "local".parse()?,
            subject: "ann".parse()?,
            roles: [Role::User].into(),
            allow_self: false,
        };
        let session = SessionId::generate(&SystemClock);
        let token = self
            .minter
            .person(&person, ServiceName::Memory, SystemClock.now())?;
        let request = pb::CreateSessionRequest {
            session_id: session.to_string(),
            agent: "default".to_owned(),
        };
        ConversationServiceClient::new(self.gateway.clone())
            .create_session(Request::new(request).with_token(&token))
            .await?;
        let mut times = Times::default();
        for _ in 0..turns {
            let turn = self.turn(&person, session).await?;
            for (all, one) in times.iter_mut().zip(turn) {
                all.push(one);
            }
        }
        Ok(times)
    }

    async fn turn(&self, person: &Person, session: SessionId) -> Result<[Duration; 3], Failed> {
        let now = SystemClock.now();
        let run = RunPrincipal {
            tenant: person.tenant.clone(),
            subject: person.subject.clone(),
            agent: "default".parse()?,
            session,
            run: RunId::generate(&SystemClock),
        };
        let token = self.minter.run(&run, now.plus(Duration::from_secs(900)), now)?;
        let mut conversations = ConversationServiceClient::new(self.runtime.clone());
        let entry = || pb::JournalEntry {
            state: vec![b'x'; 300].into(),
            ..pb::JournalEntry::default()
        };
        let begin = pb::BeginTurnRequest {
            client_message_id: run.run.to_string(),
            text: "What is in the file that I gave you yesterday?".to_owned(),
            entries: vec![entry()],
            ..pb::BeginTurnRequest::default()
        };
        let started = Instant::now();
        let begun = conversations
            .begin_turn(Request::new(begin).with_token(&token))
            .await?;
        let began = started.elapsed();
        let epoch = begun.into_inner().lease.ok_or("no lease")?.epoch;
        let append = pb::AppendRequest {
            epoch,
            expected_cursor: 1,
            entries: vec![entry()],
        };
        let started = Instant::now();
        RunJournalServiceClient::new(self.runtime.clone())
            .append(Request::new(append).with_token(&token))
            .await?;
        let appended = started.elapsed();
        let finish = pb::FinishTurnRequest {
            epoch,
            messages: vec![pb::Message {
                author: pb::Author::Assistant.into(),
                text: "It says that the meeting is at ten.".to_owned(),
                ..pb::Message::default()
            }],
            entries: vec![entry()],
            state: pb::RunState::Finished.into(),
            ..pb::FinishTurnRequest::default()
        };
        let started = Instant::now();
        conversations
            .finish_turn(Request::new(finish).with_token(&token))
            .await?;
        Ok([began, appended, started.elapsed()])
    }
}

fn fdatasync_p50(directory: &Path) -> std::io::Result<Duration> {
    let mut file = std::fs::File::create(directory.join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[0; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
