//! What stands in the way is named, what was erased stays erased, and asking again finishes it.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_gateway::Service;
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::people_service_client::PeopleServiceClient;
use harombe_proto::agent::v1::{ErasePersonResponse, ListSessionsRequest};
use harombe_proto::hitl::v1 as hitl;
use harombe_proto::memory::v1 as memory;
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::ServiceName;
use tonic::{Response, Status};

use super::{ann, in_use, keys};
use crate::doubles::Erased;
use crate::network::Network;
use crate::world::{UNKNOWN, World, key_for, refused};

/// As an admin over the network, whose client does not try again by itself.
async fn admin(gateway: &Service) -> PeopleServiceClient<Network> {
    let key = keys(gateway).create_key(key_for("root", &["admin"])).await;
    let key = key.unwrap().into_inner().api_key;
    PeopleServiceClient::new(Network::new(gateway).with_key(&key))
}

async fn erase(gateway: &Service) -> Result<ErasePersonResponse, Status> {
    let erased = admin(gateway).await.erase_person(ann()).await;
    erased.map(Response::into_inner)
}

fn failure(status: Status) -> Failure {
    Failure::from(status)
}

fn unavailable(reason: Reason) -> Erased {
    Erased::Refused(Failure::new(Code::Unavailable, reason, "it is away"))
}

#[tokio::test]
async fn a_part_that_fails_is_named_and_asked_for_again() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let some = memory::ErasePersonResponse {
        sessions: 4,
        more: true,
        ..Default::default()
    };
    world
        .erasures
        .say([Erased::Memory(some), unavailable(Reason::StoreUnavailable)]);
    let told = failure(erase(&gateway).await.unwrap_err());
    assert_eq!(
        (told.code, told.reason),
        (Code::Unavailable, Reason::StoreUnavailable)
    );
    assert!(told.retry_after.is_some(), "{told:?}");
    for words in ["sessions and memories", "it is away", "sessions: 4", "ask again"] {
        assert!(told.message.contains(words), "{}", told.message);
    }

    let nothing = || Erased::Memory(memory::ErasePersonResponse::default());
    world
        .erasures
        .say([nothing(), unavailable(Reason::AuditUnavailable)]);
    let told = failure(erase(&gateway).await.unwrap_err());
    assert_eq!(
        (told.code, told.reason),
        (Code::Unavailable, Reason::AuditUnavailable)
    );
    assert!(told.message.contains("asked approvers"), "{}", told.message);

    let done = Erased::Approvals(hitl::ErasePersonResponse::default());
    let broken = Failure::new(Code::Internal, Reason::Internal, "stack trace of /secret/path");
    world.erasures.say([nothing(), done, Erased::Refused(broken)]);
    let told = failure(erase(&gateway).await.unwrap_err());
    assert_eq!((told.code, told.reason), (Code::Internal, Reason::Internal));
    assert!(
        told.message.contains("the key to their details in the log"),
        "{}",
        told.message
    );
    assert!(!told.message.contains("secret"), "{}", told.message);
    assert_eq!(told.retry_after, None);

    assert_eq!(erase(&gateway).await.unwrap(), ErasePersonResponse::default());
}

#[tokio::test]
async fn a_memory_that_cannot_erase_yet_is_no_missing_person() {
    let world = World::new().await;
    // What serves nothing of it: a service of an earlier version.
    let bare = world.sink.channel(ServiceName::Gateway);
    let gateway = world.before(bare).await;
    let told = failure(erase(&gateway).await.unwrap_err());
    assert_eq!(
        (told.code, told.reason),
        (Code::Unavailable, Reason::MemoryUnavailable)
    );
    assert!(told.message.contains("earlier version"), "{}", told.message);
}

#[tokio::test]
async fn runs_that_do_not_end_are_left_to_another_call() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let erased = memory::ErasePersonResponse {
        sessions: 1,
        ..in_use(2)
    };
    let waiting = std::iter::repeat_n(Erased::Memory(in_use(2)), 50);
    let answers = [Erased::Timeless(erased)].into_iter().chain(waiting);
    world.erasures.say(answers);
    let begun = tokio::time::Instant::now();
    let told = failure(erase(&gateway).await.unwrap_err());
    // Runs were given time to end, and less than a REST client has.
    assert!(
        (20..30).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!((told.code, told.reason), (Code::Aborted, Reason::SessionBusy));
    assert!(told.retry_after.is_some());
    assert!(told.message.contains("runs of 2 sessions"), "{}", told.message);
    assert!(told.message.contains("sessions: 1"), "{}", told.message);
    let services = world.erasures.services();
    assert!(
        services.iter().all(|service| *service == ServiceName::Memory),
        "{services:?}"
    );
}

#[tokio::test]
async fn a_gateway_that_stops_does_not_wait_for_runs() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    world
        .erasures
        .say(std::iter::repeat_n(Erased::Memory(in_use(1)), 100));
    let mut people = admin(&gateway).await;
    let erasing = tokio::spawn(async move { refused(people.erase_person(ann())).await });
    while world.erasures.asked.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.shutdown(Duration::from_secs(60)).await;
    assert_eq!(erasing.await.unwrap(), (Code::Unavailable, Reason::Unavailable));
}

#[tokio::test]
async fn a_revocation_that_the_log_does_not_have_is_told_and_made_up_for() {
    let world = World::new().await;
    let gateway = world.erasing().await;
    let keys = keys(&gateway);
    let key = async |request| {
        keys.clone()
            .create_key(request)
            .await
            .unwrap()
            .into_inner()
            .api_key
    };
    let theirs = key(key_for("ann", &["user"])).await;
    let admin = key(key_for("root", &["admin"])).await;
    let mut people = PeopleServiceClient::new(Network::new(&gateway).with_key(&admin));
    world.sink.fail(Fault::Unavailable);
    let told = failure(people.erase_person(ann()).await.unwrap_err());
    assert_eq!(
        (told.code, told.reason),
        (Code::Unavailable, Reason::AuditUnavailable)
    );
    assert!(
        told.message.contains("not all of their keys") && told.message.contains("keys: 1"),
        "{}",
        told.message
    );
    assert!(world.erasures.asked.lock().is_empty());
    let mut agent = AgentServiceClient::new(Network::new(&gateway).with_key(&theirs));
    assert_eq!(
        refused(agent.list_sessions(ListSessionsRequest::default())).await,
        UNKNOWN
    );

    world.sink.fail(Fault::None);
    let erased = people.erase_person(ann()).await.unwrap().into_inner();
    assert_eq!(erased, ErasePersonResponse::default());
    assert_eq!(world.sink.of_kind(Kind::KeyRevoked).len(), 1);
}
