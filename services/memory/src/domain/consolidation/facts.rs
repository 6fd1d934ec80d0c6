//! Which facts say the same, and which of two statements about the same thing holds.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::attributes::{Given, given};
use super::model::{Keyed, Link, Why};
use super::words::{saying, words};
use crate::domain::{Label, Memory, MemoryKind};

/// A fact, read.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    memory: Memory,
    saying: String,
    given: Option<Given>,
}

impl Fact {
    /// A fact that can have a part in a link: one that is found, and holds.
    pub(super) fn read(memory: &Memory) -> Option<Self> {
        let takes_part = memory.kind == MemoryKind::Fact && memory.is_findable() && !memory.is_superseded();
        takes_part.then(|| Self {
            saying: saying(&words(&memory.text)),
            given: given(&memory.text),
            memory: memory.clone(),
        })
    }

    /// What is equal for facts that may belong together. Never of another speaker, nor of another agent: "I" is somebody else
    /// there.
    pub(super) fn keys(&self) -> Vec<i64> {
        let mut keys = vec![self.key("saying", &self.saying)];
        keys.extend(
            self.given
                .as_ref()
                .map(|given| self.key("given", &given.attribute)),
        );
        keys
    }

    pub(super) fn keyed(&self) -> Keyed {
        Keyed {
            seq: self.memory.seq,
            keys: self.keys(),
        }
    }

    fn key(&self, what: &str, text: &str) -> i64 {
        let mut hash = Sha256::new();
        for part in [what, &self.memory.agent, &self.memory.speaker, text] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        digest
            .first_chunk()
            .map_or(0, |first: &[u8; 8]| i64::from_le_bytes(*first))
    }

    /// Whether this one was said later. What was said here is in the order in which it was saved, however clocks went; what came
    /// from elsewhere has its time.
    fn is_later_than(&self, other: &Self) -> bool {
        let imported = [self, other]
            .iter()
            .any(|fact| fact.memory.label == Label::Imported);
        let place = |fact: &Self| match imported {
            true => (fact.memory.time.as_millis(), fact.memory.seq),
            false => (0, fact.memory.seq),
        };
        place(self) > place(other)
    }

    /// Which of the two takes the other's place, if one does.
    fn link(&self, other: &Self) -> Option<Link> {
        let (one, two) = (&self.memory, &other.memory);
        if one.id == two.id || (&one.agent, &one.speaker) != (&two.agent, &two.speaker) {
            return None;
        }
        let (newer, older) = if self.is_later_than(other) {
            (one, two)
        } else {
            (two, one)
        };
        // a label further down means less to be trusted
        let trusted = newer.label <= older.label;
        if self.saying == other.saying {
            let (stays, goes) = if trusted { (newer, older) } else { (older, newer) };
            return Some(Link {
                old: goes.id,
                by: stays.id,
                why: Why::Merged,
            });
        }
        let differ = matches!((&self.given, &other.given), (Some(one), Some(two)) if one.differs(two));
        (differ && trusted).then_some(Link {
            old: older.id,
            by: newer.id,
            why: Why::Superseded,
        })
    }
}

/// The links that come of these facts, one after the other: each among those before it, and those that were there already.
pub(super) fn links(facts: Vec<Fact>, there: &[Fact]) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    let mut holding: HashMap<i64, Vec<Fact>> = HashMap::new();
    let new = facts
        .iter()
        .map(|fact| fact.memory.id)
        .collect::<std::collections::HashSet<_>>();
    let hold = |holding: &mut HashMap<i64, Vec<Fact>>, fact: &Fact| {
        for key in fact.keys() {
            holding.entry(key).or_default().push(fact.clone());
        }
    };
    for fact in there.iter().filter(|fact| !new.contains(&fact.memory.id)) {
        hold(&mut holding, fact);
    }
    for fact in facts {
        let mut holds = true;
        for key in fact.keys() {
            let others = holding.get(&key).into_iter().flatten();
            let found: Vec<Link> = others.filter_map(|other| fact.link(other)).collect();
            for link in found {
                let gone = |links: &[Link], id| links.iter().any(|link| link.old == id);
                if gone(&links, link.old) || gone(&links, link.by) {
                    continue;
                }
                holds &= link.old != fact.memory.id;
                links.push(link);
            }
        }
        let gone: Vec<_> = links.iter().map(|link| link.old).collect();
        for key in fact.keys() {
            if let Some(others) = holding.get_mut(&key) {
                others.retain(|other| !gone.contains(&other.memory.id));
            }
        }
        if holds {
            hold(&mut holding, &fact);
        }
    }
    links
}

#[cfg(test)]
mod tests;
