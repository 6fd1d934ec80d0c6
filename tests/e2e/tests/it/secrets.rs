//! A secret that a tool prints goes no further than the workspace it came from.

use harombe_e2e::{Answer, Stage};
use harombe_proto::audit::v1::{QueryRequest, query_response};
use harombe_proto::types::v1::ToolOutcome;
use harombe_testkit::holding;

use crate::support::{ANSWER, call, outcomes, python, start, talk};

both!(a_printed_secret_is_redacted_everywhere);

/// Put together where it is printed: neither the script nor the call's arguments hold it.
const PARTS: [&str; 3] = ["pQ7x", "Lm2v", "Zt9r"];

async fn a_printed_secret_is_redacted_everywhere(stage: &Stage) {
    let secret = PARTS.concat();
    let [a, b, c] = PARTS;
    let print = format!(
        "word = ''.join(['{a}', '{b}', '{c}'])\nline = f'postgres://reports:{{word}}@db.internal:5432/orders'\nopen('config.txt', 'w').write(line)\nimport sys\nfor part in line:\n    print(part, end='', flush=True)\nprint(line, file=sys.stderr)"
    );
    let read = call("tool = \"file_read\"\narguments = { path = \"config.txt\" }");
    let script = [python(&print), read, ANSWER.to_owned()].concat();
    let world = start(stage, &script).await;
    let mut talk = talk(&world).await;
    talk.say("How does one connect?", Answer::Approve).await.unwrap();

    assert_eq!(outcomes(&talk), [(ToolOutcome::Ok, ""); 2]);
    // The two streams may be told in any order.
    let output = talk.output();
    assert_eq!(output.matches("[REDACTED:database_url]").count(), 2, "{output}");
    assert_eq!(output.replace("[REDACTED:database_url]", ""), "\n");
    let run_id = talk.run_id().to_owned();
    let watched = talk.watched(&run_id).await.unwrap();
    for told in [
        talk.output(),
        format!("{:?}", talk.events),
        format!("{watched:?}"),
    ] {
        assert!(!told.contains(&secret), "{told}");
    }
    let redacted: Vec<u32> = talk
        .finished()
        .iter()
        .map(|call| call.redactions.values().sum())
        .collect();
    assert_eq!(redacted, [2, 1]);
    // The person's own file is theirs, as it is.
    let own = String::from_utf8(talk.download("config.txt").await.unwrap()).unwrap();
    assert!(own.contains(&secret));

    let mut answers = talk
        .client
        .audit
        .query(QueryRequest::default())
        .await
        .unwrap()
        .into_inner();
    let mut read = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(query_response::Item::Entry(entry)) = answer.item {
            assert!(!entry.details.contains(&secret), "{}", entry.details);
            read += 1;
        }
    }
    assert!(read > 5);

    let stopped = world.stop().await;
    let log = stopped.log().await;
    assert!(log.records.iter().all(|record| !record.details.contains(&secret)));
    assert!(
        log.of("exec.finished")
            .any(|record| record.details.contains("redactions"))
    );
    let workspaces = stopped.data().join("broker/workspaces");
    let found = holding(stopped.root(), &secret);
    assert!(!found.is_empty(), "the search finds it where it may be");
    for path in found {
        assert!(
            path.starts_with(&workspaces),
            "the secret lies in {}",
            path.display()
        );
    }
}
