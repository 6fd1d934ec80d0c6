//! The transport: decodes requests, calls the domain, encodes answers.

mod conversation;
mod convert;
mod journal;
mod memories;
mod personal;
mod recall;

pub(crate) use conversation::ConversationGrpc;
pub(crate) use journal::JournalGrpc;
pub(crate) use personal::PersonalGrpc;
pub(crate) use recall::RecallGrpc;
