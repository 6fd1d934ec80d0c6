//! What can keep the system from starting, and what to do about it.

use std::path::PathBuf;

use harombe_types::ServiceName;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("there is no home directory to keep data in; name one with --data DIR")]
    NoHome,
    #[error("nothing runs on {}; start it with `harombe up`", .0.display())]
    NotRunning(PathBuf),
    #[error("another harombe works on {}; stop it, or use another directory with --data DIR", .0.display())]
    InUse(PathBuf),
    #[error(
        "a server is running already, and its model cannot be changed from here; leave --model out, or stop it first"
    )]
    ModelOfRunning,
    #[error("the data directory {} cannot be written; check its owner and its disk, or name another with --data DIR", path.display())]
    DataDir {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the path of the socket {} is longer than {max} bytes; use a shorter --data DIR", path.display())]
    SocketPath { path: PathBuf, max: usize },
    #[error("cannot listen on {}", path.display())]
    Listen {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the configuration has faults:\n{0}")]
    Config(harombe_config::Faults),
    #[error("the certificates under {} cannot be used; move the directory away to have new ones made", path.display())]
    Pki {
        path: PathBuf,
        #[source]
        source: harombe_identity::Error,
    },
    #[error("the certificate of {service} in {} cannot be used: {fault}", path.display())]
    Certificate {
        service: ServiceName,
        path: PathBuf,
        fault: String,
    },
    #[error(
        "services that are processes of their own need certificates: make them with `harombe pki init DIR` and set network.pki to DIR, or keep them in Vault (secrets.vault)"
    )]
    NoPki,
    #[error(
        "{service} did not get its certificate from Vault; it has to be reachable and unsealed, and the role has to read services/{service} below secrets.vault.prefix"
    )]
    Vault {
        service: ServiceName,
        #[source]
        source: harombe_secrets::Error,
    },
    #[error("{} is not empty, and nothing is overwritten; name a directory that is absent or empty, or make new certificates in it with `harombe pki renew`", .0.display())]
    PkiExists(PathBuf),
    #[error("cannot access {}", path.display())]
    PkiFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("certificates cannot be made")]
    PkiSetup(#[source] harombe_identity::Error),
    #[error("cannot listen on {address}; free it, or set {key} to another")]
    ListenAt {
        address: String,
        key: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{what} {} cannot be read", path.display())]
    Credential {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path} holds a key and is open to others; run: chmod 600 {path}", path = .0.display())]
    OpenToOthers(PathBuf),
    #[error(
        "the key would travel to {0} in the clear; give an https:// address, or an http:// address of this machine"
    )]
    InTheClear(String),
    #[error("gateway.public.tls_cert and gateway.public.tls_key cannot be used")]
    PublicTls(#[source] harombe_rpc::TlsError),
    #[error("nobody says where {0} is")]
    Unplaced(ServiceName),
    #[error("a channel cannot be made")]
    Channel(#[source] harombe_rpc::TlsError),
    #[error("{service} cannot start")]
    Service {
        service: ServiceName,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StartError {
    pub(crate) fn of<E>(service: ServiceName) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        move |source| Self::Service {
            service,
            source: Box::new(source),
        }
    }
}
