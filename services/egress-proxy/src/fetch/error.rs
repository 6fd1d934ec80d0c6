//! What can end an exchange that was allowed.

use std::io;

use crate::domain::denial::Stage;
use crate::net::roots::RootsError;

/// An exchange that did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no checked address accepted a connection")]
    Dial(#[source] io::Error),
    #[error("the peer could not prove its name")]
    Tls(#[source] io::Error),
    #[error("the host cannot be named in a request")]
    ServerName,
    #[error("tls is not available")]
    Roots(#[source] RootsError),
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
    #[error("the peer broke off or does not speak http/1.1 within the limits")]
    Exchange(#[source] hyper::Error),
    #[error("the peer switched protocols without being asked")]
    Switched,
    #[error("the peer encoded its answer, though it was asked not to, so that it cannot be looked through")]
    Coded,
    #[error("the time limit was reached")]
    TimeLimit,
    #[error("the proxy is shutting down")]
    Interrupted,
}

impl FetchError {
    /// The stage at which the exchange ended.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Dial(_) => Stage::Dial,
            Self::Tls(_) | Self::ServerName | Self::Roots(_) => Stage::Tls,
            Self::Request(_)
            | Self::Exchange(_)
            | Self::Switched
            | Self::Coded
            | Self::TimeLimit
            | Self::Interrupted => Stage::Relay,
        }
    }
}
