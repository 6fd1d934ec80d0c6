//! What is measured: a composition of its own in a temporary directory, embedded or as processes, or a server that is running.

use std::path::{Path, PathBuf};

use harombe::attach::{Client, Elsewhere};
use harombe::compose::{Assembly, Embedded, ModelSource};
use harombe_identity::{ServiceIdentity, TokenMinter};
use harombe_rpc::GrpcChannel;
use harombe_types::{Clock as _, ServiceName, SystemClock};

use super::{Place, Result};
use crate::Plan;
use crate::cluster::Cluster;

/// Answers every message with one sentence and calls no tool.
pub(super) const SCRIPT: &str = "repeat = true\n[[turn]]\ntext = \"I am fine, thank you.\"\n";

pub(super) struct World {
    /// On the disk that the server writes to, if that is known.
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    Own(Box<Embedded>, tempfile::TempDir),
    Cluster(Cluster, tempfile::TempDir),
    Data,
    Door(Elsewhere),
}

impl World {
    /// What the plan says: a server that runs, or one of its own.
    pub(super) async fn open(plan: &Plan) -> Result<Self> {
        match &plan.place {
            Place::Data(path) => Ok(Self {
                path: path.clone(),
                kind: Kind::Data,
            }),
            Place::Door(server) => Ok(Self {
                path: std::env::temp_dir(),
                kind: Kind::Door(server.clone()),
            }),
            Place::Embedded => Self::embedded(plan).await,
            Place::Processes => Self::processes(plan, SCRIPT).await,
        }
    }

    /// Processes of its own, whose model plays `script`.
    pub(super) async fn processes(plan: &Plan, script: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("harombe-load-").tempdir()?;
        let model = dir.path().join("model.toml");
        std::fs::write(&model, script)?;
        let mut config = plan.config();
        if let Some(agent) = config.runtime.agents.get_mut("default") {
            agent.model = ModelSource::Scripted(model).to_string();
        }
        let cluster = Cluster::start(&plan.program, dir.path(), config).await?;
        Ok(Self {
            path: cluster.data(),
            kind: Kind::Cluster(cluster, dir),
        })
    }

    /// One of its own, in this process.
    pub(super) async fn embedded(plan: &Plan) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("harombe-load-").tempdir()?;
        let script = dir.path().join("model.toml");
        std::fs::write(&script, SCRIPT)?;
        let data = dir.path().join("data");
        let embedded = Assembly::new(&data, plan.config(), Some(ModelSource::Scripted(script)))
            .start()
            .await?;
        Ok(Self {
            path: data,
            kind: Kind::Own(Box::new(embedded), dir),
        })
    }

    /// The data directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A client of the public door, with a connection of its own.
    pub(super) fn client(&self) -> Result<Client> {
        match &self.kind {
            Kind::Own(..) | Kind::Data => Ok(Client::at(&self.path.join("harombe.sock"))?),
            Kind::Cluster(cluster, _) => cluster.client(),
            Kind::Door(server) => Ok(Client::elsewhere(server)?),
        }
    }

    /// The processes, if they are its own.
    pub(super) fn cluster(&self) -> Result<&Cluster> {
        match &self.kind {
            Kind::Cluster(cluster, _) => Ok(cluster),
            _ => Err("there are no processes of its own".into()),
        }
    }

    /// The in-process channel by which `from` calls `to`.
    pub(super) fn channel(&self, to: ServiceName, from: ServiceName) -> Result<GrpcChannel> {
        let Kind::Own(embedded, _) = &self.kind else {
            return Err("there is no in-process channel to a running server".into());
        };
        let server = embedded.server(to).ok_or("that service is not in this process")?;
        Ok(GrpcChannel::local(server, from))
    }

    /// Mints tokens with the gateway's key.
    pub(super) fn minter(&self) -> Result<TokenMinter> {
        let identity = ServiceIdentity::load(&self.path.join("gateway/keys"), SystemClock.now())?;
        Ok(TokenMinter::new(identity))
    }

    /// Ends what was started; its files stay until the result is dropped.
    pub(super) async fn close(self) -> Option<tempfile::TempDir> {
        match self.kind {
            Kind::Own(embedded, dir) => {
                embedded.shutdown().await;
                Some(dir)
            }
            Kind::Cluster(cluster, dir) => {
                cluster.stop().await;
                Some(dir)
            }
            Kind::Data | Kind::Door(_) => None,
        }
    }
}
