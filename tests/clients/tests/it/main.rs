//! Clients that others wrote, unmodified, and the snippets of docs/api.md.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests"
)]

use harombe_clients::System;

/// How the services are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topology {
    Embedded,
    Processes,
}

impl Topology {
    async fn start(self) -> System {
        match self {
            Self::Embedded => System::start().await,
            Self::Processes => System::start_apart(env!("CARGO_BIN_EXE_harombe-clients-service")).await,
        }
    }
}

/// Each of these tests in both topologies.
macro_rules! both {
    ($($test:ident),* $(,)?) => {
        mod embedded {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test(crate::Topology::Embedded).await;
                }
            )*
        }
        mod processes {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test(crate::Topology::Processes).await;
                }
            )*
        }
    };
}

mod programs;
mod snippets;
mod strangers;
