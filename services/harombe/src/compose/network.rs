//! Where services listen and find each other when each is a process of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use harombe_config::JsonSchema;
use harombe_types::ServiceName;
use serde::{Deserialize, Serialize};

/// Added to a service's port: where it answers about its health and metrics.
const OPS_OFFSET: u16 = 100;

/// The section `network`. Services in one process need nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The directory that `harombe pki init` made. A service reads its own folder in it and nothing else.
    pub pki: Option<PathBuf>,
    /// Host on which a service answers about its health and metrics, in plain HTTP, at its port + 100.
    pub ops: String,
    /// Where each service listens, as host:port; port 0 takes any free one. The gateway's place is `gateway.public.listen`.
    pub listen: ListenAddresses,
    /// Where each service is found, as a list of host:port. A host name stands for all its addresses.
    pub peers: PeerAddresses,
}

/// Where each service listens. The gateway's place is `gateway.public.listen`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ListenAddresses {
    /// The agent loop.
    pub runtime: String,
    /// Conversations and journals.
    pub memory: String,
    /// Code and files.
    pub sandbox_broker: String,
    /// The way out.
    pub egress_proxy: String,
    /// Permissions.
    pub hitl: String,
    /// The log.
    pub audit: String,
}

/// Where each service is found. Nobody calls the gateway but clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(crate = "harombe_config::schemars")]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PeerAddresses {
    /// The agent loop.
    pub runtime: Vec<String>,
    /// Conversations and journals.
    pub memory: Vec<String>,
    /// Code and files.
    pub sandbox_broker: Vec<String>,
    /// The way out.
    pub egress_proxy: Vec<String>,
    /// Permissions.
    pub hitl: Vec<String>,
    /// The log.
    pub audit: Vec<String>,
}

/// The port that a service has unless it is told otherwise (CONTRACTS §10); none for a client.
pub(super) const fn port(service: ServiceName) -> u16 {
    match service {
        ServiceName::Gateway => 7400,
        ServiceName::Runtime => 7401,
        ServiceName::Memory => 7402,
        ServiceName::SandboxBroker => 7403,
        ServiceName::EgressProxy => 7404,
        ServiceName::Hitl => 7405,
        ServiceName::Audit => 7406,
        ServiceName::Client => 0,
    }
}

/// Its default place, for nobody but this machine.
pub(super) fn loopback(service: ServiceName) -> String {
    format!("127.0.0.1:{}", port(service))
}

/// The same of the public door.
pub(super) fn public() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port(ServiceName::Gateway)).into()
}

impl Default for Network {
    fn default() -> Self {
        Self {
            pki: None,
            ops: "127.0.0.1".to_owned(),
            listen: ListenAddresses::default(),
            peers: PeerAddresses::default(),
        }
    }
}

impl Default for ListenAddresses {
    fn default() -> Self {
        Self {
            runtime: loopback(ServiceName::Runtime),
            memory: loopback(ServiceName::Memory),
            sandbox_broker: loopback(ServiceName::SandboxBroker),
            egress_proxy: loopback(ServiceName::EgressProxy),
            hitl: loopback(ServiceName::Hitl),
            audit: loopback(ServiceName::Audit),
        }
    }
}

impl Default for PeerAddresses {
    fn default() -> Self {
        let one = |service| vec![loopback(service)];
        Self {
            runtime: one(ServiceName::Runtime),
            memory: one(ServiceName::Memory),
            sandbox_broker: one(ServiceName::SandboxBroker),
            egress_proxy: one(ServiceName::EgressProxy),
            hitl: one(ServiceName::Hitl),
            audit: one(ServiceName::Audit),
        }
    }
}

impl ListenAddresses {
    fn all(&self) -> [(ServiceName, &str); 6] {
        [
            (ServiceName::Runtime, &self.runtime),
            (ServiceName::Memory, &self.memory),
            (ServiceName::SandboxBroker, &self.sandbox_broker),
            (ServiceName::EgressProxy, &self.egress_proxy),
            (ServiceName::Hitl, &self.hitl),
            (ServiceName::Audit, &self.audit),
        ]
    }

    /// Where that service listens; none for the gateway, whose place its own section names.
    #[must_use]
    pub fn of(&self, service: ServiceName) -> Option<&str> {
        let mut all = self.all().into_iter();
        all.find(|(name, _)| *name == service).map(|(_, address)| address)
    }
}

