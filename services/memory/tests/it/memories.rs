//! What is remembered of a person: nobody else sees it, and what cannot be kept is refused.

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_trail::Kind;
use tonic::Request;

use crate::person::{
    call, erase, export, fact, forget, get, import, list, new_id, of_run, remember, restore, save, saved,
    stats, texts,
};
use crate::rig::{Backend, Rig, answer, refused};

#[tokio::test]
async fn what_a_person_saves_is_on_record_and_theirs_alone() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    let memory = saved(&rig, &ann, "I am allergic to nuts").await;
    let provenance = memory.provenance.clone().expect("provenance");
    assert_eq!(
        (memory.kind(), provenance.label()),
        (pb::MemoryKind::Fact, pb::TrustLabel::Person)
    );
    assert_eq!(
        (memory.speaker.as_str(), provenance.agent.as_str()),
        ("ann", "default")
    );
    assert_eq!((memory.importance, provenance.audit_index), (0.5, Some(0)));
    let events = rig.sink.of_kind(Kind::MemorySaved);
    assert_eq!((events.len(), events[0].principal.as_str()), (1, "person:ann"));
    assert!(events[0].details.contains(&memory.memory_id));
    assert!(!events[0].details.contains("nuts"), "{}", events[0].details);
    assert_eq!(get(&rig, &ann, &memory.memory_id).await.expect("memory"), memory);

    for stranger in [rig.person("acme", "bob"), rig.person("other", "ann")] {
        let id = &memory.memory_id;
        let nothing = |result: Result<pb::Memory, Failure>| refused(result, Code::NotFound, Reason::NotFound);
        nothing(get(&rig, &stranger, id).await);
        nothing(forget(&rig, &stranger, id).await);
        nothing(restore(&rig, &stranger, id).await);
        refused(erase(&rig, &stranger, id).await, Code::NotFound, Reason::NotFound);
        let instead = pb::SaveMemoryRequest {
            supersedes: id.clone(),
            ..fact("no")
        };
        nothing(save(&rig, &stranger, instead).await);
        assert!(texts(&rig, &stranger).await.is_empty());
        assert!(export(&rig, &stranger).await.is_empty());
        assert_eq!(
            stats(&rig, &stranger).await,
            pb::GetMemoryStatsResponse::default()
        );
        // the same id is another memory
        let theirs = pb::SaveMemoryRequest {
            memory_id: id.clone(),
            ..fact("theirs")
        };
        assert_eq!(save(&rig, &stranger, theirs).await.expect("saved").text, "theirs");
    }
    assert_eq!(texts(&rig, &ann).await, ["I am allergic to nuts"]);
}

#[tokio::test]
async fn the_same_memory_is_saved_once() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    let request = fact("once");
    let first = save(&rig, &ann, request.clone()).await.expect("saved");
    assert_eq!(save(&rig, &ann, request.clone()).await.expect("saved"), first);
    let other = pb::SaveMemoryRequest {
        text: "other words".to_owned(),
        ..request
    };
    assert_eq!(save(&rig, &ann, other).await.expect("saved"), first);
    assert_eq!(rig.sink.of_kind(Kind::MemorySaved).len(), 1);
    assert_eq!(stats(&rig, &ann).await.facts, 1);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_with_what_to_do() {
    let rig = Rig::with(|config| {
        config.limits.memories_per_subject = 2;
        config.limits.memories_per_tenant = 3;
    })
    .await;
    let (ann, bob) = (rig.ann(), rig.person("acme", "bob"));
    let long = save(&rig, &ann, fact(&"x".repeat(1 << 20))).await;
    let words = refused(long, Code::InvalidArgument, Reason::LimitExceeded);
    assert!(
        words.contains("16384") && words.contains("several memories"),
        "{words}"
    );
    for text in ["", "  \n", "a\u{0}b", "\u{1b}[2J"] {
        refused(
            save(&rig, &ann, fact(text)).await,
            Code::InvalidArgument,
            Reason::InvalidArgument,
        );
    }
    for importance in [-0.1, 1.1, f64::NAN] {
        let request = pb::SaveMemoryRequest {
            importance: Some(importance),
            ..fact("x")
        };
        refused(
            save(&rig, &ann, request).await,
            Code::InvalidArgument,
            Reason::InvalidArgument,
        );
    }
    let token = pb::ListMemoriesRequest {
        page_token: "page 2".to_owned(),
        ..pb::ListMemoriesRequest::default()
    };
    refused(
        call!(rig, &ann, list_memories, token),
        Code::InvalidArgument,
        Reason::InvalidArgument,
    );

    let kept = saved(&rig, &ann, &"x".repeat(16 * 1024)).await;
    saved(&rig, &ann, "second").await;
    let words = refused(
        save(&rig, &ann, fact("third")).await,
        Code::ResourceExhausted,
        Reason::LimitExceeded,
    );
    assert!(words.contains("memory.limits.memories_per_subject"), "{words}");
    saved(&rig, &bob, "bob's").await;
    let words = refused(
        save(&rig, &bob, fact("fourth")).await,
        Code::ResourceExhausted,
        Reason::LimitExceeded,
    );
    assert!(words.contains("memory.limits.memories_per_tenant"), "{words}");
    erase(&rig, &ann, &kept.memory_id).await.expect("erased");
    saved(&rig, &bob, "there is room again").await;
}

