//! What is taken along, and brought along.

use harombe_error::{Code, Reason};
use harombe_proto::memory::v1 as pb;
use harombe_trail::Kind;
use harombe_types::{RunId, SessionId, SystemClock};

use crate::person::{export, fact, forget, import, list, new_id, save, saved, texts};
use crate::rig::{Rig, refused};

#[tokio::test]
async fn what_is_exported_can_be_imported_elsewhere() {
    let rig = Rig::new().await;
    let (ann, bob) = (rig.ann(), rig.person("acme", "bob"));
    let old = saved(&rig, &ann, "I live in Rome").await;
    let instead = pb::SaveMemoryRequest {
        supersedes: old.memory_id.clone(),
        importance: Some(0.9),
        ..fact("I live in Köln")
    };
    save(&rig, &ann, instead).await.expect("saved");
    let hidden = saved(&rig, &ann, "hidden").await;
    forget(&rig, &ann, &hidden.memory_id).await.expect("hidden");
    let exported = export(&rig, &ann).await;
    let said: Vec<_> = exported.iter().map(|memory| memory.text.as_str()).collect();
    assert_eq!(said, ["I live in Rome", "I live in Köln", "hidden"]);
    assert_eq!(
        import(&rig, &ann, exported.clone()).await.expect("import"),
        (0, 3)
    );
    assert_eq!(
        import(&rig, &bob, exported.clone()).await.expect("import"),
        (3, 0)
    );
    assert_eq!(
        import(&rig, &bob, exported.clone()).await.expect("import"),
        (0, 3)
    );
    // all but where it is from is as it was
    let bare = |memories: Vec<pb::Memory>| -> Vec<pb::Memory> {
        let bare = |memory| pb::Memory {
            provenance: None,
            ..memory
        };
        memories.into_iter().map(bare).collect()
    };
    let theirs = export(&rig, &bob).await;
    for memory in &theirs {
        let provenance = memory.provenance.clone().expect("provenance");
        assert_eq!(provenance.label(), pb::TrustLabel::Imported);
        assert!(provenance.run_id.is_empty() && provenance.audit_index.is_some());
    }
    assert_eq!(bare(theirs), bare(exported));
    assert_eq!(texts(&rig, &bob).await, ["I live in Köln"]);
}

/// A turn of nobody knows when.
fn elsewhere(text: &str) -> pb::Memory {
    pb::Memory {
        memory_id: new_id(),
        kind: pb::MemoryKind::Turn.into(),
        text: text.to_owned(),
        importance: 0.5,
        ..pb::Memory::default()
    }
}

fn at(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

#[tokio::test]
async fn an_import_is_taken_whole_or_not_at_all() {
    let rig = Rig::with(|config| config.limits.memories_per_subject = 4).await;
    let ann = rig.ann();
    let twin = elsewhere("twin");
    let bad = [
        vec![],
        (0..257).map(|_| elsewhere("x")).collect(),
        vec![twin.clone(), twin],
        vec![elsewhere("fine"), elsewhere("a\u{1}b")],
        vec![pb::Memory {
            kind: 0,
            ..elsewhere("x")
        }],
        vec![pb::Memory {
            importance: 2.0,
            ..elsewhere("x")
        }],
        vec![pb::Memory {
            memory_id: "7".to_owned(),
            ..elsewhere("x")
        }],
        vec![pb::Memory {
            superseded_by: "7".to_owned(),
            ..elsewhere("x")
        }],
        vec![pb::Memory {
            time: at(i64::MAX),
            ..elsewhere("x")
        }],
        vec![pb::Memory {
            time: at(-62_135_596_801),
            ..elsewhere("x")
        }],
        vec![pb::Memory {
            speaker: "x".repeat(257),
            ..elsewhere("x")
        }],
    ];
    for memories in bad {
        refused(
            import(&rig, &ann, memories).await,
            Code::InvalidArgument,
            Reason::InvalidArgument,
        );
    }
    let five = (0..5).map(|_| elsewhere("x")).collect();
    refused(
        import(&rig, &ann, five).await,
        Code::ResourceExhausted,
        Reason::LimitExceeded,
    );
    assert!(export(&rig, &ann).await.is_empty());
}

#[tokio::test]
async fn what_an_import_says_of_itself_is_not_believed() {
    let rig = Rig::new().await;
    let ann = rig.ann();
    let session = SessionId::generate(&SystemClock).to_string();
    let of_session = |ordinal| pb::Provenance {
        session_id: session.clone(),
        run_id: RunId::generate(&SystemClock).to_string(),
        label: pb::TrustLabel::Person.into(),
        audit_index: Some(99),
        ordinal,
        ..pb::Provenance::default()
    };
    let good = vec![
        pb::Memory {
            time: at(253_402_300_799),
            provenance: Some(of_session(7)),
            ..elsewhere("last")
        },
        pb::Memory {
            time: at(-62_135_596_800),
            provenance: Some(of_session(0)),
            ..elsewhere("first")
        },
    ];
    assert_eq!(import(&rig, &ann, good).await.expect("import"), (2, 0));
    let listed = list(&rig, &ann, pb::ListMemoriesRequest::default()).await;
    let provenance = listed[0].provenance.clone().expect("provenance");
    assert_eq!((listed[0].text.as_str(), provenance.ordinal), ("first", 8));
    assert_eq!(
        (provenance.label(), provenance.session_id),
        (pb::TrustLabel::Imported, session)
    );
    assert_eq!(rig.sink.of_kind(Kind::MemorySaved).len(), 1);
}
