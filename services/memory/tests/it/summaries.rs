//! Summaries that the agent's own model writes: the runtime takes what is to be summed up, and brings back what was written.

use std::time::Duration;

use harombe_error::{Failure, Reason};
use harombe_memory::Config;
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::{MemoryId, SessionId, SystemClock};
use tonic::Request;

use crate::consolidation::{self, often, until};
use crate::rig::{Rig, TestRun, answer};

/// Nothing happens by itself.
fn rarely(config: &mut Config) {
    config.consolidation.every = Duration::from_secs(24 * 3600).into();
}

fn turn(session: SessionId, ordinal: u32, text: &str) -> pb::Memory {
    pb::Memory {
        speaker: "ann".to_owned(),
        ..consolidation::turn(session, ordinal, text)
    }
}

async fn import(rig: &Rig, session: SessionId, ordinals: std::ops::RangeInclusive<u32>) {
    let memories = ordinals
        .map(|ordinal| {
            let text = format!("Room {ordinal} of the office in Lisbon has {ordinal}0 boxes.");
            turn(session, ordinal, &text)
        })
        .collect();
    let request = Request::new(pb::ImportMemoriesRequest { memories }).with_token(rig.ann());
    answer(rig.as_gateway().personal.import_memories(request).await).expect("imported");
}

async fn take(rig: &Rig, run: &TestRun) -> Option<pb::SummaryWork> {
    let request = run.request(pb::TakeSummaryWorkRequest { max_bytes: 0 });
    answer(rig.as_runtime().memory.take_summary_work(request).await)
        .expect("answer")
        .work
}

async fn put(rig: &Rig, run: &TestRun, id: &str, text: &str) -> Result<Option<pb::Memory>, Failure> {
    let request = run.request(pb::PutSummaryRequest {
        memory_id: id.to_owned(),
        text: text.to_owned(),
    });
    answer(rig.as_runtime().memory.put_summary(request).await).map(|response| response.memory)
}

/// Those that hold, newest first.
async fn summaries(rig: &Rig) -> Vec<pb::Memory> {
    let request = pb::ListMemoriesRequest {
        filter: Some(pb::MemoryFilter {
            kinds: vec![pb::MemoryKind::Summary.into()],
            ..pb::MemoryFilter::default()
        }),
        ..pb::ListMemoriesRequest::default()
    };
    let request = Request::new(request).with_token(rig.ann());
    answer(rig.as_gateway().personal.list_memories(request).await)
        .expect("list")
        .memories
}

/// The value of a line of the metrics, 0 when it is not there.
fn count(rig: &Rig, line: &str) -> u64 {
    let page = rig.metrics.encode();
    let found = page
        .lines()
        .find_map(|text| text.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0, |value| value.parse().expect("number"))
}

#[tokio::test]
async fn a_models_summary_takes_the_place_of_the_one_of_sentences() {
    let rig = Rig::with(often).await;
    let session = SessionId::generate(&SystemClock);
    let run = rig.run_in(session);
    assert!(take(&rig, &run).await.is_none());
    import(&rig, session, 1..=30).await;
    let of_sentences = until("the summary", async || summaries(&rig).await.pop()).await;
    let work = take(&rig, &run).await.expect("work");
    assert!(work.former.is_none());
    assert_eq!(work.turns.len(), 30);
    assert!(work.turns[4].text.starts_with("Room 5") && work.turns[4].speaker == "ann");
    assert!(take(&rig, &run).await.is_none());

    let long = format!(
        "Thirty rooms\u{7} are moved. {}",
        "The boxes are counted. ".repeat(100)
    );
    let kept = put(&rig, &run, &work.memory_id, &long)
        .await
        .expect("put")
        .expect("kept");
    assert!(
        kept.text.starts_with("Thirty rooms\u{fffd} are moved."),
        "{}",
        kept.text
    );
    assert!(
        kept.text.len() <= 1600 && kept.text.ends_with("counted."),
        "{}",
        kept.text
    );
    let provenance = kept.provenance.clone().expect("provenance");
    assert_eq!(
        provenance.label(),
        pb::TrustLabel::Imported,
        "as what it was made of"
    );
    assert_eq!(provenance.run_id, run.run.to_string());
    assert!(provenance.audit_index.is_some());
    let current = summaries(&rig).await;
    assert_eq!(current.len(), 1);
    assert_eq!(current[0].memory_id, work.memory_id);
    // it is on record in the run's name, and what it says is not
    let events = rig.sink.of_kind(Kind::MemorySaved);
    let event = events
        .iter()
        .find(|event| event.details.contains(&work.memory_id))
        .expect("event");
    assert!(event.details.contains(&of_sentences.memory_id) && !event.details.contains("rooms"));
    assert_eq!(event.run_id, run.run.to_string());
    // again is the same
    let again = put(&rig, &run, &work.memory_id, "something else")
        .await
        .expect("put");
    assert_eq!(again.expect("kept").text, kept.text);
    assert_eq!(
        count(&rig, "harombe_memory_consolidation_work_total{what=\"given\"}"),
        1
    );
    assert_eq!(
        count(&rig, "harombe_memory_consolidation_work_total{what=\"saved\"}"),
        1
    );
    assert_eq!(
        count(&rig, "harombe_memory_consolidation_summaries_total{by=\"model\"}"),
        1
    );
}

