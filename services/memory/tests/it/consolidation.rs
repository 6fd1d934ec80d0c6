//! What is said twice, what holds no longer and what was long are put in order, by themselves, and nothing is lost by it.

use std::time::Duration;

use harombe_identity::Token;
use harombe_memory::Config;
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::{MemoryId, SessionId, SystemClock};
use tonic::Request;

use crate::rig::{Rig, TestRun, answer};

pub(crate) fn often(config: &mut Config) {
    config.consolidation.every = Duration::from_millis(20).into();
}

fn never(config: &mut Config) {
    often(config);
    config.consolidation.enabled = false;
}

pub(crate) async fn save(rig: &Rig, text: &str) -> String {
    let request = pb::SaveMemoryRequest {
        memory_id: MemoryId::generate(&SystemClock).to_string(),
        text: text.to_owned(),
        ..pb::SaveMemoryRequest::default()
    };
    let request = Request::new(request).with_token(rig.ann());
    let saved = answer(rig.as_gateway().personal.save_memory(request).await).expect("saved");
    saved.memory.expect("memory").memory_id
}

async fn remember(rig: &Rig, run: &TestRun, text: &str, label: pb::TrustLabel) -> String {
    let request = run.request(pb::RememberRequest {
        memory_id: MemoryId::generate(&SystemClock).to_string(),
        text: text.to_owned(),
        label: label.into(),
        ..pb::RememberRequest::default()
    });
    let saved = answer(rig.as_runtime().memory.remember(request).await).expect("saved");
    saved.memory.expect("memory").memory_id
}

pub(crate) fn turn(session: SessionId, ordinal: u32, text: &str) -> pb::Memory {
    pb::Memory {
        memory_id: MemoryId::generate(&SystemClock).to_string(),
        kind: pb::MemoryKind::Turn.into(),
        text: text.to_owned(),
        speaker: if ordinal % 2 == 1 { "ann" } else { "default" }.to_owned(),
        time: Some(prost_types::Timestamp {
            seconds: 1_700_000_000 + i64::from(ordinal),
            nanos: 0,
        }),
        importance: 0.5,
        provenance: Some(pb::Provenance {
            agent: "default".to_owned(),
            session_id: session.to_string(),
            ordinal,
            ..pb::Provenance::default()
        }),
        ..pb::Memory::default()
    }
}

fn turns(session: SessionId, ordinals: std::ops::RangeInclusive<u32>) -> Vec<pb::Memory> {
    let text = |ordinal: u32| match ordinal {
        1 => "Hello!".to_owned(),
        5 => "The office in Lisbon moves on 31 March 2025.".to_owned(),
        _ => format!("Room {ordinal} of the office in Lisbon has {ordinal}0 boxes for the move. Is that so?"),
    };
    ordinals
        .map(|ordinal| turn(session, ordinal, &text(ordinal)))
        .collect()
}

async fn import(rig: &Rig, memories: Vec<pb::Memory>) {
    let request = Request::new(pb::ImportMemoriesRequest { memories }).with_token(rig.ann());
    answer(rig.as_gateway().personal.import_memories(request).await).expect("imported");
}

async fn erase(rig: &Rig, memory_id: &str) {
    let request = pb::EraseMemoryRequest {
        memory_id: memory_id.to_owned(),
    };
    let request = Request::new(request).with_token(rig.ann());
    answer(rig.as_gateway().personal.erase_memory(request).await).expect("erased");
}

/// Newest first.
async fn list(rig: &Rig, token: &Token, kind: pb::MemoryKind, superseded: bool) -> Vec<pb::Memory> {
    let request = pb::ListMemoriesRequest {
        filter: Some(pb::MemoryFilter {
            kinds: vec![kind.into()],
            include_superseded: superseded,
            ..pb::MemoryFilter::default()
        }),
        ..pb::ListMemoriesRequest::default()
    };
    let request = Request::new(request).with_token(token);
    answer(rig.as_gateway().personal.list_memories(request).await)
        .expect("list")
        .memories
}

pub(crate) async fn facts(rig: &Rig) -> Vec<String> {
    let mut ids: Vec<String> = list(rig, &rig.ann(), pb::MemoryKind::Fact, false)
        .await
        .into_iter()
        .map(|memory| memory.memory_id)
        .collect();
    ids.sort();
    ids
}

async fn summaries(rig: &Rig) -> Vec<pb::Memory> {
    list(rig, &rig.ann(), pb::MemoryKind::Summary, false).await
}

/// Waits for what a task of the service brings about.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..6000 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} never came about");
}

