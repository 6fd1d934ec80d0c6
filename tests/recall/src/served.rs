//! The memory service itself, in this process and in a folder of its own: every conversation is imported for a subject of
//! its own and asked through the same calls that people make.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harombe_memory::{Config, Deps, Service, build};
use harombe_proto::memory::v1 as pb;
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_rpc::{GrpcChannel, Metrics, RequestExt as _, TaskSet};
use harombe_testkit::{AuditSink, TestPki, person};
use harombe_types::{Clock, ServiceName, SystemClock, Timestamp};
use tempfile::TempDir;
use tonic::Request;
use uuid::Uuid;

use crate::conversation::{Conversation, Turn};
use crate::figures::{LIMIT, Tally};
use crate::run::Result;

/// Memories of one import.
const BATCH: usize = 256;
/// How long storing and embedding all turns may take: all of it is to take no longer.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks at how far the embedding is.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Served {
    service: Service,
    memories: PersonalMemoryServiceClient<GrpcChannel>,
    pki: TestPki,
    clock: Arc<dyn Clock>,
    /// The embedding model, once it is known.
    pub(crate) model: String,
    trails: TaskSet,
    _audit: AuditSink,
    _folder: TempDir,
}

impl Served {
    /// With the defaults and this model, but without consolidation: it would write summaries while questions are asked, or just
    /// before, and the figures would depend on the time that it takes.
    ///
    /// # Errors
    /// The service cannot be built.
    pub(crate) async fn start(model: &Path) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let pki = TestPki::new(Arc::clone(&clock));
        let audit = AuditSink::new(&pki, Arc::clone(&clock));
        let trails = TaskSet::new();
        let folder = tempfile::Builder::new().prefix("harombe-recall-").tempdir()?;
        let mut config = Config::default();
        config.embedding.folder = Some(model.to_owned());
        config.consolidation.enabled = false;
        let deps = Deps {
            clock: Arc::clone(&clock),
            metrics: Metrics::new(),
            identity: pki.identity(ServiceName::Memory),
            trail: audit.trail(ServiceName::Memory, Arc::clone(&clock), &trails),
            data: folder.path().to_owned(),
            models: folder.path().join("models"),
            egress_proxy: audit.channel(ServiceName::Memory),
        };
        let service = build(config, deps).await?;
        let channel = GrpcChannel::local(service.server(), ServiceName::Gateway);
        Ok(Self {
            service,
            memories: PersonalMemoryServiceClient::new(channel),
            pki,
            clock,
            model: String::new(),
            trails,
            _audit: audit,
            _folder: folder,
        })
    }

    /// Imports every turn that says or shows something.
    ///
    /// # Errors
    /// The service's.
    pub(crate) async fn store(&mut self, conversation: &Conversation) -> Result<()> {
        let numbered = conversation.turns.iter().enumerate();
        let numbered: Vec<_> = numbered.filter(|(_, turn)| !turn.text.is_empty()).collect();
        for batch in numbered.chunks(BATCH) {
            let memories = batch.iter().map(|(number, turn)| memory(*number, turn)).collect();
            let request = pb::ImportMemoriesRequest { memories };
            let request = self.request(conversation, request);
            self.memories.import_memories(request).await?;
        }
        Ok(())
    }

    /// Waits until every turn can be found by its meaning; storing them began at that moment.
    ///
    /// # Errors
    /// The service's; there is no model; or it takes too long.
    pub(crate) async fn embedded(&mut self, conversation: &Conversation, began: Instant) -> Result<()> {
        loop {
            let request = self.request(conversation, pb::GetMemoryStatsRequest {});
            let stats = self.memories.get_memory_stats(request).await?.into_inner();
            if stats.waiting_for_embedding == 0 && !stats.embedding_model.is_empty() {
                self.model = stats.embedding_model;
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                let (name, waiting) = (&conversation.name, stats.waiting_for_embedding);
                return Err(format!("{name}: {waiting} turns still wait for their embedding").into());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Asks every question.
    ///
    /// # Errors
    /// The service's, or an answer by words alone.
    pub(crate) async fn ask(&mut self, conversation: &Conversation) -> Result<Tally> {
        let turns: HashMap<String, usize> = (0..conversation.turns.len())
            .map(|number| (id(number), number))
            .collect();
        let mut tally = Tally::default();
        tally.add_unasked(&conversation.unasked);
        for question in &conversation.questions {
            let request = pb::SearchMemoriesRequest {
                query: question.text.clone(),
                limit: u32::try_from(LIMIT)?,
                filter: Some(pb::MemoryFilter {
                    kinds: vec![pb::MemoryKind::Turn.into()],
                    ..pb::MemoryFilter::default()
                }),
                explain: false,
            };
            let request = self.request(conversation, request);
            let began = Instant::now();
            let answer = self.memories.search_memories(request).await?.into_inner();
            let time = began.elapsed();
            if answer.means() != pb::RecallMeans::Hybrid {
                return Err(format!("{:?} was answered by words alone", question.text).into());
            }
            let found = answer
                .hits
                .iter()
                .filter_map(|hit| turns.get(&hit.memory.as_ref()?.memory_id).copied());
            tally.add(
                question.category,
                &found.collect::<Vec<_>>(),
                &question.evidence,
                time,
            );
        }
        Ok(tally)
    }

    pub(crate) async fn stop(self) {
        self.service.shutdown(Duration::from_secs(5)).await;
        self.trails.shutdown(Duration::from_secs(1)).await;
    }

    /// In the name of the conversation's own subject.
    fn request<T>(&self, conversation: &Conversation, message: T) -> Request<T> {
        let subject = person(&format!("conversation-{}", conversation.number));
        let token = self
            .pki
            .minter()
            .person(&subject, ServiceName::Memory, self.clock.now());
        let request = Request::new(message).with_deadline(Duration::from_secs(60));
        match token {
            Ok(token) => request.with_token(token),
            Err(_) => request,
        }
    }
}

fn memory(number: usize, turn: &Turn) -> pb::Memory {
    pb::Memory {
        memory_id: id(number),
        kind: pb::MemoryKind::Turn.into(),
        text: turn.text.clone(),
        speaker: turn.speaker.clone(),
        time: Some(Timestamp::from_millis(turn.time_ms).into()),
        importance: 0.5,
        provenance: Some(pb::Provenance {
            session_id: Uuid::from_u128(u128::from(turn.session)).to_string(),
            ordinal: turn.ordinal,
            ..pb::Provenance::default()
        }),
        ..pb::Memory::default()
    }
}

/// The id of the turn with this number of its conversation.
fn id(number: usize) -> String {
    Uuid::from_u128(number as u128 + 1).to_string()
}
