//! The `OpenAPI` document: what the protos say, and the few paths that no proto describes.

use harombe_transcode::{Info, Table};
use serde_json::{Value, json};

const DESCRIPTION: &str = "\
Sessions, runs and their events, files, approvals and the audit log. The same calls are served as gRPC and gRPC-Web on \
this port. Say who you are with `authorization: Bearer KEY` or `x-api-key: KEY`.";

pub(crate) fn of(table: &Table) -> Value {
    let mut document = table.openapi(&Info {
        title: "Harombe",
        version: env!("CARGO_PKG_VERSION"),
        description: DESCRIPTION,
    });
    let extra = [
        ("/healthz", json!({"get": health()})),
        ("/openapi.json", json!({"get": itself()})),
        ("/v1/chat/completions", json!({"post": completion()})),
        ("/v1/models", json!({"get": models()})),
        ("/v1/models/{model}", json!({"get": model()})),
    ];
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        paths.extend(extra.map(|(path, methods)| (path.to_owned(), methods)));
    }
    document
}

fn answers(description: &str) -> Value {
    json!({
        "200": {"description": description, "content": {"application/json": {"schema": {"type": "object"}}}},
        "default": {"description": "Refused or failed.", "content": {"application/json": {"schema": {"type": "object"}}}},
    })
}

fn health() -> Value {
    json!({"operationId": "health", "tags": ["door"], "security": [], "responses": answers("This gateway takes calls.")})
}

fn itself() -> Value {
    json!({"operationId": "document", "tags": ["door"], "security": [], "responses": answers("This document.")})
}

fn completion() -> Value {
    let mut responses = answers("The answer, or with `stream` its chunks as server-sent events.");
    if let Some(content) = responses
        .pointer_mut("/200/content")
        .and_then(Value::as_object_mut)
    {
        content.insert(
            "text/event-stream".to_owned(),
            json!({"schema": {"type": "object"}}),
        );
    }
    json!({
        "operationId": "chat_completion",
        "tags": ["openai"],
        "description": "As OpenAI's chat completions. The model is the name of an agent.",
        "parameters": [{
            "name": "X-Harombe-Session",
            "in": "header",
            "description": "The session to go on in; of the messages only the last one of the user is taken then.",
            "schema": {"type": "string"},
        }],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["model", "messages"],
            "properties": {
                "model": {"type": "string", "description": "The name of an agent."},
                "messages": {"type": "array", "items": {"type": "object"}},
                "stream": {"type": "boolean"},
            },
        }}}},
        "responses": responses,
    })
}

fn models() -> Value {
    json!({"operationId": "models", "tags": ["openai"], "responses": answers("The agents, as OpenAI lists models.")})
}

fn model() -> Value {
    json!({
        "operationId": "model",
        "tags": ["openai"],
        "parameters": [{"name": "model", "in": "path", "required": true, "schema": {"type": "string"}}],
        "responses": answers("One agent."),
    })
}
