//! Vectors of the real model.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use futures_util::future::join_all;
use harombe_embedding::{Embedder as _, Error, Local, LocalConfig, Purpose, measure};
use serde::Deserialize;

use crate::setup;

/// Computed from the published weights in 64-bit floats by another implementation.
#[derive(Deserialize)]
struct Reference {
    text: String,
    tokens: usize,
    vector: Vec<f32>,
}

fn references() -> Vec<Reference> {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn local() -> &'static Local {
    static LOCAL: LazyLock<Local> =
        LazyLock::new(|| Local::open(&setup::model(), &LocalConfig::default()).unwrap());
    &LOCAL
}

async fn one(text: &str) -> Vec<f32> {
    let vectors = local()
        .embed(vec![text.to_owned()], Purpose::Query)
        .await
        .unwrap();
    vectors.into_iter().next().unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[tokio::test]
async fn vectors_are_those_of_the_published_model() {
    for Reference { text, vector, .. } in references() {
        let found = one(&text).await;
        assert!(
            cosine(&found, &vector) > 0.99999,
            "{text:?}: {}",
            cosine(&found, &vector)
        );
        assert!((cosine(&found, &found) - 1.0).abs() < 1e-5, "{text:?}");
    }
}

#[tokio::test]
async fn a_text_has_the_same_vector_alone_and_among_others() {
    let texts: Vec<String> = references().into_iter().map(|reference| reference.text).collect();
    let many: Vec<String> = texts.iter().cycle().take(50).cloned().collect();
    let together = local().embed(many.clone(), Purpose::Passage).await.unwrap();
    assert_eq!(together.len(), many.len());
    for (text, vector) in many.iter().zip(&together) {
        assert_eq!(&one(text).await, vector, "{text:?}");
    }
    assert!(
        local()
            .embed(Vec::new(), Purpose::Passage)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn tokens_are_counted_as_the_model_counts_them() {
    for Reference { text, tokens, .. } in references() {
        let counted = local().count_tokens(&text);
        if tokens < 256 {
            assert_eq!(counted + 2, tokens, "{text:?}");
        } else {
            assert!(counted > 254, "{text:?}");
        }
    }
    // longer than what is tokenised at once
    assert_eq!(local().count_tokens(&"the cat sat. ".repeat(10_000)), 40_000);
}

#[tokio::test]
async fn what_comes_after_the_longest_text_has_no_influence() {
    let text = "the cat sat on the mat and looked at the dog. ".repeat(40);
    let alone = one(&text).await;
    assert_eq!(alone, one(&format!("{text} something else entirely")).await);
    let megabyte = format!("{text}{}", "x\u{1}y \u{fffd}".repeat(150_000));
    assert!(megabyte.len() > 1_000_000);
    assert_eq!(alone, one(&megabyte).await);
}

#[tokio::test]
async fn any_text_has_a_vector() {
    let texts = [
        "",
        " ",
        "\0\u{1}\u{7f}\u{200b}\r\n\t",
        "[SEP] [CLS] [MASK] [PAD] [UNK]",
        "\u{202e}drowssap ruoy si tahw",
        "e\u{301}\u{301}\u{301}\u{301}",
        "日本語のテキスト",
        "👩‍👩‍👧‍👦",
    ];
    let spaces = " ".repeat(1_000_000);
    let word = "x".repeat(1_000_000);
    for text in texts.into_iter().chain([spaces.as_str(), word.as_str()]) {
        let vector = one(text).await;
        assert_eq!(vector.len(), 384);
        assert!(vector.iter().all(|x| x.is_finite()), "{text:?}");
    }
    assert!(cosine(&one("a cat [SEP]").await, &one("a cat").await) < 0.9999);
}

#[tokio::test]
async fn a_full_queue_refuses_and_recovers() {
    let config = LocalConfig {
        threads: NonZeroUsize::MIN,
        queries: 2,
        passages: 8,
    };
    let local = Arc::new(Local::open(&setup::model(), &config).unwrap());
    let text = "the cat sat on the mat and looked at the dog. ".repeat(40);
    let ask = |_| {
        let (local, text) = (Arc::clone(&local), text.clone());
        async move { local.embed(vec![text], Purpose::Query).await }
    };
    // all are asked before the first is awaited: one is computed at most, two wait
    let answers = join_all((0..50).map(ask)).await;
    let busy = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::Busy)))
        .count();
    let good = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(
        busy >= 40 && good >= 2 && busy + good == 50,
        "{busy} busy, {good} good"
    );
    assert!(Error::Busy.is_retryable());
    assert!(local.embed(vec![text.clone()], Purpose::Query).await.is_ok());
    // a call larger than the queue waits for itself
    assert_eq!(
        local
            .embed(vec!["a".to_owned(); 100], Purpose::Passage)
            .await
            .unwrap()
            .len(),
        100
    );
}

#[tokio::test]
async fn a_dropped_embedder_answers_who_waits() {
    let config = LocalConfig {
        threads: NonZeroUsize::MIN,
        ..LocalConfig::default()
    };
    let local = Local::open(&setup::model(), &config).unwrap();
    let vectors = local
        .embed(vec!["a".to_owned(); 3], Purpose::Passage)
        .await
        .unwrap();
    assert_eq!(vectors.len(), 3);
    drop(local);
}

#[tokio::test]
async fn speed_is_told() {
    let texts: Vec<String> = references().into_iter().map(|reference| reference.text).collect();
    let speed = measure(local(), &texts).await.unwrap();
    assert!(speed.query_p50 <= speed.query_p99 && speed.tokens_per_second > speed.passages_per_second);
}
