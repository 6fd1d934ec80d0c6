//! The port of those who run a service: is it alive, does it want calls, and its numbers.

use std::convert::Infallible;
use std::time::Duration;

use harombe_telemetry::metrics::{CONTENT_TYPE, Metrics};
use http::header::{ALLOW, CONTENT_TYPE as KIND, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;

use crate::{PublicLimits, serve_public};

const TEXT: &str = "text/plain; charset=utf-8";

/// Answers `GET /livez` (the process runs), `/readyz` (it wants calls: 200, else 503) and `/metrics` until `stop` is
/// cancelled. In plain text and to anyone: for loopback or a network of one's own. Nothing in it is secret.
pub async fn serve_ops<R>(listener: TcpListener, metrics: Metrics, ready: R, stop: CancellationToken)
where
    R: Fn() -> bool + Clone + Send + Sync + 'static,
{
    let limits = PublicLimits {
        connections: 64,
        streams: 16,
        window: 64 * 1024,
        header_bytes: 8 * 1024,
        header_count: 50,
        idle: Duration::from_secs(120),
        ..PublicLimits::default()
    };
    let service = tower::service_fn(move |request: Request<Body>| {
        let response = answer(&request, &metrics, &ready);
        async move { Ok::<_, Infallible>(response) }
    });
    serve_public(listener, None, service, limits, stop).await;
}

fn answer(request: &Request<Body>, metrics: &Metrics, ready: impl Fn() -> bool) -> Response<Body> {
    if request.method() != Method::GET {
        let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return refused;
    }
    match request.uri().path() {
        "/livez" => page(StatusCode::OK, TEXT, "alive\n"),
        "/readyz" if ready() => page(StatusCode::OK, TEXT, "ready\n"),
        "/readyz" => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
        "/metrics" => page(StatusCode::OK, CONTENT_TYPE, metrics.encode()),
        _ => page(
            StatusCode::NOT_FOUND,
            TEXT,
            "there are /livez, /readyz and /metrics\n",
        ),
    }
}

fn page(status: StatusCode, kind: &'static str, text: impl Into<String>) -> Response<Body> {
    let mut response = Response::new(Body::new(text.into()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(KIND, HeaderValue::from_static(kind));
    response
}
