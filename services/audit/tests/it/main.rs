//! The audit service from outside, through the in-process channel.

#![expect(clippy::unwrap_used, reason = "a test whose bench cannot be set up fails")]

mod crash;
mod disk;
mod erasure;
mod failover;
mod growth;
mod postgres;
mod trail;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use harombe_audit::verify::verify;
use harombe_audit::{Config, Deps, Service, VerifyingKey, build};
use harombe_error::{Failure, Reason};
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::{
    AppendBatchRequest, AppendRequest, Entry, Event, GetCheckpointRequest, GetInclusionProofRequest,
    QueryEnd, QueryRequest, query_response::Item,
};
use harombe_rpc::{GrpcChannel, RequestExt as _};
use harombe_testkit::{TestPki, person};
use harombe_tlog::{Checkpoint, Hash, leaf_hash, verify_inclusion};
use harombe_types::{Clock, EventId, InstanceId, Person, Role, RunId, ServiceName, SystemClock};
use tempfile::TempDir;
use tonic::Request;

struct Bench {
    pki: Arc<TestPki>,
    service: Service,
    metrics: harombe_rpc::Metrics,
}

impl Bench {
    /// A service whose files are under `directory`.
    async fn under(directory: &Path) -> Self {
        Self::with(directory, Config::default()).await
    }

    async fn with(directory: &Path, config: Config) -> Self {
        let pki = Arc::new(TestPki::new(Arc::new(SystemClock)));
        Self::among(pki, directory, config).await
    }

    /// One of several services that know each other's certificates.
    async fn among(pki: Arc<TestPki>, directory: &Path, config: Config) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let metrics = harombe_rpc::Metrics::new();
        let deps = Deps {
            metrics: metrics.clone(),
            clock,
            identity: pki.identity(ServiceName::Audit),
            data: directory.join("audit"),
        };
        let service = build(config, deps).await.unwrap();
        Self {
            pki,
            service,
            metrics,
        }
    }

    /// How many entries the log has, as it says itself.
    async fn size(&self) -> u64 {
        let query = QueryRequest {
            limit: 1,
            ..QueryRequest::default()
        };
        self.query(&of("local"), query).await.unwrap().1.log_size
    }

    fn client(&self, as_: ServiceName) -> AuditServiceClient<GrpcChannel> {
        AuditServiceClient::new(GrpcChannel::local(self.service.server(), as_))
    }

    async fn append(&self, as_: ServiceName, event: Event) -> Result<u64, Failure> {
        let answer = self
            .client(as_)
            .append(AppendRequest { event: Some(event) })
            .await;
        answer
            .map(|answer| answer.into_inner().index)
            .map_err(Failure::from)
    }

    fn read<T>(&self, person: &Person, message: T) -> Request<T> {
        Request::new(message).with_token(self.pki.person_token(person, ServiceName::Audit))
    }

    async fn query(&self, person: &Person, query: QueryRequest) -> Result<(Vec<Entry>, QueryEnd), Failure> {
        let request = self.read(person, query);
        let mut answers = self
            .client(ServiceName::Gateway)
            .query(request)
            .await?
            .into_inner();
        let (mut entries, mut end) = (Vec::new(), None);
        while let Some(answer) = answers.next().await {
            assert!(end.is_none(), "something after the end");
            match answer?.item.unwrap() {
                Item::Entry(entry) => entries.push(entry),
                Item::End(last) => end = Some(last),
            }
        }
        Ok((entries, end.unwrap()))
    }
}

fn of(tenant: &str) -> Person {
    Person {
        tenant: tenant.parse().unwrap(),
        ..person("ann")
    }
}

fn event(tenant: &str) -> Event {
    Event {
        event_id: EventId::generate(&SystemClock).to_string(),
        kind: "exec.started".to_owned(),
        tenant: tenant.to_owned(),
        principal: "run".to_owned(),
        subject: "ann".to_owned(),
        agent: "default".to_owned(),
        run_id: RunId::generate(&SystemClock).to_string(),
        time: Some(prost_types::Timestamp {
            seconds: 1_795_392_000,
            nanos: 5_000_000,
        }),
        outcome: "ok".to_owned(),
        instance: InstanceId::generate(&SystemClock).to_string(),
        instance_seq: 1,
        details: r#"{"path": "notes.txt"}"#.to_owned(),
        ..Event::default()
    }
}

