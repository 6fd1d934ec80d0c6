//! Fields of a message from text: what a path and a query say.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use prost_reflect::{DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value};

/// A field, and the fields that it lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldPath {
    within: Vec<FieldDescriptor>,
    field: FieldDescriptor,
}

impl FieldPath {
    /// The field of that name, dots for fields of fields; names as in the proto or in lowerCamelCase. `None` when there
    /// is none, or text cannot be its value.
    pub(crate) fn find(message: &MessageDescriptor, name: &str) -> Option<Self> {
        let (first, rest) = match name.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (name, None),
        };
        let field = message
            .get_field_by_name(first)
            .or_else(|| message.get_field_by_json_name(first))?;
        if field.is_map() {
            return None;
        }
        match (rest, field.kind()) {
            (Some(rest), Kind::Message(inner)) if !field.is_list() && !is_text(&inner) => {
                let mut found = Self::find(&inner, rest)?;
                found.within.insert(0, field);
                Some(found)
            }
            (Some(_), _) => None,
            (None, Kind::Message(inner)) if !is_text(&inner) => None,
            (None, _) => Some(Self {
                within: Vec::new(),
                field,
            }),
        }
    }

    pub(crate) fn field(&self) -> &FieldDescriptor {
        &self.field
    }

    /// Sets the field, or adds to it when it is repeated.
    ///
    /// # Errors
    /// What the text should have been.
    pub(crate) fn set(&self, message: &mut DynamicMessage, text: &str) -> Result<(), String> {
        let value = value(&self.field.kind(), text)?;
        let mut at = message;
        for field in &self.within {
            let Value::Message(inner) = at.get_field_mut(field) else {
                return Err("nothing".to_owned());
            };
            at = inner;
        }
        if self.field.is_list() {
            if let Value::List(values) = at.get_field_mut(&self.field) {
                values.push(value);
            }
            return Ok(());
        }
        at.try_set_field(&self.field, value)
            .map_err(|_| "another value".to_owned())
    }
}

/// Messages that JSON writes as a string.
fn is_text(message: &MessageDescriptor) -> bool {
    matches!(
        message.full_name(),
        "google.protobuf.Timestamp" | "google.protobuf.Duration"
    )
}

fn value(kind: &Kind, text: &str) -> Result<Value, String> {
    let value = match kind {
        Kind::String => Some(Value::String(text.to_owned())),
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => text.parse().ok().map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => text.parse().ok().map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => text.parse().ok().map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => text.parse().ok().map(Value::U64),
        Kind::Float => text.parse().ok().map(Value::F32),
        Kind::Double => text.parse().ok().map(Value::F64),
        Kind::Bytes => bytes(text).map(Value::Bytes),
        Kind::Enum(described) => number(described, text).map(Value::EnumNumber),
        Kind::Message(described) => {
            let text = serde_json::Value::String(text.to_owned());
            DynamicMessage::deserialize(described.clone(), text)
                .ok()
                .map(Value::Message)
        }
    };
    value.ok_or_else(|| expected(kind))
}

fn bytes(text: &str) -> Option<bytes::Bytes> {
    let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
    decoded.ok().map(Into::into)
}

fn number(described: &EnumDescriptor, text: &str) -> Option<i32> {
    let by_number = || text.parse().ok().and_then(|number| described.get_value(number));
    let value = described.get_value_by_name(text).or_else(by_number)?;
    Some(value.number())
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "a whole number of 32 bits".to_owned(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "a whole number of 64 bits".to_owned(),
        Kind::Uint32 | Kind::Fixed32 => "a whole number from 0 to 4294967295".to_owned(),
        Kind::Uint64 | Kind::Fixed64 => "a whole number from 0 to 18446744073709551615".to_owned(),
        Kind::Float | Kind::Double => "a number".to_owned(),
        Kind::String => "text".to_owned(),
        Kind::Bytes => "base64".to_owned(),
        Kind::Enum(described) => {
            let names: Vec<_> = described.values().map(|value| value.name().to_owned()).collect();
            format!("one of {}", names.join(", "))
        }
        Kind::Message(described) if described.full_name() == "google.protobuf.Duration" => {
            "a time span such as 1.5s".to_owned()
        }
        Kind::Message(_) => "a time such as 2026-01-31T12:00:00Z".to_owned(),
    }
}
