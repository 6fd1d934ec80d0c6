//! What stands where a secret was, and what it tells those who see only the redacted text.

use std::collections::BTreeMap;

use crate::names::Class;
use crate::{pem, providers, url};

const BEGIN: &str = "[REDACTED:";
const END: char = ']';

/// What stands where a secret of `kind` was.
pub fn marker(kind: &str) -> String {
    format!("{BEGIN}{kind}{END}")
}

/// How many secrets of each kind were replaced in `text`, as its markers say. A text that came with markers of its own
/// counts them too: this is to be told to people, and nothing is to be decided by it.
pub fn replaced(text: &str) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for rest in text.split(BEGIN).skip(1) {
        let word = rest.split_once(END).map(|(word, _)| word);
        if let Some(kind) = word.and_then(known) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    counts
}

/// A kind that this crate finds, so that no text makes others up.
fn known(word: &str) -> Option<&'static str> {
    let classes = Class::ALL.into_iter().map(Class::kind);
    let rules = providers::rules().map(|rule| rule.kind);
    let others = [pem::KIND, url::DATABASE, url::CREDENTIAL];
    classes.chain(rules).chain(others).find(|kind| *kind == word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scanner;

    #[test]
    fn what_was_replaced_is_counted_in_what_is_left() {
        let token = ["gh", "p_", "kB4G60AyX5J7ybnEqnaFFaksc1448K2Csry1"].concat();
        let text = format!(
            "{token} {token}\nDB_PASSWORD=hunter2222\npostgres://app:Zw7hunter@db/x\nhttps://ann:Zw7hunter@a.test/\n"
        );
        let redacted = Scanner::shared().redact(&text);
        let mut found = BTreeMap::new();
        for finding in &redacted.findings {
            *found.entry(finding.kind).or_default() += 1_u64;
        }
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(replaced(&redacted.text), found);
    }

    #[test]
    fn only_whole_markers_of_known_kinds_count() {
        for text in [
            "",
            "[REDACTED:",
            "[REDACTED:password",
            "[REDACTED:nonsense]",
            "[REDACTED]",
            "REDACTED:password]",
        ] {
            assert_eq!(replaced(text), BTreeMap::new(), "{text}");
        }
        assert_eq!(replaced("[REDACTED:[REDACTED:token]").get("token"), Some(&1));
    }
}
