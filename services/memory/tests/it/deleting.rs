//! A session that is deleted, or a person who is erased, is nowhere any more.

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_testkit::holding;
use harombe_types::{RunId, SessionId, SystemClock};
use tonic::Request;

use crate::conversations::turn;
use crate::person::{forget, saved, stats, until};
use crate::rig::{Rig, answer, refused};

#[track_caller]
fn is_nowhere(rig: &Rig, word: &str) {
    let left = holding(rig.directory.path(), word);
    assert!(left.is_empty(), "{left:?} still have {word}");
}

#[tokio::test]
async fn deleting_erases_every_byte() {
    const SECRET: &str = "a sentence that must not survive anywhere on the disk";
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    let kept = rig.new_session().await;
    turn(&rig, kept, "m1", "stays", "here").await;
    let run = rig.run_in(session);
    // long enough for pages of its own
    let begun = rig.begin(&run, "m1", &SECRET.repeat(500)).await.expect("begin");
    let delete = || {
        Request::new(pb::DeleteSessionRequest {
            session_id: session.to_string(),
        })
        .with_token(rig.ann())
    };
    let mut gateway = rig.as_gateway().conversations;
    refused(
        answer(gateway.delete_session(delete()).await),
        Code::FailedPrecondition,
        Reason::SessionBusy,
    );
    rig.finish(&run, begun.lease.expect("lease").epoch, SECRET)
        .await
        .expect("finish");
    answer(gateway.delete_session(delete()).await).expect("delete");

    is_nowhere(&rig, SECRET);
    refused(rig.session(session).await, Code::NotFound, Reason::NotFound);
    refused(rig.get_run(run.run).await, Code::NotFound, Reason::NotFound);
    refused(
        answer(gateway.delete_session(delete()).await),
        Code::NotFound,
        Reason::NotFound,
    );
    assert_eq!(rig.session(kept).await.expect("the other one").turns, 1);
}

#[tokio::test]
async fn erasing_a_person_erases_every_byte_and_the_name() {
    const NAME: &str = "zoe-whom-nobody-is-to-remember";
    const SECRET: &str = "another sentence that must not survive anywhere on the disk";
    let rig = Rig::new().await;
    turn(&rig, rig.new_session().await, "m1", "stays", "here").await;
    let zoe = rig.person("acme", NAME);
    let session = SessionId::generate(&SystemClock);
    let create = pb::CreateSessionRequest {
        session_id: session.to_string(),
        agent: "default".to_owned(),
    };
    let create = Request::new(create).with_token(&zoe);
    let created = rig.as_gateway().conversations.create_session(create).await;
    answer(created).expect("session");
    let run = rig.run_of("acme", NAME, session, RunId::generate(&SystemClock));
    // long enough for pages of its own
    let begun = rig.begin(&run, "m1", &SECRET.repeat(500)).await.expect("begin");
    rig.finish(&run, begun.lease.expect("lease").epoch, SECRET)
        .await
        .expect("finish");
    saved(&rig, &zoe, SECRET).await;
    let hidden = saved(&rig, &zoe, &format!("hidden: {SECRET}")).await;
    forget(&rig, &zoe, &hidden.memory_id).await.expect("hidden");
    until(async || (stats(&rig, &zoe).await.turns > 0).then_some(())).await;

    let admin = rig.admin("acme");
    let erased = rig.erase_person(&admin, NAME).await.expect("erased");
    assert_eq!((erased.sessions, erased.more), (1, false));
    is_nowhere(&rig, SECRET);
    is_nowhere(&rig, NAME);
    until(async || (stats(&rig, &rig.ann()).await.turns == 2).then_some(())).await;
}
