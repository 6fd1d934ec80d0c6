//! Reads a policy file, refuses what it does not understand, and reports all faults at once.

use std::collections::BTreeSet;

use harombe_types::AgentName;
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::domain::address;
use crate::domain::path::PathPrefix;
use crate::domain::pattern::HostPattern;
use crate::domain::policy::index::Index;
use crate::domain::policy::{Destination, Method, Policy, PolicyFaults, Rule};
use crate::domain::target::Scheme;

/// A policy is written and reviewed by people; more than this is a mistake or an attack.
const MAX_BYTES: usize = 4 * 1024 * 1024;
const MAX_RULES: usize = 10_000;

const RULE_KEYS: &[&str] = &[
    "agents",
    "cidr",
    "host",
    "methods",
    "path_prefixes",
    "ports",
    "scheme",
];

impl Policy {
    /// Reads a policy. An empty text is a valid policy that allows nothing.
    ///
    /// # Errors
    /// Every fault of the text, each naming its place.
    pub fn parse(text: &str) -> Result<Self, PolicyFaults> {
        if text.len() > MAX_BYTES {
            return Err(PolicyFaults(vec![format!(
                "the policy is larger than {MAX_BYTES} bytes"
            )]));
        }
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            PolicyFaults(vec![format!("the policy is not valid toml: {}", error.message())])
        })?;
        let mut faults = Faults::default();
        faults.unknown_keys("", &table, &["allow", "trusted"]);
        let trusted = faults.list(&table, "trusted", "", trusted).unwrap_or_default();
        let rules = faults.rules(&table);
        if faults.0.is_empty() {
            let index = Index::new(&rules);
            Ok(Self {
                rules,
                index,
                trusted,
                version: version(text),
            })
        } else {
            Err(PolicyFaults(faults.0))
        }
    }
}

fn version(text: &str) -> String {
    let mut version = hex::encode(Sha256::digest(text.as_bytes()));
    version.truncate(12);
    version
}

