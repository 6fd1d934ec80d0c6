//! Memory across the whole system: what an agent is told in one session it knows in another, until its person forgets it; and
//! nobody else ever does.

use std::path::PathBuf;
use std::time::Duration;

use harombe::attach::Client;
use harombe::compose::{Config, DataDir};
use harombe_e2e::{Answer, Node, Stage, Stopped, Talk, Topology, World};
use harombe_proto::agent::v1::{DeleteSessionRequest, ListKeysRequest};
use harombe_proto::memory::v1::memory_service_client::MemoryServiceClient;
use harombe_proto::memory::v1::personal_memory_service_client::PersonalMemoryServiceClient;
use harombe_proto::memory::v1::{
    ForgetMemoryRequest, GetMemoryRequest, GetMemoryStatsRequest, ListMemoriesRequest, Memory, MemoryHit,
    RecallMeans, RecallRequest, RestoreMemoryRequest, SaveMemoryRequest, SearchMemoriesRequest,
};
use harombe_proto::types::v1::ContextBuilt;
use harombe_proto::types::v1::run_event::Event;
use harombe_rpc::RequestExt as _;
use harombe_testkit::loopback;
use harombe_types::{
    Clock as _, MemoryId, Person, Role, RunId, RunPrincipal, ServiceName, SessionId, SystemClock,
};
use tonic::Request;

use crate::support::{NODE, ending, start, start_with, talk, until};

both!(
    what_was_told_is_recalled_until_it_is_forgotten,
    runs_go_on_when_meaning_is_out_of_reach,
);

const KEY: &str = "The spare key lies under the blue flower pot.";
const WHERE: &str = "Where does the spare key lie?";

/// Saves, searches and forgets when it is told to; else it listens.
fn script(key: &str) -> String {
    format!(
        "[[turn]]\nwhen_user_contains = \"remember\"\n[[turn.calls]]\ntool = \"memory_save\"\n\
         arguments = {{ text = \"The person has a boat whose name is Fulmar.\" }}\n\
         [[turn]]\nwhen_user_contains = \"remember\"\ntext = \"Noted.\"\n\
         [[turn]]\nwhen_user_contains = \"boat called\"\n[[turn.calls]]\ntool = \"memory_search\"\n\
         arguments = {{ query = \"Fulmar\", limit = 1 }}\n\
         [[turn]]\nwhen_user_contains = \"boat called\"\ntext = \"I know.\"\n\
         [[turn]]\nwhen_user_contains = \"forget\"\n[[turn.calls]]\ntool = \"memory_forget\"\n\
         arguments = {{ memory_id = \"{key}\" }}\n\
         [[turn]]\nwhen_user_contains = \"forget\"\ntext = \"Hidden.\"\n\
         [[turn]]\ntext = \"I see.\"\n"
    )
}

/// The folder of the model that setup gets.
fn model() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let folder = cache.join("harombe/tools/models/all-minilm-l6-v2");
    assert!(
        folder.is_dir(),
        "{} is absent; run deploy/setup/models.sh",
        folder.display()
    );
    folder
}

/// Recalls with the real model, however busy the machine is.
fn with_model(config: &mut Config) {
    config.memory.embedding.folder = Some(model());
    config.memory.embedding.threads = 1;
    config.memory.recall.dense_within = Duration::from_secs(30).into();
}

/// Ids are shown with what is recalled, and each is so many tokens.
pub(crate) fn leave_tokens_out(stage: &Stage) {
    for kind in ["context_built", "usage", "run_finished", "run.finished"] {
        stage.leave_out(kind);
    }
}

fn new_id() -> String {
    MemoryId::generate(&SystemClock).to_string()
}

pub(crate) async fn save(client: &mut Client, memory_id: &str, text: &str) -> Memory {
    let request = SaveMemoryRequest {
        memory_id: memory_id.to_owned(),
        text: text.to_owned(),
        ..SaveMemoryRequest::default()
    };
    let saved = client.memories.save_memory(request).await.unwrap();
    saved.into_inner().memory.unwrap()
}

