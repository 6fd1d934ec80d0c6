//! Which items a filter lets through.

use crate::index::{Index, Record};
use crate::item::{Filter, Item};

/// Slots and items that the filter lets through.
pub(super) fn slots<'a>(index: &'a Index, filter: &'a Filter) -> impl Iterator<Item = (u32, &'a Record)> {
    let agent = filter.agent.as_deref().map(|name| index.agent_number(name));
    index
        .records()
        .filter(move |(_, record)| agent.is_none_or(|agent| agent == Some(record.agent)))
        .filter(move |(_, record)| {
            in_place(filter, record.session, record.time_ms)
                && (filter.include_superseded || !record.superseded)
                && (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
                && (filter.labels.is_empty() || filter.labels.contains(&record.label))
        })
}

/// Whether the filter lets an item through that the index does not hold.
pub(super) fn lets(filter: &Filter, item: &Item) -> bool {
    in_place(filter, item.session, item.time_ms)
        && filter.agent.as_ref().is_none_or(|agent| *agent == item.agent)
        && (filter.include_superseded || !item.superseded)
        && (filter.kinds.is_empty() || filter.kinds.contains(&item.kind))
        && (filter.labels.is_empty() || filter.labels.contains(&item.label))
}

fn in_place(filter: &Filter, session: Option<uuid::Uuid>, time_ms: i64) -> bool {
    (filter.sessions.is_empty() || session.is_some_and(|id| filter.sessions.contains(&id)))
        && filter.from_ms.is_none_or(|from| time_ms >= from)
        && filter.until_ms.is_none_or(|until| time_ms < until)
}
