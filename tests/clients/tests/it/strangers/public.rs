//! The public methods as the compiled protos describe them, and requests for what is somebody else's.

use bytes::Bytes;
use harombe_proto::google::api::HttpRule;
use harombe_proto::options::v1::{Auth, PrincipalKind};
use harombe_proto::types::v1::Decision;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value};
use sha2::{Digest as _, Sha256};

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
}

/// Every method that the public door lets somebody call.
pub(crate) fn methods() -> Vec<Method> {
    let pool = DescriptorPool::decode(harombe_proto::DESCRIPTORS).unwrap();
    let services: Vec<_> = pool.services().collect();
    let all = services.iter().flat_map(|service| service.methods());
    all.filter_map(|descriptor| public(&pool, descriptor)).collect()
}

fn public(pool: &DescriptorPool, descriptor: MethodDescriptor) -> Option<Method> {
    let auth: Auth = option(pool, &descriptor, "harombe.options.v1.auth");
    let service = descriptor.parent_service();
    let forwarded = ["harombe.hitl.v1", "harombe.audit.v1"].contains(&service.package_name())
        && auth.principal() == PrincipalKind::Person
        && auth.callers.iter().any(|caller| caller == "gateway");
    let is_public = forwarded || auth.callers.iter().any(|caller| caller == "client");
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

    /// Of `agent.v1.AgentService`, where everything belongs to one person; the rest belongs to a tenant.
    pub(crate) fn is_personal(&self) -> bool {
        self.descriptor.parent_service().name() == "AgentService"
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
            "index" => (Some(Value::U64(theirs.entry)), true),
            "start" => {
                let Kind::Message(start) = field.kind() else {
                    panic!("a start is a message")
                };
                let (start, named) = filled(&start, theirs);
                (Some(Value::Message(start)), named)
            }
            "path" => (text(&theirs.path), false),
            "size" => (Some(Value::U64(FILE.len() as u64)), false),
            "sha256" => (
                Some(Value::Bytes(Bytes::copy_from_slice(&Sha256::digest(FILE)))),
                false,
            ),
            "decision" => (Some(Value::EnumNumber(Decision::Approved as i32)), false),
            "tool" => (text("file_read"), false),
            "arguments" => (text(&format!("{{\"path\":\"{}\"}}", theirs.path)), false),
            "client_message_id" | "text" | "name" | "subject" => (text("x"), false),
            "tenant" => (text("local"), false),
            "roles" => (Some(Value::List(vec![Value::String("user".to_owned())])), false),
            "old_size" => (Some(Value::U64(1)), false),
            "include_decided" => (Some(Value::Bool(true)), false),
            // Of the caller's own, or filters that leave everything in.
            "agent"
            | "agents"
            | "after_cursor"
            | "allow_self"
            | "client_instructions"
            | "comment"
            | "data"
            | "expires_at"
            | "from_index"
            | "history"
            | "kind"
            | "limit"
            | "limits"
            | "new_size"
            | "page_token"
            | "service"
            | "since"
            | "tree_size"
            | "unattended"
            | "until" => (None, false),
            other => panic!("{}: what belongs in {other}?", descriptor.full_name()),
        };
        named |= is_id;
        if let Some(value) = value {
            message.set_field(&field, value);
        }
    }
    (message, named)
}

/// What a stranger uploads.
pub(crate) const FILE: &[u8] = b"mine now";
