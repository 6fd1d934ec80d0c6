//! Finds secrets in text and takes them out before the text is stored, shown or given to a model.
//!
//! One engine serves sandbox output, audit details and tool results. An Aho-Corasick pass over the text
//! finds anchors; each anchor starts one bounded check, so the time is linear in the input. Text is
//! judged line by line (a private key block is the only thing that spans lines), which is why
//! [`Redactor`] gives the same answer for a stream, however it is cut, as [`Scanner::redact`] for the whole.

mod assign;
mod benign;
mod candidate;
mod checksum;
mod decode;
mod json;
mod line;
mod machine;
mod marker;
mod names;
mod pem;
mod providers;
mod redactor;
mod rule;
mod scanner;
mod url;

pub use marker::{marker, replaced};
pub use names::is_sensitive as is_sensitive_name;
pub use redactor::Redactor;
pub use scanner::{Finding, Redacted, Scanner};