#[tokio::test]
async fn what_is_appended_can_be_read_and_proven() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    let sent = event("local");
    assert_eq!(
        bench
            .append(ServiceName::SandboxBroker, sent.clone())
            .await
            .unwrap(),
        0
    );
    assert_eq!(bench.append(ServiceName::Hitl, event("local")).await.unwrap(), 1);
    let query = QueryRequest {
        run_id: sent.run_id.clone(),
        ..QueryRequest::default()
    };
    let (entries, end) = bench.query(&of("local"), query).await.unwrap();
    assert_eq!((end.complete_to, end.log_size, end.next_index), (2, 2, 0));
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}")
    };
    assert_eq!(
        (entry.index, entry.details.as_str()),
        (0, r#"{"path":"notes.txt"}"#)
    );
    let leaf: serde_json::Value = serde_json::from_slice(&entry.leaf).unwrap();
    assert_eq!(
        leaf["service"], "sandbox-broker",
        "from the channel, not from the message"
    );
    assert_eq!(leaf["event_id"], sent.event_id.as_str());
    assert_eq!(leaf["time"], "2026-11-23T00:00:00.005Z");

    let mut client = bench.client(ServiceName::Gateway);
    let head = client
        .get_checkpoint(bench.read(&of("local"), GetCheckpointRequest {}))
        .await
        .unwrap()
        .into_inner();
    let key = VerifyingKey::parse(&head.verifier_key).unwrap();
    assert_eq!(
        Checkpoint::open(head.checkpoint.as_bytes(), &key).unwrap().size(),
        2
    );
    let wanted = GetInclusionProofRequest {
        index: 0,
        tree_size: 0,
    };
    let proof = client
        .get_inclusion_proof(bench.read(&of("local"), wanted))
        .await
        .unwrap()
        .into_inner();
    let path: Vec<Hash> = proof
        .hashes
        .iter()
        .map(|hash| Hash::try_from(&hash[..]).unwrap())
        .collect();
    let checkpoint = Checkpoint::open(proof.checkpoint.as_bytes(), &key).unwrap();
    assert_eq!(proof.leaf, entry.leaf);
    verify_inclusion(
        &leaf_hash(&proof.leaf),
        0,
        proof.tree_size,
        &path,
        checkpoint.root(),
    )
    .unwrap();
    bench.service.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    bench.append(ServiceName::Hitl, event("local")).await.unwrap();
    let (entries, end) = bench
        .query(&of("elsewhere"), QueryRequest::default())
        .await
        .unwrap();
    assert_eq!((entries.len(), end.log_size), (0, 1));
    let wanted = bench.read(
        &of("elsewhere"),
        GetInclusionProofRequest {
            index: 0,
            tree_size: 0,
        },
    );
    let refused = bench
        .client(ServiceName::Gateway)
        .get_inclusion_proof(wanted)
        .await
        .unwrap_err();
    assert_eq!(Failure::from(refused).reason, Reason::NotFound);
}

#[tokio::test]
async fn reading_needs_a_role_and_writing_a_service() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    let mut user = of("local");
    user.roles = [Role::User, Role::Approver].into();
    let refused = bench.query(&user, QueryRequest::default()).await.unwrap_err();
    assert_eq!(refused.reason, Reason::NotAllowed);
    let without = bench
        .client(ServiceName::Gateway)
        .get_checkpoint(GetCheckpointRequest {})
        .await
        .unwrap_err();
    assert_eq!(Failure::from(without).reason, Reason::Unauthenticated);
    let request = bench.read(&of("local"), GetCheckpointRequest {});
    let refused = bench
        .client(ServiceName::Runtime)
        .get_checkpoint(request)
        .await
        .unwrap_err();
    assert_eq!(Failure::from(refused).reason, Reason::NotAllowed);
    let refused = bench
        .append(ServiceName::Audit, event("local"))
        .await
        .unwrap_err();
    assert_eq!(refused.reason, Reason::NotAllowed);
}

/// Events with one bad field each, and its name.
fn malformed() -> Vec<(&'static str, Event)> {
    let with = |field, change: fn(&mut Event)| {
        let mut event = event("local");
        change(&mut event);
        (field, event)
    };
    let time = |seconds, nanos| Event {
        time: Some(prost_types::Timestamp { seconds, nanos }),
        ..event("local")
    };
    vec![
        with("event_id", |event| event.event_id = "x".to_owned()),
        with("tenant", |event| event.tenant.clear()),
        with("subject", |event| event.subject = "a b".to_owned()),
        with("agent", |event| event.agent = "/".to_owned()),
        with("run_id", |event| event.run_id = "1".to_owned()),
        with("session_id", |event| event.session_id = "1".to_owned()),
        with("call_id", |event| event.call_id = "1".to_owned()),
        with("approval_id", |event| event.approval_id = "1".to_owned()),
        with("instance", |event| event.instance.clear()),
        with("kind", |event| event.kind = "nonsense".to_owned()),
        with("details", |event| event.details = "{\"a\":1,\"a\":2}".to_owned()),
        with("time", |event| event.time = None),
        ("time", time(i64::MAX, 0)),
        ("time", time(-1, 0)),
        ("time", time(0, -1)),
    ]
}

