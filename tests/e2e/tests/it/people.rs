//! A person is erased: nothing of what they said is anywhere any more, nobody else misses anything, and the log is as sound as
//! before, without what they did being in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use harombe::attach::{Client, Elsewhere};
use harombe_audit::verify::{Known, verify_with};
use harombe_e2e::{Answer, Log, Stage, Stopped, Talk, World, reason_of};
use harombe_error::Reason;
use harombe_proto::agent::v1::{
    CreateKeyRequest, ErasePersonRequest, ErasePersonResponse, ListKeysRequest, ListSessionsRequest,
};
use harombe_proto::audit::v1::query_response::Item;
use harombe_proto::audit::v1::{Entry, GetCheckpointRequest, GetInclusionProofRequest, QueryRequest};
use harombe_proto::hitl::v1::ListRequest;
use harombe_proto::memory::v1::{ListMemoriesRequest, MemoryFilter};
use harombe_testkit::{files_under, holding, loopback};
use harombe_types::{MemoryId, SystemClock};
use tonic::Request;

use crate::memories::{leave_tokens_out, save};
use crate::support::{call, ending, shell, start_with, until};

both!(a_person_who_is_erased_has_never_been_here_but_for_the_log);

/// What only ann says and saves, and no script.
const SECRET: &str = "Wilhelmina keeps the ledger beneath the staircase";

fn script() -> String {
    [
        call("tool = \"file_write\"\narguments = { path = \"a.txt\", content = \"private\" }"),
        shell("echo done > effect.txt"),
        "[[turn]]\ntext = \"Done.\"\n".to_owned(),
    ]
    .concat()
}

/// Somebody who comes over the network with a key that the admin has made.
async fn visitor(world: &World, admin: &mut Client, subject: &str, dir: &Path) -> Client {
    let request = CreateKeyRequest {
        name: format!("{subject}'s"),
        subject: subject.to_owned(),
        roles: vec!["user".to_owned()],
        ..CreateKeyRequest::default()
    };
    let key = admin.keys.create_key(request).await.unwrap().into_inner();
    let file = dir.join(key.key.unwrap().key_id);
    std::fs::write(&file, key.api_key).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (address, _) = until("the door", async || world.door()).await;
    let server = Elsewhere {
        url: format!("http://{address}").parse().unwrap(),
        key_file: Some(file),
        ca: None,
    };
    Client::elsewhere(&server).unwrap()
}

async fn remember(client: &mut Client, text: &str) {
    save(client, &MemoryId::generate(&SystemClock).to_string(), text).await;
}

/// What a person has: their sessions, and texts of their memories.
async fn belongings(client: &mut Client) -> (usize, Vec<String>) {
    let sessions = client.agent.list_sessions(ListSessionsRequest::default());
    let sessions = sessions.await.unwrap().into_inner().sessions;
    let everything = ListMemoriesRequest {
        filter: Some(MemoryFilter {
            include_superseded: true,
            ..MemoryFilter::default()
        }),
        include_hidden: true,
        limit: 100,
        ..ListMemoriesRequest::default()
    };
    let memories = client.memories.list_memories(everything).await.unwrap();
    let texts = memories.into_inner().memories.into_iter();
    (sessions.len(), texts.map(|memory| memory.text).collect())
}

async fn erase(admin: &mut Client, subject: &str) -> ErasePersonResponse {
    let mut request = Request::new(ErasePersonRequest {
        subject: subject.to_owned(),
    });
    request.set_timeout(Duration::from_secs(120));
    admin.people.erase_person(request).await.unwrap().into_inner()
}

/// The entries of a run, as an auditor is shown them.
async fn entries(admin: &mut Client, run: &str) -> Vec<Entry> {
    let request = QueryRequest {
        run_id: run.to_owned(),
        ..QueryRequest::default()
    };
    let mut answers = admin.audit.query(request).await.unwrap().into_inner();
    let mut entries = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        if let Some(Item::Entry(entry)) = answer.item {
            entries.push(entry);
        }
    }
    entries
}

/// A run of theirs that has ended, with all that it needed, and one that waits for an approver.
async fn at_work(admin: &mut Client, ann: &Client) -> String {
    let mut talk = Talk::begin(ann.clone()).await.unwrap();
    let mut stream = talk.send("1", SECRET).await.unwrap();
    let asked = talk.until(&mut stream, "approval_required").await.unwrap();
    decide(admin, &asked.run_id).await;
    talk.follow(stream, Answer::Leave).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    let mut waiting = Talk::begin(ann.clone()).await.unwrap();
    let mut stream = waiting.send("1", SECRET).await.unwrap();
    waiting.until(&mut stream, "approval_required").await.unwrap();
    talk.run_id().to_owned()
}

/// Says yes to what that run waits for.
async fn decide(admin: &mut Client, run: &str) {
    let listed = admin.approvals.list(ListRequest::default()).await.unwrap();
    let approvals = listed.into_inner().approvals;
    let approval = approvals.iter().find(|approval| approval.run_id == run).unwrap();
    let approved = harombe_proto::types::v1::Decision::Approved;
    admin
        .decide(&approval.approval_id, approved, false, "")
        .await
        .unwrap();
}

