//! The JSON of messages: the proto3 mapping, with fields under the names that the protos give them.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use tonic::body::Body;

use crate::HttpError;
use crate::table::TableError;

/// The largest JSON body, in bytes.
pub const MAX_JSON: usize = 1024 * 1024;
/// How long a JSON body may take to come: less than a call may take, so that its sender hears what was slow.
const BODY_TIME: Duration = Duration::from_secs(20);

/// A JSON body, not yet parsed; empty when there is none.
///
/// # Errors
/// It is too large, comes too slowly, breaks off, or is not JSON by its header.
pub async fn json_body(headers: &HeaderMap, body: Body) -> Result<Bytes, HttpError> {
    let limit = || HttpError::too_large(u64::try_from(MAX_JSON).unwrap_or(u64::MAX));
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_JSON) {
        return Err(limit());
    }
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, MAX_JSON).collect()).await;
    let collected = collected.map_err(|_| HttpError::slow(BODY_TIME))?;
    let body = collected.map_err(|error| {
        if error.is::<LengthLimitError>() {
            limit()
        } else {
            HttpError::invalid("the body broke off")
        }
    })?;
    let body = body.to_bytes();
    if !body.is_empty() && !is_json(headers) {
        return Err(HttpError::not_json());
    }
    Ok(body)
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(text)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else {
        return false;
    };
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// Writes messages of one type as JSON.
#[derive(Clone, Debug)]
pub struct MessageJson(MessageDescriptor);

impl MessageJson {
    /// For the message of that full name.
    ///
    /// # Errors
    /// The descriptors cannot be read or do not describe it.
    pub fn new(descriptors: &[u8], name: &str) -> Result<Self, TableError> {
        let pool = DescriptorPool::decode(descriptors).map_err(TableError::Descriptors)?;
        let found = pool.get_message_by_name(name);
        found
            .map(Self)
            .ok_or_else(|| TableError::Unknown(name.to_owned()))
    }

    /// The JSON of an encoded message; `None` when it is none of that type, or has no JSON.
    #[must_use]
    pub fn value(&self, encoded: &[u8]) -> Option<Value> {
        let message = DynamicMessage::decode(self.0.clone(), encoded).ok()?;
        message
            .serialize_with_options(serde_json::value::Serializer, &options())
            .ok()
    }
}

/// Names as in the protos, 64-bit numbers as strings (a JavaScript number has 53 bits), and fields that are zero
/// too, so that what a client reads does not depend on the value.
const fn options() -> SerializeOptions {
    SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
}

/// A message from a body; an empty body is the empty message.
pub(crate) fn parse(descriptor: &MessageDescriptor, body: &[u8]) -> Result<DynamicMessage, HttpError> {
    if body.is_empty() {
        return Ok(DynamicMessage::new(descriptor.clone()));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let message = DynamicMessage::deserialize(descriptor.clone(), &mut deserializer);
    let message = message.and_then(|message| deserializer.end().map(|()| message));
    message.map_err(|error| {
        let names: Vec<_> = descriptor.fields().map(|field| field.name().to_owned()).collect();
        let expected = if names.is_empty() {
            "an empty object".to_owned()
        } else {
            format!("an object with {}", names.join(", "))
        };
        HttpError::invalid(format!(
            "the body is not what is expected: {error}; send {expected}"
        ))
    })
}

/// What goes out; `None` when a value has no JSON, such as a time before the year 1.
pub(crate) fn write(message: &DynamicMessage) -> Option<Bytes> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut out);
    message.serialize_with_options(&mut serializer, &options()).ok()?;
    Some(out.into())
}