#[tokio::test]
async fn malformed_events_are_named() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    for (field, case) in malformed() {
        let refused = bench.append(ServiceName::Hitl, case).await.unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidArgument, "{field}");
        assert!(refused.message.contains(field), "{field}: {}", refused.message);
    }
    let large = Event {
        details: format!("{{\"a\":\"{}\"}}", "x".repeat(300 << 10)),
        ..event("local")
    };
    assert_eq!(
        bench.append(ServiceName::Hitl, large).await.unwrap_err().reason,
        Reason::LimitExceeded
    );
    let missing = bench
        .client(ServiceName::Hitl)
        .append(AppendRequest { event: None })
        .await
        .unwrap_err();
    assert_eq!(Failure::from(missing).reason, Reason::InvalidArgument);
    let query = QueryRequest {
        run_id: "1".to_owned(),
        ..QueryRequest::default()
    };
    assert_eq!(
        bench.query(&of("local"), query).await.unwrap_err().reason,
        Reason::InvalidArgument
    );
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_and_can_be_repeated() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    let mut client = bench.client(ServiceName::Hitl);
    let events: Vec<_> = (0..1000).map(|_| event("local")).collect();
    let batch = AppendBatchRequest {
        events: events.clone(),
    };
    let indexes = client
        .append_batch(batch.clone())
        .await
        .unwrap()
        .into_inner()
        .indexes;
    assert_eq!(indexes, (0..1000).collect::<Vec<_>>());
    assert_eq!(
        client.append_batch(batch).await.unwrap().into_inner().indexes,
        indexes
    );
    let mut bad = vec![event("local"), event("local")];
    bad[1].outcome = String::new();
    assert!(
        client
            .append_batch(AppendBatchRequest { events: bad })
            .await
            .is_err()
    );
    let mut large = events;
    large.push(event("local"));
    let refused = client
        .append_batch(AppendBatchRequest { events: large })
        .await
        .unwrap_err();
    assert_eq!(Failure::from(refused).reason, Reason::LimitExceeded);
    let (entries, end) = bench.query(&of("local"), QueryRequest::default()).await.unwrap();
    assert_eq!((entries.len(), end.log_size, end.next_index), (1000, 1000, 0));
}

#[tokio::test]
async fn secrets_in_details_are_neither_stored_nor_shown() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    let secret = "hunter2-correct-horse-9Q";
    let details =
        format!("{{\"env\":{{\"DB_PASSWORD\":\"{secret}\"}}, \"path\": \"visible-in-the-answer\"}}");
    bench
        .append(
            ServiceName::SandboxBroker,
            Event {
                details,
                ..event("local")
            },
        )
        .await
        .unwrap();
    let (entries, _) = bench.query(&of("local"), QueryRequest::default()).await.unwrap();
    assert!(entries[0].details.contains("REDACTED") && entries[0].details.contains("visible-in-the-answer"));
    assert!(!entries[0].details.contains(secret));
    let directory = directory.path().join("audit");
    bench.service.shutdown(Duration::from_secs(5)).await;
    for file in ["audit.db", "index.db"] {
        let bytes = std::fs::read(directory.join(file)).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(secret) && !holds("visible-in-the-answer"), "{file}");
    }
}

#[tokio::test]
async fn a_log_that_was_served_verifies_and_goes_on() {
    let directory = TempDir::new().unwrap();
    let bench = Bench::under(directory.path()).await;
    for _ in 0..3 {
        bench.append(ServiceName::Hitl, event("local")).await.unwrap();
    }
    let key = VerifyingKey::parse(bench.service.verifier_key()).unwrap();
    let directory = directory.path().join("audit");
    assert_eq!(verify(&directory, None).await.unwrap().entries, 3);
    bench.service.shutdown(Duration::from_secs(5)).await;
    let published = std::fs::read(directory.join("checkpoint")).unwrap();
    assert_eq!(Checkpoint::open(&published, &key).unwrap().size(), 3);

    let again = Bench::under(directory.parent().unwrap()).await;
    assert_eq!(again.append(ServiceName::Hitl, event("local")).await.unwrap(), 3);
    assert_eq!(again.service.verifier_key(), key.to_string());
    again.service.shutdown(Duration::from_secs(5)).await;
    assert_eq!(verify(&directory, Some(key)).await.unwrap().entries, 4);
    let (entries, next) = harombe_audit::files::query(&directory, &Default::default(), 1, 2)
        .await
        .unwrap();
    assert_eq!((entries.len(), entries[0].index, next), (2, 1, Some(3)));
    assert_eq!(entries[0].details, r#"{"path":"notes.txt"}"#);
}
