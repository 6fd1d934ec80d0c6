//! The canonical call: the exact bytes that are classified, approved, granted, redeemed and executed. Every service that
//! acts on a call reads it from these bytes and from nothing else.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Digest, Error, parse_canonical, to_vec};

const VERSION: i64 = 1;

/// What a call is made of. Ids are the text they have on the wire; `args` must be an object.
#[derive(Debug, Clone, Copy)]
pub struct CallParts<'a> {
    pub tenant: &'a str,
    pub agent: &'a str,
    pub run: &'a str,
    pub call: &'a str,
    pub tool: &'a str,
    pub args: &'a Value,
}

/// A tool call together with its canonical bytes and their digest. The two cannot disagree: the fields are always those
/// read back from the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonicalCall {
    tenant: String,
    agent: String,
    run: String,
    call: String,
    tool: String,
    args: Value,
    bytes: Vec<u8>,
    digest: Digest,
}

#[derive(Serialize)]
struct Document<'a> {
    agent: &'a str,
    args: &'a Value,
    call: &'a str,
    run: &'a str,
    tenant: &'a str,
    tool: &'a str,
    v: i64,
}

impl CanonicalCall {
    /// Encodes a call. Arguments that came as text must have been read by [`crate::parse`], which alone notices
    /// duplicate keys.
    pub fn new(parts: CallParts<'_>) -> Result<Self, Error> {
        let CallParts {
            tenant,
            agent,
            run,
            call,
            tool,
            args,
        } = parts;
        let bytes = to_vec(&Document {
            agent,
            args,
            call,
            run,
            tenant,
            tool,
            v: VERSION,
        })?;
        Self::from_bytes(bytes)
    }

    /// Reads a call from its bytes, which must be exactly the canonical ones, with the members of a call and no others.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes(bytes.to_owned())
    }

    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    pub fn agent(&self) -> &str {
        &self.agent
    }

    pub fn run(&self) -> &str {
        &self.run
    }

    /// The id of this call, ours and not the model provider's.
    pub fn call(&self) -> &str {
        &self.call
    }

    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// The arguments, always an object.
    pub fn args(&self) -> &Value {
        &self.args
    }

    /// The canonical bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 over [`CanonicalCall::bytes`]: what a grant is for.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        let Value::Object(mut members) = parse_canonical(&bytes)? else {
            return Err(Error::Member("v"));
        };
        if members.remove("v").ok_or(Error::Member("v"))?.as_i64() != Some(VERSION) {
            return Err(Error::Version);
        }
        let args = members
            .remove("args")
            .filter(Value::is_object)
            .ok_or(Error::Member("args"))?;
        let call = Self {
            tenant: take_text(&mut members, "tenant")?,
            agent: take_text(&mut members, "agent")?,
            run: take_text(&mut members, "run")?,
            call: take_text(&mut members, "call")?,
            tool: take_text(&mut members, "tool")?,
            args,
            digest: Digest::of(&bytes),
            bytes,
        };
        if !members.is_empty() {
            return Err(Error::UnknownMember);
        }
        Ok(call)
    }
}

/// Takes a member that must be a text with something in it: an empty id names nobody.
fn take_text(members: &mut Map<String, Value>, name: &'static str) -> Result<String, Error> {
    match members.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err(Error::Member(name)),
    }
}

#[cfg(test)]
mod tests;
