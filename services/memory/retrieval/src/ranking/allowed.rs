//! Which items a filter lets through.

use crate::index::{Index, Record};
use crate::item::Filter;

/// Slots and items that the filter lets through.
pub(super) fn slots<'a>(index: &'a Index, filter: &'a Filter) -> impl Iterator<Item = (u32, &'a Record)> {
    let agent = filter.agent.as_deref().map(|name| index.agent_number(name));
    index
        .records()
        .filter(move |(_, record)| agent.is_none_or(|agent| agent == Some(record.agent)))
        .filter(move |(_, record)| passes(filter, record))
}

fn passes(filter: &Filter, record: &Record) -> bool {
    (filter.include_superseded || !record.superseded)
        && (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
        && (filter.labels.is_empty() || filter.labels.contains(&record.label))
        && (filter.sessions.is_empty() || record.session.is_some_and(|id| filter.sessions.contains(&id)))
        && filter.from_ms.is_none_or(|from| record.time_ms >= from)
        && filter.until_ms.is_none_or(|until| record.time_ms < until)
}
