//! Where each service is, and how another reaches it there.

use std::collections::BTreeMap;
use std::time::Duration;

use harombe_rpc::{Balanced, GrpcChannel, Server};
use harombe_types::ServiceName;

use super::pki::Pki;
use super::{PeerAddresses, StartError};

/// How often a host name is looked up again, so that instances come and go without a restart.
const RESOLVE_EVERY: Duration = Duration::from_secs(5);

/// Where a service is.
enum Peer {
    /// In this process.
    Here(Server),
    /// At these addresses, host and port each; every one is as good as another.
    At(Vec<String>),
}

/// Where the services are; one that is not here cannot be called.
#[derive(Default)]
pub(super) struct Peers(BTreeMap<ServiceName, Peer>);

impl Peers {
    /// All at the addresses of the configuration.
    pub(super) fn at(addresses: &PeerAddresses) -> Self {
        let all = addresses.all().into_iter();
        Self(
            all.map(|(service, targets)| (service, Peer::At(targets.to_vec())))
                .collect(),
        )
    }

    pub(super) fn add_here(&mut self, server: &Server) {
        self.0.insert(server.name(), Peer::Here(server.clone()));
    }

    pub(super) fn add_at(&mut self, service: ServiceName, targets: Vec<String>) {
        self.0.insert(service, Peer::At(targets));
    }

    /// The channel by which `from` calls `to`. Nothing is dialled before the first call.
    pub(super) fn channel(
        &self,
        from: ServiceName,
        to: ServiceName,
        pki: &Pki,
    ) -> Result<GrpcChannel, StartError> {
        match self.0.get(&to) {
            Some(Peer::Here(server)) => Ok(GrpcChannel::local(server, from)),
            Some(Peer::At(targets)) => {
                let balanced = Balanced {
                    targets: targets.clone(),
                    identity: pki.identity(from)?,
                    server: to,
                    resolve_every: RESOLVE_EVERY,
                };
                GrpcChannel::balanced(&balanced).map_err(StartError::Channel)
            }
            None => Err(StartError::Unplaced(to)),
        }
    }
}
