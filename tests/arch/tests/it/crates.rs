//! Which crate may depend on which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::tree;

struct Package {
    /// The folder it lies in, from the root.
    folder: String,
    name: String,
    normal: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(tree::root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let root = tree::root().to_str().unwrap().to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| read(package, &root))
        .collect()
}

fn read(package: &Value, root: &str) -> Package {
    let manifest = package["manifest_path"].as_str().unwrap();
    let folder = manifest
        .strip_prefix(root)
        .unwrap()
        .trim_matches('/')
        .trim_end_matches("/Cargo.toml");
    let dependencies = package["dependencies"].as_array().unwrap();
    let normal = dependencies
        .iter()
        .filter(|dependency| dependency["kind"].is_null());
    Package {
        folder: folder.to_owned(),
        name: package["name"].as_str().unwrap().to_owned(),
        normal: normal
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .collect(),
    }
}

#[test]
fn a_service_reaches_another_only_over_the_wire() {
    let packages = packages();
    let services: BTreeMap<_, _> = packages
        .iter()
        // What lies in a service's folder is a part of it, not a service.
        .filter(|package| package.folder.starts_with("services/") && package.folder.matches('/').count() == 1)
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut faults = Vec::new();
    for package in packages
        .iter()
        .filter(|package| !package.folder.starts_with("tests/"))
    {
        // The one binary puts all of them together.
        if package.name == "harombe" {
            continue;
        }
        for name in package
            .normal
            .iter()
            .filter(|name| services.contains_key(name.as_str()))
        {
            faults.push(format!("{} depends on {name}", package.folder));
        }
    }
    tree::none("services and shared crates must not depend on a service", &faults);
}

#[test]
fn packages_are_named_after_their_folders() {
    let mut faults = Vec::new();
    for package in packages() {
        let folder = package.folder.rsplit('/').next().unwrap();
        let expected = if folder == "harombe" {
            folder.to_owned()
        } else {
            format!("harombe-{folder}")
        };
        if package.name != expected {
            faults.push(format!("{} is called {}", package.folder, package.name));
        }
    }
    tree::none("package = harombe- + folder", &faults);
}

#[test]
fn heavy_and_powerful_crates_stay_where_they_are_needed() {
    // Who may open connections, speak SQL or make system calls is decided here (CONTRACTS §7).
    let rooms: &[(&str, &[&str])] = &[
        ("hickory-resolver", &["services/egress-proxy"]),
        (
            "rustls-native-certs",
            &[
                "services/egress-proxy",
                "services/harombe",
                "shared/rpc",
                "shared/secrets",
            ],
        ),
        ("tokio-rustls", &["services/egress-proxy", "shared/rpc"]),
        (
            "seccompiler",
            &["services/sandbox-broker", "services/sandbox-broker/guest"],
        ),
        (
            "sqlx",
            &[
                "shared/sql",
                "shared/testkit",
                "services/audit",
                "services/gateway",
                "services/hitl",
                "services/memory",
            ],
        ),
        ("pulp", &["services/memory/embedding"]),
        ("rcgen", &["shared/identity"]),
        ("qdrant-client", &["services/memory/vectors"]),
        ("qdrant-edge", &["services/memory/vectors"]),
        ("tonic-types", &["shared/error"]),
        // The store of secrets asks Vault, where its configuration says, and nobody else.
        ("age", &["shared/secrets"]),
        // A person fetches a model from the URL that they named.
        ("reqwest", &["services/harombe", "shared/secrets"]),
        ("rustify", &["shared/secrets"]),
        ("vaultrs", &["shared/secrets"]),
        (
            "libc",
            &["services/sandbox-broker", "services/sandbox-broker/guest"],
        ),
    ];
    let mut faults = Vec::new();
    for package in packages()
        .iter()
        .filter(|package| !package.folder.starts_with("tests/"))
    {
        for (name, folders) in rooms {
            if package.normal.contains(*name) && !folders.contains(&package.folder.as_str()) {
                faults.push(format!("{} depends on {name}", package.folder));
            }
        }
    }
    tree::none("crates outside of their room", &faults);
}
