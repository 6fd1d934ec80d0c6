//! Two gateways, two runtimes, and one of each other service, each a process of its own.

use std::path::Path;

use harombe::compose::ModelSource;
use harombe_e2e::{Cluster, Log, Plan, quick};
use harombe_testkit::postgres::Database;

use crate::support::NODE;

pub(crate) struct Pair {
    pub(crate) cluster: Cluster,
    pub(crate) dir: tempfile::TempDir,
    /// Where the gateways keep their keys.
    _database: Database,
}

impl Pair {
    /// Starts them with that script; their calls are counted below their directory there, if anywhere.
    pub(crate) async fn start(script: &str, points: Option<&str>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("harombe-pair-")
            .tempdir()
            .unwrap();
        let model = dir.path().join("model.toml");
        std::fs::write(&model, script).unwrap();
        let database = Database::create().await;
        let mut config = quick();
        config.runtime.agents.get_mut("default").unwrap().model = ModelSource::Scripted(model).to_string();
        config.gateway.store.postgres = Some(database.config());
        let plan = Plan {
            program: NODE.to_owned(),
            dir: dir.path().to_owned(),
            config,
            outside: None,
            replicas: 2,
            points: points.map(|name| dir.path().join(name)),
        };
        Self {
            cluster: Cluster::start(plan).await,
            dir,
            _database: database,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Ends all in order; the log, verified.
    pub(crate) async fn stop(self) -> Log {
        self.cluster.stop().await;
        Log::verified(&self.dir.path().join("data/audit")).await
    }
}
