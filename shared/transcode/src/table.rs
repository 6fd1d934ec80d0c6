//! Every method that has a place in HTTP, read from the descriptors: the one table behind routing and the document.

use harombe_proto::google::api::HttpRule;
use harombe_proto::google::api::http_rule::Pattern;
use http::Method;
use prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor,
};

use crate::binding::FieldPath;
use crate::template::Template;

const HTTP: &str = "google.api.http";
/// Where a client stands in a stream of events, and the request's field that goes on after it.
const CURSOR: &str = "cursor";
const AFTER_CURSOR: &str = "after_cursor";

/// Descriptors whose `google.api.http` options cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("the descriptors cannot be read")]
    Descriptors(#[source] prost_reflect::DescriptorError),
    #[error("no descriptor of the service or option {0}")]
    Unknown(String),
    #[error("{method}: {what}")]
    Option { method: String, what: String },
    #[error("{0} is the place of two methods")]
    Twice(String),
}

/// How the messages of a method appear in HTTP.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// One JSON object, or nothing, for one JSON object.
    Unary,
    /// Events for one JSON object, or nothing.
    Stream(StreamShape),
    /// The body's bytes, after a message that announces them.
    Upload(UploadShape),
    /// Bytes as the answer.
    Download(FieldDescriptor),
}

#[derive(Clone, Debug)]
pub(crate) struct StreamShape {
    /// Of the message that an event shows.
    pub(crate) cursor: Option<FieldDescriptor>,
    /// Of the request.
    pub(crate) after: Option<FieldDescriptor>,
}

#[derive(Clone, Debug)]
pub(crate) struct UploadShape {
    pub(crate) start: FieldDescriptor,
    pub(crate) size: FieldDescriptor,
    pub(crate) sha256: FieldDescriptor,
    pub(crate) data: FieldDescriptor,
}

/// One method and its place.
#[derive(Clone, Debug)]
pub struct Operation {
    pub(crate) descriptor: MethodDescriptor,
    /// `/package.Service/Method`.
    pub(crate) rpc: String,
    pub(crate) method: Method,
    pub(crate) template: Template,
    /// The template's fields, in its order.
    pub(crate) fields: Vec<FieldPath>,
    /// A JSON body sets the fields that the path does not.
    pub(crate) has_body: bool,
    /// The field of the answer that is shown in the answer's place.
    pub(crate) shown: Option<FieldDescriptor>,
    pub(crate) shape: Shape,
}

impl Operation {
    /// The gRPC method, `/package.Service/Method`.
    #[must_use]
    pub fn rpc(&self) -> &str {
        &self.rpc
    }

    /// The HTTP method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, its fields in braces by their last name.
    #[must_use]
    pub fn path(&self) -> String {
        self.template.openapi()
    }

    pub(crate) fn input(&self) -> MessageDescriptor {
        self.descriptor.input()
    }

    /// The message that an answer shows.
    pub(crate) fn output(&self) -> MessageDescriptor {
        match self.shown.as_ref().map(FieldDescriptor::kind) {
            Some(Kind::Message(message)) => message,
            _ => self.descriptor.output(),
        }
    }
}

/// The operations of some services, the most exact paths first.
#[derive(Clone, Debug)]
pub struct Table {
    operations: Vec<Operation>,
}

impl Table {
    /// Reads the methods of these services that have the option; others have no place in HTTP.
    ///
    /// # Errors
    /// An option asks for what cannot be served, or two methods have the same place.
    pub fn new(descriptors: &[u8], services: &[&str]) -> Result<Self, TableError> {
        let pool = DescriptorPool::decode(descriptors).map_err(TableError::Descriptors)?;
        let http = pool
            .get_extension_by_name(HTTP)
            .ok_or_else(|| TableError::Unknown(HTTP.to_owned()))?;
        let mut operations = Vec::new();
        for name in services {
            let service = pool
                .get_service_by_name(name)
                .ok_or_else(|| TableError::Unknown((*name).to_owned()))?;
            for method in service.methods() {
                operations.extend(operation(&method, &http)?);
            }
        }
        operations.sort_by_key(|operation| operation.template.vagueness());
        let mut places = std::collections::HashSet::new();
        for operation in &operations {
            let place = format!("{} {}", operation.method, operation.template.form());
            if !places.insert(place.clone()) {
                return Err(TableError::Twice(place));
            }
        }
        Ok(Self { operations })
    }

    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter()
    }
}

