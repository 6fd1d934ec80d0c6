//! The closed list of reasons; each has a page in `docs/errors`.

use std::fmt;

macro_rules! reasons {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// Why something was refused or failed, in a word that stays the same for ever (CONTRACTS §9).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", $text, "`, see `docs/errors/", $text, ".md`.")] $name,)*
        }

        impl Reason {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The reason of that word, if it is one of ours.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
            }
        }
    };
}

reasons! {
    AlreadyDecided = "ALREADY_DECIDED",
    ApprovalDenied = "APPROVAL_DENIED",
    ApprovalExpired = "APPROVAL_EXPIRED",
    AuditUnavailable = "AUDIT_UNAVAILABLE",
    CallInvalid = "CALL_INVALID",
    CallMismatch = "CALL_MISMATCH",
    CredentialUnavailable = "CREDENTIAL_UNAVAILABLE",
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    EgressDenied = "EGRESS_DENIED",
    EgressUnavailable = "EGRESS_UNAVAILABLE",
    FileNotFound = "FILE_NOT_FOUND",
    GrantExpired = "GRANT_EXPIRED",
    GrantInvalid = "GRANT_INVALID",
    GrantRedeemed = "GRANT_REDEEMED",
    HitlUnavailable = "HITL_UNAVAILABLE",
    Internal = "INTERNAL",
    InvalidArgument = "INVALID_ARGUMENT",
    IsolationUnavailable = "ISOLATION_UNAVAILABLE",
    LeaseLost = "LEASE_LOST",
    LimitExceeded = "LIMIT_EXCEEDED",
    MemoryLimit = "MEMORY_LIMIT",
    MemoryMoreTrusted = "MEMORY_MORE_TRUSTED",
    MemorySuperseded = "MEMORY_SUPERSEDED",
    MemoryUnavailable = "MEMORY_UNAVAILABLE",
    ModelInvalid = "MODEL_INVALID",
    ModelRefused = "MODEL_REFUSED",
    NotAllowed = "NOT_ALLOWED",
    NotFound = "NOT_FOUND",
    OutputLimit = "OUTPUT_LIMIT",
    SandboxUnavailable = "SANDBOX_UNAVAILABLE",
    SessionBusy = "SESSION_BUSY",
    StoreUnavailable = "STORE_UNAVAILABLE",
    TimeLimit = "TIME_LIMIT",
    ToolUnknown = "TOOL_UNKNOWN",
    Unauthenticated = "UNAUTHENTICATED",
    Unavailable = "UNAVAILABLE",
    UpstreamFailed = "UPSTREAM_FAILED",
    WorkspaceElsewhere = "WORKSPACE_ELSEWHERE",
    WorkspaceFull = "WORKSPACE_FULL",
    WorkspaceLost = "WORKSPACE_LOST",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