pub(crate) async fn search(client: &mut Client, query: &str) -> (RecallMeans, Vec<MemoryHit>) {
    let request = SearchMemoriesRequest {
        query: query.to_owned(),
        ..SearchMemoriesRequest::default()
    };
    let found = client.memories.search_memories(request).await.unwrap();
    let found = found.into_inner();
    (found.means(), found.hits)
}

fn finds(hits: &[MemoryHit], memory_id: &str) -> bool {
    let mut found = hits.iter().filter_map(|hit| hit.memory.as_ref());
    found.any(|memory| memory.memory_id == memory_id)
}

async fn memory(client: &mut Client, memory_id: &str) -> Memory {
    let request = GetMemoryRequest {
        memory_id: memory_id.to_owned(),
    };
    let got = client.memories.get_memory(request).await.unwrap();
    got.into_inner().memory.unwrap()
}

async fn restore(client: &mut Client, memory_id: &str) {
    let request = RestoreMemoryRequest {
        memory_id: memory_id.to_owned(),
    };
    client.memories.restore_memory(request).await.unwrap();
}

/// All that is remembered.
async fn all(client: &mut Client) -> Vec<Memory> {
    let request = ListMemoriesRequest {
        include_hidden: true,
        limit: 100,
        ..ListMemoriesRequest::default()
    };
    let listed = client.memories.list_memories(request).await.unwrap();
    listed.into_inner().memories
}

/// What the model was shown, as the run's last context says.
pub(crate) fn context(talk: &Talk) -> ContextBuilt {
    let built = talk.events.iter().filter_map(|event| match &event.event {
        Some(Event::ContextBuilt(built)) => Some(built.clone()),
        _ => None,
    });
    built.last().unwrap()
}

/// A talk whose runs are remembered before anybody goes on.
struct Remembering<'a> {
    world: &'a World,
    client: Client,
    turns: u64,
    has_model: bool,
}

impl Remembering<'_> {
    /// Says something in a session of its own, which the agent answers.
    async fn say(&mut self, text: &str) -> Talk {
        let mut talk = talk(self.world).await;
        talk.say(text, Answer::Approve).await.unwrap();
        assert_eq!(ending(&talk.events), "finished:ANSWERED", "{text}");
        self.turns += 2;
        self.settled().await;
        talk
    }

    /// Whether the memory is among what is recalled for a message.
    async fn is_recalled(&mut self, text: &str, memory_id: &str) -> bool {
        let built = context(&self.say(text).await);
        assert_eq!(built.recall_fault, "", "{text}");
        let mut recalled = built.recalled.iter();
        recalled.any(|memory| memory.memory_id == memory_id)
    }

    /// Until all that was said is remembered, and embedded where there is a model.
    async fn settled(&mut self) {
        let Self {
            client,
            turns,
            has_model,
            ..
        } = self;
        until("what was said to be remembered", async || {
            let stats = client.memories.get_memory_stats(GetMemoryStatsRequest {}).await;
            let stats = stats.unwrap().into_inner();
            let embedded = stats.waiting_for_embedding == 0 && !stats.embedding_model.is_empty();
            (stats.turns >= *turns && (embedded || !*has_model)).then_some(())
        })
        .await;
    }
}