fn operation(method: &MethodDescriptor, http: &ExtensionDescriptor) -> Result<Option<Operation>, TableError> {
    let wrong = |what: &str| TableError::Option {
        method: method.full_name().to_owned(),
        what: what.to_owned(),
    };
    let options = method.options();
    if !options.has_extension(http) {
        return Ok(None);
    }
    let option = options.get_extension(http);
    let rule = option
        .as_message()
        .and_then(|option| option.transcode_to::<HttpRule>().ok());
    let rule = rule.ok_or_else(|| wrong("the option cannot be read"))?;
    if !rule.additional_bindings.is_empty() {
        return Err(wrong("additional bindings are not served"));
    }
    let (verb, path) = place(rule.pattern.as_ref()).ok_or_else(|| wrong("a custom verb is not served"))?;
    let template = Template::parse(path).ok_or_else(|| wrong("the path is no template that is served"))?;
    let fields = template
        .fields()
        .map(|name| FieldPath::find(&method.input(), name));
    let fields = fields
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("the path names a field that there is not"))?;
    let shown = shown(method, &rule).map_err(|what| wrong(&what))?;
    let shape = shape(method, &rule, shown.as_ref()).map_err(|what| wrong(&what))?;
    Ok(Some(Operation {
        rpc: format!("/{}/{}", method.parent_service().full_name(), method.name()),
        descriptor: method.clone(),
        method: verb,
        template,
        fields,
        has_body: rule.body == "*",
        shown,
        shape,
    }))
}

fn place(pattern: Option<&Pattern>) -> Option<(Method, &str)> {
    Some(match pattern? {
        Pattern::Get(path) => (Method::GET, path),
        Pattern::Put(path) => (Method::PUT, path),
        Pattern::Post(path) => (Method::POST, path),
        Pattern::Delete(path) => (Method::DELETE, path),
        Pattern::Patch(path) => (Method::PATCH, path),
        Pattern::Custom(_) => return None,
    })
}

fn shown(method: &MethodDescriptor, rule: &HttpRule) -> Result<Option<FieldDescriptor>, String> {
    if rule.response_body.is_empty() {
        return Ok(None);
    }
    let field = method
        .output()
        .get_field_by_name(&rule.response_body)
        .ok_or("response_body names a field that there is not")?;
    let fits = !field.is_list() && !field.is_map() && matches!(field.kind(), Kind::Message(_) | Kind::Bytes);
    if fits {
        Ok(Some(field))
    } else {
        Err("response_body names a field that is neither a message nor bytes".to_owned())
    }
}

fn shape(
    method: &MethodDescriptor,
    rule: &HttpRule,
    shown: Option<&FieldDescriptor>,
) -> Result<Shape, String> {
    let bytes = shown.filter(|field| field.kind() == Kind::Bytes);
    match (method.is_client_streaming(), method.is_server_streaming(), bytes) {
        (true, true, _) => Err("a stream in both directions has no place in HTTP".to_owned()),
        (true, false, _) => upload(method, rule).map(Shape::Upload),
        _ if !matches!(&*rule.body, "" | "*") => {
            Err("a part of the request as the body is not served".to_owned())
        }
        (false, true, Some(bytes)) => Ok(Shape::Download(bytes.clone())),
        (false, true, None) => Ok(Shape::Stream(stream(method, shown))),
        (false, false, Some(_)) => Err("bytes are shown of streams only".to_owned()),
        (false, false, None) => Ok(Shape::Unary),
    }
}

fn stream(method: &MethodDescriptor, shown: Option<&FieldDescriptor>) -> StreamShape {
    let output = match shown.map(FieldDescriptor::kind) {
        Some(Kind::Message(message)) => message,
        _ => method.output(),
    };
    let number = |message: &MessageDescriptor, name| {
        let field = message.get_field_by_name(name);
        field.filter(|field| field.kind() == Kind::Uint64 && !field.is_list())
    };
    let cursor = number(&output, CURSOR);
    let after = cursor
        .as_ref()
        .and_then(|_| number(&method.input(), AFTER_CURSOR));
    StreamShape { cursor, after }
}

/// A request of frames: one that starts with the facts, then the bytes that are the HTTP body.
fn upload(method: &MethodDescriptor, rule: &HttpRule) -> Result<UploadShape, String> {
    let input = method.input();
    let data = input
        .get_field_by_name(&rule.body)
        .filter(|field| field.kind() == Kind::Bytes)
        .ok_or("an upload's body must be a field of bytes")?;
    let start = input
        .fields()
        .find(|field| matches!(field.kind(), Kind::Message(_)));
    let Some((Kind::Message(facts), start)) = start.map(|field| (field.kind(), field)) else {
        return Err("an upload must have a frame that starts it".to_owned());
    };
    let fact = |name, kind| facts.get_field_by_name(name).filter(|field| field.kind() == kind);
    match (fact("size", Kind::Uint64), fact("sha256", Kind::Bytes)) {
        (Some(size), Some(sha256)) => Ok(UploadShape {
            start,
            size,
            sha256,
            data,
        }),
        _ => Err("the frame that starts an upload must have size and sha256".to_owned()),
    }
}
