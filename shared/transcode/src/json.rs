//! The JSON of messages: the proto3 mapping, with fields under the names that the protos give them.

use bytes::Bytes;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};

use crate::HttpError;

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
