//! What is forgotten: hidden at once, erased when it is time, and gone with its session.

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_trail::Kind;
use harombe_types::{RunId, SystemClock};
use tonic::Request;

use crate::person::{
    DAY, erase, export, forget, get, of_run, on_disk, remember, restore, saved, stats, texts, turn, until,
    what_happened,
};
use crate::rig::{Backend, Rig, answer, refused, said};

#[tokio::test]
async fn a_run_remembers_for_its_person_and_only_hides() {
    let rig = Rig::new().await;
    let (session, run, _) = rig.begun().await;
    let unlabelled = pb::RememberRequest {
        label: pb::TrustLabel::Person.into(),
        ..of_run("x")
    };
    refused(
        remember(&rig, &run, unlabelled).await,
        Code::InvalidArgument,
        Reason::InvalidArgument,
    );
    let memory = remember(&rig, &run, of_run("likes tea")).await.expect("saved");
    let provenance = memory.provenance.expect("provenance");
    assert_eq!(provenance.session_id, session.to_string());
    assert_eq!((provenance.run_id, provenance.ordinal), (run.run.to_string(), 1));
    let event = &rig.sink.of_kind(Kind::MemorySaved)[0];
    assert_eq!(
        (event.principal.as_str(), event.run_id.as_str()),
        ("run", run.run.to_string().as_str())
    );

    let forget = pb::ForgetRequest {
        memory_id: memory.memory_id.clone(),
    };
    for _ in 0..2 {
        let answered = rig.as_runtime().memory.forget(run.request(forget.clone())).await;
        answer(answered).expect("hidden");
    }
    let stranger = rig.run_of("acme", "bob", session, RunId::generate(&SystemClock));
    let answered = rig.as_runtime().memory.forget(stranger.request(forget)).await;
    refused(answer(answered), Code::NotFound, Reason::NotFound);
    assert_eq!(what_happened(&rig), ["hidden"]);
    rig.clock.advance(DAY * 2);
    let ann = rig.ann();
    assert!(texts(&rig, &ann).await.is_empty());
    let hidden = get(&rig, &ann, &memory.memory_id).await.expect("memory");
    assert!(hidden.hidden_at.is_some() && hidden.erased_at.is_none());
    assert!(
        restore(&rig, &ann, &memory.memory_id)
            .await
            .expect("restored")
            .hidden_at
            .is_none()
    );
    assert_eq!(texts(&rig, &ann).await, ["likes tea"]);
}

#[tokio::test]
async fn what_a_person_forgets_is_hidden_at_once_and_erased_later() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    let (first, second) = (
        saved(&rig, &ann, "the first one").await,
        saved(&rig, &ann, "the second one").await,
    );
    let forgotten = forget(&rig, &ann, &first.memory_id).await.expect("hidden");
    assert_eq!(forgotten.erased_at, Some(rig.now().plus(DAY).into()));
    assert_eq!(
        forget(&rig, &ann, &first.memory_id).await.expect("hidden"),
        forgotten
    );
    forget(&rig, &ann, &second.memory_id).await.expect("hidden");
    assert!(texts(&rig, &ann).await.is_empty());
    assert_eq!(stats(&rig, &ann).await.hidden, 2);
    restore(&rig, &ann, &second.memory_id).await.expect("restored");
    rig.clock.advance(DAY);
    let ann = rig.ann();
    until(async || get(&rig, &ann, &first.memory_id).await.err()).await;
    assert_eq!(texts(&rig, &ann).await, ["the second one"]);
    until(async || (what_happened(&rig).len() == 4).then_some(())).await;
    assert_eq!(what_happened(&rig), ["hidden", "hidden", "restored", "erased"]);

    if let Backend::Sqlite = crate::BACKEND {
        assert!(on_disk(&rig, "the second one") && !on_disk(&rig, "the first one"));
    }
    erase(&rig, &ann, &second.memory_id).await.expect("erased");
    assert!(!on_disk(&rig, "the second one"));
    refused(
        get(&rig, &ann, &second.memory_id).await,
        Code::NotFound,
        Reason::NotFound,
    );
    assert!(export(&rig, &ann).await.is_empty());
    let erased = rig.sink.of_kind(Kind::MemoryForgotten).pop().expect("event");
    assert_eq!(erased.principal, "person:ann");
}

#[tokio::test]
async fn a_session_is_deleted_with_its_memories() {
    let rig = Rig::new().await;
    let (session, run, begun) = rig.begun().await;
    let ann = rig.ann();
    remember(&rig, &run, of_run("learnt in the session"))
        .await
        .expect("saved");
    saved(&rig, &ann, "said elsewhere").await;
    let delete = async || {
        let request = Request::new(pb::DeleteSessionRequest {
            session_id: session.to_string(),
        });
        answer(
            rig.as_gateway()
                .conversations
                .delete_session(request.with_token(&ann))
                .await,
        )
    };
    refused(delete().await, Code::FailedPrecondition, Reason::SessionBusy);
    assert!(what_happened(&rig).is_empty());
    let epoch = begun.lease.expect("lease").epoch;
    assert_eq!(
        turn(&rig, &run, epoch, vec![said(pb::Author::Assistant, "hi")])
            .await
            .len(),
        4
    );
    delete().await.expect("deleted");
    assert_eq!(what_happened(&rig), ["session_erased"]);
    let event = rig.sink.of_kind(Kind::MemoryForgotten).pop().expect("event");
    assert_eq!(event.session_id, session.to_string());
    assert_eq!(texts(&rig, &ann).await, ["said elsewhere"]);
    refused(delete().await, Code::NotFound, Reason::NotFound);
    assert_eq!(what_happened(&rig).len(), 1);
}
