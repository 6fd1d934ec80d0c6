//! A disk that fills up under the store: whatever must be kept is refused, what is known still holds, and all goes on when
//! there is room again.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_gateway::{Config, Service};
use harombe_proto::agent::v1::agent_service_client::AgentServiceClient;
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{
    CreateKeyRequest, CreateSessionRequest, KeyLimits, ListKeysRequest, ListSessionsRequest,
    SendMessageRequest,
};
use harombe_rpc::GrpcChannel;
use harombe_types::ServiceName;
use tonic::Status;

use crate::network::Network;
use crate::world::{UNKNOWN, World, events, key_for, refused, revoke};

const NO_STORE: (Code, Reason) = (Code::Unavailable, Reason::StoreUnavailable);
/// More than fit on the disk, of anything.
const MANY: usize = 2000;

/// A small file system of its own, unmounted at the end. Making one needs root, as running sandboxes does.
struct Disk(PathBuf);

impl Disk {
    fn at(path: &Path) -> Self {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(path);
        assert!(mount.status().unwrap().success(), "mounting a tmpfs needs root");
        Self(path.to_owned())
    }

    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        while file.write_all(&[0; 1024]).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Of somebody whose messages are counted.
fn counted() -> CreateKeyRequest {
    CreateKeyRequest {
        limits: Some(KeyLimits {
            messages_per_day: 1_000_000,
            ..KeyLimits::default()
        }),
        ..key_for("ann", &["user"])
    }
}

async fn listed(gateway: &Service) -> usize {
    let mut keys = KeyServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client));
    let limit = 1000;
    let all = ListKeysRequest {
        limit,
        ..ListKeysRequest::default()
    };
    keys.list_keys(all).await.unwrap().into_inner().keys.len()
}

async fn enter(gateway: &Service, key: &str) -> Result<(), Status> {
    let mut agent = AgentServiceClient::new(Network::new(gateway).with_key(key));
    agent
        .list_sessions(ListSessionsRequest::default())
        .await
        .map(drop)
}

#[tokio::test]
async fn a_full_disk_refuses_what_must_be_kept_and_is_over_when_there_is_room() {
    let world = World::new().await;
    let disk = Disk::at(&world.folder("full"));
    let gateway = world.another("full", Config::default()).await;
    let mut keys = KeyServiceClient::new(GrpcChannel::local(gateway.server(), ServiceName::Client));
    while listed(&gateway).await == 0 {
        tokio::task::yield_now().await;
    }
    let created = keys.create_key(counted()).await.unwrap().into_inner();
    let (ann, ann_id) = (created.api_key, created.key.unwrap().key_id);
    let mut agent = AgentServiceClient::new(Network::new(&gateway).with_key(&ann));
    let session = agent
        .create_session(CreateSessionRequest::default())
        .await
        .unwrap();
    let session_id = session.into_inner().session.unwrap().session_id;
    let message = |n: usize| SendMessageRequest {
        session_id: session_id.clone(),
        client_message_id: n.to_string(),
        text: "hello".to_owned(),
        ..SendMessageRequest::default()
    };
    disk.fill();

    let mut made = 2;
    let failure = loop {
        match keys.create_key(key_for("bob", &["user"])).await {
            Ok(_) => made += 1,
            Err(status) => break Failure::from(status),
        }
        assert!(made < MANY, "the disk never was full");
    };
    assert_eq!((failure.code, failure.reason), NO_STORE);
    assert!(failure.retry_after.is_some());
    // What was refused is not there, and who has a key comes in.
    assert_eq!(listed(&gateway).await, made);
    enter(&gateway, &ann).await.unwrap();

    // A message that cannot be counted is none.
    let mut sent = 0;
    let seen = loop {
        let seen = world.runtime.seen.lock().len();
        match agent.send_message(message(sent)).await {
            Ok(answered) => drop(events(answered.into_inner()).await),
            Err(status) => {
                assert_eq!(refused(async { Err::<(), _>(status) }).await, NO_STORE);
                break seen;
            }
        }
        sent += 1;
        assert!(sent < MANY, "the disk never was full");
    };
    assert_eq!(world.runtime.seen.lock().len(), seen);

    // A key that could not be revoked is not said to be.
    let revoked = keys.revoke_key(revoke(&ann_id)).await;
    if let Err(status) = revoked {
        assert_eq!(refused(async { Err::<(), _>(status) }).await, NO_STORE);
        enter(&gateway, &ann).await.unwrap();
    } else {
        assert_eq!(refused(enter(&gateway, &ann)).await, UNKNOWN);
    }

    disk.make_room();
    let bob = keys.create_key(counted()).await.unwrap().into_inner().api_key;
    assert_eq!(listed(&gateway).await, made + 1);
    let mut bob = AgentServiceClient::new(Network::new(&gateway).with_key(&bob));
    let session = bob.create_session(CreateSessionRequest::default()).await.unwrap();
    let again = SendMessageRequest {
        session_id: session.into_inner().session.unwrap().session_id,
        ..message(0)
    };
    events(bob.send_message(again).await.unwrap().into_inner()).await;
    keys.revoke_key(revoke(&ann_id)).await.unwrap();
    assert_eq!(refused(enter(&gateway, &ann)).await, UNKNOWN);
    gateway.shutdown(Duration::from_secs(5)).await;
}
