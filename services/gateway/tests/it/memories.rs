//! Memories through the door: of the caller's own, of the agents that their key is for, and within its limits. The real
//! memory service is behind it.

use futures_util::TryStreamExt as _;
use harombe_error::{Code, Reason};
use harombe_proto::agent::v1::{CreateKeyRequest, KeyLimits};
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::{
    EraseMemoryRequest, ExportMemoriesRequest, ForgetMemoryRequest, GetMemoryRequest, GetMemoryStatsRequest,
    ImportMemoriesRequest, ListMemoriesRequest, Memory, MemoryFilter, MemoryKind, RestoreMemoryRequest,
    SaveMemoryRequest, SearchMemoriesRequest,
};
use harombe_types::{MemoryId, SystemClock};
use serde_json::json;
use tonic::Status;

use crate::network::Network;
use crate::web::Caller;
use crate::world::{INVALID, LIMIT, NOT_ALLOWED, NOT_FOUND, UNKNOWN, World, key_for, refused, revoke};

/// Somebody with a key.
struct Own(PersonalMemoryServiceClient<Network>);

impl Own {
    async fn new(world: &World, request: CreateKeyRequest) -> Self {
        Self::with(world, &world.key(request).await.0)
    }

    fn with(world: &World, key: &str) -> Self {
        let network = Network::new(&world.gateway).with_key(key);
        Self(PersonalMemoryServiceClient::new(network))
    }

    async fn save(&mut self, agent: &str, text: &str) -> Result<String, Status> {
        let saved = self.0.save_memory(fact(agent, text)).await?.into_inner();
        Ok(saved.memory.unwrap().memory_id)
    }

    async fn search(&mut self, agent: &str) -> Result<Vec<String>, Status> {
        let found = self.0.search_memories(harbour(agent)).await?.into_inner();
        let memories = found.hits.into_iter().filter_map(|hit| hit.memory);
        Ok(memories.map(|memory| memory.memory_id).collect())
    }

    async fn list(&mut self, agent: &str) -> Result<Vec<String>, Status> {
        let request = ListMemoriesRequest {
            filter: filter(agent),
            include_hidden: true,
            ..ListMemoriesRequest::default()
        };
        let listed = self.0.list_memories(request).await?.into_inner();
        Ok(listed
            .memories
            .into_iter()
            .map(|memory| memory.memory_id)
            .collect())
    }

    async fn get(&mut self, memory_id: &str) -> Result<Memory, Status> {
        let memory_id = memory_id.to_owned();
        let got = self.0.get_memory(GetMemoryRequest { memory_id }).await?;
        Ok(got.into_inner().memory.unwrap())
    }

    async fn export(&mut self) -> Result<Vec<String>, Status> {
        let exported = self.0.export_memories(ExportMemoriesRequest {}).await?;
        let each = exported.into_inner().map_ok(|one| one.memory.unwrap().memory_id);
        each.try_collect().await
    }

    async fn stats(&mut self) -> Result<u64, Status> {
        let stats = self.0.get_memory_stats(GetMemoryStatsRequest {}).await?;
        Ok(stats.into_inner().facts)
    }

    async fn forget(&mut self, memory_id: &str) -> Result<(), Status> {
        let memory_id = memory_id.to_owned();
        self.0
            .forget_memory(ForgetMemoryRequest { memory_id })
            .await
            .map(drop)
    }

    async fn restore(&mut self, memory_id: &str) -> Result<(), Status> {
        let memory_id = memory_id.to_owned();
        self.0
            .restore_memory(RestoreMemoryRequest { memory_id })
            .await
            .map(drop)
    }

    async fn erase(&mut self, memory_id: &str) -> Result<(), Status> {
        let memory_id = memory_id.to_owned();
        self.0
            .erase_memory(EraseMemoryRequest { memory_id })
            .await
            .map(drop)
    }
}

fn new_id() -> String {
    MemoryId::generate(&SystemClock).to_string()
}

fn fact(agent: &str, text: &str) -> SaveMemoryRequest {
    SaveMemoryRequest {
        memory_id: new_id(),
        text: text.to_owned(),
        agent: agent.to_owned(),
        ..SaveMemoryRequest::default()
    }
}

fn filter(agent: &str) -> Option<MemoryFilter> {
    (!agent.is_empty()).then(|| MemoryFilter {
        agent: agent.to_owned(),
        ..MemoryFilter::default()
    })
}

fn harbour(agent: &str) -> SearchMemoriesRequest {
    SearchMemoriesRequest {
        query: "harbour".to_owned(),
        filter: filter(agent),
        ..SearchMemoriesRequest::default()
    }
}

