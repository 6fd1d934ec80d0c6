//! Errors in the shape that `OpenAI`'s SDKs understand.

use harombe_error::{Code, Failure, Reason};
use harombe_transcode::HttpError;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use tonic::Status;
use tonic::body::Body;

#[derive(Debug)]
pub(crate) struct OpenAiError {
    error: HttpError,
    /// The parameter that is at fault.
    param: Option<&'static str>,
    /// A word that these SDKs know, where ours would not do.
    code: Option<&'static str>,
    /// A run was begun: sending the request again would begin another.
    begun: bool,
}

impl OpenAiError {
    /// 400: this parameter cannot be taken as it is.
    pub(crate) fn invalid(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param),
            ..Self::from(HttpError::invalid(message))
        }
    }

    pub(crate) fn wrong_method(allowed: &[&str]) -> Self {
        HttpError::wrong_method(allowed).into()
    }

    pub(crate) fn no_such_model(name: &str) -> Self {
        let shown: String = name.chars().take(100).collect();
        let message = format!("no agent is called {shown:?}; GET /v1/models names those that there are");
        Self {
            param: Some("model"),
            code: Some("model_not_found"),
            ..Self::from(Failure::new(Code::NotFound, Reason::NotFound, message))
        }
    }

    /// Why no session of that agent could be begun: a name that cannot be one is a model that there is not.
    pub(crate) fn of_model(name: &str, status: &Status) -> Self {
        match Failure::from(status) {
            Failure {
                code: Code::InvalidArgument,
                ..
            } => Self::no_such_model(name),
            failure => failure.into(),
        }
    }

    /// The same, of a run that has begun.
    pub(crate) fn begun(self) -> Self {
        Self { begun: true, ..self }
    }

    pub(crate) fn json(&self) -> Value {
        let failure = &self.error.failure;
        json!({"error": {
            "message": failure.message,
            "type": kind(self.error.status),
            "param": self.param,
            "code": self.code.unwrap_or(failure.reason.as_str()),
        }})
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = self.error.response_with(&self.json());
        if self.begun {
            // The SDKs send a request again after most failures unless they are told not to.
            response
                .headers_mut()
                .insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}

impl From<HttpError> for OpenAiError {
    fn from(error: HttpError) -> Self {
        Self {
            error,
            param: None,
            code: None,
            begun: false,
        }
    }
}

impl From<Failure> for OpenAiError {
    fn from(failure: Failure) -> Self {
        HttpError::from(failure).into()
    }
}

impl From<Status> for OpenAiError {
    fn from(status: Status) -> Self {
        Failure::from(status).into()
    }
}

fn kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "server_error",
    }
}
