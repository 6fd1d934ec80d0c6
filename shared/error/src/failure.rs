//! What a caller can learn from a status that a service of ours sent.

use std::fmt;
use std::time::Duration;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::status::{DOMAIN, ServiceError, to_status};
use crate::{Code, Reason};

/// A failure as it came from another service, or as it is to be sent on unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: Code,
    pub reason: Reason,
    pub message: String,
    pub retry_after: Option<Duration>,
}

impl Failure {
    #[must_use]
    pub fn new(code: Code, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            retry_after: None,
        }
    }

    /// The status that says this.
    #[must_use]
    pub fn to_status(&self) -> Status {
        // An internal failure of another service is already stripped of its cause and names its request.
        if self.code == Code::Internal {
            let mut details = ErrorDetails::new();
            details.set_error_info(self.reason.as_str(), DOMAIN, []);
            return Status::with_error_details(tonic::Code::Internal, self.message.clone(), details);
        }
        to_status(self)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl ServiceError for Failure {
    fn code(&self) -> Code {
        self.code
    }

    fn reason(&self) -> Reason {
        self.reason
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

/// A status without a reason of ours (a transport's, a library's) gets the general one of its code.
impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let code = Code::from_grpc(status.code());
        let details = status.get_error_details();
        let reason = details
            .error_info()
            .filter(|info| info.domain == DOMAIN)
            .and_then(|info| Reason::parse(&info.reason))
            .unwrap_or_else(|| general_reason(code));
        Self {
            code,
            reason,
            message: status.message().to_owned(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::from(&status)
    }
}

const fn general_reason(code: Code) -> Reason {
    match code {
        Code::InvalidArgument => Reason::InvalidArgument,
        Code::NotFound => Reason::NotFound,
        Code::Unauthenticated => Reason::Unauthenticated,
        Code::PermissionDenied => Reason::NotAllowed,
        Code::ResourceExhausted => Reason::LimitExceeded,
        Code::DeadlineExceeded => Reason::DeadlineExceeded,
        Code::Unavailable => Reason::Unavailable,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted | Code::Internal => Reason::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("store cannot be written")]
    struct Broken(#[source] std::io::Error);

    impl ServiceError for Broken {
        fn code(&self) -> Code {
            Code::Internal
        }
        fn reason(&self) -> Reason {
            Reason::Internal
        }
    }

    #[test]
    fn a_failure_survives_the_wire() {
        for reason in Reason::ALL {
            let mut failure = Failure::new(Code::FailedPrecondition, *reason, "do this");
            failure.retry_after = Some(Duration::from_secs(2));
            assert_eq!(Failure::from(failure.to_status()), failure);
        }
    }

    #[test]
    fn an_internal_error_keeps_its_cause_to_itself() {
        let status = to_status(&Broken(std::io::Error::other("/secret/path")));
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(!status.message().contains("secret") && !status.message().contains("store"));
        assert!(!String::from_utf8_lossy(status.details()).contains("secret"));
    }

    #[test]
    fn reasons_of_other_domains_are_not_ours() {
        let mut details = ErrorDetails::new();
        details.set_error_info("GRANT_INVALID", "example.com", []);
        let status = Status::with_error_details(tonic::Code::NotFound, "x", details);
        assert_eq!(Failure::from(status).reason, Reason::NotFound);
    }
}