fn import() -> ImportMemoriesRequest {
    ImportMemoriesRequest {
        memories: vec![Memory {
            memory_id: new_id(),
            kind: MemoryKind::Fact.into(),
            text: "The harbour is old.".to_owned(),
            importance: 0.5,
            ..Memory::default()
        }],
    }
}

#[tokio::test]
async fn everybody_has_memories_of_their_own() {
    let world = World::new().await;
    let of = |tenant: &str, subject: &str| CreateKeyRequest {
        tenant: tenant.to_owned(),
        ..key_for(subject, &["user"])
    };
    let mut ann = Own::new(&world, of("acme", "ann")).await;
    let hers = ann.save("", "The harbour opens at nine.").await.unwrap();
    for (tenant, subject) in [("acme", "bob"), ("other", "ann"), ("local", "ann")] {
        let mut other = Own::new(&world, of(tenant, subject)).await;
        assert_eq!(other.search("").await.unwrap(), Vec::<String>::new());
        assert_eq!(other.list("").await.unwrap(), Vec::<String>::new());
        assert_eq!(other.export().await.unwrap(), Vec::<String>::new());
        assert_eq!(other.stats().await.unwrap(), 0);
        assert_eq!(refused(other.get(&hers)).await, NOT_FOUND, "{tenant}/{subject}");
        assert_eq!(refused(other.forget(&hers)).await, NOT_FOUND);
        assert_eq!(refused(other.restore(&hers)).await, NOT_FOUND);
        assert_eq!(refused(other.erase(&hers)).await, NOT_FOUND);
        let instead = SaveMemoryRequest {
            supersedes: hers.clone(),
            ..fact("", "The harbour is closed.")
        };
        assert_eq!(refused(other.0.save_memory(instead)).await, NOT_FOUND);
    }
    // The socket's owner is one more.
    assert_eq!(ann.search("").await.unwrap(), std::slice::from_ref(&hers));
    let kept = ann.get(&hers).await.unwrap();
    assert!(
        kept.hidden_at.is_none() && kept.superseded_by.is_empty(),
        "{kept:?}"
    );
    // Another key of hers opens the same.
    let mut again = Own::new(&world, of("acme", "ann")).await;
    assert_eq!(again.export().await.unwrap(), std::slice::from_ref(&hers));
    again.forget(&hers).await.unwrap();
    assert_eq!(ann.search("").await.unwrap(), Vec::<String>::new());
    again.restore(&hers).await.unwrap();
    ann.erase(&hers).await.unwrap();
    assert_eq!(refused(again.get(&hers)).await, NOT_FOUND);
}

#[tokio::test]
async fn who_has_no_business_here_is_refused() {
    let world = World::new().await;
    for roles in [["approver"], ["auditor"]] {
        let mut other = Own::new(&world, key_for("ann", &roles)).await;
        assert_eq!(refused(other.stats()).await, NOT_ALLOWED, "{roles:?}");
    }
    let (key, id) = world.key(key_for("ann", &["user"])).await;
    let mut ann = Own::with(&world, &key);
    ann.stats().await.unwrap();
    world.keys().revoke_key(revoke(&id)).await.unwrap();
    assert_eq!(refused(ann.stats()).await, UNKNOWN);
    let nobody = Network::new(&world.gateway);
    let mut nobody = Own(PersonalMemoryServiceClient::new(nobody));
    assert_eq!(refused(nobody.export()).await, UNKNOWN);
}

