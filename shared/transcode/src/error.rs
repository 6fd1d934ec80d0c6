//! What a caller is told in HTTP when something was refused or failed.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tonic::body::Body;

/// A failure and the HTTP status under which it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    pub status: StatusCode,
    pub failure: Failure,
    /// The methods that the path has, when the request's is not among them.
    allow: Option<String>,
}

/// The HTTP status of a failure: as google.rpc maps its code; a limit that waiting does not help is one of size.
#[must_use]
pub const fn http_status(failure: &Failure) -> StatusCode {
    match failure.code {
        Code::InvalidArgument | Code::FailedPrecondition => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::ResourceExhausted => match (failure.reason, failure.retry_after) {
            (Reason::LimitExceeded, None) => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        },
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const fn name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Unavailable => "UNAVAILABLE",
        Code::Internal => "INTERNAL",
    }
}

impl From<Failure> for HttpError {
    fn from(failure: Failure) -> Self {
        Self {
            status: http_status(&failure),
            failure,
            allow: None,
        }
    }
}

impl HttpError {
    fn of(status: StatusCode, code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::from(Failure::new(code, reason, message))
        }
    }

    /// 400: the request cannot be understood; the message says what to change.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::of(
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            Reason::InvalidArgument,
            message,
        )
    }

    /// 404: there is nothing at this path.
    #[must_use]
    pub fn no_such_path(path: &str) -> Self {
        let shown: String = path.chars().take(200).collect();
        let message = format!("there is nothing at {shown:?}; GET /openapi.json lists what there is");
        Self::of(StatusCode::NOT_FOUND, Code::NotFound, Reason::NotFound, message)
    }

    /// 405: the path has other methods.
    #[must_use]
    pub fn wrong_method(allowed: &[&str]) -> Self {
        let allow = allowed.join(", ");
        let message = format!("this path takes {allow}");
        let mut error = Self::of(
            StatusCode::METHOD_NOT_ALLOWED,
            Code::InvalidArgument,
            Reason::InvalidArgument,
            message,
        );
        error.allow = Some(allow);
        error
    }

    /// 408: the client did not send its body in time.
    #[must_use]
    pub fn slow(limit: Duration) -> Self {
        let message = format!("the body did not come within {} s", limit.as_secs());
        Self::of(
            StatusCode::REQUEST_TIMEOUT,
            Code::DeadlineExceeded,
            Reason::DeadlineExceeded,
            message,
        )
    }

    /// 413: more than `limit` bytes.
    #[must_use]
    pub fn too_large(limit: u64) -> Self {
        let message = format!("the body may have at most {limit} bytes");
        Self::of(
            StatusCode::PAYLOAD_TOO_LARGE,
            Code::ResourceExhausted,
            Reason::LimitExceeded,
            message,
        )
    }

    /// 415: a body that is not JSON by its header.
    #[must_use]
    pub fn not_json() -> Self {
        Self::of(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::InvalidArgument,
            Reason::InvalidArgument,
            "send the body as JSON, with the header `content-type: application/json`",
        )
    }

    /// What is wrong, as the body says it: like `google.rpc.Status`, and our reason in plain sight.
    #[must_use]
    pub fn json(&self) -> Value {
        let Failure {
            code,
            reason,
            message,
            retry_after,
        } = &self.failure;
        let mut details = vec![json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason.as_str(),
            "domain": "harombe",
        })];
        if let Some(after) = retry_after {
            details.push(json!({
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{}s", after.as_secs_f64()),
            }));
        }
        json!({"error": {
            "code": self.status.as_u16(),
            "status": name(*code),
            "reason": reason.as_str(),
            "message": message,
            "details": details,
        }})
    }

    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let body = self.json();
        self.response_with(&body)
    }

    /// The same status and headers around another body.
    #[must_use]
    pub fn response_with(&self, body: &Value) -> Response<Body> {
        let mut response = Response::new(Body::new(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(after) = self.failure.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self
            .allow
            .as_deref()
            .and_then(|allow| HeaderValue::from_str(allow).ok())
        {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_passes_says_when_to_come_again() {
        let mut failure = Failure::new(Code::ResourceExhausted, Reason::LimitExceeded, "too many");
        failure.retry_after = Some(Duration::from_millis(1200));
        let error = HttpError::from(failure);
        assert_eq!(error.json()["error"]["details"][1]["retryDelay"], "1.2s");
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
    }

    #[test]
    fn what_stays_too_large_is_not_to_be_sent_again() {
        let failure = Failure::new(Code::ResourceExhausted, Reason::LimitExceeded, "too large");
        let response = HttpError::from(failure).into_response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(!response.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn a_wrong_method_names_the_right_ones() {
        let response = HttpError::wrong_method(&["GET", "PUT"]).into_response();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, PUT");
    }
}
