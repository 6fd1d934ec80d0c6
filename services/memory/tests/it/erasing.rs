//! A person who is erased: by an admin, on record, with all that is kept of them and nothing of anybody else's.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_identity::Token;
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::{Role, RunId, SessionId, SystemClock};
use tonic::Request;

use crate::conversations::turn;
use crate::person::{DAY, call, fact, forget, of_run, remember, save, saved, texts, until};
use crate::rig::{LEASE, Rig, answer, refused};

impl Rig {
    /// An admin of the tenant.
    pub(crate) fn admin(&self, tenant: &str) -> Token {
        self.person_with(tenant, "root", &[Role::User, Role::Admin])
    }

    pub(crate) async fn erase_person(
        &self,
        token: &Token,
        subject: &str,
    ) -> Result<pb::ErasePersonResponse, Failure> {
        let request = pb::ErasePersonRequest {
            subject: subject.to_owned(),
        };
        let request = Request::new(request).with_token(token);
        answer(self.as_gateway().erasure.erase_person(request).await)
    }

    async fn attach(&self, session: SessionId) -> String {
        let workspace = format!("{}.{}", RunId::generate(&SystemClock), session);
        let request = pb::AttachWorkspaceRequest {
            workspace_id: workspace.clone(),
        };
        let run = self.run_in(session);
        let attached = self
            .as_runtime()
            .conversations
            .attach_workspace(run.request(request))
            .await;
        assert_eq!(answer(attached).expect("attached").workspace_id, workspace);
        workspace
    }

    pub(crate) async fn search(&self, token: &Token, query: &str) -> Vec<String> {
        let request = pb::SearchMemoriesRequest {
            query: query.to_owned(),
            ..pb::SearchMemoriesRequest::default()
        };
        let found = call!(self, token, search_memories, request).expect("search");
        found
            .hits
            .into_iter()
            .filter_map(|hit| Some(hit.memory?.text))
            .collect()
    }
}

/// What the log has of people who were erased.
fn announced(rig: &Rig) -> Vec<(String, serde_json::Value)> {
    let events = rig.sink.of_kind(Kind::MemoryForgotten).into_iter();
    events
        .map(|event| {
            let details: serde_json::Value = serde_json::from_str(&event.details).expect("details");
            (format!("{} {}", event.principal, event.subject), details)
        })
        .filter(|(_, details)| details["what"] == "person_erased")
        .collect()
}

#[tokio::test]
async fn an_admin_erases_all_of_a_person_and_nobody_else() {
    let rig = Rig::new().await;
    let (ann, bob, admin) = (rig.ann(), rig.person("acme", "bob"), rig.admin("acme"));
    let (first, second) = (rig.new_session().await, rig.new_session().await);
    turn(&rig, first, "m1", "where is the boat?", "in the harbour").await;
    let workspace = rig.attach(first).await;
    saved(&rig, &ann, "the boat is blue").await;
    let hidden = saved(&rig, &ann, "the boat was red").await;
    forget(&rig, &ann, &hidden.memory_id).await.expect("hidden");
    saved(&rig, &bob, "bob's boat is green").await;
    until(async || (texts(&rig, &ann).await.len() == 3).then_some(())).await;
    assert_eq!(rig.search(&ann, "the blue boat").await[0], "the boat is blue");

    // who is no admin may not, and the admin of another tenant reaches nobody here
    refused(
        rig.erase_person(&ann, "ann").await,
        Code::PermissionDenied,
        Reason::NotAllowed,
    );
    let nothing = rig
        .erase_person(&rig.admin("other"), "ann")
        .await
        .expect("nothing");
    assert_eq!(nothing, pb::ErasePersonResponse::default());
    for wrong in ["", "an n", "-ann"] {
        let told = refused(
            rig.erase_person(&admin, wrong).await,
            Code::InvalidArgument,
            Reason::InvalidArgument,
        );
        assert!(told.contains("subject"), "{told}");
    }
    rig.sink.fail(Fault::Unavailable);
    refused(
        rig.erase_person(&admin, "ann").await,
        Code::Unavailable,
        Reason::AuditUnavailable,
    );
    rig.sink.fail(Fault::None);
    assert!(rig.session(first).await.is_ok());
    assert_eq!(texts(&rig, &ann).await.len(), 3);

    let erased = rig.erase_person(&admin, "ann").await.expect("erased");
    assert_eq!((erased.sessions, erased.memories), (2, 4));
    assert_eq!((erased.sessions_in_use, erased.more), (0, false));
    let told = pb::ErasedWorkspace {
        session_id: first.to_string(),
        agent: "default".to_owned(),
        workspace_id: workspace,
    };
    assert_eq!(erased.workspaces, [told]);
    let events = announced(&rig);
    let (who, details) = events.last().expect("event");
    assert_eq!(who, "person:root root");
    assert_eq!(
        details,
        &serde_json::json!({ "what": "person_erased", "subject": "ann", "sessions": 2, "memories": 4 })
    );
    for session in [first, second] {
        refused(rig.session(session).await, Code::NotFound, Reason::NotFound);
    }
    assert!(texts(&rig, &ann).await.is_empty());
    assert!(rig.search(&ann, "the blue boat").await.is_empty());
    assert_eq!(rig.search(&bob, "green boat").await, ["bob's boat is green"]);
    assert!(rig.shows("harombe_memory_sessions_total{what=\"deleted\"} 2"));

    // once more finds nothing, and says nothing
    let again = rig.erase_person(&admin, "ann").await.expect("erased");
    assert_eq!(again, pb::ErasePersonResponse::default());
    assert!(rig.shows("harombe_memory_memories_forgotten_total{what=\"person_erased\"} 1"));
    assert_eq!(announced(&rig), events);
    // the next of the name has memories of their own, found at once
    saved(&rig, &ann, "a new boat").await;
    assert_eq!(rig.search(&ann, "boat").await, ["a new boat"]);
}