#[tokio::test]
async fn a_memory_takes_anothers_place_and_neither_is_lost() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    let old = saved(&rig, &ann, "I live in Rome").await;
    let instead = |text: &str| pb::SaveMemoryRequest {
        supersedes: old.memory_id.clone(),
        ..fact(text)
    };
    let new = save(&rig, &ann, instead("I live in Köln")).await.expect("saved");
    let second = save(&rig, &ann, instead("I live in Oslo")).await;
    refused(second, Code::FailedPrecondition, Reason::MemorySuperseded);
    let old = get(&rig, &ann, &old.memory_id).await.expect("memory");
    assert_eq!(
        (&old.superseded_by, old.text.as_str()),
        (&new.memory_id, "I live in Rome")
    );
    assert_eq!(old.valid_to, new.time);
    assert_eq!(texts(&rig, &ann).await, ["I live in Köln"]);
    let filter = pb::MemoryFilter {
        include_superseded: true,
        ..pb::MemoryFilter::default()
    };
    let all = pb::ListMemoriesRequest {
        filter: Some(filter),
        ..pb::ListMemoriesRequest::default()
    };
    assert_eq!(list(&rig, &ann, all).await.len(), 2);
    assert_eq!(stats(&rig, &ann).await.superseded, 1);
}

#[tokio::test]
async fn a_run_puts_nothing_in_the_place_of_what_its_person_said() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    let old = saved(&rig, &ann, "My account is DE1").await;
    let run = rig.run_in(rig.new_session().await);
    for label in [pb::TrustLabel::Model, pb::TrustLabel::Tool] {
        let request = pb::RememberRequest {
            supersedes: old.memory_id.clone(),
            label: label.into(),
            ..of_run("Ann's account is DE2")
        };
        let words = refused(
            remember(&rig, &run, request).await,
            Code::FailedPrecondition,
            Reason::MemoryMoreTrusted,
        );
        assert!(words.contains("without supersedes"), "{words}");
    }
    assert_eq!(texts(&rig, &ann).await, ["My account is DE1"]);
    // beside it, it may stand; and what the model saved itself it may correct
    let beside = remember(&rig, &run, of_run("Ann's account is DE2"))
        .await
        .expect("saved");
    let corrected = pb::RememberRequest {
        supersedes: beside.memory_id,
        ..of_run("Ann's account is DE3")
    };
    remember(&rig, &run, corrected).await.expect("saved");
    assert_eq!(
        texts(&rig, &ann).await,
        ["Ann's account is DE3", "My account is DE1"]
    );
}

#[tokio::test]
async fn pages_go_on_where_the_last_ended() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    for batch in 0..2 {
        let memories = (0..150).map(|number| pb::Memory {
            memory_id: new_id(),
            kind: pb::MemoryKind::Fact.into(),
            text: format!("{batch} {number} {}", "x".repeat(16_000)),
            importance: 0.5,
            ..pb::Memory::default()
        });
        import(&rig, &ann, memories.collect()).await.expect("import");
    }
    let mut pages = Vec::new();
    let mut token = String::new();
    loop {
        let request = pb::ListMemoriesRequest {
            limit: 1000,
            page_token: token,
            ..pb::ListMemoriesRequest::default()
        };
        let page = call!(rig, &ann, list_memories, request).expect("page");
        pages.push(page.memories);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    // more than fits a message of 4 MiB
    assert!(pages.len() > 1);
    let mut said: Vec<_> = pages.concat().into_iter().map(|memory| memory.text).collect();
    said.reverse();
    let expected: Vec<_> = export(&rig, &ann)
        .await
        .into_iter()
        .map(|memory| memory.text)
        .collect();
    assert_eq!(said.len(), 300);
    assert_eq!(said, expected);
    let two = pb::ListMemoriesRequest {
        limit: 2,
        ..pb::ListMemoriesRequest::default()
    };
    let page = call!(rig, &ann, list_memories, two).expect("page");
    assert_eq!((page.memories.len(), page.next_page_token.is_empty()), (2, false));
}

#[tokio::test]
async fn many_callers_share_commits() {
    let rig = Rig::new().await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..64 {
        let (mut gateway, token) = (rig.as_gateway(), rig.ann());
        let request = Request::new(fact(&number.to_string())).with_token(token);
        tasks.spawn(async move { answer(gateway.personal.save_memory(request).await).expect("saved") });
    }
    let all = tasks.join_all().await;
    let mut indexes: Vec<_> = all
        .into_iter()
        .map(|saved| {
            saved
                .memory
                .expect("memory")
                .provenance
                .expect("provenance")
                .audit_index
        })
        .collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..64).map(Some).collect::<Vec<_>>());
    // on Postgres an owner's changes come one after the other
    if let Backend::Sqlite = crate::BACKEND {
        let batches = rig.sink.batches();
        assert!(batches.len() < 64, "{batches:?}");
    }
    assert_eq!(stats(&rig, &rig.ann()).await.facts, 64);
}
