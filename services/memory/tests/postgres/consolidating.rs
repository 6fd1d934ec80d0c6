//! Several processes keep one store's memories in order: one at a time, and nothing twice.

use std::collections::BTreeMap;
use std::time::Duration;

use harombe_trail::Kind;

use crate::consolidation::{facts, often, save, until};
use crate::replicas::replica;
use crate::rig::Rig;

/// How often each memory's place was taken, by what the log says.
fn taken(rig: &Rig) -> BTreeMap<String, usize> {
    let mut taken = BTreeMap::new();
    for event in rig.sink.of_kind(Kind::MemorySaved) {
        let details: serde_json::Value = serde_json::from_str(&event.details).expect("details");
        for link in details["links"].as_array().into_iter().flatten() {
            let memory = link["memory"].as_str().expect("memory").to_owned();
            *taken.entry(memory).or_default() += 1;
        }
    }
    taken
}

#[tokio::test]
async fn two_processes_link_each_memory_once_and_one_goes_on_alone() {
    let one = Rig::with(often).await;
    let other = replica(&one).await;
    let mut newest = Vec::new();
    for number in 0..40 {
        let text = format!("Number {number} is a fact");
        save(&one, &text).await;
        newest.push(save(&other, &text).await);
    }
    newest.sort();
    until("the links", async || (facts(&one).await == newest).then_some(())).await;
    let once = taken(&one);
    assert_eq!(once.len(), 40);
    assert!(once.values().all(|times| *times == 1), "{once:?}");
    // the process that may be at it is gone, and is not waited for for ever
    let (clock, kept) = (one.clock.clone(), one.directory.clone());
    one.service.shutdown(Duration::from_secs(5)).await;
    clock.advance(Duration::from_secs(121));
    let last = save(&other, "number 0 is a fact.").await;
    until("the link", async || {
        let facts = facts(&other).await;
        (facts.len() == 40 && facts.contains(&last)).then_some(())
    })
    .await;
    drop(kept);
}
