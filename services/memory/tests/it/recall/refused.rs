//! Texts that the model behind an upstream refuses, and an upstream that has other reasons not to take one.

use harombe_proto::memory::v1 as pb;

use super::elsewhere::with_elsewhere;
use super::{ABOUT_SISTER, FACTS, SISTER, texts, until};
use crate::person::stats;
use crate::rig::Rig;

const BAD: &str = "An unspeakable word is in this one.";
const WORSE: &str = "This one is unspeakable as well.";
const WORD: &str = "unspeakable";
const ABOUT_DOG: &str = "Where does the pet rest?";

impl Rig {
    fn given_up(&self, memories: u32) -> bool {
        self.shows(&format!("harombe_memory_index_given_up_total {memories}"))
    }

    async fn until_given_up(&self, memories: u32) {
        self.until_shown(&format!("harombe_memory_index_given_up_total {memories}"))
            .await;
    }

    async fn waiting(&self) -> u64 {
        stats(self, &self.ann()).await.waiting_for_embedding
    }

    async fn until_nothing_waits(&self) {
        until("nothing waits", async || self.waiting().await == 0).await;
    }
}

#[tokio::test]
async fn texts_that_the_model_refuses_hold_up_no_others() {
    let (rig, run, elsewhere, way) = with_elsewhere().await;
    elsewhere.says(400, WORD);
    // all in one batch
    rig.remember_all(&run, &FACTS[..3]).await;
    rig.remember(&run, BAD).await;
    rig.remember_all(&run, &FACTS[3..]).await;
    rig.remember(&run, WORSE).await;
    elsewhere.is_away(false);
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    rig.until_found_by_meaning(&run, ABOUT_DOG, FACTS[5]).await;
    rig.until_given_up(2).await;
    rig.until_nothing_waits().await;
    // by its words it is found like any other
    let recalled = rig.recall(&run, "which one was it with the word?").await;
    assert_eq!(recalled.means(), pb::RecallMeans::Hybrid);
    assert!(texts(&recalled).contains(&BAD), "{recalled:?}");

    // and alone
    let alone = "The unspeakable parrot knows seven languages.";
    rig.remember(&run, alone).await;
    rig.until_given_up(3).await;
    rig.remember(&run, "The ferry to the island leaves at noon.")
        .await;
    rig.until_found_by_meaning(
        &run,
        "When does the boat depart?",
        "The ferry to the island leaves at noon.",
    )
    .await;
    rig.until_nothing_waits().await;

    // the next start tries them again, and again
    let config = rig.config.clone();
    let rig = rig.restart_with(config.clone(), way.clone()).await;
    rig.until_given_up(3).await;
    elsewhere.takes_all();
    let rig = rig.restart_with(config, way).await;
    rig.until_found_by_meaning(&run, "Which bird is a polyglot?", alone)
        .await;
    assert!(rig.given_up(0));
}

#[tokio::test]
async fn nothing_is_given_up_for_what_passes() {
    let (rig, run, elsewhere, _) = with_elsewhere().await;
    elsewhere.is_away(false);
    rig.remember(&run, SISTER).await;
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    let mut number = 0;
    let mut fails = async |what: &dyn Fn()| {
        let before = failures(&rig);
        what();
        number += 1;
        let text = format!("Ferry number {number} leaves at noon.");
        rig.remember(&run, &text).await;
        // it has been tried, and more than once
        until("it was tried", async || failures(&rig) >= before + 2).await;
        assert!(rig.given_up(0));
        assert_eq!(rig.waiting().await, 1);
        elsewhere.is_away(false);
        elsewhere.takes_all();
        rig.until_nothing_waits().await;
    };
    for status in [408, 429, 500, 503] {
        fails(&|| elsewhere.says(status, "Ferry")).await;
    }
    // that the model refuses everything is no fault of a text
    for status in [400, 401, 404] {
        fails(&|| elsewhere.says(status, "")).await;
    }
    fails(&|| elsewhere.is_away(true)).await;
    rig.until_found_by_meaning(
        &run,
        "When does the eighth boat depart?",
        "Ferry number 8 leaves at noon.",
    )
    .await;
    rig.until_nothing_waits().await;
    assert!(rig.given_up(0));
}

/// Calls of the model for passages that failed.
fn failures(rig: &Rig) -> u64 {
    let shown = rig.metrics.encode();
    let count = shown
        .lines()
        .find_map(|line| line.strip_prefix("harombe_memory_embedding_errors_total{purpose=\"passage\"} "));
    count.map_or(0, |count| count.parse().expect("number"))
}
