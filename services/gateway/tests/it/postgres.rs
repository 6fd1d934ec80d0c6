//! What becomes of keys while Postgres restarts or is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harombe_error::{Failure, Reason};
use harombe_gateway::{Config, Limits, Service};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{CreateKeyResponse, ListSessionsRequest};
use harombe_rpc::GrpcChannel;
use harombe_sql::StoreConfig;
use harombe_testkit::postgres::{Server, advance};
use harombe_types::ServiceName;
use tonic::{Code, Status};

use crate::network::Network;
use crate::world::{UNKNOWN, World, key_for, refused, revoke};

/// Keys that are made, used and in part revoked before, between and after the faults.
const ENOUGH: usize = 25;

/// What a client may see while the server is away.
fn retryable<T>(result: Result<T, Status>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(status) => {
            // The server may be away for longer than a call waits.
            if status.code() != Code::DeadlineExceeded {
                assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                assert_eq!(Failure::from(status).reason, Reason::StoreUnavailable);
            }
            None
        }
    }
}

async fn enter(gateway: &Service, key: &str) -> Result<(), Status> {
    let mut agent = AgentServiceClient::new(Network::new(gateway).with_key(key));
    agent
        .list_sessions(ListSessionsRequest::default())
        .await
        .map(drop)
}

/// What a client acknowledged: a key, and whether it was revoked.
struct Done {
    key: String,
    revoked: bool,
}

/// Makes keys, comes in by them, and revokes every other one, until told to stop. Each act is repeated until it is answered.
async fn work(gateway: Arc<Service>, count: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Vec<Done> {
    let mut all = Vec::new();
    let mut keys = KeyServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client));
    while !stop.load(Ordering::Relaxed) {
        let CreateKeyResponse { key, api_key } = loop {
            if let Some(created) = retryable(keys.create_key(key_for("ann", &["user"])).await) {
                break created.into_inner();
            }
        };
        while retryable(enter(&gateway, &api_key).await).is_none() {}
        let revoked = all.len() % 2 == 0;
        if revoked {
            let key_id = key.unwrap().key_id;
            while retryable(keys.revoke_key(revoke(&key_id)).await).is_none() {}
        }
        let key = api_key;
        all.push(Done { key, revoked });
        count.fetch_add(1, Ordering::Relaxed);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_restarts_and_is_killed_neither_loses_a_key_nor_revives_one() {
    let mut server = Server::create().await;
    let world = World::new().await;
    let config = Config {
        store: StoreConfig {
            postgres: Some(server.config()),
        },
        limits: Limits {
            // The clock stands still, and whoever shows a revoked key is somebody who failed.
            failed_logins_per_minute: 1_000_000,
            ..Limits::default()
        },
        ..Config::default()
    };
    let gateway = Arc::new(world.another("postgres", config).await);
    let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let workers: Vec<_> = (0..4)
        .map(|_| tokio::spawn(work(Arc::clone(&gateway), Arc::clone(&count), Arc::clone(&stop))))
        .collect();
    server
        .stop_and_kill_amid(async || advance(&count, ENOUGH).await)
        .await;
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        for done in worker.await.unwrap() {
            if done.revoked {
                assert_eq!(refused(enter(&gateway, &done.key)).await, UNKNOWN);
            } else {
                enter(&gateway, &done.key).await.unwrap();
            }
        }
    }
}
