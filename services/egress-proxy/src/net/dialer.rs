//! Opens connections, and only to addresses that were checked.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::domain::address::CheckedAddress;

/// A byte stream to a peer.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to one checked address.
#[async_trait]
pub trait Dialer: Send + Sync {
    /// # Errors
    /// The connection could not be made.
    async fn dial(&self, address: CheckedAddress, port: u16) -> io::Result<Box<dyn Stream>>;
}

/// Dials over the machine's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDialer;

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, address: CheckedAddress, port: u16) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(SocketAddr::new(address.get(), port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}

impl fmt::Debug for dyn Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}
