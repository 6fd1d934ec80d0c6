//! Whole jobs from a client's point of view, with every part real but the model: in one process and in many.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test they help"
)]
#![expect(
    clippy::print_stdout,
    reason = "how much was walked and killed is worth knowing"
)]

/// Each of these scenarios in one process and in many, where it must tell the same.
macro_rules! both {
    ($($scenario:ident),* $(,)?) => {
        mod both {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    crate::support::both(super::$scenario).await;
                }
            )*
        }
    };
}

mod approvals;
mod authorization;
mod crash;
mod deaths;
mod descriptors;
mod faults;
mod full_disk;
mod grants;
mod input;
mod log_crash;
mod memories;
mod model;
mod ops;
mod outside;
mod pair;
mod people;
mod quoted;
mod recovery;
mod repeated;
mod rolling;
mod runs;
mod secrets;
mod skew;
mod spine;
mod strangers;
mod sums;
mod support;
mod traces;
mod workspace;
