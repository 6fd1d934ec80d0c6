//! kill -9 of the audit process alone, at every append of a run: the others wait for it, and the log that comes back has
//! everything once.

use std::time::{Duration, Instant};

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

/// Writers wait five seconds for the log, and refuse then. On a machine that is so busy that the log is away for longer than this,
/// a refusal says nothing about the log, and the point is tried again.
const AWAY: Duration = Duration::from_secs(2);
const TRIES: u32 = 20;

/// One run in which audit dies there and is started again; how many appends it took.
async fn play(nth: u64, side: Side) -> u64 {
    for _ in 0..TRIES {
        if let Some(appends) = try_to_play(nth, side).await {
            return appends;
        }
    }
    panic!("the log is away for too long each time");
}

/// `None` when it was away for too long.
async fn try_to_play(nth: u64, side: Side) -> Option<u64> {
    let killer = Killer::at(nth, side);
    let mut world = start_with(Topology::AuditApart, &script(), |setup| {
        setup.killer = Some(killer.clone());
    })
    .await;
    let mut talk = talk(&world).await;
    killer.aim(world.audit_id().unwrap());
    let (told, away) = if nth == 0 {
        (talk.say("Act.", Answer::Approve).await, Duration::ZERO)
    } else {
        let run = talk.say("Act.", Answer::Approve);
        let revived = async {
            world.audit_died().await;
            let died = Instant::now();
            world.revive_audit().await;
            died.elapsed()
        };
        tokio::pin!(run, revived);
        tokio::select! {
            away = &mut revived => (run.await, away),
            told = &mut run => {
                // Appends that happened to share a call make fewer calls: then nobody died.
                let died = killer.calls() >= nth;
                (told, if died { revived.await } else { Duration::ZERO })
            }
        }
    };
    let context = format!("killed {side:?} append {nth}, away for {away:?}");
    let ok = (ToolOutcome::Ok, "");
    let expected = [ok, ok, (ToolOutcome::Denied, "EGRESS_DENIED")];
    if away > AWAY && (told.is_err() || outcomes(&talk) != expected) {
        world.stop().await.log_after_a_fault().await;
        return None;
    }
    assert!(told.is_ok(), "{context}: {told:?}");
    assert_eq!(outcomes(&talk), expected, "{context}");
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
    Some(killer.calls())
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