async fn a_person_who_is_erased_has_never_been_here_but_for_the_log(stage: &Stage) {
    leave_tokens_out(stage);
    // How many turns are remembered by then differs from world to world.
    stage.leave_out("memory.forgotten");
    let world = start_with(stage, &script(), |setup| {
        setup.config.gateway.public.listen = Some((loopback(), 7400).into());
    })
    .await;
    let dir = tempfile::tempdir().unwrap();
    let mut admin = world.client();
    let mut ann = visitor(&world, &mut admin, "ann", dir.path()).await;
    let mut bob = visitor(&world, &mut admin, "bob", dir.path()).await;
    remember(&mut ann, SECRET).await;
    remember(&mut bob, "The ferry leaves at noon.").await;
    Talk::begin(bob.clone()).await.unwrap();
    let run = at_work(&mut admin, &ann).await;
    let before = entries(&mut admin, &run).await;
    assert!(
        before.iter().any(|entry| entry.details.contains("effect.txt")),
        "{before:?}"
    );
    let checkpoint = admin.audit.get_checkpoint(GetCheckpointRequest {}).await.unwrap();
    let checkpoint = checkpoint.into_inner().checkpoint;
    let of_bob = belongings(&mut bob).await;
    assert_eq!(workspaces(&world), 2);

    let erased = erase(&mut admin, "ann").await;
    assert_eq!(
        (erased.keys, erased.sessions, erased.workspaces),
        (1, 2, 2),
        "{erased:?}"
    );
    assert_eq!((erased.approvals, erased.data_keys), (2, 1), "{erased:?}");
    assert!(erased.memories >= 1, "{erased:?}");
    let refused = ann.agent.list_sessions(ListSessionsRequest::default()).await;
    assert_eq!(reason_of(&refused.unwrap_err()), Reason::Unauthenticated);
    assert_eq!(workspaces(&world), 0);
    let everything = ListRequest {
        include_decided: true,
        ..ListRequest::default()
    };
    let asked = admin.approvals.list(everything).await.unwrap().into_inner();
    assert_eq!(asked.approvals, Vec::new());
    assert_eq!(belongings(&mut bob).await, of_bob);
    is_sound_and_says_nothing(&mut admin, &run, &before).await;

    assert_eq!(erase(&mut admin, "ann").await, ErasePersonResponse::default());
    // Somebody of that name begins with nothing.
    let mut again = visitor(&world, &mut admin, "ann", dir.path()).await;
    assert_eq!(belongings(&mut again).await, (0, Vec::new()));
    remember(&mut again, "The tide turns at four.").await;
    let keys = admin.keys.list_keys(ListKeysRequest::default()).await.unwrap();
    let keys = keys.into_inner().keys.into_iter();
    assert_eq!(keys.filter(|key| key.subject == "ann").count(), 2);

    let stopped = world.stop().await;
    assert_eq!(holding(stopped.root(), SECRET), Vec::<std::path::PathBuf>::new());
    is_verified(&stopped, &checkpoint, &run).await;
}

/// How many workspaces there are, by what says whose they are.
fn workspaces(world: &World) -> usize {
    let folder = world.data().join("broker/owners");
    files_under(&folder).len()
}

/// The entries are the same, in a log that proves them, and their details open for nobody.
async fn is_sound_and_says_nothing(admin: &mut Client, run: &str, before: &[Entry]) {
    let after = entries(admin, run).await;
    assert_eq!(after.len(), before.len());
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.index, &before.leaf), (after.index, &after.leaf));
        assert_eq!(after.details, "", "{after:?}");
        let proof = GetInclusionProofRequest {
            index: after.index,
            tree_size: 0,
        };
        let proven = admin.audit.get_inclusion_proof(proof).await.unwrap().into_inner();
        assert_eq!(proven.leaf, after.leaf);
    }
}

/// The log's files say the same to whoever has kept a checkpoint of before, and name who erased whom.
async fn is_verified(stopped: &Stopped, checkpoint: &str, run: &str) {
    let log = stopped.log().await;
    let kept = Known {
        checkpoint: Some(checkpoint.as_bytes().to_vec()),
        ..Known::default()
    };
    let files = stopped.data().join("audit");
    let report = verify_with(&files, kept).await;
    assert_eq!(report.unwrap().entries, log.report.entries);
    let theirs = log.records.iter().filter(|record| record.leaf.run == run);
    let theirs: Vec<_> = theirs.collect();
    assert!(theirs.len() > 5, "{theirs:?}");
    for record in &theirs {
        assert_eq!(record.details, "", "{record:?}");
    }
    for kind in ["memory.forgotten", "approval.erased", "data_key.erased"] {
        let records = told(&log, kind);
        assert!(!records.is_empty(), "{kind}");
        for (principal, details) in records {
            assert_ne!(principal, "person:ann", "{kind}");
            assert!(
                details.contains("\"ann\"") && !details.contains(SECRET),
                "{kind}: {details}"
            );
        }
    }
}

fn told(log: &Log, kind: &str) -> Vec<(String, String)> {
    let records = log.of(kind);
    records
        .map(|record| (record.leaf.principal.clone(), record.details.clone()))
        .collect()
}
