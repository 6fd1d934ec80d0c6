//! What the stack counts of the calls that it serves.

use std::sync::{Arc, OnceLock};

use harombe_telemetry::metrics::{Counter, Family, Gauge, Histogram, Metrics, exponential_buckets};
use harombe_types::ServiceName;
use http::{HeaderMap, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

type Labels<const N: usize> = [(&'static str, String); N];
type Seconds = Family<Labels<2>, Histogram, fn() -> Histogram>;

/// gRPC's codes are 0 to 16.
const CODES: usize = 17;

/// The metrics that all servers of a process share.
#[derive(Clone)]
pub(crate) struct Tally {
    calls: Family<Labels<3>, Counter>,
    seconds: Seconds,
    in_flight: Family<Labels<2>, Gauge>,
}

/// The numbers of one method, looked up once each.
pub(crate) struct MethodTally {
    tally: Tally,
    labels: Labels<2>,
    unary: bool,
    calls: [OnceLock<Counter>; CODES],
    seconds: OnceLock<Histogram>,
    in_flight: OnceLock<Gauge>,
}

/// One call; counted when it is dropped, as cancelled unless it was told how the call ended.
pub(crate) struct Counted {
    method: Arc<MethodTally>,
    begun: Instant,
    code: Code,
}

impl Tally {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let buckets = || Histogram::new(exponential_buckets(0.000_25, 2.0, 17));
        Self {
            calls: metrics.metric(
                "harombe_rpc_server_calls",
                "Calls answered, by the code of the answer",
                Family::default,
            ),
            seconds: metrics.metric(
                "harombe_rpc_server_seconds",
                "How long unary calls took, in seconds",
                || Seconds::new_with_constructor(buckets),
            ),
            in_flight: metrics.metric(
                "harombe_rpc_server_in_flight",
                "Calls being answered now, open streams included",
                Family::default,
            ),
        }
    }

    pub(crate) fn of_method(&self, server: ServiceName, path: &str, unary: bool) -> Arc<MethodTally> {
        Arc::new(MethodTally {
            tally: self.clone(),
            labels: [("service", server.to_string()), ("method", path.to_owned())],
            unary,
            calls: [const { OnceLock::new() }; CODES],
            seconds: OnceLock::new(),
            in_flight: OnceLock::new(),
        })
    }
}

impl MethodTally {
    pub(crate) fn begin(self: &Arc<Self>, begun: Instant) -> Counted {
        self.in_flight().inc();
        Counted {
            method: Arc::clone(self),
            begun,
            code: Code::Cancelled,
        }
    }

    fn in_flight(&self) -> &Gauge {
        self.in_flight
            .get_or_init(|| self.tally.in_flight.get_or_create_owned(&self.labels))
    }

    fn ended(&self, code: Code, begun: Instant) {
        self.in_flight().dec();
        let number = i32::from(code);
        let slot = usize::try_from(number).ok().and_then(|at| self.calls.get(at));
        if let Some(slot) = slot {
            let counter = slot.get_or_init(|| {
                let [service, method] = self.labels.clone();
                let code = ("code", name(code).to_owned());
                self.tally.calls.get_or_create_owned(&[service, method, code])
            });
            counter.inc();
        }
        if self.unary {
            self.seconds
                .get_or_init(|| self.tally.seconds.get_or_create_owned(&self.labels))
                .observe(begun.elapsed().as_secs_f64());
        }
    }
}

impl Counted {
    /// A status in the headers is the answer's end, whether or not a body could have followed.
    pub(crate) fn answered(&mut self, response: &Response<Body>) {
        if response.headers().contains_key(Status::GRPC_STATUS) {
            self.ended_with(response.headers());
        } else if self.method.unary {
            self.code = Code::Ok;
        }
    }

    pub(crate) fn ended_with(&mut self, trailers: &HeaderMap) {
        let status = trailers.get(Status::GRPC_STATUS);
        self.code = status.map_or(Code::Unknown, |status| Code::from_bytes(status.as_bytes()));
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.method.ended(self.code, self.begun);
    }
}

/// As gRPC's documentation writes them.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
