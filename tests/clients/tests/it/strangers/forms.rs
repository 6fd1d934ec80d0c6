//! One call in both forms: gRPC, and REST as `google.api.http` says.

use bytes::{Buf as _, Bytes};
use harombe_error::{Failure, Reason};
use harombe_proto::google::api::http_rule::Pattern;
use harombe_rpc::{GrpcChannel, Public};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use prost_reflect::prost::Message as _;
use prost_reflect::{DynamicMessage, SerializeOptions, Value};
use tokio::net::TcpStream;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::public::{FILE, Method};

/// What came of a call: the bytes of all its messages, or of its refusal.
pub(crate) struct Answer {
    /// Why it was refused; `None` when it was not.
    pub(crate) refused: Option<Reason>,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    }
}

/// Somebody with a key.
pub(crate) struct Caller {
    pub(crate) url: String,
    pub(crate) key: String,
}

/// How much of an answer is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    End,
    /// The first message, or the end: of streams that stay open.
    First,
}

impl Caller {
    pub(crate) fn channel(&self) -> GrpcChannel {
        let door = Public {
            uri: self.url.parse().unwrap(),
            ca: None,
            key: Some(self.key.clone()),
        };
        GrpcChannel::public(&door).unwrap()
    }

    pub(crate) async fn grpc(&self, method: &Method, message: DynamicMessage, until: Until) -> Answer {
        let mut bytes = Vec::new();
        let answered = async {
            let mut grpc = Grpc::new(self.channel());
            grpc.ready().await?;
            let messages = tonic::Request::new(tokio_stream::iter(method.frames(message)));
            let path = method.path().parse().unwrap();
            let mut messages = grpc.streaming(messages, path, Raw).await?.into_inner();
            while let Some(message) = messages.message().await? {
                bytes.extend(message);
                if until == Until::First {
                    break;
                }
            }
            Ok::<_, Status>(())
        };
        let refused = match answered.await {
            Ok(()) => None,
            Err(status) => {
                bytes.extend(status.message().bytes());
                bytes.extend(status.details());
                Some(Failure::from(status).reason)
            }
        };
        Answer { refused, bytes }
    }

    /// The status, and the body as it comes.
    pub(crate) async fn open(&self, method: &Method, message: DynamicMessage) -> (StatusCode, Incoming) {
        let (request, body) = rest_request(method, message);
        let authority = self.url.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(authority).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let request = request
            .header(HOST, authority)
            .header(AUTHORIZATION, format!("Bearer {}", self.key))
            .header(ACCEPT, "application/x-ndjson")
            .body(Full::new(body))
            .unwrap();
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        (parts.status, body)
    }

    pub(crate) async fn rest(&self, method: &Method, message: DynamicMessage, until: Until) -> Answer {
        let (status, mut body) = self.open(method, message).await;
        let mut bytes = Vec::new();
        while let Some(frame) = body.frame().await {
            bytes.extend(frame.unwrap().into_data().unwrap_or_default());
            if until == Until::First {
                break;
            }
        }
        let refused = (!status.is_success()).then(|| {
            let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(body["error"]["code"], status.as_u16());
            Reason::parse(body["error"]["reason"].as_str().unwrap()).unwrap()
        });
        Answer { refused, bytes }
    }
}

/// The request without its headers, and its body.
fn rest_request(method: &Method, mut message: DynamicMessage) -> (http::request::Builder, Bytes) {
    let (verb, template) = match method.http.pattern.as_ref().unwrap() {
        Pattern::Get(path) => ("GET", path),
        Pattern::Put(path) => ("PUT", path),
        Pattern::Post(path) => ("POST", path),
        Pattern::Delete(path) => ("DELETE", path),
        Pattern::Patch(path) => ("PATCH", path),
        Pattern::Custom(custom) => panic!("{custom:?}"),
    };
    let mut path = String::new();
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (variable, after) = after.split_once('}').unwrap();
        let name = variable.split('=').next().unwrap();
        path.push_str(before);
        path.push_str(&take(&mut message, name));
        rest = after;
    }
    path.push_str(rest);
    let (kind, body) = match method.http.body.as_str() {
        "" => {
            path.push_str(&query(&message));
            ("", Bytes::new())
        }
        "*" => ("application/json", json(&message).to_string().into()),
        _ => ("application/octet-stream", Bytes::from_static(FILE)),
    };
    let request = Request::builder().method(verb).uri(path);
    let request = if kind.is_empty() {
        request
    } else {
        request.header(CONTENT_TYPE, kind)
    };
    (request, body)
}

/// Takes a field out of the message; an empty one is a word that is no id, so that the path stays a path.
fn take(message: &mut DynamicMessage, name: &str) -> String {
    if let Some((outer, inner)) = name.split_once('.') {
        let Some(Value::Message(within)) = message.get_field_by_name_mut(outer) else {
            panic!("{outer} is a message")
        };
        return take(within, inner);
    }
    let value = match message.get_field_by_name(name).unwrap().as_ref() {
        Value::String(text) if text.is_empty() => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::U64(number) => number.to_string(),
        other => panic!("{name} is {other:?}"),
    };
    message.clear_field_by_name(name);
    value
}

fn json(message: &DynamicMessage) -> serde_json::Value {
    let options = SerializeOptions::new().use_proto_field_name(true);
    let written = message.serialize_with_options(serde_json::value::Serializer, &options);
    written.unwrap()
}

fn query(message: &DynamicMessage) -> String {
    let mut fields = Vec::new();
    flatten("", &json(message), &mut fields);
    if fields.is_empty() {
        String::new()
    } else {
        format!("?{}", fields.join("&"))
    }
}

/// A field of a field has both names, with a dot between them; one of a list comes once for each value.
fn flatten(name: &str, value: &serde_json::Value, fields: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(inner) => {
            for (field, value) in inner {
                let dot = if name.is_empty() { "" } else { "." };
                flatten(&format!("{name}{dot}{field}"), value, fields);
            }
        }
        serde_json::Value::Array(values) => {
            for value in values {
                flatten(name, value, fields);
            }
        }
        serde_json::Value::String(text) => fields.push(format!("{name}={text}")),
        value => fields.push(format!("{name}={value}")),
    }
}

/// Sends any message, and leaves what comes as it is.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = DynamicMessage;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, message: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(buffer).unwrap();
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
