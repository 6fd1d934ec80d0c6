//! The public methods: the door says of which services, the compiled protos which; and requests for what is somebody else's.

use std::collections::BTreeSet;

use bytes::Bytes;
use harombe_proto::google::api::HttpRule;
use harombe_proto::memory::v1::MemoryKind;
use harombe_proto::options::v1::{Auth, PrincipalKind};
use harombe_proto::types::v1::Decision;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use sha2::{Digest as _, Sha256};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::forms::Caller;

/// What a client can call.
pub(crate) struct Method {
    pub(crate) descriptor: MethodDescriptor,
    pub(crate) roles: Vec<String>,
    /// Where it is in HTTP.
    pub(crate) http: HttpRule,
}

/// What is the first tenant's.
#[derive(Default)]
pub(crate) struct Theirs {
    pub(crate) session: String,
    pub(crate) run: String,
    pub(crate) approval: String,
    pub(crate) call: String,
    pub(crate) key: String,
    /// The index of an entry of the log.
    pub(crate) entry: u64,
    pub(crate) path: String,
    pub(crate) memory: String,
}

/// Every method that the public door lets somebody call: of its own services, and of those whose methods it forwards.
pub(crate) async fn methods(caller: &Caller) -> Vec<Method> {
    let served = served(caller).await;
    let pool = DescriptorPool::decode(harombe_proto::DESCRIPTORS).unwrap();
    let services: Vec<_> = pool
        .services()
        .filter(|service| served.contains(service.full_name()))
        .collect();
    let all = services.iter().flat_map(|service| service.methods());
    all.filter_map(|descriptor| public(&pool, descriptor)).collect()
}

/// The services that are behind the door, by what it says itself.
async fn served(caller: &Caller) -> BTreeSet<String> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(caller.channel());
    let answers = reflection
        .server_reflection_info(tokio_stream::once(request))
        .await
        .unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else {
        panic!("{answer:?}")
    };
    listed.service.into_iter().map(|service| service.name).collect()
}

fn public(pool: &DescriptorPool, descriptor: MethodDescriptor) -> Option<Method> {
    let auth: Auth = option(pool, &descriptor, "harombe.options.v1.auth");
    let is_for = |name: &str| auth.callers.iter().any(|caller| caller == name);
    let forwarded = auth.principal() == PrincipalKind::Person && is_for("gateway");
    let is_public = forwarded || is_for("client");
    is_public.then(|| Method {
        http: option(pool, &descriptor, "google.api.http"),
        roles: auth.roles,
        descriptor,
    })
}

fn option<T: prost_reflect::prost::Message + Default>(
    pool: &DescriptorPool,
    method: &MethodDescriptor,
    name: &str,
) -> T {
    let extension = pool.get_extension_by_name(name).unwrap();
    let options = method.options();
    let value = options.get_extension(&extension);
    value.as_message().unwrap().transcode_to().unwrap()
}

impl Method {
    pub(crate) fn name(&self) -> &str {
        self.descriptor.name()
    }

    /// `/package.Service/Method`.
    pub(crate) fn path(&self) -> String {
        let service = self.descriptor.parent_service();
        format!("/{}/{}", service.full_name(), self.name())
    }

    /// Of a service where everything belongs to one person; the rest belongs to a tenant.
    pub(crate) fn is_personal(&self) -> bool {
        self.is_of_memory() || self.descriptor.parent_service().name() == "AgentService"
    }

    pub(crate) fn is_of_memory(&self) -> bool {
        self.descriptor.parent_service().name() == "PersonalMemoryService"
    }

    /// The request with everything that is theirs filled in, and whether anything was.
    pub(crate) fn request(&self, theirs: &Theirs) -> (DynamicMessage, bool) {
        filled(&self.descriptor.input(), theirs)
    }

    /// What is sent: the request alone, and of a file its bytes after it.
    pub(crate) fn frames(&self, request: DynamicMessage) -> Vec<DynamicMessage> {
        let mut frames = vec![request];
        if self.descriptor.is_client_streaming() {
            let mut file = self.empty();
            file.set_field_by_name("data", Value::Bytes(FILE.into()));
            frames.push(file);
        }
        frames
    }

