//! The seven services, each a process of its own on loopback.

use std::net::TcpListener;

use harombe_types::ServiceName;

use crate::harness::{Home, Live};

/// Certificates and a configuration in a home of their own.
pub(crate) struct Cluster {
    pub(crate) home: Home,
    config: String,
}

/// A port that was free a moment ago, and the one a hundred higher too.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let ops = port.checked_add(100);
        if ops.is_some_and(|ops| TcpListener::bind(("127.0.0.1", ops)).is_ok()) {
            return port;
        }
    }
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        home.run(["pki", "init", "pki"]).good();
        let mut listen = String::new();
        let mut peers = String::new();
        for service in ServiceName::SERVICES {
            if service != ServiceName::Gateway {
                let port = free_port();
                listen.push_str(&format!("{service} = \"127.0.0.1:{port}\"\n"));
                peers.push_str(&format!("{service} = [\"127.0.0.1:{port}\"]\n"));
            }
        }
        let text = format!("[network]\npki = \"pki\"\n[network.listen]\n{listen}[network.peers]\n{peers}");
        let config = home.file("harombe.toml", text);
        Self { home, config }
    }

    /// The program with the configuration.
    pub(crate) fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["--config", self.config.as_str()], args].concat()
    }

    /// A service, ready.
    pub(crate) fn serve(&self, service: ServiceName) -> Live {
        let mut live = Live::start(self.home.harombe(self.args(&["serve", service.as_str()])));
        live.wait_for("is ready on");
        live
    }
}
