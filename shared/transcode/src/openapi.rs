//! The `OpenAPI` 3.1 document of a table: the same paths, methods and messages that requests are matched with.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use crate::table::{Operation, Shape, Table};

/// What the document says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Info<'a> {
    pub title: &'a str,
    pub version: &'a str,
    pub description: &'a str,
}

impl Table {
    /// The document, as JSON.
    #[must_use]
    pub fn openapi(&self, info: &Info<'_>) -> Value {
        let mut schemas = Schemas::default();
        let mut paths = BTreeMap::<String, Map<String, Value>>::new();
        for operation in self.operations() {
            let described = describe(operation, &mut schemas);
            let method = operation.method.as_str().to_lowercase();
            paths
                .entry(operation.path())
                .or_default()
                .insert(method, described);
        }
        schemas.0.insert("Error".to_owned(), error());
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": info.title,
                "version": info.version,
                "description": info.description,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}, {"api_key": []}],
            "paths": paths,
            "components": {
                "schemas": schemas.0,
                "securitySchemes": {
                    "bearer": {"type": "http", "scheme": "bearer"},
                    "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                },
            },
        })
    }
}

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let method = &operation.descriptor;
    let service = method.parent_service();
    let mut described = json!({
        "operationId": format!("{}_{}", service.name(), method.name()),
        "tags": [service.name()],
        "parameters": parameters(operation, schemas),
        "responses": {
            "200": answer(operation, schemas),
            "default": {
                "description": "Refused or failed; the reason is stable.",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            },
        },
    });
    if let Some(body) = body(operation, schemas) {
        set(&mut described, "requestBody", body);
    }
    if let Some(comment) = comment(&method.parent_file(), method.path()) {
        set(&mut described, "description", json!(comment));
    }
    described
}

fn parameters(operation: &Operation, schemas: &mut Schemas) -> Vec<Value> {
    let mut parameters = Vec::new();
    for path in &operation.fields {
        let field = path.field();
        parameters.push(parameter(field, "path", schemas));
    }
    let in_query = !operation.has_body && !matches!(operation.shape, Shape::Upload(_));
    if in_query {
        let taken: Vec<_> = operation.fields.iter().map(|path| path.field().clone()).collect();
        for field in operation.input().fields().filter(|field| !taken.contains(field)) {
            parameters.push(parameter(&field, "query", schemas));
        }
    }
    if let Shape::Stream(shape) = &operation.shape
        && shape.after.is_some()
    {
        parameters.push(json!({
            "name": "Last-Event-ID",
            "in": "header",
            "description": "The id of the last event seen; the stream goes on after it.",
            "schema": {"type": "string"},
        }));
    }
    parameters
}

fn parameter(field: &FieldDescriptor, place: &str, schemas: &mut Schemas) -> Value {
    let mut parameter = json!({
        "name": field.name(),
        "in": place,
        "required": place == "path",
        "schema": schemas.field(field),
    });
    if let Some(comment) = comment(&field.parent_message().parent_file(), field.path()) {
        set(&mut parameter, "description", json!(comment));
    }
    parameter
}

fn body(operation: &Operation, schemas: &mut Schemas) -> Option<Value> {
    if matches!(operation.shape, Shape::Upload(_)) {
        return Some(json!({"required": true, "content": {"application/octet-stream": {}}}));
    }
    if !operation.has_body {
        return None;
    }
    let taken: Vec<_> = operation.fields.iter().map(|path| path.field().clone()).collect();
    let input = operation.input();
    let fields = input.fields().filter(|field| !taken.contains(field));
    let properties: Map<_, _> = fields
        .map(|field| (field.name().to_owned(), schemas.described(&field)))
        .collect();
    let schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    Some(json!({"content": {"application/json": {"schema": schema}}}))
}

fn answer(operation: &Operation, schemas: &mut Schemas) -> Value {
    let (description, content) = match &operation.shape {
        Shape::Unary | Shape::Upload(_) => {
            let schema = schemas.message(&operation.output());
            ("OK", json!({"application/json": {"schema": schema}}))
        }
        Shape::Stream(_) => {
            let schema = schemas.message(&operation.output());
            (
                "Messages as they happen: server-sent events whose data is one of them each, or with `accept: application/x-ndjson` one on each line.",
                json!({"text/event-stream": {"schema": schema}, "application/x-ndjson": {"schema": schema}}),
            )
        }
        Shape::Download(_) => ("The bytes.", json!({"application/octet-stream": {}})),
    };
    json!({"description": description, "content": content})
}

fn error() -> Value {
    json!({
        "type": "object",
        "required": ["error"],
        "properties": {"error": {
            "type": "object",
            "required": ["code", "status", "reason", "message"],
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "status": {"type": "string", "description": "The gRPC code."},
                "reason": {"type": "string", "description": "A stable word; docs/errors has a page on each."},
                "message": {"type": "string", "description": "What was wrong and what to do."},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }},
    })
}

/// The schemas of every message and enum that was asked for.
#[derive(Default)]
struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    fn message(&mut self, message: &MessageDescriptor) -> Value {
        match message.full_name() {
            "google.protobuf.Timestamp" => return json!({"type": "string", "format": "date-time"}),
            "google.protobuf.Duration" => {
                return json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?s$"});
            }
            _ => {}
        }
        let name = message.full_name().to_owned();
        let reference = reference(&name);
        if !self.0.contains_key(&name) {
            // First the name: messages may hold themselves.
            self.0.insert(name.clone(), Value::Null);
            let fields = message
                .fields()
                .map(|field| (field.name().to_owned(), self.described(&field)));
            let properties: Map<_, _> = fields.collect();
            let mut schema = json!({"type": "object", "properties": properties});
            if let Some(comment) = comment(&message.parent_file(), message.path()) {
                set(&mut schema, "description", json!(comment));
            }
            self.0.insert(name, schema);
        }
        reference
    }

    fn described(&mut self, field: &FieldDescriptor) -> Value {
        let mut schema = self.field(field);
        if let Some(comment) = comment(&field.parent_message().parent_file(), field.path()) {
            set(&mut schema, "description", json!(comment));
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let values = self.kind(&entry.map_entry_value_field().kind());
                json!({"type": "object", "additionalProperties": values})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.kind(&kind)}),
            kind => self.kind(&kind),
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "minimum": 0, "maximum": u32::MAX}),
            // 64 bits are a string in the JSON of protos; numbers are taken too.
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => json!({"type": "string", "pattern": "^-?[0-9]+$"}),
            Kind::Uint64 | Kind::Fixed64 => json!({"type": "string", "pattern": "^[0-9]+$"}),
            Kind::Float | Kind::Double => json!({"type": "number"}),
            Kind::Enum(described) => self.enumeration(described),
            Kind::Message(message) => self.message(message),
        }
    }

    fn enumeration(&mut self, described: &EnumDescriptor) -> Value {
        let name = described.full_name().to_owned();
        let names: Vec<_> = described.values().map(|value| value.name().to_owned()).collect();
        let reference = reference(&name);
        self.0
            .entry(name)
            .or_insert_with(|| json!({"type": "string", "enum": names}));
        reference
    }
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn set(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(key.to_owned(), value);
    }
}

/// What the proto says above a thing, when the descriptors were compiled with it.
fn comment(file: &FileDescriptor, path: &[i32]) -> Option<String> {
    let source = file.file_descriptor_proto().source_code_info.as_ref()?;
    let location = source.location.iter().find(|location| location.path == path)?;
    let comment = location.leading_comments.as_deref()?.trim();
    (!comment.is_empty()).then(|| comment.replace("\n ", "\n"))
}
