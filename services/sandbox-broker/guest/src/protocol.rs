//! The guest protocol: one request from the broker on standard input, a few replies on [`crate::STATUS_FD`].
//!
//! A frame is a little-endian `u32` length, then that many bytes: one kind byte and a body. The broker
//! reads replies written by a program it does not trust, so decoding never allocates more than the
//! limits below, never panics, and refuses whatever it does not know. A forged reply can only misreport
//! the end of the very sandbox that forged it.
//!
//! The request stream stays open while the program runs: its end tells the guest that the broker is gone.

use std::fmt;
use std::io::{self, Read};

/// Longest request, in bytes: programs are at most 1 MiB, the rest is arguments and environment.
pub const MAX_REQUEST: u32 = 4 << 20;
/// Longest reply, in bytes.
pub const MAX_REPLY: u32 = 8 << 10;
/// Most arguments or variables in a request.
const MAX_ITEMS: u32 = 1024;

/// What the broker asks process 1 to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Run a program and report how it ended.
    Run(Run),
    /// Report what can be seen and done from inside. See [`crate::protocol::Reply::Facts`].
    Probe,
}

/// One program to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The interpreter and its arguments; the first is an absolute path.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Where the program's text is written before the interpreter starts.
    pub program_path: String,
    /// The program's text.
    pub program: Vec<u8>,
    /// Most processes and threads at one time.
    pub processes: u64,
    /// Most open files of one process.
    pub open_files: u64,
    /// Largest file, in bytes.
    pub file_size: u64,
}

/// What process 1 reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Limits and filters are on and the interpreter runs: from here on output is the program's.
    Started,
    /// The interpreter ended with this exit code.
    Exited(i32),
    /// The interpreter was killed by this signal.
    Signaled(i32),
    /// The program could not be started; why.
    Failed(String),
    /// Observations of a probe: lines of `name=value`.
    Facts(String),
}

/// A frame that breaks the protocol.
#[derive(Debug)]
pub enum FrameError {
    /// The stream ended inside a frame.
    Truncated,
    /// The frame says it is longer than its kind may be.
    TooLong(u32),
    /// The frame's kind is unknown.
    UnknownKind(u8),
    /// The body does not have the shape of its kind.
    Malformed,
    /// The stream could not be read.
    Io(io::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("stream ended inside a frame"),
            Self::TooLong(length) => write!(f, "frame of {length} bytes is too long"),
            Self::UnknownKind(kind) => write!(f, "unknown frame kind {kind}"),
            Self::Malformed => f.write_str("malformed frame body"),
            Self::Io(_) => f.write_str("could not read the stream"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

const RUN: u8 = 1;
const PROBE: u8 = 2;
const STARTED: u8 = 0x81;
const EXITED: u8 = 0x82;
const SIGNALED: u8 = 0x83;
const FAILED: u8 = 0x84;
const FACTS: u8 = 0x85;

impl Request {
    /// The whole frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Body::default();
        match self {
            Self::Run(run) => {
                body.bytes.push(RUN);
                body.number(run.processes);
                body.number(run.open_files);
                body.number(run.file_size);
                body.text(&run.program_path);
                body.blob(&run.program);
                body.count(run.argv.len());
                for argument in &run.argv {
                    body.text(argument);
                }
                body.count(run.env.len());
                for (name, value) in &run.env {
                    body.text(name);
                    body.text(value);
                }
            }
            Self::Probe => body.bytes.push(PROBE),
        }
        frame(&body.bytes)
    }

    /// Reads one request.
    ///
    /// # Errors
    /// When the stream ends early or the frame breaks the protocol.
    pub fn read(stream: &mut impl Read) -> Result<Self, FrameError> {
        Self::decode(&read_frame(stream, MAX_REQUEST)?)
    }

    fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor { rest: payload };
        let request = match cursor.kind()? {
            PROBE => Self::Probe,
            RUN => Self::Run(Run {
                processes: cursor.number()?,
                open_files: cursor.number()?,
                file_size: cursor.number()?,
                program_path: cursor.text()?,
                program: cursor.blob()?.to_vec(),
                argv: cursor.list(Cursor::text)?,
                env: cursor.list(|c| Ok((c.text()?, c.text()?)))?,
            }),
            kind => return Err(FrameError::UnknownKind(kind)),
        };
        cursor.finish(request)
    }
}

impl Reply {
    /// The whole frame. Texts are cut so that the frame is never refused for its length.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Started => body.push(STARTED),
            Self::Exited(code) => {
                body.push(EXITED);
                body.extend_from_slice(&code.to_le_bytes());
            }
            Self::Signaled(signal) => {
                body.push(SIGNALED);
                body.extend_from_slice(&signal.to_le_bytes());
            }
            Self::Failed(why) => {
                body.push(FAILED);
                body.extend_from_slice(cut(why).as_bytes());
            }
            Self::Facts(lines) => {
                body.push(FACTS);
                body.extend_from_slice(cut(lines).as_bytes());
            }
        }
        frame(&body)
    }

    /// Reads one reply.
    ///
    /// # Errors
    /// When the stream ends early or the frame breaks the protocol.
    pub fn read(stream: &mut impl Read) -> Result<Self, FrameError> {
        Self::decode(&read_frame(stream, MAX_REPLY)?)
    }

    /// Decodes one reply from the payload of a frame, that is without its length.
    ///
    /// # Errors
    /// When the payload breaks the protocol.
    pub fn decode(payload: &[u8]) -> Result<Self, FrameError> {
        let mut cursor = Cursor { rest: payload };
        let reply = match cursor.kind()? {
            STARTED => Self::Started,
            EXITED => Self::Exited(cursor.int()?),
            SIGNALED => Self::Signaled(cursor.int()?),
            FAILED => Self::Failed(cursor.remaining_text()?),
            FACTS => Self::Facts(cursor.remaining_text()?),
            kind => return Err(FrameError::UnknownKind(kind)),
        };
        cursor.finish(reply)
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_REPLY as usize - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Lengths beyond `u32` cannot be framed; they are written as `u32::MAX`, which every reader refuses.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(4 + body.len());
    whole.extend_from_slice(&length(body.len()));
    whole.extend_from_slice(body);
    whole
}

