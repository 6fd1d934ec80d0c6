//! The remote embedder on a real HTTP server that does what an upstream may do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use harombe_embedding::{Embedder as _, Error, Purpose, SendError, Sender, Upstream, UpstreamConfig};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// One connection a request.
struct Direct(SocketAddr);

#[async_trait]
impl Sender for Direct {
    async fn send(
        &self,
        request: http::Request<Bytes>,
        limit: usize,
    ) -> Result<http::Response<Bytes>, SendError> {
        let failed =
            |source: Box<dyn std::error::Error + Send + Sync>| SendError::Failed { retry: true, source };
        let stream = TcpStream::connect(self.0)
            .await
            .map_err(|error| failed(error.into()))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failed(error.into()))?;
        let exchange = async {
            let response = sender
                .send_request(request.map(Full::new))
                .await
                .map_err(|error| failed(error.into()))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    SendError::TooLarge
                } else {
                    failed(error)
                }
            })?;
            Ok(http::Response::from_parts(parts, body.to_bytes()))
        };
        tokio::select! {
            answer = exchange => answer,
            ended = connection => Err(failed(ended.err().map_or_else(|| "closed".into(), Into::into))),
        }
    }
}

type Handler = fn(&Value) -> http::Response<Full<Bytes>>;

/// A server that answers each request by the handler, which is given the request's body.
async fn serve(handler: Handler) -> Direct {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| async move {
                assert_eq!(
                    (request.method(), request.uri().path()),
                    (&http::Method::POST, "/v1/embeddings")
                );
                let body = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(handler(&serde_json::from_slice(&body).unwrap()))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Direct(address)
}

fn ok(body: &Value) -> http::Response<Full<Bytes>> {
    http::Response::new(Bytes::from(body.to_string()).into())
}

fn status(status: u16, body: &'static str) -> http::Response<Full<Bytes>> {
    http::Response::builder()
        .status(status)
        .body(Bytes::from(body).into())
        .unwrap()
}

fn config() -> UpstreamConfig {
    UpstreamConfig {
        path: "/v1/embeddings".to_owned(),
        batch: 3,
        max_tokens: 4,
        query_prefix: "q: ".to_owned(),
        ..UpstreamConfig::new("local", "tiny", 2)
    }
}

async fn embed(handler: Handler, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
    let upstream = Upstream::new(serve(handler).await, config());
    let texts = texts.iter().map(|&text| text.to_owned()).collect();
    upstream.embed(texts, Purpose::Query).await
}

/// Vectors (length of the text, 0), last text first.
fn lengths(body: &Value) -> http::Response<Full<Bytes>> {
    assert_eq!(
        (&body["model"], &body["encoding_format"]),
        (&json!("tiny"), &json!("float"))
    );
    let input = body["input"].as_array().unwrap();
    assert!(input.len() <= 3);
    let item = |(index, text): (usize, &Value)| {
        let text = text.as_str().unwrap();
        assert!(text.starts_with("q: ") && text.len() <= 3 + 12, "{text}");
        json!({"object": "embedding", "index": index, "embedding": [text.len(), if text == "q: -" { 3 } else { 0 }]})
    };
    let data: Vec<_> = input.iter().enumerate().map(item).rev().collect();
    ok(&json!({"object": "list", "data": data, "model": "tiny", "usage": {"prompt_tokens": 3}}))
}

#[tokio::test]
async fn vectors_come_in_order_at_length_1_from_bounded_batches() {
    let vectors = embed(lengths, &["a", "a longer text than counts", "", "b", "c"])
        .await
        .unwrap();
    assert_eq!(
        vectors,
        [[1.0, 0.0], [1.0, 0.0], [0.8, 0.6], [1.0, 0.0], [1.0, 0.0]]
    );
}

#[tokio::test]
async fn an_answer_that_is_not_vectors_of_the_model_is_refused() {
    let cases: [(Handler, &str); 9] = [
        (|_| ok(&json!({"data": []})), "it has 0 vectors for 2 texts"),
        (
            |_| ok(&json!({"data": [{"index": 0, "embedding": [1, 0]}]})),
            "it has 1 vectors for 2 texts",
        ),
        (
            |_| ok(&json!({"data": [{"index": 0, "embedding": [1, 0]}, {"index": 0, "embedding": [1, 0]}]})),
            "vector 0 is there twice",
        ),
        (
            |_| ok(&json!({"data": [{"index": 0, "embedding": [1, 0]}, {"index": 7, "embedding": [1, 0]}]})),
            "vector 7 is there twice, or was not asked for",
        ),
        (
            |_| {
                ok(
                    &json!({"data": [{"index": 0, "embedding": [1, 0]}, {"index": 1, "embedding": [1, 0, 0]}]}),
                )
            },
            "a vector has 3 numbers, not 2",
        ),
        (
            |_| ok(&json!({"data": [{"index": 0, "embedding": [0, 0]}, {"index": 1, "embedding": [1, 0]}]})),
            "a vector has no length",
        ),
        (
            |_| {
                ok(
                    &json!({"data": [{"index": 0, "embedding": [1e39, 0]}, {"index": 1, "embedding": [1, 0]}]}),
                )
            },
            // that it is past what a float holds is told here or by the parser, as its features are
            "",
        ),
        (
            |_| status(200, r#"{"data": [{"index": 0, "embedding": [NaN, 0]}]}"#),
            "it is no list of vectors",
        ),
        (
            |_| http::Response::new(Bytes::from(vec![b' '; 200_000]).into()),
            "it is too large",
        ),
    ];
    for (handler, expected) in cases {
        let error = embed(handler, &["a", "b"]).await.unwrap_err();
        assert!(
            matches!(&error, Error::Answer { why } if why.contains(expected)),
            "{expected}: {error}"
        );
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_refusal_says_whether_to_come_again() {
    let overloaded: Handler = |_| {
        let mut response = status(429, "slow down");
        response.headers_mut().insert("retry-after", "7".parse().unwrap());
        response
    };
    let error = embed(overloaded, &["a"]).await.unwrap_err();
    assert!(
        error.is_retryable() && error.retry_after() == Some(Duration::from_secs(7)),
        "{error:?}"
    );
    let error = embed(|_| status(503, ""), &["a"]).await.unwrap_err();
    assert!(error.is_retryable() && error.retry_after().is_none(), "{error:?}");
    let error = embed(|_| status(500, "oh\u{1b}[31m no"), &["a"])
        .await
        .unwrap_err();
    assert!(
        error.is_retryable() && error.to_string().contains("(HTTP 500): oh [31m no"),
        "{error}"
    );
    let error = embed(|_| status(401, "who?"), &["a"]).await.unwrap_err();
    assert!(
        !error.is_retryable() && matches!(error, Error::Refused { status: 401, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_refusal_says_whether_it_may_be_of_the_text() {
    let check = async |handler: Handler, is_retryable: bool, may_be_the_text: bool| {
        let error = embed(handler, &["a"]).await.unwrap_err();
        let said = (error.is_retryable(), error.may_be_the_texts());
        assert_eq!(said, (is_retryable, may_be_the_text), "{error:?}");
    };
    check(|_| status(400, ""), false, true).await;
    check(|_| status(403, ""), false, true).await;
    check(|_| status(413, ""), false, true).await;
    check(|_| status(422, ""), false, true).await;
    check(|_| status(200, "[]"), false, true).await;
    check(|_| status(401, ""), false, false).await;
    check(|_| status(404, ""), false, false).await;
    check(|_| status(302, ""), false, false).await;
    check(|_| status(408, ""), true, false).await;
    check(|_| status(425, ""), true, false).await;
    check(|_| status(429, ""), true, false).await;
    check(|_| status(500, ""), true, false).await;
    check(|_| status(503, ""), true, false).await;
}

#[tokio::test]
async fn an_upstream_that_is_away_or_silent_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Duration::from_millis(50);
    let silent = Upstream::new(
        Direct(address),
        UpstreamConfig {
            timeout: patience,
            ..config()
        },
    );
    let error = silent
        .embed(vec!["a".to_owned()], Purpose::Passage)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout { after } if after == patience) && error.is_retryable());
    drop(listener);
    let error = silent
        .embed(vec!["a".to_owned()], Purpose::Passage)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreachable { .. }) && error.is_retryable(),
        "{error:?}"
    );
}

#[test]
fn other_settings_are_another_model() {
    let digest = |config: UpstreamConfig| {
        Upstream::new(Direct(([127, 0, 0, 1], 9).into()), config)
            .model()
            .digest
            .clone()
    };
    let first = digest(config());
    assert_eq!(first, digest(UpstreamConfig { batch: 9, ..config() }));
    assert_ne!(
        first,
        digest(UpstreamConfig {
            passage_prefix: "p: ".to_owned(),
            ..config()
        })
    );
    assert_ne!(
        first,
        digest(UpstreamConfig {
            dimension: 3,
            ..config()
        })
    );
}
