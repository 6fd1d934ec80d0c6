//! The main job, from a file to an answer: in both topologies it goes the same way, step by step.

use harombe_e2e::{Answer, Log, Talk, Topology, name_of};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{RunEvent, ToolOutcome};

use crate::support::{ANSWER, call, ending, outcomes, python, start, talk};

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

/// What must be equal of an event wherever the services are.
fn essence(event: &RunEvent) -> String {
    let name = name_of(event);
    let rest = match event.event.as_ref().unwrap() {
        Event::TextFinished(event) => event.text.clone(),
        Event::ToolCallProposed(event) => format!("{} {}", event.tool, event.arguments),
        Event::ApprovalRequired(event) => format!("{:?} {:?}", event.risk(), event.reasons),
        Event::ApprovalDecided(event) => {
            format!("{:?} {} {}", event.decision(), event.decided_by, event.unattended)
        }
        Event::ToolStarted(event) => format!("{} {:?} {}", event.tool, event.risk(), event.isolation),
        Event::ToolFinished(event) => format!(
            "{} {:?} {:?} {:?} {:?} {:?}",
            event.tool,
            event.outcome(),
            event.reason,
            event.result,
            event.redactions,
            event.exit_code
        ),
        Event::ContextBuilt(event) => format!("{} {} {}", event.turns, event.tokens, event.truncated),
        Event::Usage(event) => format!("{} {}", event.input_tokens, event.output_tokens),
        Event::RunStarted(event) => event.agent.clone(),
        _ => String::new(),
    };
    format!("{name}: {rest}")
}

async fn play(topology: Topology) -> (Talk, Log) {
    let world = start(topology, &script()).await;
    let mut talk = talk(&world).await;
    talk.upload("sales.csv", CSV.as_bytes()).await.unwrap();
    talk.say("What did we sell?", Answer::Approve).await.unwrap();
    let log = world.stop().await.log().await;
    (talk, log)
}

fn check(talk: &Talk, log: &Log) {
    assert_eq!(talk.output(), "42\nno network\nend\n");
    let (ok, denied, failed) = (ToolOutcome::Ok, ToolOutcome::Denied, ToolOutcome::Failed);
    assert_eq!(
        outcomes(talk),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_main_job_goes_the_same_way_in_one_process_and_in_many() {
    let (here, here_log) = play(Topology::Embedded).await;
    check(&here, &here_log);
    let (apart, apart_log) = play(Topology::Processes).await;
    check(&apart, &apart_log);

    let journalled = |talk: &Talk| -> Vec<String> {
        let deltas = ["text_delta", "tool_output"];
        let events = talk
            .events
            .iter()
            .filter(|event| !deltas.contains(&name_of(event)));
        events.map(essence).collect()
    };
    assert_eq!(journalled(&here), journalled(&apart));
    assert_eq!(here.output(), apart.output());
    let told = |log: &Log| -> Vec<(String, String, String)> {
        let leaves = log.records.iter().map(|record| &record.leaf);
        // Keys are made, and tried, only where the client needs one.
        let leaves = leaves.filter(|leaf| leaf.service != "gateway");
        let told = leaves.map(|leaf| (leaf.service.clone(), leaf.kind.clone(), leaf.outcome.clone()));
        let mut told: Vec<_> = told.collect();
        told.sort();
        told
    };
    assert_eq!(told(&here_log), told(&apart_log));
}
