//! Bad input: refused with what to do about it, and nothing is lost.

use std::path::Path;

use harombe::compose::{Assembly, ModelSource, StartError};
use harombe_e2e::{Answer, Stage, Topology, quick, reason_of};
use harombe_error::Reason;
use harombe_proto::agent::v1::{CancelRunRequest, DeleteSessionRequest, GetRunRequest, GetSessionRequest};

use crate::support::{ANSWER, ending, start, talk};

both!(a_message_must_have_a_size_and_an_id, an_id_must_be_one);

async fn a_message_must_have_a_size_and_an_id(stage: &Stage) {
    let world = start(stage, "[[turn]]\ntext = \"I have heard you.\"\n").await;
    let mut talk = talk(&world).await;
    let (huge, long) = ("x".repeat(10 << 20), "x".repeat((1 << 20) + 1));
    let long_id = "x".repeat(10_000);
    let messages = [
        ("a", huge.as_str()),
        ("b", &long),
        ("c", ""),
        ("d", "  \n"),
        ("", "text"),
        (&long_id, "text"),
    ];
    for (id, text) in messages {
        let refused = talk.say_as(id, text, Answer::Leave).await.unwrap_err();
        let codes = [tonic::Code::InvalidArgument, tonic::Code::OutOfRange];
        assert!(codes.contains(&refused.code()), "{} bytes: {refused}", text.len());
        assert!(refused.message().len() < 1000, "{refused}");
    }
    talk.say("And a good one.", Answer::Leave).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    let log = world.stop().await.log().await;
    assert_eq!(log.count("run.started"), 1);
}

async fn an_id_must_be_one(stage: &Stage) {
    let world = start(stage, ANSWER).await;
    let mut talk = talk(&world).await;
    let (nothing, unknown) = ("no id at all", "01a206bb-ae62-7ba7-b127-fcf7a922668b");
    for (id, reason) in [
        (nothing, Reason::InvalidArgument),
        ("", Reason::InvalidArgument),
        (unknown, Reason::NotFound),
    ] {
        let id = || id.to_owned();
        let agent = &mut talk.client.agent;
        let session = agent.get_session(GetSessionRequest { session_id: id() }).await;
        let delete = agent
            .delete_session(DeleteSessionRequest { session_id: id() })
            .await;
        let run = agent.get_run(GetRunRequest { run_id: id() }).await;
        let cancel = agent.cancel_run(CancelRunRequest { run_id: id() }).await;
        let refusals = [
            session.map(drop),
            delete.map(drop),
            run.map(drop),
            cancel.map(drop),
            talk.watched(&id()).await.map(drop),
        ];
        for refused in refusals {
            assert_eq!(reason_of(&refused.unwrap_err()), reason, "{:?}", id());
        }
    }
    world.stop().await.log().await;
}

async fn refusal(data: &Path, script: &Path) -> String {
    let model = Some(ModelSource::Scripted(script.to_owned()));
    let error = match Assembly::new(data, quick(), model).start().await {
        Ok(embedded) => {
            embedded.shutdown().await;
            panic!("it started");
        }
        Err(error) => error,
    };
    chain(&error)
}

fn chain(error: &StartError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_cannot_start_says_why() {
    let world = start(Topology::Embedded, ANSWER).await;
    let script = world.data().with_file_name("model.toml");
    let second = refusal(&world.data(), &script).await;
    assert!(second.contains("another harombe works on"), "{second}");
    let stopped = world.stop().await;

    let bad = stopped.root().join("bad.toml");
    let cases: [&[u8]; 3] = [b"[[turn]\n", b"", b"\xff\xfe"];
    for text in cases {
        std::fs::write(&bad, text).unwrap();
        let refused = refusal(&stopped.data(), &bad).await;
        assert!(refused.contains("bad.toml"), "{refused}");
    }

    for store in ["memory/memory.db", "hitl/hitl.db", "audit/audit.db"] {
        let path = stopped.data().join(store);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, vec![b'x'; whole.len()]).unwrap();
        let refused = refusal(&stopped.data(), &script).await;
        assert!(refused.contains("cannot start"), "{store}: {refused}");
        std::fs::write(&path, whole).unwrap();
    }
    let model = Some(ModelSource::Scripted(script));
    let embedded = Assembly::new(&stopped.data(), quick(), model)
        .start()
        .await
        .unwrap();
    embedded.shutdown().await;
    stopped.log().await;
}
