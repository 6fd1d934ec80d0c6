//! Another tenant, and another person of the same one, with the real ids of somebody's session, run, approval and memory: for
//! them there is no such thing.

use std::time::Duration;

use harombe_e2e::{Answer, Stage, Talk, World, reason_of};
use harombe_error::Reason;
use harombe_proto::agent::v1::SendMessageResponse;
use harombe_proto::audit::v1::audit_service_client::AuditServiceClient;
use harombe_proto::audit::v1::{QueryRequest, query_response};
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::hitl::v1::approval_service_client::ApprovalServiceClient;
use harombe_proto::memory::v1::conversation_service_client::ConversationServiceClient;
use harombe_proto::memory::v1::{ListSessionsRequest, SaveMemoryRequest, TrustLabel};
use harombe_proto::options::v1::PrincipalKind;
use harombe_proto::types::v1::Decision;
use harombe_proto::types::v1::run_event::Event;
use harombe_rpc::RequestExt as _;
use harombe_types::{Clock as _, MemoryId, Person, Role, RunPrincipal, ServiceName, SystemClock};
use prost_reflect::{DynamicMessage, Kind, Value};
use tonic::{Request, Streaming};

use crate::descriptors::{Method, methods};
use crate::support::{ANSWER, call, ending, outcomes, shell, start, talk};

both!(what_is_somebody_elses_is_not_there, lists_show_only_ones_own);

/// Ids that are somebody else's.
struct Theirs {
    subject: String,
    session: String,
    run: String,
    approval: String,
    workspace: String,
    memory: String,
}

/// Who asks for them.
#[derive(Clone, Copy, Debug)]
struct Stranger<'a> {
    tenant: &'a str,
    subject: &'a str,
}

const FOREIGN_SUBJECT: Stranger<'static> = Stranger {
    tenant: "local",
    subject: "mallory",
};

impl Stranger<'_> {
    fn person(self, world: &World, audience: ServiceName) -> String {
        let person = Person {
            tenant: self.tenant.parse().unwrap(),
            subject: self.subject.parse().unwrap(),
            roles: Role::ALL.into(),
            allow_self: true,
        };
        let minted = world.minter().person(&person, audience, SystemClock.now());
        minted.unwrap().into()
    }

    /// A token that names the other's session and run: what a confused gateway might mint.
    fn run(self, world: &World, theirs: &Theirs) -> String {
        let run = RunPrincipal {
            tenant: self.tenant.parse().unwrap(),
            subject: self.subject.parse().unwrap(),
            agent: "default".parse().unwrap(),
            session: theirs.session.parse().unwrap(),
            run: theirs.run.parse().unwrap(),
        };
        let now = SystemClock.now();
        let minted = world.minter().run(&run, now.plus(Duration::from_secs(60)), now);
        minted.unwrap().into()
    }
}

impl Theirs {
    /// Somebody of the same name in another tenant.
    fn elsewhere(&self) -> Stranger<'_> {
        Stranger {
            tenant: "elsewhere",
            subject: &self.subject,
        }
    }
}

/// The method's request with everything that is theirs filled in; `None` when it asks for nothing of anybody's, or shows
/// a permission, which is held against the token itself.
fn request(method: &Method, theirs: &Theirs) -> Option<DynamicMessage> {
    let mut message = DynamicMessage::new(method.input.clone());
    let mut named = method.principal == PrincipalKind::Run;
    for field in method.input.fields() {
        let text = match field.name() {
            "session_id" => &theirs.session,
            "run_id" => &theirs.run,
            "approval_id" => &theirs.approval,
            "workspace_id" => &theirs.workspace,
            "memory_id" | "supersedes" => &theirs.memory,
            "permission" | "call" | "grant" | "frame" | "start" | "open" => return None,
            "client_message_id" | "text" | "reason" => "x",
            "epoch" => {
                message.set_field(&field, Value::U64(1));
                continue;
            }
            "decision" => {
                message.set_field(&field, Value::EnumNumber(Decision::Approved as i32));
                continue;
            }
            "entries" => {
                let Kind::Message(entry) = field.kind() else {
                    panic!("entries are messages")
                };
                let mut entry = DynamicMessage::new(entry);
                entry.set_field_by_name("state", Value::Bytes("x".into()));
                message.set_field(&field, Value::List(vec![Value::Message(entry)]));
                continue;
            }
            "label" => {
                message.set_field(&field, Value::EnumNumber(TrustLabel::Model as i32));
                continue;
            }
            "state" => {
                message.set_field(&field, Value::EnumNumber(2));
                continue;
            }
            _ => continue,
        };
        named |= field.name().ends_with("_id") && field.name() != "client_message_id";
        message.set_field(&field, Value::String(text.to_owned()));
    }
    // These only begin something of one's own, continue a list of it, or look for it; of a session in which a stranger has no
    // turns there is no work, so nothing is given and nothing taken.
    let own = [
        "/CreateSession",
        "/ListSessions",
        "/Recall",
        "/TakeSummaryWork",
        "/PutSummary",
    ];
    (named && !own.iter().any(|name| method.path.ends_with(name))).then_some(message)
}