#[tokio::test]
async fn what_is_in_use_is_asked_to_end_and_erased_then() {
    let rig = Rig::with(|config| config.lease = Duration::from_secs(1).into()).await;
    let (admin, ann) = (rig.admin("acme"), rig.ann());
    let (busy, run, begun) = rig.begun().await;
    let (left, _, _) = rig.begun().await;
    let idle = rig.new_session().await;
    remember(&rig, &run, of_run("said in a run"))
        .await
        .expect("saved");
    saved(&rig, &ann, "said elsewhere").await;
    let watch = pb::WatchRequest {
        run_id: run.run.to_string(),
        after_cursor: 0,
    };
    let watch = Request::new(watch).with_token(&ann);
    let watched = rig.as_gateway().journal.watch(watch).await;
    let mut watched = watched.expect("watch").into_inner();
    watched.message().await.expect("event").expect("begun");

    let part = rig.erase_person(&admin, "ann").await.expect("part");
    assert_eq!((part.sessions, part.memories), (1, 2));
    assert_eq!((part.sessions_in_use, part.more), (2, true));
    refused(rig.session(idle).await, Code::NotFound, Reason::NotFound);
    // its runtime hears of it, and ends it
    let epoch = begun.lease.expect("lease").epoch;
    let heard = rig
        .append(&run, epoch, 1, vec![crate::rig::entry("on")])
        .await
        .expect("appended");
    assert!(heard.cancel_requested);
    let events = announced(&rig).len();
    let waits = rig.erase_person(&admin, "ann").await.expect("waits");
    assert_eq!((waits.sessions, waits.sessions_in_use, waits.more), (0, 2, true));
    assert_eq!(announced(&rig).len(), events, "nothing was erased");
    rig.finish(&run, epoch, "an answer").await.expect("finish");
    while watched.message().await.expect("event").is_some() {}
    // of the other one nobody hears any more
    rig.clock.advance(LEASE * 3);
    let admin = rig.admin("acme");
    until(async || {
        let part = rig.erase_person(&admin, "ann").await.expect("part");
        (!part.more).then_some(())
    })
    .await;
    for session in [busy, left] {
        refused(rig.session(session).await, Code::NotFound, Reason::NotFound);
    }
    assert!(texts(&rig, &rig.ann()).await.is_empty());
    refused(rig.get_run(run.run).await, Code::NotFound, Reason::NotFound);
}

#[tokio::test]
async fn a_call_does_a_bounded_part() {
    let rig = Rig::new().await;
    let (ann, admin) = (rig.ann(), rig.admin("acme"));
    for _ in 0..40 {
        rig.new_session().await;
    }
    saved(&rig, &ann, "stays until no session is left").await;
    let first = rig.erase_person(&admin, "ann").await.expect("part");
    assert_eq!((first.sessions, first.memories, first.more), (32, 0, true));
    assert_eq!(texts(&rig, &ann).await.len(), 1);
    let second = rig.erase_person(&admin, "ann").await.expect("part");
    assert_eq!((second.sessions, second.memories, second.more), (8, 1, false));
}

/// What waits to be recorded is recorded before it is said that nothing is left: later, the log would seal it for the next of the
/// name. What the log refuses goes.
#[tokio::test]
async fn what_is_not_on_record_yet_is_before_the_person_is_gone() {
    let rig = Rig::new().await;
    let (ann, admin) = (rig.ann(), rig.admin("acme"));
    rig.sink.fail(Fault::Unavailable);
    let waits = fact("nobody sees it yet");
    let away = save(&rig, &ann, waits.clone()).await;
    refused(away, Code::Unavailable, Reason::AuditUnavailable);
    rig.sink.fail(Fault::Rejects(Kind::MemorySaved));
    let refusal = save(&rig, &ann, fact("nobody will")).await;
    refused(refusal, Code::Internal, Reason::Internal);
    // the log has come back, and takes what it is asked for
    rig.sink.fail(Fault::None);
    let erased = rig.erase_person(&admin, "ann").await.expect("erased");
    assert_eq!((erased.memories, erased.more), (2, false));
    let told = rig.sink.of_kind(Kind::MemorySaved);
    assert!(
        told.iter().any(|event| event.details.contains(&waits.memory_id)),
        "{told:?}"
    );

    // refused from the first time on
    rig.sink.fail(Fault::Unavailable);
    let away = save(&rig, &ann, fact("again")).await;
    refused(away, Code::Unavailable, Reason::AuditUnavailable);
    rig.sink.fail(Fault::Rejects(Kind::MemorySaved));
    let part = rig.erase_person(&admin, "ann").await.expect("part");
    assert_eq!((part.memories, part.more), (1, true));
    let part = rig.erase_person(&admin, "ann").await.expect("part");
    assert_eq!((part.memories, part.more), (0, false));
    rig.clock.advance(DAY);
    let again = rig
        .erase_person(&rig.admin("acme"), "ann")
        .await
        .expect("nothing");
    assert_eq!(again, pb::ErasePersonResponse::default());
    tokio::time::timeout(
        Duration::from_secs(60),
        rig.service.shutdown(Duration::from_secs(5)),
    )
    .await
    .expect("down");
}
