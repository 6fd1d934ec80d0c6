//! Two gateways, two runtimes, and one of each other service, each a process of its own.

use std::path::Path;

use harombe::compose::{Config, ModelSource};
use harombe_audit::files::Source;
use harombe_e2e::{Cluster, Log, Plan, quick};
use harombe_testkit::postgres::{Database, Server};

use crate::support::NODE;

pub(crate) struct Pair {
    pub(crate) cluster: Cluster,
    dir: tempfile::TempDir,
    stores: Stores,
}

/// What is kept on Postgres.
enum Stores {
    /// The gateways' keys only, on the server that all tests share.
    Keys(#[expect(dead_code, reason = "dropped with the pair, and the database with it")] Database),
    /// Everything, on a server that the test may stop.
    All(Server),
}

impl Pair {
    /// Starts them with that script; their calls are counted below their directory there, if anywhere.
    pub(crate) async fn start(script: &str, points: Option<&str>) -> Self {
        let database = Database::create().await;
        let mut config = quick();
        config.gateway.store.postgres = Some(database.config());
        Self::start_with(script, points, config, Stores::Keys(database)).await
    }

    /// Starts them with everything on a Postgres server of their own.
    pub(crate) async fn on_postgres(script: &str) -> Self {
        let server = Server::create().await;
        let mut config = quick();
        for store in [
            &mut config.gateway.store,
            &mut config.memory.store,
            &mut config.hitl.store,
            &mut config.audit.store,
        ] {
            store.postgres = Some(server.config());
        }
        Self::start_with(script, None, config, Stores::All(server)).await
    }

    async fn start_with(script: &str, points: Option<&str>, mut config: Config, stores: Stores) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("harombe-pair-")
            .tempdir()
            .unwrap();
        let model = dir.path().join("model.toml");
        std::fs::write(&model, script).unwrap();
        config.runtime.agents.get_mut("default").unwrap().model = ModelSource::Scripted(model).to_string();
        let plan = Plan {
            program: NODE.to_owned(),
            dir: dir.path().to_owned(),
            config,
            outside: None,
            cut: None,
            log: None,
            replicas: 2,
            points: points.map(|name| dir.path().join(name)),
            clocks: None,
        };
        Self {
            cluster: Cluster::start(plan).await,
            dir,
            stores,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The server that keeps everything.
    pub(crate) fn postgres(&mut self) -> &mut Server {
        match &mut self.stores {
            Stores::All(server) => server,
            Stores::Keys(_) => panic!("the services keep their state in files"),
        }
    }

    /// Ends all in order; the log, verified.
    pub(crate) async fn stop(self) -> Log {
        self.cluster.stop().await;
        let audit = self.dir.path().join("data/audit");
        match &self.stores {
            Stores::Keys(_) => Log::verified(&audit).await,
            Stores::All(server) => {
                let key = audit.join("keys/wrapping.key");
                let source = Source::Postgres {
                    config: &server.config(),
                    wrapping_key: Some(&key),
                };
                Log::verified(source).await
            }
        }
    }
}