async fn what_was_told_is_recalled_until_it_is_forgotten(stage: &Stage) {
    // Which of the lesser memories are recalled, and the minute in which each was said, differ from world to world.
    stage.leave_out("tool_finished");
    leave_tokens_out(stage);
    let key = new_id();
    let world = start_with(stage, &script(&key), |setup| with_model(&mut setup.config)).await;
    let mut client = world.client();
    let mut here = Remembering {
        world: &world,
        client: client.clone(),
        turns: 0,
        has_model: true,
    };
    save(&mut client, &key, KEY).await;
    let told = here.say("Please remember that my boat is called Fulmar.").await;
    let run = told.run_id().to_owned();

    // Another session knows of it, and says from where.
    let asked = here.say("What is my boat called?").await;
    let built = context(&asked);
    assert_eq!(built.recall_fault, "");
    let recalled = built.recalled.iter().find(|memory| memory.run_id == run).unwrap();
    assert_eq!(recalled.session_id, told.session);
    let recalled = memory(&mut client, &recalled.memory_id).await;
    let provenance = recalled.provenance.clone().unwrap();
    assert_eq!(
        (&provenance.run_id, &provenance.session_id),
        (&run, &told.session)
    );
    let found = asked.finished()[0].result.clone();
    assert!(found.contains("Fulmar") && found.contains("\n> "), "{found}");
    assert!(found.contains(&format!("session {}", told.session)), "{found}");
    // By meaning too: the question shares no word with what was said.
    let (means, hits) = search(&mut client, "Which vessel do I own?").await;
    assert_eq!(means, RecallMeans::Hybrid);
    assert!(hits.iter().take(3).any(names_it), "{hits:?}");
    nobody_else_finds_it(&world, &mut client).await;

    // What its person forgets is recalled no more, until they restore it.
    assert!(here.is_recalled(WHERE, &key).await);
    let forget = ForgetMemoryRequest {
        memory_id: key.clone(),
    };
    client.memories.forget_memory(forget).await.unwrap();
    assert!(!here.is_recalled(WHERE, &key).await);
    restore(&mut client, &key).await;
    assert!(here.is_recalled(WHERE, &key).await);
    // What a model forgets is hidden only.
    here.say("Please forget where the key lies.").await;
    let hidden = memory(&mut client, &key).await;
    assert!(
        hidden.hidden_at.is_some() && hidden.erased_at.is_none(),
        "{hidden:?}"
    );
    assert!(!here.is_recalled(WHERE, &key).await);
    restore(&mut client, &key).await;
    assert!(finds(&search(&mut client, WHERE).await.1, &key));

    // A session takes what it left in memory with it.
    assert!(
        all(&mut client)
            .await
            .iter()
            .any(|memory| is_of(memory, &told.session))
    );
    let delete = DeleteSessionRequest {
        session_id: told.session.clone(),
    };
    client.agent.delete_session(delete).await.unwrap();
    let left = all(&mut client).await;
    assert!(
        !left.iter().any(|memory| is_of(memory, &told.session)),
        "{left:?}"
    );
    let (_, hits) = search(&mut client, "Fulmar").await;
    assert!(!hits.iter().any(names_it), "{hits:?}");
    assert!(finds(&search(&mut client, WHERE).await.1, &key));
    drop(here);
    is_on_record(&world.stop().await, &recalled).await;
}

fn names_it(hit: &MemoryHit) -> bool {
    let memory = hit.memory.as_ref();
    memory.is_some_and(|memory| memory.text.contains("Fulmar"))
}

fn is_of(memory: &Memory, session: &str) -> bool {
    memory
        .provenance
        .as_ref()
        .is_some_and(|provenance| provenance.session_id == session)
}

/// The log has the memory at the index that it names, and everything that became of memories.
async fn is_on_record(stopped: &Stopped, recalled: &Memory) {
    let log = stopped.log().await;
    let index = recalled.provenance.as_ref().unwrap().audit_index.unwrap();
    let saved = &log.records[usize::try_from(index).unwrap()];
    assert_eq!(saved.leaf.kind, "memory.saved");
    assert!(saved.details.contains(&recalled.memory_id), "{}", saved.details);
    assert!(!saved.details.contains("Fulmar"), "{}", saved.details);
    let forgotten = |what: &str| {
        let what = format!("\"what\":\"{what}\"");
        log.of("memory.forgotten")
            .filter(|record| record.details.contains(&what))
            .count()
    };
    assert_eq!(forgotten("hidden"), 2);
    assert_eq!(forgotten("restored"), 2);
    assert_eq!(forgotten("session_erased"), 1);
}