#[tokio::test]
async fn the_next_is_made_of_the_former_and_nobody_else_comes_between() {
    let rig = Rig::with(rarely).await;
    let session = SessionId::generate(&SystemClock);
    let run = rig.run_in(session);
    import(&rig, session, 1..=30).await;
    let work = take(&rig, &run).await.expect("work");
    let first = put(&rig, &run, &work.memory_id, "Thirty rooms.").await;
    let first = first.expect("put").expect("kept");
    let mut rig = rig;
    often(&mut rig.config);
    let rig = rig.restart().await;
    import(&rig, session, 31..=50).await;
    let work = take(&rig, &run).await.expect("work");
    let former = work.former.as_ref().map(|former| former.memory_id.as_str());
    assert_eq!(former, Some(first.memory_id.as_str()));
    assert_eq!(work.turns.len(), 20);
    put(&rig, &run, &work.memory_id, "All of it.")
        .await
        .expect("put")
        .expect("kept");
    assert_eq!(summaries(&rig).await[0].text, "All of it.");
    let of_sentences = "harombe_memory_consolidation_summaries_total{by=\"sentences\"}";
    assert_eq!(count(&rig, of_sentences), 0);
}

#[tokio::test]
async fn nothing_is_told_of_what_was_forgotten_while_a_model_wrote() {
    let rig = Rig::with(rarely).await;
    let session = SessionId::generate(&SystemClock);
    let run = rig.run_in(session);
    import(&rig, session, 1..=20).await;
    let work = take(&rig, &run).await.expect("work");
    let forget = pb::ForgetMemoryRequest {
        memory_id: work.turns[6].memory_id.clone(),
    };
    let request = Request::new(forget).with_token(rig.ann());
    answer(rig.as_gateway().personal.forget_memory(request).await).expect("forgotten");
    assert_eq!(put(&rig, &run, &work.memory_id, "Of room 7.").await, Ok(None));
    assert!(summaries(&rig).await.is_empty());
    assert_eq!(
        count(&rig, "harombe_memory_consolidation_work_total{what=\"outdated\"}"),
        1
    );
    let unknown = MemoryId::generate(&SystemClock).to_string();
    assert_eq!(put(&rig, &run, &unknown, "Of nothing.").await, Ok(None));
    // another subject's run knows nothing of it
    let bob = rig.run_of("acme", "bob", session, run.run);
    assert!(take(&rig, &bob).await.is_none());
    assert_eq!(put(&rig, &bob, &work.memory_id, "Of Ann.").await, Ok(None));
}

#[tokio::test]
async fn a_summary_that_says_nothing_is_refused() {
    let rig = Rig::with(rarely).await;
    let session = SessionId::generate(&SystemClock);
    let run = rig.run_in(session);
    import(&rig, session, 1..=20).await;
    let work = take(&rig, &run).await.expect("work");
    for text in ["", " \n\t"] {
        let refused = put(&rig, &run, &work.memory_id, text).await.expect_err("refused");
        assert_eq!(refused.reason, Reason::InvalidArgument);
    }
    // the work is still there
    assert!(
        put(&rig, &run, &work.memory_id, "Something.")
            .await
            .expect("put")
            .is_some()
    );
}

#[tokio::test]
async fn a_summary_is_not_seen_before_it_is_on_record() {
    let rig = Rig::with(rarely).await;
    let session = SessionId::generate(&SystemClock);
    let run = rig.run_in(session);
    import(&rig, session, 1..=20).await;
    let work = take(&rig, &run).await.expect("work");
    rig.sink.fail(Fault::Unavailable);
    let failure = put(&rig, &run, &work.memory_id, "In short.")
        .await
        .expect_err("away");
    assert_eq!(failure.reason, Reason::AuditUnavailable);
    assert!(summaries(&rig).await.is_empty());
    rig.sink.fail(Fault::None);
    let kept = put(&rig, &run, &work.memory_id, "In short.").await.expect("put");
    assert!(
        kept.expect("kept")
            .provenance
            .expect("provenance")
            .audit_index
            .is_some()
    );
    assert_eq!(summaries(&rig).await.len(), 1);
}

#[tokio::test]
async fn nothing_is_to_be_summed_up_where_memories_are_left_as_they_are() {
    let rig = Rig::with(|config| config.consolidation.enabled = false).await;
    let session = SessionId::generate(&SystemClock);
    let run = rig.run_in(session);
    import(&rig, session, 1..=30).await;
    assert!(take(&rig, &run).await.is_none());
}
