//! The trace of a call: taken from its header, shown on every line of the log, and passed on to whoever is called next.

use harombe_telemetry::TraceContext;
use http::{HeaderMap, HeaderValue};
use tracing::Span;
use tracing::field::Empty;

pub(crate) const HEADER: &str = "traceparent";
const STATE: &str = "tracestate";

/// The span of a call that came in: a part of its caller's trace, or of what this task works on; else a trace of its own.
pub(crate) fn incoming(headers: &HeaderMap) -> TraceContext {
    let given = headers
        .get(HEADER)
        .and_then(|value| TraceContext::parse(value.as_bytes()));
    given
        .or_else(TraceContext::current)
        .map_or_else(TraceContext::start, TraceContext::child)
}

/// Tells whom this task calls what it works on. A request that says so already keeps what it says.
pub(crate) fn outgoing(headers: &mut HeaderMap) {
    if headers.contains_key(HEADER) {
        return;
    }
    let trace = TraceContext::current().unwrap_or_else(TraceContext::start);
    if let Ok(value) = HeaderValue::try_from(trace.to_string()) {
        headers.insert(HEADER, value);
    }
}

/// What log lines of a call say of it. An error's, so that lines keep their trace however little is logged.
pub(crate) fn span_of_call(method: &str, trace: TraceContext) -> Span {
    tracing::error_span!(
        "rpc",
        method,
        caller = Empty,
        trace_id = %trace.trace_id(),
        span_id = %trace.span_id(),
    )
}

/// The trace that a stranger names. It is taken out of the headers, with what belongs to it: nobody behind the door joins it.
pub(crate) fn taken(headers: &mut HeaderMap) -> Option<TraceContext> {
    headers.remove(STATE);
    let given = headers.remove(HEADER)?;
    TraceContext::parse(given.as_bytes())
}

/// What log lines of a request at a public port say of it, with the trace that its sender names.
pub(crate) fn span_of_request(
    method: &str,
    path: &str,
    trace: TraceContext,
    theirs: Option<TraceContext>,
) -> Span {
    let span = tracing::error_span!(
        "http",
        method,
        path,
        trace_id = %trace.trace_id(),
        span_id = %trace.span_id(),
        client_trace_id = Empty,
        client_span_id = Empty,
    );
    if let Some(theirs) = theirs {
        span.record("client_trace_id", tracing::field::display(theirs.trace_id()));
        span.record("client_span_id", tracing::field::display(theirs.span_id()));
    }
    span
}
