//! What the broker and process 1 of a sandbox must agree on, and nothing else: this library is linked
//! into both, so it is small and has no state.

pub mod protocol;

/// The descriptor, inside the sandbox, on which the guest writes its replies.
pub const STATUS_FD: i32 = 3;
