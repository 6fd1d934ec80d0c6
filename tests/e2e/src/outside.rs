//! A world outside with one host in it: a server of the test's behind a resolver and a dialler of its own.

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use harombe_egress_proxy::Edges;
use harombe_egress_proxy::domain::address::CheckedAddress;
use harombe_egress_proxy::domain::host::DnsName;
use harombe_egress_proxy::domain::resolver::{Answer, ResolveError, Resolver};
use harombe_egress_proxy::net::dialer::{Dialer, Stream};
use harombe_egress_proxy::net::roots::Roots;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;

/// The one name that resolves.
pub const HOST: &str = "figures.example.com";
/// To this public address, where nobody really goes.
pub const ADDRESS: [u8; 4] = [93, 184, 215, 14];

/// The world with that one host, whose server really listens on a loopback port.
#[derive(Clone, Debug)]
pub struct Outside {
    port: u16,
    /// The authority that vouches for the host, in PEM.
    root: String,
    dialled: Arc<Mutex<Vec<(IpAddr, u16)>>>,
}

impl Outside {
    #[must_use]
    pub fn new(port: u16, root: String) -> Self {
        Self {
            port,
            root,
            dialled: Arc::default(),
        }
    }

    /// The edges of an egress proxy in this world.
    ///
    /// # Panics
    /// When the root is no certificate.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn edges(&self) -> Edges {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.root.as_bytes()).expect("a certificate");
        roots.add(root).expect("a root");
        Edges {
            resolver: Arc::new(OneName),
            dialer: Arc::new(self.clone()),
            roots: Roots::Given(roots),
        }
    }

    /// Where this process's proxy went.
    #[must_use]
    pub fn dialled(&self) -> Vec<(IpAddr, u16)> {
        self.dialled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What tells another process's proxy about this world; writes a file for it.
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub(crate) fn arguments(&self, dir: &Path) -> Vec<OsString> {
        let root = dir.join("outside.pem");
        std::fs::write(&root, &self.root).expect("the root's file");
        let port = self.port.to_string();
        vec![
            "--outside-port".into(),
            port.into(),
            "--outside-root".into(),
            root.into(),
        ]
    }
}

/// Knows one name.
#[derive(Debug)]
struct OneName;

#[async_trait]
impl Resolver for OneName {
    async fn resolve(&self, name: &DnsName) -> Result<Answer, ResolveError> {
        if name.as_str() != HOST {
            return Err(ResolveError::NoAddress { ttl: Duration::ZERO });
        }
        Ok(Answer {
            addresses: [IpAddr::from(ADDRESS)].as_slice().into(),
            ttl: Duration::ZERO,
        })
    }
}

/// Leads to the test's server, and remembers where it was asked to go.
#[async_trait]
impl Dialer for Outside {
    async fn dial(&self, address: CheckedAddress, port: u16) -> io::Result<Box<dyn Stream>> {
        self.dialled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((address.get(), port));
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).await?;
        Ok(Box::new(stream))
    }
}