#[tokio::test]
async fn a_key_for_some_agents_names_one_of_them() {
    let world = World::new().await;
    let mut whole = Own::new(&world, key_for("ann", &["user"])).await;
    let scoped = CreateKeyRequest {
        agents: vec!["analyst".to_owned()],
        ..key_for("ann", &["user"])
    };
    let mut scoped = Own::new(&world, scoped).await;
    let private = whole.save("", "The harbour opens at nine.").await.unwrap();
    let shared = whole
        .save("analyst", "The harbour has three piers.")
        .await
        .unwrap();

    // What is about all agents is not for it.
    assert_eq!(refused(scoped.search("")).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.list("")).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.search("default")).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.list("default")).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.export()).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.stats()).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.0.import_memories(import())).await, NOT_ALLOWED);
    // Nor is any of another agent's, whatever is done with it.
    assert_eq!(refused(scoped.get(&private)).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.forget(&private)).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.restore(&private)).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.erase(&private)).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.save("", "x")).await, NOT_ALLOWED);
    assert_eq!(refused(scoped.save("default", "x")).await, NOT_ALLOWED);
    let instead = SaveMemoryRequest {
        supersedes: private.clone(),
        ..fact("analyst", "The harbour is closed.")
    };
    assert_eq!(refused(scoped.0.save_memory(instead)).await, NOT_ALLOWED);
    let repeated = SaveMemoryRequest {
        memory_id: private.clone(),
        ..fact("analyst", "The harbour opens at nine.")
    };
    assert_eq!(refused(scoped.0.save_memory(repeated)).await, NOT_ALLOWED);
    let kept = whole.get(&private).await.unwrap();
    assert!(
        kept.hidden_at.is_none() && kept.superseded_by.is_empty(),
        "{kept:?}"
    );

    // Its own agent's are.
    assert_eq!(
        scoped.search("analyst").await.unwrap(),
        std::slice::from_ref(&shared)
    );
    assert_eq!(
        scoped.list("analyst").await.unwrap(),
        std::slice::from_ref(&shared)
    );
    scoped.forget(&shared).await.unwrap();
    scoped.restore(&shared).await.unwrap();
    let more = scoped.save("analyst", "The harbour has a crane.").await.unwrap();
    scoped.erase(&more).await.unwrap();
    let mut all = whole.list("").await.unwrap();
    let mut expected = vec![private, shared];
    all.sort_unstable();
    expected.sort_unstable();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn a_keys_limits_hold_for_memories() {
    let world = World::new().await;
    let limited = |name: &str, limits: KeyLimits| CreateKeyRequest {
        limits: Some(limits),
        ..key_for(name, &["user"])
    };
    let fast = KeyLimits {
        requests_per_second: 1,
        burst: 2,
        ..KeyLimits::default()
    };
    let mut ann = Own::new(&world, limited("ann", fast)).await;
    ann.save("", "The harbour opens at nine.").await.unwrap();
    ann.search("").await.unwrap();
    assert_eq!(refused(ann.search("")).await, LIMIT);

    let one = KeyLimits {
        streams: 1,
        ..KeyLimits::default()
    };
    let mut bob = Own::new(&world, limited("bob", one)).await;
    bob.save("", "The harbour opens at nine.").await.unwrap();
    let open = bob.0.export_memories(ExportMemoriesRequest {}).await.unwrap();
    assert_eq!(refused(bob.export()).await, LIMIT);
    // What is no stream is not in the way.
    assert_eq!(bob.stats().await.unwrap(), 1);
    drop(open);
    assert_eq!(bob.export().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_nothing_is_kept() {
    let world = World::new().await;
    // The first key is made where there is no other.
    let caller = Caller::new(&world).await;
    let mut ann = Own::new(&world, key_for("ann", &["user"])).await;
    let kib = |count: usize| "x".repeat(count * 1024);
    let too_long = (Code::InvalidArgument, Reason::LimitExceeded);
    assert_eq!(refused(ann.save("", &kib(17))).await, too_long);
    // More than any message to a service may have.
    let (code, reason) = refused(ann.save("", &kib(5 * 1024))).await;
    assert!(
        matches!(code, Code::InvalidArgument | Code::ResourceExhausted),
        "{code:?} {reason:?}"
    );
    let long = SearchMemoriesRequest {
        query: kib(9),
        ..SearchMemoriesRequest::default()
    };
    assert_eq!(refused(ann.0.search_memories(long)).await, INVALID);
    let many = ImportMemoriesRequest {
        memories: (0..257).flat_map(|_| import().memories).collect(),
    };
    assert_eq!(refused(ann.0.import_memories(many)).await, INVALID);
    assert_eq!(ann.stats().await.unwrap(), 0);

    let body = json!({ "memory_id": new_id(), "text": kib(1025) }).to_string();
    let (status, answer) = caller.ask("POST", "/v1/memories", &body).await;
    assert_eq!(status, 413, "{answer}");
}

#[tokio::test]
async fn without_memory_the_caller_hears_so() {
    let world = World::new().await;
    let mut ann = Own::new(&world, key_for("ann", &["user"])).await;
    for method in ["GetMemoryStats", "SearchMemories", "SaveMemory"] {
        let path = format!("/harombe.memory.v1.PersonalMemoryService/{method}");
        world.flaky.lose(path.leak(), 1000);
    }
    let gone = (Code::Unavailable, Reason::MemoryUnavailable);
    assert_eq!(refused(ann.stats()).await, gone);
    assert_eq!(refused(ann.search("")).await, gone);
    assert_eq!(refused(ann.save("", "The harbour opens at nine.")).await, gone);
}
