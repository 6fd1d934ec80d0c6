//! A filter as those understand it who search, and a memory's kind and label as they are numbered for them.

use crate::domain::{Label, MemoryFilter, MemoryKind, Owner};

/// A kind as the index has it.
pub(crate) const fn kind(kind: MemoryKind) -> harombe_retrieval::Kind {
    match kind {
        MemoryKind::Turn => harombe_retrieval::Kind::Turn,
        MemoryKind::Fact => harombe_retrieval::Kind::Fact,
        MemoryKind::Summary => harombe_retrieval::Kind::Summary,
    }
}

/// A kind as the vectors have it, for good.
pub(crate) const fn kind_number(kind: MemoryKind) -> u8 {
    match kind {
        MemoryKind::Turn => 1,
        MemoryKind::Fact => 2,
        MemoryKind::Summary => 3,
    }
}

/// A label as index and vectors have it, for good.
pub(crate) const fn label(label: Label) -> u8 {
    match label {
        Label::Person => 1,
        Label::Model => 2,
        Label::Tool => 3,
        Label::Imported => 4,
    }
}

/// For the index.
pub(super) fn for_ranking(filter: &MemoryFilter) -> harombe_retrieval::Filter {
    harombe_retrieval::Filter {
        agent: filter.agent.clone(),
        sessions: filter.sessions.iter().map(|id| *id.as_uuid()).collect(),
        kinds: filter.kinds.iter().map(|of| kind(*of)).collect(),
        labels: filter.labels.iter().map(|of| label(*of)).collect(),
        from_ms: filter.from.map(|time| time.as_millis()),
        until_ms: filter.until.map(|time| time.as_millis()),
        include_superseded: filter.superseded,
    }
}

/// For the vectors, which know nothing of what is superseded.
pub(super) fn for_vectors(owner: &Owner, filter: &MemoryFilter) -> harombe_vectors::Filter {
    harombe_vectors::Filter {
        tenant: owner.tenant.to_string(),
        subject: owner.subject.to_string(),
        agent: filter.agent.clone(),
        sessions: filter.sessions.iter().map(|id| *id.as_uuid()).collect(),
        kinds: filter.kinds.iter().map(|of| kind_number(*of)).collect(),
        labels: filter.labels.iter().map(|of| label(*of)).collect(),
        from_ms: filter.from.map(|time| time.as_millis()),
        until_ms: filter.until.map(|time| time.as_millis()),
    }
}
