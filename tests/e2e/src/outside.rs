//! A world outside with one host in it: a server of the test's behind a resolver and a dialler of its own.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
use tempfile::TempDir;
use tokio::net::TcpStream;

/// The one name that resolves.
pub const HOST: &str = "figures.example.com";
/// To this public address, where nobody really goes.
pub const ADDRESS: [u8; 4] = [93, 184, 215, 14];

/// In the directory of such a world.
const SERVER: &str = "server";
const ROOT: &str = "root.pem";
const DIALLED: &str = "dialled";

/// The world with that one host, whose server really listens on a loopback port. A directory tells every process about it,
/// and who went there.
#[derive(Clone, Debug)]
pub struct Outside(Arc<TempDir>);

impl Outside {
    /// The host's server is there; `root` vouches for it, in PEM.
    ///
    /// # Panics
    /// When its directory cannot be written.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn new(server: SocketAddr, root: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the world outside");
        std::fs::write(dir.path().join(SERVER), server.to_string()).expect("where it is");
        std::fs::write(dir.path().join(ROOT), root).expect("the root's file");
        Self(Arc::new(dir))
    }

    /// The edges of an egress proxy of this process in this world.
    ///
    /// # Panics
    /// When the root is no certificate.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn edges(&self) -> Edges {
        Self::edges_at(self.0.path()).expect("edges")
    }

    /// The same, in another process than the test's.
    ///
    /// # Errors
    /// When the directory does not tell of such a world.
    pub fn edges_at(dir: &Path) -> Result<Edges, Box<dyn Error>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(dir.join(ROOT))?)?;
        let door = Door {
            server: std::fs::read_to_string(dir.join(SERVER))?.parse()?,
            dialled: dir.join(DIALLED),
        };
        Ok(Edges {
            resolver: Arc::new(OneName),
            dialer: Arc::new(door),
            roots: Roots::Given(roots),
        })
    }

    /// Where proxies went, in order.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn dialled(&self) -> Vec<SocketAddr> {
        let text = match std::fs::read_to_string(self.0.path().join(DIALLED)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.expect("where they went"),
        };
        text.lines()
            .map(|line| line.parse().expect("an address"))
            .collect()
    }

    /// What tells another process about this world.
    pub(crate) fn arguments(&self) -> [OsString; 2] {
        ["--outside".into(), self.0.path().into()]
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

/// Leads to the test's server, and writes down where it was asked to go.
#[derive(Debug)]
struct Door {
    server: SocketAddr,
    dialled: PathBuf,
}

#[async_trait]
impl Dialer for Door {
    async fn dial(&self, address: CheckedAddress, port: u16) -> io::Result<Box<dyn Stream>> {
        let mut dialled = File::options().append(true).create(true).open(&self.dialled)?;
        let line = format!("{}\n", SocketAddr::new(address.get(), port));
        dialled.write_all(line.as_bytes())?;
        Ok(Box::new(TcpStream::connect(self.server).await?))
    }
}
