//! The cache of queries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::future::join_all;
use harombe_embedding::{Cached, Embedder, Error, Model, Purpose};
use tokio::sync::Notify;

/// Counts what is really computed; computes when told, and fails for some texts.
struct Counting {
    model: Model,
    computed: AtomicUsize,
    go: Notify,
}

#[async_trait]
impl Embedder for Counting {
    fn model(&self) -> &Model {
        &self.model
    }

    async fn embed(&self, texts: Vec<String>, _: Purpose) -> Result<Vec<Vec<f32>>, Error> {
        self.computed.fetch_add(texts.len(), Ordering::SeqCst);
        self.go.notified().await;
        self.go.notify_one();
        if texts.iter().any(|text| text == "fails") {
            return Err(Error::Busy);
        }
        Ok(texts
            .iter()
            .map(|text| vec![f32::from(u8::try_from(text.len()).unwrap())])
            .collect())
    }
}

fn counting() -> Arc<Counting> {
    Arc::new(Counting {
        model: Model {
            name: "counting".to_owned(),
            digest: String::new(),
            dimension: 1,
            max_tokens: 1,
        },
        computed: AtomicUsize::new(0),
        go: Notify::new(),
    })
}

#[tokio::test]
async fn equal_queries_are_computed_once_and_passages_each_time() {
    let inner = counting();
    let cached = Cached::new(Arc::clone(&inner), 100);
    let query = || cached.embed(vec!["a".to_owned(), "bb".to_owned()], Purpose::Query);
    let together = join_all((0..10).map(|_| query()));
    let (answers, ()) = tokio::join!(together, async { inner.go.notify_one() });
    for answer in answers {
        assert_eq!(answer.unwrap(), [[1.0], [2.0]]);
    }
    query().await.unwrap();
    assert_eq!(inner.computed.load(Ordering::SeqCst), 2);
    for _ in 0..2 {
        cached
            .embed(vec!["a".to_owned()], Purpose::Passage)
            .await
            .unwrap();
    }
    assert_eq!(inner.computed.load(Ordering::SeqCst), 4);
    assert_eq!(cached.model().name, "counting");
}

#[tokio::test]
async fn failures_are_told_and_not_remembered() {
    let inner = counting();
    inner.go.notify_one();
    let cached = Cached::new(Arc::clone(&inner), 100);
    for _ in 0..2 {
        let answer = cached.embed(vec!["fails".to_owned()], Purpose::Query).await;
        assert!(matches!(answer, Err(Error::Busy)));
    }
    assert_eq!(inner.computed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_is_forgotten_is_computed_anew() {
    let inner = counting();
    inner.go.notify_one();
    let cached = Cached::new(Arc::clone(&inner), 100);
    let query = async || cached.embed(vec!["a".to_owned()], Purpose::Query).await.unwrap();
    query().await;
    query().await;
    assert_eq!(inner.computed.load(Ordering::SeqCst), 1);
    cached.forget_queries().await;
    query().await;
    query().await;
    assert_eq!(inner.computed.load(Ordering::SeqCst), 2);
}
