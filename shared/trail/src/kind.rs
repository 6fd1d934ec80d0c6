//! The closed list of what is recorded (CONTRACTS §5).

use std::fmt;

macro_rules! kinds {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl Kind {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    RunStarted = "run.started",
    RunFinished = "run.finished",
    CallAuthorized = "call.authorized",
    ApprovalRequested = "approval.requested",
    ApprovalDecided = "approval.decided",
    ApprovalErased = "approval.erased",
    GrantRedeemed = "grant.redeemed",
    GrantRefused = "grant.refused",
    ExecStarted = "exec.started",
    ExecFinished = "exec.finished",
    EgressDecided = "egress.decided",
    EgressClosed = "egress.closed",
    MemorySaved = "memory.saved",
    MemoryForgotten = "memory.forgotten",
    KeyCreated = "key.created",
    KeyRevoked = "key.revoked",
    LoginRefused = "login.refused",
    RpcRefused = "rpc.refused",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
