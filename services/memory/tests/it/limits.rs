//! How many runs may be under way at once.

use harombe_error::{Code, Reason};

use crate::rig::{Rig, refused};

#[tokio::test]
async fn whoever_has_as_many_runs_as_may_be_begins_no_other_until_one_ends() {
    let rig = Rig::with(|config| config.limits.runs_per_subject = 2).await;
    let (_, first, begun) = rig.begun().await;
    let (_, second, _) = rig.begun().await;
    let session = rig.new_session().await;
    let next = rig.run_in(session);
    let failure = rig.begin(&next, "m1", "hello").await.expect_err("a refusal");
    assert!(failure.retry_after.is_some(), "a limit that waiting helps");
    let said = refused(
        Err::<(), _>(failure),
        Code::ResourceExhausted,
        Reason::LimitExceeded,
    );
    assert!(
        said.contains("memory.limits.runs_per_subject") && said.contains("cancel"),
        "{said}"
    );
    assert!(rig.get_run(next.run).await.is_err());
    assert_eq!(rig.session(session).await.expect("session").active_run_id, "");

    // asking again for what has begun is no new run
    rig.begin(&second, "m1", "hello").await.expect("the same turn");
    let epoch = begun.lease.expect("lease").epoch;
    rig.finish(&first, epoch, "done").await.expect("finish");
    let begun = rig.begin(&next, "m1", "hello").await.expect("room");
    assert!(!begun.existing);
}

#[tokio::test]
async fn a_tenant_has_a_limit_of_its_own() {
    let rig = Rig::with(|config| config.limits.runs_per_tenant = 1).await;
    let (_, run, begun) = rig.begun().await;
    let next = rig.run_in(rig.new_session().await);
    let refusal = rig.begin(&next, "m1", "hello").await;
    let said = refused(refusal, Code::ResourceExhausted, Reason::LimitExceeded);
    assert!(said.contains("memory.limits.runs_per_tenant"), "{said}");
    rig.finish(&run, begun.lease.expect("lease").epoch, "done")
        .await
        .expect("finish");
    rig.begin(&next, "m1", "hello").await.expect("room");
}
