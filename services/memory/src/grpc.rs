//! The transport: decodes requests, calls the domain, encodes answers.

mod conversation;
mod convert;
mod journal;

pub(crate) use conversation::ConversationGrpc;
pub(crate) use journal::JournalGrpc;
