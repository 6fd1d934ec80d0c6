//! kill -9 of the audit process alone, at every append of a run: the others wait for it, and the log that comes back has
//! everything once.

use std::sync::Arc;

use harombe_e2e::{Answer, Killer, Side, Topology};
use harombe_proto::types::v1::ToolOutcome;

use crate::support::{ANSWER, call, ending, outcomes, shell, start_with, talk};

fn script() -> String {
    [
        shell("echo done >> effect.txt; cat effect.txt"),
        call("tool = \"file_write\"\narguments = { path = \"written.txt\", content = \"x\" }"),
        call("tool = \"web_fetch\"\narguments = { url = \"https://elsewhere.example.com/\" }"),
        ANSWER.to_owned(),
    ]
    .concat()
}

/// One run in which audit dies there and is started again; how many appends it took.
async fn play(nth: u64, side: Side) -> u64 {
    let killer = Killer::at(nth, side);
    let mut world = start_with(Topology::AuditApart, &script(), |setup| {
        setup.wire = Arc::new(killer.clone());
    })
    .await;
    let mut talk = talk(&world).await;
    killer.aim(world.audit_id().unwrap());
    if nth == 0 {
        talk.say("Act.", Answer::Approve).await.unwrap();
    } else {
        let run = talk.say("Act.", Answer::Approve);
        let revived = async {
            world.audit_died().await;
            world.revive_audit().await;
        };
        tokio::pin!(run, revived);
        tokio::select! {
            () = &mut revived => run.await.unwrap(),
            told = &mut run => {
                told.unwrap();
                // Appends that happened to share a call make fewer calls: then nobody died.
                if killer.calls() >= nth {
                    revived.await;
                }
            }
        }
    }
    let context = format!("killed {side:?} append {nth}");
    let ok = (ToolOutcome::Ok, "");
    assert_eq!(
        outcomes(&talk),
        [ok, ok, (ToolOutcome::Denied, "EGRESS_DENIED")],
        "{context}"
    );
    assert_eq!(talk.output(), "done\n", "{context}");
    assert_eq!(ending(&talk.events), "finished:ANSWERED", "{context}");
    let log = world.stop().await.log().await;
    let once = [
        "run.started",
        "approval.requested",
        "approval.decided",
        "egress.decided",
        "run.finished",
    ];
    for kind in once {
        assert_eq!(log.count(kind), 1, "{context}: {kind}");
    }
    for kind in [
        "call.authorized",
        "grant.redeemed",
        "exec.started",
        "exec.finished",
    ] {
        assert_eq!(log.count(kind), 2, "{context}: {kind}");
    }
    killer.calls()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_killed_at_any_append_comes_back_whole() {
    let appends = play(0, Side::Before).await;
    assert!(appends >= 10, "{appends}");
    for nth in 1..=appends {
        play(nth, Side::Before).await;
        play(nth, Side::After).await;
    }
    println!("audit died {} times", appends * 2);
}
