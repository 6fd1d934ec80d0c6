//! What recall finds, by which means, and how the vectors follow the memories whatever happens to them.

mod changed_model;
mod context;
mod crowd;
mod elsewhere;
mod faults;
mod finding;
mod full;
mod refused;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use harombe_error::Failure;
use harombe_memory::Config;
use harombe_proto::memory::v1 as pb;
use harombe_rpc::TaskSet;
use harombe_types::{MemoryId, SystemClock};

use crate::rig::{Rig, TestRun, answer, by_meaning, start};

/// For what another task does.
const PATIENCE: Duration = Duration::from_secs(120);

/// Facts of which a question about one may share no word with it.
const FACTS: [&str; 7] = [
    "My sister works as a marine biologist near Lisbon.",
    "The car needs new tyres before winter.",
    "Dinner with Paul is on Thursday at eight.",
    "I am allergic to peanuts.",
    "The rent went up to nine hundred euros.",
    "Our dog sleeps on the red sofa.",
    "The router password is on the fridge.",
];
const SISTER: &str = FACTS[0];
/// Shares no word with it that counts.
const ABOUT_SISTER: &str = "Which relative studies ocean animals?";

/// A service with the model.
async fn with_model(change: impl FnOnce(&mut Config)) -> Rig {
    Rig::with(|config| {
        by_meaning(config);
        change(config);
    })
    .await
}

/// Waits until it is so.
async fn until<F: Future<Output = bool>>(what: &str, so: impl Fn() -> F) {
    let wait = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{what}");
}

impl Rig {
    /// Starts again after something was done to the files.
    async fn restart_after(self, change: impl FnOnce(&Path)) -> Self {
        self.service.shutdown(Duration::from_secs(10)).await;
        change(self.directory.path());
        let trails = TaskSet::new();
        let sink = (&self.sink, &trails);
        let (service, metrics) = start(
            &self.config,
            &self.clock,
            &self.identity,
            self.directory.path(),
            sink,
        )
        .await;
        Self {
            trails,
            service,
            metrics,
            ..self
        }
    }

    async fn remember_as(&self, run: &TestRun, text: &str, label: pb::TrustLabel) -> pb::Memory {
        let request = pb::RememberRequest {
            memory_id: MemoryId::generate(&SystemClock).to_string(),
            text: text.to_owned(),
            label: label.into(),
            ..pb::RememberRequest::default()
        };
        let remembered = self.as_runtime().memory.remember(run.request(request)).await;
        answer(remembered).expect("remembered").memory.expect("memory")
    }

    async fn remember(&self, run: &TestRun, text: &str) -> pb::Memory {
        self.remember_as(run, text, pb::TrustLabel::Model).await
    }

    async fn remember_all(&self, run: &TestRun, texts: &[&str]) -> Vec<pb::Memory> {
        let mut memories = Vec::new();
        for text in texts {
            memories.push(self.remember(run, text).await);
        }
        memories
    }

    async fn recall_with(
        &self,
        run: &TestRun,
        request: pb::RecallRequest,
    ) -> Result<pb::RecallResponse, Failure> {
        answer(self.as_runtime().memory.recall(run.request(request)).await)
    }

    async fn recall(&self, run: &TestRun, query: &str) -> pb::RecallResponse {
        let request = pb::RecallRequest {
            query: query.to_owned(),
            ..pb::RecallRequest::default()
        };
        self.recall_with(run, request).await.expect("recalled")
    }

    async fn forget(&self, run: &TestRun, memory: &pb::Memory) {
        let request = pb::ForgetRequest {
            memory_id: memory.memory_id.clone(),
        };
        answer(self.as_runtime().memory.forget(run.request(request)).await).expect("forgotten");
    }

    /// Waits until the question is answered with that text by words and meaning.
    async fn until_found_by_meaning(&self, run: &TestRun, query: &str, text: &str) {
        until(&format!("{text:?} is found by meaning"), || async {
            let recalled = self.recall(run, query).await;
            recalled.means() == pb::RecallMeans::Hybrid && texts(&recalled).first() == Some(&text)
        })
        .await;
    }
}

/// What was found, best first.
fn texts(recalled: &pb::RecallResponse) -> Vec<&str> {
    let hits = recalled.hits.iter();
    hits.filter_map(|hit| Some(hit.memory.as_ref()?.text.as_str()))
        .collect()
}
