//! Isolation, observed from inside and judged outside: what must hold before anything may run.

use std::collections::BTreeMap;

/// What a probe saw from inside a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The version text of the kernel that the sandbox sees.
    pub kernel: String,
    /// Everything that was observed, by name.
    pub facts: BTreeMap<String, String>,
}

/// What is missing for the isolation that is demanded, one sentence each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox does not isolate as demanded: {}", .0.join("; "))]
pub struct Shortcomings(pub Vec<String>);

/// The text with which gVisor's kernel has always introduced itself. Linux's differs in its build date.
const GVISOR_KERNEL: &str = "#1 SMP Sun Jan 10 15:06:54 PST 2016";

const NO_CAPABILITIES: &str = "0000000000000000";

/// What each observation must be. An observation that is missing is not as it must be.
const DEMANDED: &[(&str, &str, &str)] = &[
    ("sentry", "yes", "the kernel has no sentry"),
    ("CapInh", NO_CAPABILITIES, "capabilities can be inherited"),
    ("CapPrm", NO_CAPABILITIES, "capabilities are permitted"),
    ("CapEff", NO_CAPABILITIES, "capabilities are in effect"),
    ("CapBnd", NO_CAPABILITIES, "capabilities can be gained"),
    ("seccomp", "2", "no seccomp filter is on"),
    ("no_new_privileges", "yes", "new privileges can be gained"),
    (
        "interfaces",
        "lo",
        "there are network interfaces other than loopback",
    ),
    ("shadow", "no", "the host's password file can be read"),
    ("root_writable", "no", "the root directory can be written"),
    ("usr_writable", "no", "the host's programs can be written"),
    ("etc_writable", "no", "the configuration can be written"),
    ("workspace_writable", "yes", "the workspace cannot be written"),
];

/// How a connection to nowhere may fail: at once, for want of a route.
const NO_ROUTE: &[&str] = &["unreachable", "no-address", "no-family"];

impl Proof {
    /// From the guest's lines of `name=value`.
    #[must_use]
    pub fn from_facts(lines: &str) -> Self {
        let facts: BTreeMap<String, String> = lines
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Self {
            kernel: facts.get("kernel").cloned().unwrap_or_default(),
            facts,
        }
    }

    /// Whether this is the isolation that is demanded, for a sandbox whose user is `uid`.
    ///
    /// # Errors
    /// Everything that is missing.
    pub fn judge(&self, uid: u32) -> Result<(), Shortcomings> {
        let fact = |name: &str| self.facts.get(name).map_or("", String::as_str);
        let mut missing: Vec<String> = DEMANDED
            .iter()
            .filter(|(name, demanded, _)| fact(name) != *demanded)
            .map(|(_, _, sentence)| (*sentence).to_owned())
            .collect();
        if !self.kernel.contains(GVISOR_KERNEL) {
            missing.push("the kernel is not gVisor's".to_owned());
        }
        if uid == 0 || fact("uid") != uid.to_string() || fact("gid") != uid.to_string() {
            missing.push(format!(
                "the user is {}:{}, not {uid}:{uid}",
                fact("uid"),
                fact("gid")
            ));
        }
        for name in ["connect4", "connect6"] {
            if !NO_ROUTE.contains(&fact(name)) {
                missing.push(format!(
                    "a connection outwards did not fail at once: {}",
                    fact(name)
                ));
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Shortcomings(missing))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> String {
        let mut lines = DEMANDED
            .iter()
            .map(|(name, value, _)| format!("{name}={value}\n"))
            .collect::<String>();
        lines.push_str(&format!("kernel=Linux version 4.4.0 {GVISOR_KERNEL}\n"));
        lines.push_str("uid=65532\ngid=65532\nconnect4=unreachable\nconnect6=no-address\n");
        lines
    }

    #[test]
    fn what_is_demanded_is_enough() {
        assert_eq!(Proof::from_facts(&good()).judge(65532), Ok(()));
    }

    #[test]
    fn each_missing_fact_is_a_shortcoming() {
        for line in good().lines() {
            let without = good().replace(&format!("{line}\n"), "");
            assert!(
                Proof::from_facts(&without).judge(65532).is_err(),
                "without {line}"
            );
        }
        assert!(Proof::from_facts("").judge(65532).is_err());
    }

    #[test]
    fn root_is_never_good_enough() {
        let root = good().replace("=65532", "=0");
        assert!(Proof::from_facts(&root).judge(0).is_err());
    }

    #[test]
    fn a_connection_that_times_out_shows_that_packets_leave() {
        let leaky = good().replace("connect4=unreachable", "connect4=other: timed out");
        let missing = Proof::from_facts(&leaky).judge(65532).unwrap_err();
        assert!(missing.to_string().contains("did not fail at once"));
    }
}
