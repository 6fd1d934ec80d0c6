//! The main job, from a file to an answer.

use harombe_e2e::{Answer, Stage};
use harombe_proto::types::v1::ToolOutcome;

use crate::support::{ANSWER, call, ending, outcomes, python, start, talk};

both!(the_main_job);

const CSV: &str = "region,amount\nnorth,10\nsouth,20\nnorth,12\n";

fn script() -> String {
    [
        python("import csv\nprint(sum(int(row['amount']) for row in csv.DictReader(open('sales.csv'))))"),
        python(
            "import socket\ntry:\n    socket.create_connection(('93.184.215.14', 443), timeout=3)\n    print('connected')\nexcept OSError:\n    print('no network')",
        ),
        call("tool = \"web_fetch\"\narguments = { url = \"https://elsewhere.example.com/\" }"),
        python("import sys\nsys.exit(3)"),
        python("print('end', flush=True)"),
        ANSWER.to_owned(),
    ]
    .concat()
}

async fn the_main_job(stage: &Stage) {
    let world = start(stage, &script()).await;
    let mut talk = talk(&world).await;
    talk.upload("sales.csv", CSV.as_bytes()).await.unwrap();
    talk.say("What did we sell?", Answer::Approve).await.unwrap();
    let log = world.stop().await.log().await;

    assert_eq!(talk.output(), "42\nno network\nend\n");
    let (ok, denied, failed) = (ToolOutcome::Ok, ToolOutcome::Denied, ToolOutcome::Failed);
    assert_eq!(
        outcomes(&talk),
        [
            (ok, ""),
            (ok, ""),
            (denied, "EGRESS_DENIED"),
            (failed, ""),
            (ok, "")
        ]
    );
    assert_eq!(talk.finished()[0].result, "42\n");
    assert_eq!(talk.finished()[3].exit_code, Some(3));
    assert_eq!(talk.texts().last(), Some(&"Done: end"));
    assert_eq!(ending(&talk.events), "finished:ANSWERED");

    // What the policy forbids is put to nobody: four executions were asked for, four decided.
    assert_eq!(log.count("approval.requested"), 4);
    assert_eq!(log.count("approval.decided"), 4);
    assert_eq!(log.count("egress.decided"), 1);
    // … and the upload, which needs no approval.
    assert_eq!(log.count("exec.started"), 5);
    assert_eq!(log.count("run.started"), 1);
    assert_eq!(log.count("run.finished"), 1);
    let fetched = talk.finished()[2].call_id.clone();
    assert_eq!(log.of_call(&fetched), ["egress.decided"]);
}
