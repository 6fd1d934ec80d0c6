//! Whose words may take the place of whose.

use super::memories::{fact, kept, saving};
use super::place::{Place, on_each};
use super::*;
use crate::domain::{Actor, Label, MemoryKind, NewMemory, Saving};

on_each![
    a_run_supersedes_nothing_that_is_trusted_more,
    only_facts_are_superseded
];

const LABELS: [Label; 4] = [Label::Person, Label::Model, Label::Tool, Label::Imported];

async fn a_run_supersedes_nothing_that_is_trusted_more(place: Place) {
    let (sessions, store) = place.both().await;
    let run = run_in(session(&*sessions).await);
    for old in LABELS {
        for new in LABELS {
            let there = NewMemory {
                label: old,
                ..fact("lives in Rome")
            };
            kept(&*store, &ann(), vec![there.clone()]).await;
            let instead = || NewMemory {
                label: new,
                supersedes: Some(there.id),
                ..fact("lives at the attacker's")
            };
            let by_run = Saving {
                actor: Actor::Run {
                    agent: run.agent.clone(),
                    session: run.session,
                    run: run.run,
                },
                ..saving(&ann(), vec![instead()])
            };
            let saved = store.save(by_run).await;
            if new > old {
                assert!(
                    matches!(&saved, Err(Error::MoreTrusted { old, .. }) if *old == there.id),
                    "{old:?} {new:?} {saved:?}"
                );
                assert!(!store.memory(&ann(), there.id).await.unwrap().is_superseded());
                // the person decides
                store.save(saving(&ann(), vec![instead()])).await.unwrap();
            } else {
                saved.unwrap();
            }
        }
    }
}

async fn only_facts_are_superseded(place: Place) {
    let store = place.memories().await;
    for kind in [MemoryKind::Turn, MemoryKind::Summary] {
        let there = NewMemory { kind, ..fact("said") };
        kept(&*store, &ann(), vec![there.clone()]).await;
        let instead = NewMemory {
            supersedes: Some(there.id),
            ..fact("something else")
        };
        let refused = store.save(saving(&ann(), vec![instead])).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    }
}