/// Somebody of the same name in another tenant, and somebody else in the same one, as people and as runs.
async fn nobody_else_finds_it(world: &World, client: &mut Client) {
    let keys = client.keys.list_keys(ListKeysRequest::default()).await.unwrap();
    let subject = keys.into_inner().keys.remove(0).subject;
    let gateway = world.channel(ServiceName::Memory, ServiceName::Gateway).unwrap();
    let runtime = world.channel(ServiceName::Memory, ServiceName::Runtime).unwrap();
    for (tenant, subject, finds) in [
        ("local", subject.as_str(), true),
        ("elsewhere", subject.as_str(), false),
        ("local", "mallory", false),
    ] {
        let now = SystemClock.now();
        let person = Person {
            tenant: tenant.parse().unwrap(),
            subject: subject.parse().unwrap(),
            roles: Role::ALL.into(),
            allow_self: true,
        };
        let token = world.minter().person(&person, ServiceName::Memory, now).unwrap();
        let request = SearchMemoriesRequest {
            query: "Fulmar".to_owned(),
            ..SearchMemoriesRequest::default()
        };
        let request = Request::new(request).with_token(token.as_ref());
        let found = PersonalMemoryServiceClient::new(gateway.clone())
            .search_memories(request)
            .await
            .unwrap();
        assert_eq!(!found.into_inner().hits.is_empty(), finds, "{tenant}/{subject}");
        let run = RunPrincipal {
            tenant: person.tenant,
            subject: person.subject,
            agent: "default".parse().unwrap(),
            session: SessionId::generate(&SystemClock),
            run: RunId::generate(&SystemClock),
        };
        let token = world
            .minter()
            .run(&run, now.plus(Duration::from_secs(60)), now)
            .unwrap();
        let request = RecallRequest {
            query: "Fulmar".to_owned(),
            ..RecallRequest::default()
        };
        let request = Request::new(request).with_token(token.as_ref());
        let found = MemoryServiceClient::new(runtime.clone())
            .recall(request)
            .await
            .unwrap();
        assert_eq!(!found.into_inner().hits.is_empty(), finds, "{tenant}/{subject}");
    }
}

async fn runs_go_on_when_meaning_is_out_of_reach(stage: &Stage) {
    leave_tokens_out(stage);
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("no-model");
    let no_model = |config: &mut Config| config.memory.embedding.folder = Some(absent.clone());
    let no_vectors = |config: &mut Config| {
        with_model(config);
        config.memory.vectors.qdrant.url = Some(format!("http://{}:6334", loopback()));
    };
    without_meaning(stage, no_model).await;
    without_meaning(stage, no_vectors).await;
}

/// Recalls by words, and says that it is no more than that.
async fn without_meaning(stage: &Stage, change: impl FnOnce(&mut Config)) {
    let world = start_with(stage, &script(""), |setup| change(&mut setup.config)).await;
    let (mut client, key) = (world.client(), new_id());
    save(&mut client, &key, KEY).await;
    let mut talk = talk(&world).await;
    talk.say(WHERE, Answer::Approve).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    let built = context(&talk);
    assert!(built.recall_fault.contains("by words alone"), "{built:?}");
    assert!(
        built.recalled.iter().any(|memory| memory.memory_id == key),
        "{built:?}"
    );
    let (means, hits) = search(&mut client, WHERE).await;
    assert_eq!(means, RecallMeans::Degraded);
    assert!(finds(&hits, &key));
    world.stop().await.log().await;
}

/// Saved, and acknowledged, one after the other.
async fn many(client: &mut Client) -> Vec<String> {
    let ids: Vec<_> = (0..8).map(|_| new_id()).collect();
    for id in &ids {
        save(client, id, &format!("Remark {id}.")).await;
    }
    ids
}

async fn are_there(client: &mut Client, ids: &[String]) {
    for id in ids {
        let got = memory(client, id).await;
        assert_eq!(got.text, format!("Remark {id}."));
        assert!(got.provenance.unwrap().audit_index.is_some());
        assert!(finds(&search(client, &format!("remark {id}")).await.1, id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_death_of_memory() {
    let mut world = start(Topology::Processes, &script("")).await;
    let mut client = world.client();
    let ids = many(&mut client).await;
    world.kill_and_revive(ServiceName::Memory).await;
    are_there(&mut client, &ids).await;
    let log = world.stop().await.log_after_a_fault().await;
    assert!(log.count("memory.saved") >= ids.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_death_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let (data, model) = (dir.path().join("data"), dir.path().join("model.toml"));
    std::fs::write(&model, script("")).unwrap();
    let client = || Client::at(&DataDir::socket_of(&data)).unwrap();
    let node = Node::up(NODE, &data, &model, &[]).await;
    let ids = many(&mut client()).await;
    node.kill().await;
    let node = Node::up(NODE, &data, &model, &[]).await;
    are_there(&mut client(), &ids).await;
    node.stop().await;
}
