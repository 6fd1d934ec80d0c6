//! The seven services, each a process of its own on loopback.

use std::time::Duration;

use harombe_testkit::loopback;
use harombe_types::ServiceName;

use crate::harness::{Home, Live, Ran};

/// Certificates and a configuration in a home of their own.
pub(crate) struct Cluster {
    pub(crate) home: Home,
    config: String,
    /// The public door's address.
    pub(crate) url: String,
}

/// Waits until the first gateway has made the first key, which opens the door once audit has recorded it; answers its file.
pub(crate) fn first_key(home: &Home, show: impl Fn(&str) -> Ran) -> String {
    let path = home.data().join("admin.key");
    let key = path.to_str().unwrap();
    while !path.exists() || show(key).code != Some(0) {
        std::thread::sleep(Duration::from_millis(50));
    }
    key.to_owned()
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self::of(Home::new(), "[network]\npki = \"pki\"\n", "")
    }

    /// With that section `network`, as far as it says nothing of addresses, and with these sections. Certificates are in `pki`.
    pub(crate) fn of(home: Home, network: &str, sections: &str) -> Self {
        home.run(["pki", "init", "pki"]).good();
        let mut listen = String::new();
        let mut peers = String::new();
        let place = loopback();
        let inner = ServiceName::SERVICES
            .into_iter()
            .filter(|service| *service != ServiceName::Gateway);
        for (port, service) in (7401..).zip(inner) {
            listen.push_str(&format!("{service} = \"{place}:{port}\"\n"));
            peers.push_str(&format!("{service} = [\"{place}:{port}\"]\n"));
        }
        let public = format!("{place}:7400");
        let text = format!(
            "{network}ops = \"{place}\"\n[network.listen]\n{listen}[network.peers]\n{peers}[gateway.public]\nlisten = \"{public}\"\n{sections}"
        );
        let config = home.file("harombe.toml", text);
        Self {
            home,
            config,
            url: format!("http://{public}"),
        }
    }

    /// The file of the first key, once it opens the door.
    pub(crate) fn admin_key(&self) -> String {
        first_key(&self.home, |key| self.client(key, &["keys", "list"]))
    }

    /// A client of the public door.
    pub(crate) fn client(&self, key_file: &str, args: &[&str]) -> Ran {
        let mut command = self.home.bare();
        command
            .args(["--server", &self.url, "--key-file", key_file])
            .args(args);
        Ran::of(&command.output().unwrap())
    }

    /// The program with the configuration.
    pub(crate) fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [&["--config", self.config.as_str()], args].concat()
    }

    /// A service, ready.
    pub(crate) fn serve(&self, service: ServiceName) -> Live {
        self.serve_with(service, &[])
    }

    /// A service, ready, whose configuration differs by these variables.
    pub(crate) fn serve_with(&self, service: ServiceName, variables: &[(&str, String)]) -> Live {
        let mut command = self.home.harombe(self.args(&["serve", service.as_str()]));
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let mut live = Live::start(command);
        live.wait_for("is ready on");
        live
    }
}