/// Waits until no change waits to be looked at.
async fn until_done(rig: &Rig) {
    // whatever comes of a look is a change as well
    for _ in 0..3 {
        let before = cycles(rig);
        until("a cycle", async || (cycles(rig) > before).then_some(())).await;
        until("the end", async || {
            let metrics = rig.metrics.encode();
            metrics
                .contains("harombe_memory_consolidation_behind 0\n")
                .then_some(())
        })
        .await;
    }
}

/// Seconds that cycles took: they only grow.
fn cycles(rig: &Rig) -> f64 {
    let metrics = rig.metrics.encode();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("harombe_memory_consolidation_seconds_total{of=\"cycle\"} "));
    line.map_or(0.0, |seconds| seconds.parse().expect("seconds"))
}

async fn one_summary(rig: &Rig, reaching: i64) -> pb::Memory {
    let time = |memory: &pb::Memory| memory.time.as_ref().map(|time| time.seconds);
    until("the summary", async || {
        let summaries = summaries(rig).await;
        let [one] = <[pb::Memory; 1]>::try_from(summaries).ok()?;
        (time(&one) == Some(1_700_000_000 + reaching)).then_some(one)
    })
    .await
}

#[tokio::test]
async fn a_long_session_gets_a_summary_and_then_another_in_its_place() {
    let rig = Rig::with(often).await;
    let session = SessionId::generate(&SystemClock);
    import(&rig, turns(session, 1..=19)).await;
    until_done(&rig).await;
    assert!(summaries(&rig).await.is_empty());
    import(&rig, turns(session, 20..=30)).await;
    let first = one_summary(&rig, 30).await;
    let provenance = first.provenance.as_ref().expect("provenance");
    assert_eq!(provenance.session_id, session.to_string());
    assert_eq!(
        (provenance.label(), first.speaker.as_str()),
        (pb::TrustLabel::Imported, "")
    );
    assert!(
        first.text.len() <= 1600
            && first
                .text
                .contains("ann: The office in Lisbon moves on 31 March 2025."),
        "{}",
        first.text
    );
    assert!(
        !first.text.contains("Hello") && !first.text.contains('?'),
        "{}",
        first.text
    );
    let index = provenance.audit_index.expect("index");
    let events = rig.sink.of_kind(Kind::MemorySaved);
    assert!(
        events
            .iter()
            .any(|event| event.details.contains(&first.memory_id)),
        "{index}"
    );
    assert!(!events.iter().any(|event| event.details.contains("Lisbon")));

    let rig = rig.restart().await;
    import(&rig, turns(session, 31..=50)).await;
    let second = one_summary(&rig, 50).await;
    until_done(&rig).await;
    let chain = list(&rig, &rig.ann(), pb::MemoryKind::Summary, true).await;
    assert_eq!(chain.len(), 2);
    assert_eq!(chain[1].superseded_by, second.memory_id);
    assert_eq!(
        (chain[1].memory_id.as_str(), chain[1].valid_to),
        (first.memory_id.as_str(), second.time)
    );
    // nobody else's
    let bob = rig.person("acme", "bob");
    assert!(list(&rig, &bob, pb::MemoryKind::Summary, true).await.is_empty());
}

#[tokio::test]
async fn a_summary_is_made_again_without_what_was_erased() {
    let rig = Rig::with(often).await;
    let session = SessionId::generate(&SystemClock);
    let turns = turns(session, 1..=30);
    let secret = turns[4].memory_id.clone();
    import(&rig, turns).await;
    let first = one_summary(&rig, 30).await;
    assert!(first.text.contains("31 March"), "{}", first.text);
    erase(&rig, &secret).await;
    let told = list(&rig, &rig.ann(), pb::MemoryKind::Summary, true).await;
    assert!(
        told.iter().all(|memory| !memory.text.contains("31 March")),
        "{told:?}"
    );
    let second = one_summary(&rig, 30).await;
    assert!(!second.text.contains("31 March") && second.memory_id != first.memory_id);
    let erased = rig.sink.of_kind(Kind::MemoryForgotten).pop().expect("event");
    assert!(erased.details.contains(&first.memory_id) && erased.details.contains(&secret));
}

