use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::Duration;

use serde::Deserialize;

use super::*;
use crate::{Size, Span};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Whole {
    memory: Memory,
    sandbox_broker: Broker,
    listen: Listen,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Listen {
    sandbox_broker: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Memory {
    lease: Span,
    note: Option<String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Broker {
    max_concurrent: u32,
    hosts: Vec<String>,
    agents: BTreeMap<String, Agent>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Agent {
    prompt: String,
    memory: Size,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            lease: Span::from(Duration::from_secs(10)),
            note: None,
        }
    }
}

impl Configuration for Whole {
    fn validate(&self) -> Vec<String> {
        let too_many = self.sandbox_broker.max_concurrent > 100;
        too_many
            .then(|| "sandbox-broker.max_concurrent: at most 100".to_owned())
            .into_iter()
            .collect()
    }
}

fn loaded(file: &str, environment: &[(&str, &str)]) -> Result<Whole, Faults> {
    let mut path = tempfile::NamedTempFile::new().unwrap();
    path.write_all(file.as_bytes()).unwrap();
    load(
        Some(path.path()),
        environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

#[test]
fn with_nothing_everything_has_its_default() {
    assert_eq!(load::<Whole>(None, []).unwrap(), Whole::default());
}

#[test]
fn the_environment_is_over_the_file() {
    let file =
        "[memory]\nlease = \"20s\"\nnote = \"a\"\n[sandbox-broker]\nmax_concurrent = 3\nhosts = [\"x\"]\n";
    let environment = [
        ("HAROMBE_MEMORY__LEASE", "5s"),
        ("HAROMBE_MEMORY__NOTE", "12"),
        ("HAROMBE_SANDBOX_BROKER__MAX_CONCURRENT", "7"),
    ];
    let config = loaded(file, &environment).unwrap();
    assert_eq!(config.memory.lease.as_duration(), Duration::from_secs(5));
    assert_eq!(
        config.memory.note.as_deref(),
        Some("12"),
        "a number may be meant as text"
    );
    assert_eq!(config.sandbox_broker.max_concurrent, 7);
    assert_eq!(config.sandbox_broker.hosts, ["x"]);
}

#[test]
fn a_map_entry_is_judged_with_its_siblings() {
    let config = loaded(
        "[sandbox-broker.agents.a]\nprompt = \"p\"\nmemory = \"1GiB\"\n",
        &[],
    )
    .unwrap();
    assert_eq!(config.sandbox_broker.agents.len(), 1);
    let faults = loaded("[sandbox-broker.agents.a]\nprompt = \"p\"\n", &[]).unwrap_err();
    assert!(faults.to_string().contains("missing field `memory`"), "{faults}");
}

#[test]
fn every_fault_is_told_at_once_with_its_key_and_source() {
    let file = "[memory]\nleese = \"20s\"\nlease = \"soon\"\n[sandbox]\nx = 1\n";
    let faults = loaded(file, &[("HAROMBE_SANDBOX_BROKER__MAX_CONCURRENT", "many")]).unwrap_err();
    let mut keys: Vec<_> = faults.0.iter().map(|fault| fault.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "memory.lease",
            "memory.leese",
            "sandbox-broker.max_concurrent",
            "sandbox.x"
        ]
    );
    let text = faults.to_string();
    assert!(
        text.contains("unknown field `leese`") && text.contains("\"30s\""),
        "{text}"
    );
    assert!(
        text.contains("environment variable HAROMBE_SANDBOX_BROKER__MAX_CONCURRENT"),
        "{text}"
    );
}

#[test]
fn what_types_cannot_tell_is_told_too() {
    let faults = loaded("[sandbox-broker]\nmax_concurrent = 1000\n", &[]).unwrap_err();
    assert!(faults.to_string().contains("at most 100"), "{faults}");
}

#[test]
fn a_file_that_is_absent_or_no_toml_is_named() {
    let faults = load::<Whole>(Some(Path::new("/nonexistent/harombe.toml")), []).unwrap_err();
    assert!(
        faults
            .to_string()
            .contains("/nonexistent/harombe.toml: cannot be read"),
        "{faults}"
    );
    assert!(
        loaded("[memory", &[])
            .unwrap_err()
            .to_string()
            .contains("is not valid TOML")
    );
}

#[test]
fn a_hyphen_in_a_key_is_an_underscore_in_a_variable() {
    let whole = loaded("", &[("HAROMBE_LISTEN__SANDBOX_BROKER", "127.0.0.1:1")]).unwrap();
    assert_eq!(whole.listen.sandbox_broker, "127.0.0.1:1");
    // Where the key has underscores itself, it keeps them.
    let whole = loaded("", &[("HAROMBE_SANDBOX_BROKER__MAX_CONCURRENT", "7")]).unwrap();
    assert_eq!(whole.sandbox_broker.max_concurrent, 7);
}

#[test]
fn variables_that_are_not_configuration_are_left_alone() {
    assert!(
        loaded(
            "",
            &[
                ("HAROMBE_LOG", "debug"),
                ("PATH", "/bin"),
                ("OTHER_MEMORY__X", "1")
            ]
        )
        .is_ok()
    );
}