#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, at: &str, what: impl std::fmt::Display) {
        self.0.push(format!("{at}: {what}"));
    }

    fn unknown_keys(&mut self, at: &str, table: &Table, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            self.add(
                &place(at, key),
                format_args!("unknown key; known are {}", known.join(", ")),
            );
        }
    }

    fn rules(&mut self, table: &Table) -> Vec<Rule> {
        let Some(value) = table.get("allow") else {
            return Vec::new();
        };
        let Some(entries) = value.as_array() else {
            self.add("allow", "must be an array of tables: [[allow]]");
            return Vec::new();
        };
        if entries.len() > MAX_RULES {
            self.add("allow", format_args!("more than {MAX_RULES} rules"));
            return Vec::new();
        }
        let mut rules = Vec::with_capacity(entries.len());
        for (position, entry) in entries.iter().enumerate() {
            let at = format!("allow[{position}]");
            match entry.as_table() {
                Some(table) => rules.extend(self.rule(&at, table)),
                None => self.add(&at, "must be a table"),
            }
        }
        rules
    }

    fn rule(&mut self, at: &str, table: &Table) -> Option<Rule> {
        self.unknown_keys(at, table, RULE_KEYS);
        let destination = self.destination(at, table);
        let scheme = match table.get("scheme").map(|value| (value, value.as_str())) {
            None | Some((_, Some("https"))) => Scheme::Https,
            Some((_, Some("http"))) => Scheme::Http,
            Some((value, _)) => {
                self.add(
                    &place(at, "scheme"),
                    format_args!("{value} is neither \"https\" nor \"http\""),
                );
                return None;
            }
        };
        let ports = self.ports(at, table, scheme);
        let methods = self.list(table, "methods", at, |text| {
            Method::parse(text)
                .ok_or_else(|| format!("{text:?} is not a method that can be allowed: GET, HEAD"))
        });
        let prefixes = self.list(table, "path_prefixes", at, PathPrefix::parse);
        let agents = self.list(table, "agents", at, |text| {
            text.parse::<AgentName>().map_err(|fault| fault.to_string())
        });
        Some(Rule {
            destination: destination?,
            scheme,
            ports: ports?,
            methods: methods
                .unwrap_or_else(|| vec![Method::Get, Method::Head])
                .into_iter()
                .collect(),
            path_prefixes: match prefixes {
                Some(prefixes) => prefixes,
                None => PathPrefix::parse("/").into_iter().collect(),
            },
            agents: agents.map(|agents| agents.into_iter().collect()),
        })
    }

    fn destination(&mut self, at: &str, table: &Table) -> Option<Destination> {
        let host = self.text(at, table, "host");
        let cidr = self.text(at, table, "cidr");
        let parsed = match (host, cidr) {
            (Some(host), None) => HostPattern::parse(host)
                .map(Destination::Host)
                .map_err(|why| ("host", why)),
            (None, Some(cidr)) => parse_cidr(cidr)
                .map(Destination::Cidr)
                .map_err(|why| ("cidr", why)),
            _ => {
                self.add(at, "a rule names either a host or a cidr");
                return None;
            }
        };
        parsed.map_err(|(key, why)| self.add(&place(at, key), why)).ok()
    }

    fn text<'a>(&mut self, at: &str, table: &'a Table, key: &str) -> Option<&'a str> {
        let value = table.get(key)?;
        if !value.is_str() {
            self.add(&place(at, key), "must be a string");
        }
        value.as_str()
    }

    fn ports(&mut self, at: &str, table: &Table, scheme: Scheme) -> Option<BTreeSet<u16>> {
        let at = place(at, "ports");
        let Some(value) = table.get("ports") else {
            return Some(BTreeSet::from([scheme.default_port()]));
        };
        let Some(values) = value.as_array().filter(|values| !values.is_empty()) else {
            self.add(&at, "must be a list of port numbers that is not empty");
            return None;
        };
        let number = |value: &Value| {
            value
                .as_integer()
                .and_then(|n| u16::try_from(n).ok())
                .filter(|&n| n > 0)
        };
        for value in values.iter().filter(|value| number(value).is_none()) {
            self.add(&at, format_args!("{value} is not a port number from 1 to 65535"));
        }
        Some(values.iter().filter_map(number).collect())
    }

    /// A list of strings, each read by `parse`. `None` when the key is absent or anything in it is wrong.
    fn list<T>(
        &mut self,
        table: &Table,
        key: &str,
        at: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = table.get(key)?;
        let at = place(at, key);
        // An empty list could be read as "none" or as "any"; at the top level it is plainly none.
        let top = !at.contains('.');
        let Some(values) = value.as_array().filter(|values| top || !values.is_empty()) else {
            self.add(&at, "must be a list of strings that is not empty");
            return None;
        };
        let mut parsed = Vec::with_capacity(values.len());
        for value in values {
            match value
                .as_str()
                .map_or_else(|| Err(format!("{value} is not a string")), &parse)
            {
                Ok(item) => parsed.push(item),
                Err(why) => self.add(&at, why),
            }
        }
        Some(parsed)
    }
}

/// Trust is given to one host or to everything below a name, which is all that the risk rules can say.
fn trusted(text: &str) -> Result<HostPattern, String> {
    match HostPattern::parse(text)? {
        HostPattern::OneLabel(base) => Err(format!("{text:?}: write \"**.{base}\", or each host")),
        pattern => Ok(pattern),
    }
}

fn place(at: &str, key: &str) -> String {
    if at.is_empty() {
        key.to_owned()
    } else {
        format!("{at}.{key}")
    }
}

fn parse_cidr(text: &str) -> Result<IpNet, String> {
    let net: IpNet = text
        .parse()
        .map_err(|_| format!("{text:?} is not a network: write an address, a slash and a prefix length"))?;
    if net.trunc() != net {
        return Err(format!(
            "{text:?} has bits beyond its prefix: did you mean {}?",
            net.trunc()
        ));
    }
    match address::overlaps_special(net) {
        Some(range) => Err(format!(
            "{text:?} touches addresses that no rule can open ({range})"
        )),
        None => Ok(net),
    }
}
