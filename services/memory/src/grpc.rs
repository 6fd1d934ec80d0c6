//! The transport: decodes requests, calls the domain, encodes answers.

mod conversation;
mod convert;
mod erasure;
mod journal;
mod memories;
mod personal;
mod recall;

pub(crate) use conversation::ConversationGrpc;
pub(crate) use erasure::ErasureGrpc;
pub(crate) use journal::JournalGrpc;
pub(crate) use personal::PersonalGrpc;
pub(crate) use recall::RecallGrpc;
