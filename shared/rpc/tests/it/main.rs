//! Both paths are equal: a toy service is called in process and over loopback mTLS, and every test must pass on both.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail like tests"
)]

mod auth;
mod balance;
mod calls;
mod certificates;
mod deadlines;
mod door;
mod failures;
mod frames;
mod misuse;
mod network;
mod numbers;
mod public;
mod retries;
mod stranger;
mod toy;
mod traces;
mod unread;
mod world;

/// Makes of each body two tests, one for each path.
macro_rules! on_both_paths {
    ($(async fn $name:ident($world:ident: World) $body:block)*) => {$(
        mod $name {
            use super::*;

            async fn on($world: World) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn in_process() {
                on(World::in_process()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn over_tls() {
                on(World::over_tls().await).await;
            }
        }
    )*};
}
pub(crate) use on_both_paths;