#[tokio::test]
async fn a_very_long_session_is_told_in_parts() {
    let rig = Rig::with(often).await;
    let session = rig.new_session().await;
    for first in [1, 101, 201, 301] {
        import(&rig, turns(session, first..=first + 99)).await;
    }
    import(&rig, turns(session, 401..=425)).await;
    until_done(&rig).await;
    let reach = |memory: &pb::Memory| memory.time.as_ref().expect("time").seconds - 1_700_000_000;
    let mut summaries = summaries(&rig).await;
    summaries.sort_by_key(|memory| std::cmp::Reverse(reach(memory)));
    assert_eq!(summaries.iter().map(reach).collect::<Vec<_>>(), [425, 400]);

    // what is not shown is told of, the newest part first
    let run = rig.run_in(session);
    let begun = rig
        .begin(&run, "m1", "And where is the key?")
        .await
        .expect("turn");
    let epoch = begun.lease.expect("lease").epoch;
    rig.finish(&run, epoch, "Under the mat.").await.expect("finished");
    let next = rig.run_in(session);
    let told = |hits: &[pb::MemoryHit]| -> Vec<String> {
        let memories = hits.iter().filter_map(|hit| hit.memory.as_ref());
        memories.map(|memory| memory.memory_id.clone()).collect()
    };
    let newest_first: Vec<String> = summaries.into_iter().map(|memory| memory.memory_id).collect();
    let context = rig.history(&next, 0).await;
    assert_eq!(told(context.summary.as_slice()), newest_first[..1]);
    assert_eq!(told(&context.earlier_summaries), newest_first[1..]);
    let context = rig.history(&next, 1_000_000).await;
    assert!(context.summary.is_none() && context.earlier_summaries.is_empty());
}

#[tokio::test]
async fn facts_that_say_the_same_or_hold_no_longer_are_linked() {
    // what happened while it was off is looked at when it is on
    let mut rig = Rig::with(never).await;
    let run = rig.run_in(rig.new_session().await);
    let like = [
        save(&rig, "I like the sea.").await,
        save(&rig, "I really like the sea").await,
    ];
    let not = save(&rig, "I do not like the sea").await;
    let home = [
        save(&rig, "I live in Rome").await,
        save(&rig, "I now live in Oslo.").await,
    ];
    let seats = [
        save(&rig, "The car has 3 seats").await,
        save(&rig, "The car has 4 seats").await,
    ];
    let model = remember(&rig, &run, "The user lives in Rome", pb::TrustLabel::Model).await;
    let tool = remember(&rig, &run, "The user lives in Bonn", pb::TrustLabel::Tool).await;
    assert_eq!(facts(&rig).await.len(), 9);
    rig.config.consolidation.enabled = true;
    let rig = rig.restart().await;
    until_done(&rig).await;
    let mut expected = vec![
        like[1].clone(),
        not,
        home[1].clone(),
        seats[0].clone(),
        seats[1].clone(),
        model.clone(),
        tool.clone(),
    ];
    expected.sort();
    assert_eq!(facts(&rig).await, expected);
    let chain = list(&rig, &rig.ann(), pb::MemoryKind::Fact, true).await;
    let by = |id: &str| {
        chain
            .iter()
            .find(|memory| memory.memory_id == id)
            .expect("memory")
    };
    assert_eq!(
        (
            by(&like[0]).superseded_by.as_str(),
            by(&home[0]).superseded_by.as_str()
        ),
        (like[1].as_str(), home[1].as_str())
    );
    assert_eq!(by(&home[0]).valid_to, by(&home[1]).time);
    let events = rig.sink.of_kind(Kind::MemorySaved);
    let linked: Vec<_> = events
        .iter()
        .filter(|event| event.details.contains("\"linked\""))
        .collect();
    let details: String = linked.iter().map(|event| event.details.as_str()).collect();
    assert!(
        details.contains(&like[0]) && details.contains(&home[0]) && !details.contains("Rome"),
        "{details}"
    );
    assert_eq!(details.matches("\"by\"").count(), 2);
    // the model's takes the place of both
    let rig = rig.restart().await;
    let run = rig.run_in(rig.new_session().await);
    let newer = remember(&rig, &run, "The user lives in Lima", pb::TrustLabel::Model).await;
    until_done(&rig).await;
    let facts = facts(&rig).await;
    assert!(facts.contains(&newer) && !facts.contains(&model) && !facts.contains(&tool));
}

#[tokio::test]
async fn nothing_is_seen_that_the_log_does_not_have() {
    let mut rig = Rig::with(never).await;
    let (old, new) = (
        save(&rig, "I live in Rome").await,
        save(&rig, "I live in Oslo").await,
    );
    rig.sink.fail(Fault::Unavailable);
    rig.config.consolidation.enabled = true;
    let rig = rig.restart().await;
    let before = cycles(&rig);
    until("a cycle", async || (cycles(&rig) > before).then_some(())).await;
    let mut both = vec![old, new.clone()];
    both.sort();
    assert_eq!(facts(&rig).await, both);
    rig.sink.fail(Fault::None);
    // what was left is recorded again after a while
    rig.clock.advance(Duration::from_secs(11));
    until("the link", async || {
        (facts(&rig).await == [new.clone()]).then_some(())
    })
    .await;
}
