//! An audit log that is away, and a crash before it was told.

use std::time::Duration;

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_testkit::Fault;
use harombe_trail::Kind;
use tonic::Request;

use crate::person::{export, fact, forget, get, save, saved, texts, until, what_happened};
use crate::rig::{Rig, answer, refused};

#[tokio::test]
async fn without_audit_nothing_is_seen_and_nothing_is_lost() {
    let rig = Rig::new().await;
    let (session, run, begun) = rig.begun().await;
    let ann = rig.ann();
    let there = saved(&rig, &ann, "there").await;
    rig.sink.fail(Fault::Unavailable);
    let request = fact("waits");
    let away = |failure| {
        refused::<()>(Err(failure), Code::Unavailable, Reason::AuditUnavailable);
    };
    let epoch = begun.lease.expect("lease").epoch;
    rig.finish(&run, epoch, "answer")
        .await
        .expect("a turn ends without audit");
    let delete = Request::new(pb::DeleteSessionRequest {
        session_id: session.to_string(),
    });
    let mut gateway = rig.as_gateway();
    // all at once, as each waits
    let (kept, deleted, hidden) = tokio::join!(
        save(&rig, &ann, request.clone()),
        gateway.conversations.delete_session(delete.with_token(&ann)),
        forget(&rig, &ann, &there.memory_id),
    );
    away(kept.expect_err("refusal"));
    away(answer(deleted).expect_err("refusal"));
    away(hidden.expect_err("refusal"));
    assert!(rig.session(session).await.is_ok());
    // what was to be hidden is, all the same
    assert!(texts(&rig, &ann).await.is_empty());
    refused(
        get(&rig, &ann, &request.memory_id).await,
        Code::NotFound,
        Reason::NotFound,
    );

    rig.sink.fail(Fault::None);
    let kept = save(&rig, &ann, request.clone()).await.expect("saved");
    assert_eq!(texts(&rig, &ann).await.last(), Some(&"waits".to_owned()));
    rig.clock.advance(Duration::from_secs(11));
    let ann = rig.ann();
    until(async || (export(&rig, &ann).await.len() == 4).then_some(())).await;
    // each once, however often it was sent
    let of_kept = |event: &harombe_proto::audit::v1::Event| event.details.contains(&kept.memory_id);
    assert_eq!(
        rig.sink
            .of_kind(Kind::MemorySaved)
            .iter()
            .filter(|event| of_kept(event))
            .count(),
        1
    );
    forget(&rig, &ann, &there.memory_id).await.expect("hidden");
    let hidden = |what: &&String| what.as_str() == "hidden";
    assert_eq!(what_happened(&rig).iter().filter(hidden).count(), 1);
}

#[tokio::test]
async fn what_audit_refuses_for_good_is_set_aside_and_never_seen() {
    let rig = Rig::new().await;
    let (ann, bob) = (rig.ann(), rig.person("beta", "bob"));
    let there = saved(&rig, &ann, "there").await;
    rig.sink
        .fail(Fault::RejectsTenant("acme".parse().expect("tenant")));
    let (never, again) = (fact("never seen"), fact("saved again"));
    for request in [&never, &again] {
        let failed = save(&rig, &ann, request.clone()).await;
        refused(failed, Code::Internal, Reason::Internal);
    }
    // what is to be gone is gone, on record or not
    refused(
        forget(&rig, &ann, &there.memory_id).await,
        Code::Internal,
        Reason::Internal,
    );
    rig.until_shown("harombe_memory_steps_set_aside_total 3").await;
    saved(&rig, &bob, "others go on").await;

    // audit would take them now, and nobody asks: what waits is recorded, what was set aside is not
    rig.sink.fail(Fault::Unavailable);
    let waits = fact("waits");
    refused(
        save(&rig, &bob, waits.clone()).await,
        Code::Unavailable,
        Reason::AuditUnavailable,
    );
    rig.sink.fail(Fault::None);
    rig.clock.advance(Duration::from_secs(11));
    let (ann, bob) = (rig.ann(), rig.person("beta", "bob"));
    until(async || get(&rig, &bob, &waits.memory_id).await.ok()).await;
    assert!(texts(&rig, &ann).await.is_empty());
    assert!(rig.shows("harombe_memory_steps_set_aside_total 3"));
    // unless whoever saved it does so again
    save(&rig, &ann, again).await.expect("saved");
    assert_eq!(texts(&rig, &ann).await, ["saved again"]);

    // another start tries the rest again
    let rig = rig.restart().await;
    let ann = rig.ann();
    until(async || get(&rig, &ann, &never.memory_id).await.ok()).await;
    until(async || what_happened(&rig).contains(&"hidden".to_owned()).then_some(())).await;
    assert_eq!(texts(&rig, &ann).await, ["saved again", "never seen"]);
    assert!(rig.shows("harombe_memory_steps_set_aside_total 0"));
}

#[tokio::test]
async fn turns_whose_memories_audit_refuses_hold_up_no_others() {
    let rig = Rig::new().await;
    rig.sink.fail(Fault::Rejects(Kind::MemorySaved));
    for refused in 1..=2 {
        let (_, run, begun) = rig.begun().await;
        let ended = rig
            .finish(&run, begun.lease.expect("lease").epoch, "refused")
            .await;
        ended.expect("end");
        rig.until_shown(&format!("harombe_memory_steps_set_aside_total {refused}"))
            .await;
    }
    rig.sink.fail(Fault::None);
    let (_, run, begun) = rig.begun().await;
    let ended = rig.finish(&run, begun.lease.expect("lease").epoch, "taken").await;
    ended.expect("end");
    let ann = rig.ann();
    until(async || (!texts(&rig, &ann).await.is_empty()).then_some(())).await;
    assert_eq!(texts(&rig, &ann).await, ["taken", "hello"]);
}

#[tokio::test]
async fn what_a_crash_left_unrecorded_is_recorded_after_it() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    rig.sink.fail(Fault::Silent);
    let mut gateway = rig.as_gateway();
    let request = fact("written, and then the power was cut");
    let id = request.memory_id.clone();
    let call = Request::new(request).with_token(&ann);
    let call = tokio::spawn(async move { gateway.personal.save_memory(call).await });
    // it is with audit, so it is in the store
    until(async || (!rig.sink.batches().is_empty()).then_some(())).await;
    call.abort();
    rig.trails.shutdown(Duration::ZERO).await;
    let rig = rig.restart().await;
    rig.sink.fail(Fault::None);
    assert!(rig.sink.of_kind(Kind::MemorySaved).is_empty());
    assert!(texts(&rig, &ann).await.is_empty());
    rig.clock.advance(Duration::from_secs(11));
    let ann = rig.ann();
    let kept = until(async || get(&rig, &ann, &id).await.ok()).await;
    assert_eq!(kept.provenance.expect("provenance").audit_index, Some(0));
    assert_eq!(rig.sink.of_kind(Kind::MemorySaved).len(), 1);
}
