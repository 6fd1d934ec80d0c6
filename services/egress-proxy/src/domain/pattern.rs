//! Host patterns of the policy: an exact name, one label before a name, or any number of labels before it.

use std::fmt;

use crate::domain::host::{DnsName, Host};
use crate::domain::reserved;

/// A wildcard never covers the name it stands before: `*.x` and `**.x` both leave `x` out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `x`
    Exact(DnsName),
    /// `*.x`: exactly one label before `x`.
    OneLabel(DnsName),
    /// `**.x`: one or more labels before `x`.
    AnyDepth(DnsName),
}

impl HostPattern {
    /// # Errors
    /// A sentence for the policy's author.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (make, base): (fn(DnsName) -> Self, &str) = if let Some(base) = text.strip_prefix("**.") {
            (Self::AnyDepth, base)
        } else if let Some(base) = text.strip_prefix("*.") {
            (Self::OneLabel, base)
        } else {
            (Self::Exact, text)
        };
        if base.contains('*') {
            return Err(format!(
                "{text:?}: a wildcard is \"*.\" or \"**.\" at the start and nowhere else"
            ));
        }
        let name = match Host::parse(base) {
            Ok(Host::Name(name)) => name,
            Ok(Host::Address(_)) => {
                return Err(format!("{text:?} is an address: name it in a rule with `cidr`"));
            }
            Err(fault) => return Err(format!("{text:?}: {fault}")),
        };
        if reserved::is_reserved(&name) {
            let single = name.labels() == 1;
            let why = if single {
                "has a single label"
            } else {
                "is a local or control-plane name"
            };
            return Err(format!("{text:?}: {name} {why}, which no rule can open"));
        }
        Ok(make(name))
    }

    /// Label by label, never by characters.
    pub fn matches(&self, name: &DnsName) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::OneLabel(base) => before(name, base).is_some_and(|labels| !labels.contains('.')),
            Self::AnyDepth(base) => before(name, base).is_some(),
        }
    }
}

/// The labels of `name` before `.base`, if there are any.
fn before<'a>(name: &'a DnsName, base: &DnsName) -> Option<&'a str> {
    name.as_str()
        .strip_suffix(base.as_str())
        .and_then(|rest| rest.strip_suffix('.'))
        .filter(|labels| !labels.is_empty())
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => name.fmt(f),
            Self::OneLabel(base) => write!(f, "*.{base}"),
            Self::AnyDepth(base) => write!(f, "**.{base}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DnsName {
        match Host::parse(text).expect("a host") {
            Host::Name(name) => name,
            Host::Address(_) => panic!("{text} is an address"),
        }
    }

    fn matches(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern)
            .expect("a pattern")
            .matches(&name(host))
    }

    #[test]
    fn wildcards_stand_for_labels_and_never_for_the_apex() {
        assert!(matches("wild.test", "wild.test"));
        assert!(matches("*.wild.test", "eu.wild.test"));
        assert!(matches("**.wild.test", "eu.wild.test") && matches("**.wild.test", "a.b.c.wild.test"));
        for pattern in ["*.wild.test", "**.wild.test"] {
            for host in [
                "wild.test",
                "notwild.test",
                "eu.wild.test.evil.test",
                "wild.test.evil",
            ] {
                assert!(!matches(pattern, host), "{pattern} {host}");
            }
        }
        assert!(!matches("*.wild.test", "a.b.wild.test"));
        assert!(!matches("api.allowed.test", "notapi.allowed.test"));
        assert!(matches("bücher.test", "xn--bcher-kva.test"));
    }

    #[test]
    fn patterns_that_say_too_much_or_nothing_are_refused() {
        for text in [
            "",
            "*",
            "**",
            "*.",
            "*.com",
            "**.com",
            "com",
            "foo.**.example.test",
            "foo.us-*.example.test",
            "*.*.example.test",
            "api.allowed.test/x",
            "api.allowed.test:443",
            "2130706433",
            "10.0.0.1",
            "[::1]",
            "metadata.google.internal",
            "**.docker.internal",
            "localhost",
            "a b.test",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_wildcard_matches_what_its_definition_says(labels in prop::collection::vec("[a-z]{1,3}", 1..6), depth in 2_usize..4) {
            let host = labels.join(".");
            let base = labels.iter().rev().take(depth).rev().cloned().collect::<Vec<_>>().join(".");
            prop_assume!(labels.len() > 1 && HostPattern::parse(&base).is_ok());
            let extra = labels.len().saturating_sub(depth);
            prop_assert_eq!(matches(&base, &host), extra == 0);
            prop_assert_eq!(matches(&format!("*.{base}"), &host), extra == 1);
            prop_assert_eq!(matches(&format!("**.{base}"), &host), extra >= 1);
        }

        #[test]
        fn gluing_characters_to_a_name_never_matches(prefix in "[a-z0-9]{1,8}", suffix in "[a-z0-9]{1,8}") {
            for pattern in ["api.allowed.test", "*.allowed.test", "**.allowed.test"] {
                let before = format!("{prefix}allowed.test");
                prop_assert!(!matches(pattern, &before));
                let glued = format!("api.allowed.test{suffix}");
                prop_assert!(HostPattern::parse(&glued).is_err() || !matches(pattern, &glued));
            }
        }
    }
}