fn read_frame(stream: &mut impl Read, limit: u32) -> Result<Vec<u8>, FrameError> {
    let mut prefix = [0; 4];
    read_all(stream, &mut prefix)?;
    let length = u32::from_le_bytes(prefix);
    if length > limit {
        return Err(FrameError::TooLong(length));
    }
    let mut payload = vec![0; length as usize];
    read_all(stream, &mut payload)?;
    Ok(payload)
}

fn read_all(stream: &mut impl Read, buffer: &mut [u8]) -> Result<(), FrameError> {
    stream.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FrameError::Truncated,
        _ => FrameError::Io(error),
    })
}

#[derive(Default)]
struct Body {
    bytes: Vec<u8>,
}

impl Body {
    fn number(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    fn count(&mut self, value: usize) {
        self.bytes.extend_from_slice(&length(value));
    }

    fn blob(&mut self, value: &[u8]) {
        self.count(value.len());
        self.bytes.extend_from_slice(value);
    }

    fn text(&mut self, value: &str) {
        self.blob(value.as_bytes());
    }
}

struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(FrameError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        self.take(N)?.try_into().map_err(|_| FrameError::Malformed)
    }

    fn kind(&mut self) -> Result<u8, FrameError> {
        let [kind] = self.array()?;
        Ok(kind)
    }

    fn int(&mut self) -> Result<i32, FrameError> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    fn number(&mut self) -> Result<u64, FrameError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn count(&mut self) -> Result<u32, FrameError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn blob(&mut self) -> Result<&'a [u8], FrameError> {
        let count = self.count()?;
        self.take(count as usize)
    }

    fn text(&mut self) -> Result<String, FrameError> {
        utf8(self.blob()?)
    }

    fn remaining_text(&mut self) -> Result<String, FrameError> {
        utf8(self.take(self.rest.len())?)
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T, FrameError>) -> Result<Vec<T>, FrameError> {
        let count = self.count()?;
        if count > MAX_ITEMS {
            return Err(FrameError::Malformed);
        }
        (0..count).map(|_| item(self)).collect()
    }

    fn finish<T>(self, value: T) -> Result<T, FrameError> {
        if self.rest.is_empty() {
            Ok(value)
        } else {
            Err(FrameError::Malformed)
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<String, FrameError> {
    str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| FrameError::Malformed)
}

#[cfg(test)]
mod tests;