impl PeerAddresses {
    pub(super) fn all(&self) -> [(ServiceName, &[String]); 6] {
        [
            (ServiceName::Runtime, &self.runtime),
            (ServiceName::Memory, &self.memory),
            (ServiceName::SandboxBroker, &self.sandbox_broker),
            (ServiceName::EgressProxy, &self.egress_proxy),
            (ServiceName::Hitl, &self.hitl),
            (ServiceName::Audit, &self.audit),
        ]
    }
}

impl Network {
    /// Everything that is wrong, each naming its key and what to write.
    #[must_use]
    pub fn validate(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (service, address) in self.listen.all() {
            if let Err(fault) = listens(address) {
                faults.push(format!("network.listen.{service}: {fault}"));
            }
        }
        for (service, targets) in self.peers.all() {
            if targets.is_empty() {
                faults.push(format!(
                    "network.peers.{service}: is empty; name at least one host:port"
                ));
            }
            for target in targets {
                if host_and_port(target).is_none_or(|(_, port)| port == 0) {
                    faults.push(format!(
                        "network.peers.{service}: {target:?} is no address; write host:port, such as \"10.0.0.7:{}\"",
                        port(service)
                    ));
                }
            }
        }
        if !is_host(&self.ops) {
            faults.push(format!(
                "network.ops: {:?} is no host; write an address or a name without a port, such as \"127.0.0.1\"",
                self.ops
            ));
        }
        if self.pki.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
            faults.push("network.pki: is empty; name the directory that `harombe pki init` made".to_owned());
        }
        faults
    }

    /// Where a service that listens on `port` answers about its health and metrics.
    pub(super) fn ops_of(&self, port: u16) -> String {
        let port = if port == 0 {
            0
        } else {
            port.saturating_add(OPS_OFFSET)
        };
        format!("{}:{port}", self.ops)
    }
}

/// Whether a service can listen there, and answer about itself at the port + 100.
pub(super) fn listens(address: &str) -> Result<(), String> {
    match host_and_port(address) {
        None => Err(format!(
            "{address:?} is no address; write host:port, such as \"127.0.0.1:7401\""
        )),
        Some((_, port)) if port > u16::MAX - OPS_OFFSET => Err(format!(
            "port {port} leaves no room for health and metrics at port + {OPS_OFFSET}; take one up to {}",
            u16::MAX - OPS_OFFSET
        )),
        Some(_) => Ok(()),
    }
}

/// Splits `host:port`; an IPv6 address stands in brackets.
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits)?;
    is_host(host).then_some((host, port))
}

fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
            (1..=253).contains(&text.len()) && text.bytes().all(allowed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_fault_and_every_fault_names_its_key() {
        assert_eq!(Network::default().validate(), Vec::<String>::new());
        let mut network = Network {
            pki: Some(PathBuf::new()),
            ops: "a:1".to_owned(),
            ..Network::default()
        };
        network.listen.runtime = "7401".to_owned();
        network.listen.audit = "127.0.0.1:65500".to_owned();
        network.peers.hitl = Vec::new();
        network.peers.memory = vec!["memory".to_owned(), "memory:7402".to_owned()];
        let faults = network.validate();
        for key in [
            "network.listen.runtime: ",
            "network.listen.audit: port 65500",
            "network.peers.hitl: ",
            "network.peers.memory: \"memory\"",
            "network.ops: ",
            "network.pki: ",
        ] {
            assert!(
                faults.iter().any(|fault| fault.starts_with(key)),
                "{key} in {faults:#?}"
            );
        }
        assert_eq!(faults.len(), 6, "{faults:#?}");
    }

    #[test]
    fn addresses_are_a_host_and_a_port() {
        let check = |text: &str, expected| assert_eq!(host_and_port(text), expected, "{text:?}");
        check("127.0.0.1:7401", Some(("127.0.0.1", 7401)));
        check("runtime.internal:1", Some(("runtime.internal", 1)));
        check("[::1]:7401", Some(("[::1]", 7401)));
        for text in [
            "",
            ":1",
            "a",
            "a:",
            "a:+1",
            "a:65536",
            "::1:1",
            "[::1]",
            "[x]:1",
            "a b:1",
            "http://a:1",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn health_and_metrics_are_a_hundred_ports_higher() {
        let network = Network::default();
        assert_eq!(network.ops_of(7401), "127.0.0.1:7501");
        assert_eq!(network.ops_of(0), "127.0.0.1:0");
    }
}
