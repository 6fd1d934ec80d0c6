//! Opens embedding models: the one that is configured, and the one before it while that still serves.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use harombe_embedding::{
    Cached, DEFAULT_MODEL, Embedder, Error, Local, LocalConfig, Model, Purpose, Sender, Upstream,
    UpstreamConfig,
};

use crate::domain::Source;
use crate::metrics::IndexNumbers;

/// What models there are and how they are run.
#[derive(Debug, Clone)]
pub(crate) struct ModelsConfig {
    /// Where a model is looked for when none is configured.
    pub(crate) models: PathBuf,
    /// What is configured.
    pub(crate) source: Option<Source>,
    /// 0: one for each processor, four at most.
    pub(crate) threads: u32,
    /// Questions whose vectors are remembered.
    pub(crate) cache: u64,
}

/// Leads to the upstream of a name.
type Ways = Box<dyn Fn(&str) -> Arc<dyn Sender> + Send + Sync>;

/// Opens models.
pub(crate) struct Models {
    config: ModelsConfig,
    ways: Ways,
    numbers: IndexNumbers,
}

impl Models {
    /// `ways` leads to the upstream of a name.
    pub(crate) fn new(
        config: ModelsConfig,
        ways: impl Fn(&str) -> Arc<dyn Sender> + Send + Sync + 'static,
        numbers: IndexNumbers,
    ) -> Self {
        Self {
            config,
            ways: Box::new(ways),
            numbers,
        }
    }

    /// Where the model is to be had; `None` when none is configured and there is none at the usual place.
    pub(crate) fn source(&self) -> Option<Source> {
        let usual = || {
            let folder = self.config.models.join(DEFAULT_MODEL);
            folder.is_dir().then_some(Source::Folder(folder))
        };
        self.config.source.clone().or_else(usual)
    }

    /// Opens a model. What is wrong with a local one stays wrong until somebody does something about it.
    pub(crate) async fn open(&self, source: &Source) -> Result<Arc<dyn Embedder>, Error> {
        let cache = self.config.cache;
        let numbers = self.numbers.clone();
        match source {
            Source::Folder(folder) => {
                let (folder, config) = (folder.clone(), self.local());
                let opened = tokio::task::spawn_blocking(move || open_local(&folder, &config)).await;
                let local = opened.map_err(|_| Error::Closed)??;
                Ok(Arc::new(Cached::new(
                    Counted {
                        inner: local,
                        numbers,
                    },
                    cache,
                )))
            }
            Source::Upstream {
                name,
                model,
                dimension,
            } => {
                let config = UpstreamConfig::new(name, model, *dimension);
                let inner = Upstream::new(Way((self.ways)(name)), config);
                Ok(Arc::new(Cached::new(Counted { inner, numbers }, cache)))
            }
        }
    }

    fn local(&self) -> LocalConfig {
        let usual = LocalConfig::default();
        let threads = usize::try_from(self.config.threads)
            .ok()
            .and_then(NonZeroUsize::new);
        LocalConfig {
            threads: threads.unwrap_or(usual.threads),
            ..usual
        }
    }
}

fn open_local(folder: &Path, config: &LocalConfig) -> Result<Local, Error> {
    Local::open(folder, config)
}

struct Way(Arc<dyn Sender>);

#[async_trait]
impl Sender for Way {
    async fn send(
        &self,
        request: http::Request<bytes::Bytes>,
        limit: usize,
    ) -> Result<http::Response<bytes::Bytes>, harombe_embedding::SendError> {
        self.0.send(request, limit).await
    }
}

/// Counts what is embedded, and what cannot be.
struct Counted<E> {
    inner: E,
    numbers: IndexNumbers,
}

#[async_trait]
impl<E: Embedder> Embedder for Counted<E> {
    fn model(&self) -> &Model {
        self.inner.model()
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, Error> {
        let (count, bytes) = (texts.len(), texts.iter().map(String::len).sum());
        let embedded = self.inner.embed(texts, purpose).await;
        match &embedded {
            Ok(_) => self.numbers.embedded(purpose, count, bytes),
            Err(_) => self.numbers.not_embedded(purpose),
        }
        embedded
    }
}