    /// The request that names nothing.
    pub(crate) fn empty(&self) -> DynamicMessage {
        DynamicMessage::new(self.descriptor.input())
    }
}

/// A field whose name is not known here fails the test that walks over it: somebody must say what belongs in it.
fn filled(descriptor: &MessageDescriptor, theirs: &Theirs) -> (DynamicMessage, bool) {
    let mut message = DynamicMessage::new(descriptor.clone());
    let mut named = false;
    for field in descriptor.fields() {
        let text = |text: &str| Some(Value::String(text.to_owned()));
        let (value, is_id) = match field.name() {
            "session_id" | "after_session_id" => (text(&theirs.session), true),
            "run_id" => (text(&theirs.run), true),
            "approval_id" => (text(&theirs.approval), true),
            "call_id" => (text(&theirs.call), true),
            "key_id" | "after_key_id" => (text(&theirs.key), true),
            "memory_id" | "supersedes" => (text(&theirs.memory), true),
            "index" => (Some(Value::U64(theirs.entry)), true),
            "filter" | "memories" | "provenance" | "session_ids" | "start" => composed(&field, theirs),
            "kind" if matches!(field.kind(), Kind::Enum(_)) => {
                (Some(Value::EnumNumber(MemoryKind::Fact as i32)), false)
            }
            "query" => (text("affairs"), false),
            "path" => (text(&theirs.path), false),
            "size" => (Some(Value::U64(FILE.len() as u64)), false),
            "sha256" => (
                Some(Value::Bytes(Bytes::copy_from_slice(&Sha256::digest(FILE)))),
                false,
            ),
            "decision" => (Some(Value::EnumNumber(Decision::Approved as i32)), false),
            "tool" => (text("file_read"), false),
            "arguments" => (text(&format!("{{\"path\":\"{}\"}}", theirs.path)), false),
            "text" => (text(MINE), false),
            "client_message_id" | "name" | "subject" => (text("x"), false),
            "tenant" => (text("local"), false),
            "roles" => (Some(Value::List(vec![Value::String("user".to_owned())])), false),
            "old_size" => (Some(Value::U64(1)), false),
            "explain" | "include_decided" | "include_hidden" | "include_superseded" => {
                (Some(Value::Bool(true)), false)
            }
            // Of the caller's own, or filters that leave everything in.
            "agent"
            | "agents"
            | "after_cursor"
            | "allow_self"
            | "audit_index"
            | "client_instructions"
            | "comment"
            | "data"
            | "erased_at"
            | "expires_at"
            | "from"
            | "from_index"
            | "hidden_at"
            | "history"
            | "importance"
            | "kind"
            | "kinds"
            | "label"
            | "labels"
            | "limit"
            | "limits"
            | "new_size"
            | "ordinal"
            | "page_token"
            | "saved_at"
            | "service"
            | "since"
            | "speaker"
            | "superseded_by"
            | "time"
            | "tree_size"
            | "unattended"
            | "until"
            | "valid_to" => (None, false),
            other => panic!("{}: what belongs in {other}?", descriptor.full_name()),
        };
        named |= is_id;
        if let Some(value) = value {
            message.set_field(&field, value);
        }
    }
    (message, named)
}

/// The value of a field that holds other messages or several values.
fn composed(field: &FieldDescriptor, theirs: &Theirs) -> (Option<Value>, bool) {
    let (value, named) = match field.kind() {
        Kind::Message(inner) => {
            let (message, named) = filled(&inner, theirs);
            (Value::Message(message), named)
        }
        _ => (Value::String(theirs.session.clone()), true),
    };
    let value = if field.is_list() {
        Value::List(vec![value])
    } else {
        value
    };
    // What narrows the caller's own names nothing.
    let narrows = ["filter", "session_ids"].contains(&field.name());
    (Some(value), named && !narrows)
}

/// What a stranger writes, and uploads.
pub(crate) const MINE: &str = "mine now";
pub(crate) const FILE: &[u8] = MINE.as_bytes();
