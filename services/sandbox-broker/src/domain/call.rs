//! The calls that this service performs, read from the canonical bytes and from nothing else.

use harombe_canonical::CanonicalCall;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::language::{Language, UnknownLanguage};
use super::limits::{LimitsRequest, MIB};
use crate::workspace::{InvalidPath, WorkspacePath};

/// Longest program, in bytes.
pub const MAX_CODE: usize = 1 << 20;
/// Most bytes of a file that a model reads, or writes, in one call.
pub const MAX_TEXT: u64 = MIB;
/// Most bytes of an upload or a download.
pub const MAX_TRANSFER: u64 = 64 * MIB;

/// `code_execute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeExecute {
    /// What the code is written in.
    pub language: Language,
    /// The program.
    pub code: String,
    /// The limits that the call asks for.
    pub limits: LimitsRequest,
}

/// `file_read`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRead {
    /// Which file.
    pub path: WorkspacePath,
    /// Refuse files with more bytes.
    pub limit: u64,
    /// What is sent.
    pub form: ReadForm,
}

/// What is sent of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadForm {
    /// Text without its secrets, for a model.
    Redacted,
    /// The file's own bytes, for the user.
    Raw,
}

/// `file_write`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileWrite {
    /// Which file.
    pub path: WorkspacePath,
    /// What is written.
    pub source: WriteSource,
}

/// Where a file's content comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteSource {
    /// The call itself.
    Content(String),
    /// What follows the call, and must match this.
    Upload {
        /// In bytes.
        size: u64,
        /// Of the content.
        sha256: [u8; 32],
    },
}

/// `file_list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileList {
    /// Which directory.
    pub path: WorkspacePath,
}

/// A call whose arguments are not those of its tool.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCall {
    /// Unknown, missing or mistyped members.
    #[error("{0}")]
    Arguments(String),
    /// No such language.
    #[error(transparent)]
    Language(#[from] UnknownLanguage),
    /// Not a path of a workspace.
    #[error(transparent)]
    Path(#[from] InvalidPath),
    /// Too much of something.
    #[error("{name} must be at most {most}")]
    TooMuch {
        /// Of what.
        name: &'static str,
        /// The most, in bytes where it is a size.
        most: u64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeExecuteArgs {
    language: String,
    code: String,
    timeout_s: Option<u64>,
    memory_mb: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileReadArgs {
    path: String,
    max_bytes: Option<u64>,
    #[serde(default)]
    raw: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWriteArgs {
    path: String,
    content: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileListArgs {
    #[serde(default)]
    path: String,
}

/// A call of one tool.
pub trait ToolCall: Sized {
    /// The tool's name.
    const TOOL: &'static str;

    /// From the call's arguments.
    ///
    /// # Errors
    /// Says what is wrong with them.
    fn from_call(call: &CanonicalCall) -> Result<Self, InvalidCall>;

    /// Bytes that the workspace must have room for.
    fn needs(&self) -> u64 {
        0
    }

    /// What of the arguments is recorded in the audit log. The whole call is recorded where it is authorised.
    fn summary(&self) -> serde_json::Value;
}

fn arguments<T: DeserializeOwned>(call: &CanonicalCall) -> Result<T, InvalidCall> {
    T::deserialize(call.args()).map_err(|error| InvalidCall::Arguments(error.to_string()))
}

fn at_most(name: &'static str, value: u64, most: u64) -> Result<u64, InvalidCall> {
    if value > most {
        Err(InvalidCall::TooMuch { name, most })
    } else {
        Ok(value)
    }
}

impl ToolCall for CodeExecute {
    const TOOL: &'static str = "code_execute";

    fn from_call(call: &CanonicalCall) -> Result<Self, InvalidCall> {
        let args: CodeExecuteArgs = arguments(call)?;
        at_most("code", args.code.len() as u64, MAX_CODE as u64)?;
        let limits = LimitsRequest {
            memory: args.memory_mb.map(|mb| mb.saturating_mul(MIB)),
            time_millis: args.timeout_s.map(|s| s.saturating_mul(1000)),
            ..LimitsRequest::default()
        };
        Ok(Self {
            language: args.language.parse()?,
            code: args.code,
            limits,
        })
    }

    fn summary(&self) -> serde_json::Value {
        serde_json::json!({ "language": self.language.as_str(), "code_bytes": self.code.len() })
    }
}

impl ToolCall for FileRead {
    const TOOL: &'static str = "file_read";

    fn from_call(call: &CanonicalCall) -> Result<Self, InvalidCall> {
        let args: FileReadArgs = arguments(call)?;
        let (form, most) = if args.raw {
            (ReadForm::Raw, MAX_TRANSFER)
        } else {
            (ReadForm::Redacted, MAX_TEXT)
        };
        let limit = at_most("max_bytes", args.max_bytes.unwrap_or(most), most)?;
        Ok(Self {
            path: WorkspacePath::parse_file(&args.path)?,
            limit,
            form,
        })
    }

    fn summary(&self) -> serde_json::Value {
        serde_json::json!({ "path": self.path.as_str(), "raw": self.form == ReadForm::Raw })
    }
}

impl ToolCall for FileWrite {
    const TOOL: &'static str = "file_write";

    fn from_call(call: &CanonicalCall) -> Result<Self, InvalidCall> {
        let args: FileWriteArgs = arguments(call)?;
        let source = match (args.content, args.size, args.sha256) {
            (Some(content), None, None) => {
                at_most("content", content.len() as u64, MAX_TEXT)?;
                WriteSource::Content(content)
            }
            (None, Some(size), Some(sha256)) => {
                at_most("size", size, MAX_TRANSFER)?;
                let bad =
                    || InvalidCall::Arguments("sha256 must be 64 lower-case hexadecimal digits".to_owned());
                WriteSource::Upload {
                    size,
                    sha256: sha256_of_hex(&sha256).ok_or_else(bad)?,
                }
            }
            _ => {
                let what = "either content, or size and sha256 of what follows, must be given";
                return Err(InvalidCall::Arguments(what.to_owned()));
            }
        };
        Ok(Self {
            path: WorkspacePath::parse_file(&args.path)?,
            source,
        })
    }

    fn needs(&self) -> u64 {
        match &self.source {
            WriteSource::Content(content) => content.len() as u64,
            WriteSource::Upload { size, .. } => *size,
        }
    }

    fn summary(&self) -> serde_json::Value {
        serde_json::json!({ "path": self.path.as_str(), "bytes": self.needs() })
    }
}

impl ToolCall for FileList {
    const TOOL: &'static str = "file_list";

    fn from_call(call: &CanonicalCall) -> Result<Self, InvalidCall> {
        let args: FileListArgs = arguments(call)?;
        Ok(Self {
            path: WorkspacePath::parse(&args.path)?,
        })
    }

    fn summary(&self) -> serde_json::Value {
        serde_json::json!({ "path": self.path.as_str() })
    }
}

fn sha256_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    // One way to write each: the call is what was granted, byte for byte.
    (hex::encode(bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests;
