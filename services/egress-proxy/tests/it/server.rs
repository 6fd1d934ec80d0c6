//! A real TLS server on loopback that says what it is told and remembers what it heard.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use harombe_egress_proxy::domain::address::CheckedAddress;
use harombe_egress_proxy::net::dialer::{Dialer, Stream};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate authority made for one test.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate"),
        )
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a root");
        roots
    }

    /// The authority's own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server certificate for `name`, changed by `edit` before it is signed.
    pub(crate) fn server(&self, name: &str, edit: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        edit(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .expect("a server");
        Arc::new(config)
    }
}

/// What reached the server on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) sni: Option<String>,
    pub(crate) head: String,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    /// Serves `response`, byte for byte, after each request's head, then closes; never answers when empty.
    pub(crate) async fn start(tls: Option<Arc<ServerConfig>>, response: impl Into<Vec<u8>>) -> Self {
        let response: Arc<[u8]> = response.into().into();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that gives up is part of what is tested.
                tokio::spawn(serve(stream, tls.clone(), response.clone(), log.clone()));
            }
        });
        Self { port, heard }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("a lock").clone()
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    response: Arc<[u8]>,
    log: Arc<Mutex<Vec<Heard>>>,
) -> io::Result<()> {
    let (mut stream, sni): (Box<dyn Stream>, Option<String>) = match tls {
        None => (Box::new(stream), None),
        Some(config) => {
            let stream = TlsAcceptor::from(config).accept(stream).await?;
            let sni = stream.get_ref().1.server_name().map(str::to_owned);
            (Box::new(stream), sni)
        }
    };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    log.lock().expect("a lock").push(Heard {
        sni,
        head: String::from_utf8(head).expect("ascii"),
    });
    if response.is_empty() {
        return std::future::pending().await;
    }
    stream.write_all(&response).await?;
    stream.shutdown().await
}

/// Leads every checked address to one loopback port, and remembers which addresses were asked for.
#[derive(Debug, Default)]
pub(crate) struct Detour {
    pub(crate) port: u16,
    /// Addresses that refuse.
    pub(crate) dead: Vec<IpAddr>,
    pub(crate) dialled: Mutex<Vec<(IpAddr, u16)>>,
}

#[async_trait]
impl Dialer for Detour {
    async fn dial(&self, address: CheckedAddress, port: u16) -> io::Result<Box<dyn Stream>> {
        self.dialled.lock().expect("a lock").push((address.get(), port));
        if self.dead.contains(&address.get()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], self.port))).await?;
        Ok(Box::new(stream))
    }
}
