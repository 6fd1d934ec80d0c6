//! Where every process of a system listens, and how one comes in: for systems of many processes on one machine.

use std::error::Error;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harombe::attach::{Client, Elsewhere};
use harombe::compose::{Config, ListenAddresses, PeerAddresses, StartError};
use harombe_proto::agent::v1::key_service_client::KeyServiceClient;
use harombe_proto::agent::v1::{CreateKeyRequest, Key, KeyLimits, ListKeysRequest};
use harombe_rpc::GrpcChannel;
use harombe_types::{Role, ServiceName};
use http::Uri;

/// Each calls only those before it.
pub const SERVICES: [ServiceName; 7] = [
    ServiceName::Audit,
    ServiceName::Hitl,
    ServiceName::EgressProxy,
    ServiceName::SandboxBroker,
    ServiceName::Memory,
    ServiceName::Runtime,
    ServiceName::Gateway,
];

/// How long a first key may take to come into force, not a measure, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// A loopback address of which every port is the system's.
#[derive(Clone, Copy, Debug)]
pub struct Place(Ipv4Addr);

impl Place {
    /// At that address, which nobody else has.
    #[must_use]
    pub fn at(address: Ipv4Addr) -> Self {
        Self(address)
    }

    /// The nth process of a service listens ten ports further for each.
    #[must_use]
    pub fn address(self, service: ServiceName, nth: u8) -> SocketAddr {
        let base = match service {
            ServiceName::Gateway | ServiceName::Client => 7400,
            ServiceName::Runtime => 7401,
            ServiceName::Memory => 7402,
            ServiceName::SandboxBroker => 7403,
            ServiceName::EgressProxy => 7404,
            ServiceName::Hitl => 7405,
            ServiceName::Audit => 7406,
        };
        SocketAddr::from((self.0, base + 10 * u16::from(nth)))
    }

    /// Where a service's first process is reached over mutual TLS.
    ///
    /// # Errors
    /// Never: an address is a URI's.
    pub fn uri(self, service: ServiceName) -> Result<Uri, http::uri::InvalidUri> {
        format!("https://{}", self.address(service, 0)).parse()
    }

    /// The public door of the nth gateway.
    ///
    /// # Errors
    /// Never: an address is a URI's.
    pub fn door(self, nth: u8) -> Result<Uri, http::uri::InvalidUri> {
        format!("http://{}", self.address(ServiceName::Gateway, nth)).parse()
    }

    /// Configures the nth process of whatever service in a system of so many runtimes and gateways, and one of each other
    /// service, with the certificates in that directory.
    pub fn configure(self, config: &mut Config, pki: &Path, nth: u8, replicas: u8) {
        config.network.pki = Some(pki.to_owned());
        config.network.ops = self.0.to_string();
        config.network.listen = self.listen(nth);
        config.network.peers = self.peers(replicas);
        config.gateway.public.listen = Some(self.address(ServiceName::Gateway, nth));
    }

    fn listen(self, nth: u8) -> ListenAddresses {
        let at = |service| self.address(service, nth).to_string();
        ListenAddresses {
            runtime: at(ServiceName::Runtime),
            memory: at(ServiceName::Memory),
            sandbox_broker: at(ServiceName::SandboxBroker),
            egress_proxy: at(ServiceName::EgressProxy),
            hitl: at(ServiceName::Hitl),
            audit: at(ServiceName::Audit),
        }
    }

    fn peers(self, replicas: u8) -> PeerAddresses {
        let at = |service, nth| self.address(service, nth).to_string();
        let one = |service| vec![at(service, 0)];
        PeerAddresses {
            runtime: (0..replicas).map(|nth| at(ServiceName::Runtime, nth)).collect(),
            memory: one(ServiceName::Memory),
            sandbox_broker: one(ServiceName::SandboxBroker),
            egress_proxy: one(ServiceName::EgressProxy),
            hitl: one(ServiceName::Hitl),
            audit: one(ServiceName::Audit),
        }
    }

    /// A client of the nth gateway, with the key in that file.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn client(self, nth: u8, key: &Path) -> Result<Client, Box<dyn Error + Send + Sync>> {
        let server = Elsewhere {
            url: self.door(nth)?,
            key_file: Some(key.to_owned()),
            ca: None,
        };
        Client::elsewhere(&server).map_err(|error: StartError| error.into())
    }

    /// Makes a key for one who may do everything, approve what their own runs ask for, and call as often as `limits` say; it
    /// is written into `file`. Returns in whose name it calls.
    ///
    /// It is made with the first key, which a gateway writes into its data directory; `data` names that of each gateway.
    ///
    /// # Errors
    /// No first key comes into force, or no other is made with it.
    pub async fn make_key(
        self,
        data: &[PathBuf],
        limits: KeyLimits,
        file: &Path,
    ) -> Result<String, Box<dyn Error + Send + Sync>> {
        let (mut keys, first) = self.admitted(data).await.ok_or("no first key is in force")?;
        let request = CreateKeyRequest {
            name: "everything".to_owned(),
            subject: first.subject.clone(),
            roles: Role::ALL.iter().map(ToString::to_string).collect(),
            allow_self: true,
            limits: Some(limits),
            ..CreateKeyRequest::default()
        };
        let made = keys.create_key(request).await?.into_inner();
        std::fs::write(file, made.api_key)?;
        std::fs::set_permissions(file, Permissions::from_mode(0o600))?;
        Ok(first.subject)
    }

    /// The first key, once a gateway admits it. A file is there a moment before its key is in force, and goes again where
    /// another gateway was faster.
    async fn admitted(self, data: &[PathBuf]) -> Option<(KeyServiceClient<GrpcChannel>, Key)> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            for (nth, data) in (0..).zip(data) {
                let Ok(client) = self.client(nth, &data.join("admin.key")) else {
                    continue;
                };
                let mut keys = client.keys;
                let listed = keys.list_keys(ListKeysRequest::default()).await;
                let first = listed.ok().and_then(|listed| listed.into_inner().keys.pop());
                if let Some(first) = first {
                    return Some((keys, first));
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }
}
