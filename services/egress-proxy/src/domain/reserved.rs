//! Names that belong to the machine, the local network or a control plane: no rule can open them.

use crate::domain::host::DnsName;

/// Zones whose names never mean a public host: RFC 6761, 6762, 7686, 8375, ICANN's `internal`, and the
/// search domains of container platforms.
const ZONES: &[&str] = &[
    "arpa",
    "cluster.local",
    "home.arpa",
    "internal",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "svc",
];

/// Public names under which clouds answer with credentials of the machine.
const METADATA: &[&str] = &["metadata.tencentyun.com"];

/// Is this name closed whatever the policy says? A name of one label is always local.
pub fn is_reserved(name: &DnsName) -> bool {
    let name = name.as_str();
    let in_zone = |zone: &str| {
        name.strip_suffix(zone)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || ZONES.iter().copied().any(in_zone) || METADATA.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::host::Host;

    fn reserved(text: &str) -> bool {
        match Host::parse(text).expect("a host") {
            Host::Name(name) => is_reserved(&name),
            Host::Address(_) => panic!("{text} is an address"),
        }
    }

    #[test]
    fn local_and_control_plane_names_are_reserved() {
        for name in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "localho\u{fb06}",
            "wpad",
            "metadata",
            "printer.local",
            "metadata.google.internal",
            "host.docker.internal",
            "1.0.0.10.in-addr.arpa",
            "db.svc",
            "x.localhost.localdomain",
            "metadata.tencentyun.com",
            "a.onion",
        ] {
            assert!(reserved(name), "{name}");
        }
        for name in [
            "notlocalhost.test",
            "localhost.test",
            "internal.corp.test",
            "mylocal.test",
            "svc.test",
        ] {
            assert!(!reserved(name), "{name}");
        }
    }
}
