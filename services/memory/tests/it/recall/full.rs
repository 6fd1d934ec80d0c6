//! What is found of a subject with more than its index has room for.

use harombe_proto::memory::v1 as pb;

use super::{ABOUT_SISTER, SISTER, texts, with_model};
use crate::rig::{Rig, TestRun};

/// Of words that no other has; digits would be words of their own.
fn long(number: usize) -> String {
    let letter = |digit: u8| char::from(digit - b'0' + b'a');
    let words = (0..2_000).map(|word| format!("{number:02}{word:04}"));
    let words = words.map(|word| word.bytes().map(letter).chain("x".chars()).collect());
    words.collect::<Vec<String>>().join(" ")
}

/// Ann's first memory, and more than her index has room for.
async fn fill(rig: &Rig) -> (TestRun, pb::Memory) {
    let run = rig.run_in(rig.new_session().await);
    let first = rig.remember(&run, SISTER).await;
    for number in 0..12 {
        rig.remember(&run, &long(number)).await;
    }
    (run, first)
}

#[tokio::test]
async fn meaning_finds_what_the_words_have_no_room_for() {
    let rig = with_model(|config| config.recall.index_cache = (1 << 20).into()).await;
    let (run, first) = fill(&rig).await;
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    let recall = async |query: &str, filter: pb::MemoryFilter| {
        let request = pb::RecallRequest {
            query: query.to_owned(),
            filter: Some(filter),
            explain: true,
            ..pb::RecallRequest::default()
        };
        rig.recall_with(&run, request).await.expect("recalled")
    };
    let any = pb::MemoryFilter::default;
    // it is scored as the others are, by the words of its own as well
    let recalled = recall("Where does the marine biologist work?", any()).await;
    let best = &recalled.hits[0];
    assert_eq!(best.memory.as_ref(), Some(&first));
    let sum: f64 = best.explanation.iter().map(|part| part.contribution).sum();
    assert!((sum - best.score).abs() < 1e-9, "{best:?}");
    for feature in ["words", "meaning", "nearby"] {
        let part = best.explanation.iter().find(|part| part.feature == feature);
        assert!(
            part.is_some_and(|part| part.contribution > 0.0),
            "{feature}: {best:?}"
        );
    }
    let turns = pb::MemoryFilter {
        kinds: vec![pb::MemoryKind::Turn.into()],
        ..any()
    };
    assert!(recall(ABOUT_SISTER, turns).await.hits.is_empty());
    rig.forget(&run, &first).await;
    let recalled = recall(ABOUT_SISTER, any()).await;
    assert_eq!(recalled.means(), pb::RecallMeans::Hybrid);
    assert!(!texts(&recalled).contains(&SISTER));
}

#[tokio::test]
async fn words_find_what_changed_last() {
    let rig = Rig::with(|config| config.recall.index_cache = (1 << 20).into()).await;
    let (run, _) = fill(&rig).await;
    let newest = long(11);
    let word = newest.split(' ').nth(7).expect("word");
    assert_eq!(texts(&rig.recall(&run, word).await), [&newest]);
    let recalled = rig.recall(&run, "the marine biologist").await;
    assert!(recalled.hits.is_empty(), "{recalled:?}");
}
