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
        mod processes {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    super::$test(harombe_e2e::Topology::Processes).await;
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
mod grants;
mod input;
mod log_crash;
mod model;
mod outside;
mod pair;
mod recovery;
mod rolling;
mod runs;
mod secrets;
mod spine;
mod strangers;
mod support;
mod workspace;
