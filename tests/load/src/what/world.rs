//! What is measured: the embedded composition in a temporary directory, or a server that is running.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use harombe::attach::Client;
use harombe::compose::{Assembly, Config, Embedded, ModelSource};
use harombe_identity::{ServiceIdentity, TokenMinter};
use harombe_rpc::GrpcChannel;
use harombe_types::{Clock as _, ServiceName, SystemClock};

use super::Result;

/// Answers every message with one sentence and calls no tool.
const SCRIPT: &str = "repeat = true\n[[turn]]\ntext = \"I am fine, thank you.\"\n";

pub(super) struct World {
    path: PathBuf,
    own: Option<(Embedded, tempfile::TempDir)>,
}

impl World {
    /// The server at `target`, or one of its own.
    pub(super) async fn open(target: Option<&Path>) -> Result<Self> {
        match target {
            Some(path) => Ok(Self {
                path: path.to_owned(),
                own: None,
            }),
            None => Self::embedded().await,
        }
    }

    pub(super) async fn embedded() -> Result<Self> {
        Self::configured(Config::default()).await
    }

    /// One of its own, so configured.
    pub(super) async fn configured(config: Config) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("harombe-load-").tempdir()?;
        let script = dir.path().join("model.toml");
        std::fs::write(&script, SCRIPT)?;
        let data = dir.path().join("data");
        let embedded = Assembly::new(&data, config, Some(ModelSource::Scripted(script)))
            .start()
            .await?;
        Ok(Self {
            path: data,
            own: Some((embedded, dir)),
        })
    }

    /// The data directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A client of the public door.
    pub(super) fn client(&self) -> Result<Client> {
        Ok(Client::at(&self.path.join("harombe.sock"))?)
    }

    /// The in-process channel by which `from` calls `to`.
    pub(super) fn channel(&self, to: ServiceName, from: ServiceName) -> Result<GrpcChannel> {
        let (embedded, _) = self
            .own
            .as_ref()
            .ok_or("there is no in-process channel to a running server")?;
        let server = embedded.server(to).ok_or("that service is not in this process")?;
        Ok(GrpcChannel::local(server, from))
    }

    /// Mints tokens with the gateway's key.
    pub(super) fn minter(&self) -> Result<TokenMinter> {
        let identity = ServiceIdentity::load(&self.path.join("gateway/keys"), SystemClock.now())?;
        Ok(TokenMinter::new(identity))
    }

    /// Ends the composition; its files stay until the result is dropped.
    pub(super) async fn close(self) -> Option<Arc<tempfile::TempDir>> {
        let (embedded, dir) = self.own?;
        embedded.shutdown().await;
        Some(Arc::new(dir))
    }
}
