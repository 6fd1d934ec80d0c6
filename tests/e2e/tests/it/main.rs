//! Whole jobs from a client's point of view, with every part real but the model: in one process and in two.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test they help"
)]

/// Each of these tests in both topologies.
macro_rules! both {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(harombe_e2e::Topology::Embedded).await;
                }
            )*
        }
        mod audit_apart {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(harombe_e2e::Topology::AuditApart).await;
                }
            )*
        }
    };
}

mod approvals;
mod authorization;
mod crash;
mod descriptors;
mod faults;
mod grants;
mod input;
mod log_crash;
mod model;
mod outside;
mod runs;
mod secrets;
mod spine;
mod strangers;
mod support;
mod workspace;