async fn their_world(stage: &Stage) -> (World, Talk, Streaming<SendMessageResponse>, Theirs) {
    let script = [
        call("tool = \"file_write\"\narguments = { path = \"a.txt\", content = \"private\" }"),
        shell("echo done > effect.txt"),
        ANSWER.to_owned(),
    ];
    let world = start(stage, &script.concat()).await;
    let mut talk = talk(&world).await;
    let mut stream = talk.send("m", "Do it.").await.unwrap();
    let asked = talk.until(&mut stream, "approval_required").await.unwrap();
    let Some(Event::ApprovalRequired(required)) = asked.event else {
        panic!("{asked:?}")
    };
    let approval = talk.client.approval(&required.approval_id).await.unwrap();
    let owner = Stranger {
        tenant: "local",
        subject: &approval.requested_by,
    };
    let channel = world.channel(ServiceName::Memory, ServiceName::Gateway).unwrap();
    let listed = Request::new(ListSessionsRequest::default())
        .with_token(owner.person(&world, ServiceName::Memory).as_str());
    let listed = ConversationServiceClient::new(channel)
        .list_sessions(listed)
        .await
        .unwrap();
    let session = listed.into_inner().sessions.remove(0);
    assert!(!session.workspace_id.is_empty());
    let saved = SaveMemoryRequest {
        memory_id: MemoryId::generate(&SystemClock).to_string(),
        text: "I like it quiet.".to_owned(),
        ..SaveMemoryRequest::default()
    };
    let saved = talk.client.memories.save_memory(saved).await.unwrap();
    let saved = saved.into_inner().memory.unwrap();
    let theirs = Theirs {
        subject: approval.requested_by,
        session: talk.session.clone(),
        run: asked.run_id,
        approval: required.approval_id,
        workspace: session.workspace_id,
        memory: saved.memory_id,
    };
    (world, talk, stream, theirs)
}

async fn what_is_somebody_elses_is_not_there(stage: &Stage) {
    let (world, mut talk, stream, theirs) = their_world(stage).await;
    let mut asked = 0;
    for stranger in [theirs.elsewhere(), FOREIGN_SUBJECT] {
        for method in methods() {
            let store = [ServiceName::Memory, ServiceName::Hitl, ServiceName::SandboxBroker];
            if !store.contains(&method.server) {
                continue;
            }
            let token = match method.principal {
                // An approver decides for their whole tenant.
                PrincipalKind::Person if method.server == ServiceName::Hitl && stranger.tenant == "local" => {
                    continue;
                }
                PrincipalKind::Person => stranger.person(&world, method.server),
                PrincipalKind::Run => stranger.run(&world, &theirs),
                _ => continue,
            };
            let Some(message) = request(&method, &theirs) else {
                continue;
            };
            let channel = world.channel(method.server, method.callers[0]).unwrap();
            let status = method
                .call_with(channel, message, Some(&token))
                .await
                .expect_err(&format!("{} answered {stranger:?}", method.path));
            assert_eq!(
                reason_of(&status),
                Reason::NotFound,
                "{} to {stranger:?}: {status}",
                method.path
            );
            asked += 1;
        }
    }
    println!("{asked} calls of strangers found nothing");
    assert!(asked > 25, "{asked}");

    // Nothing of that has disturbed whose it is.
    let mut client = talk.client.clone();
    client
        .decide(&theirs.approval, Decision::Approved, false, "")
        .await
        .unwrap();
    talk.follow(stream, Answer::Leave).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    assert_eq!(outcomes(&talk).len(), 2);
    assert_eq!(talk.download("a.txt").await.unwrap(), b"private");
    world.stop().await.log().await;
}

async fn lists_show_only_ones_own(stage: &Stage) {
    let (world, _talk, stream, theirs) = their_world(stage).await;
    for stranger in [theirs.elsewhere(), FOREIGN_SUBJECT] {
        let channel = world.channel(ServiceName::Memory, ServiceName::Gateway).unwrap();
        let token = stranger.person(&world, ServiceName::Memory);
        let request = Request::new(ListSessionsRequest::default()).with_token(token.as_str());
        let listed = ConversationServiceClient::new(channel)
            .list_sessions(request)
            .await
            .unwrap();
        assert_eq!(listed.into_inner().sessions, Vec::new());
    }
    let token = theirs.elsewhere().person(&world, ServiceName::Hitl);
    let channel = world.channel(ServiceName::Hitl, ServiceName::Gateway).unwrap();
    let everything = ListRequest {
        include_decided: true,
        ..ListRequest::default()
    };
    let listed = ApprovalServiceClient::new(channel)
        .list(Request::new(everything).with_token(token.as_str()))
        .await
        .unwrap();
    assert_eq!(listed.into_inner().approvals, Vec::new());

    let token = theirs.elsewhere().person(&world, ServiceName::Audit);
    let channel = world.channel(ServiceName::Audit, ServiceName::Gateway).unwrap();
    let request = QueryRequest {
        run_id: theirs.run.clone(),
        ..QueryRequest::default()
    };
    let mut answers = AuditServiceClient::new(channel)
        .query(Request::new(request).with_token(token.as_str()))
        .await
        .unwrap()
        .into_inner();
    while let Some(answer) = answers.message().await.unwrap() {
        assert!(
            !matches!(answer.item, Some(query_response::Item::Entry(_))),
            "an entry of another tenant"
        );
    }
    drop(stream);
    world.stop().await.log().await;
}
