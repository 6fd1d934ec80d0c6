//! REST over gRPC: JSON, server-sent events and raw files in front of services whose protos say where they are found.
//!
//! ```text
//! HTTP request → Table: which method → path, query and body become one message → gRPC request, in process
//! HTTP answer  ← JSON | events | bytes ← messages and status ←──────────────────────┘
//! ```
//!
//! Everything is read from the descriptors and their `google.api.http` options: there is no second list of routes, and
//! the `OpenAPI` document comes from the same [`Table`]. The service behind sees an ordinary gRPC call with the caller's
//! own headers, so who may do what is decided in one place for every form.

mod binding;
mod error;
mod json;
mod messages;
mod openapi;
mod router;
mod spools;
mod stream;
mod table;
mod template;
mod transcoder;
mod transfer;

pub use error::{HttpError, http_status};
pub use json::{MAX_JSON, MessageJson, json_body};
pub use openapi::Info;
pub use table::{Operation, Table, TableError};
pub use transcoder::{MAX_FILE, Sender, Transcoder};
