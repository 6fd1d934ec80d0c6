//! What the classifier promises, rule by rule and for any rules at all.

mod default_rules;
mod faults;
mod properties;
mod semantics;

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{HostSet, Risk, RuleSet};

fn trusted() -> HostSet {
    HostSet::new(["docs.python.org", "*.trusted.example"]).unwrap()
}

fn defaults() -> &'static RuleSet {
    static RULES: LazyLock<RuleSet> =
        LazyLock::new(|| RuleSet::defaults(trusted()).unwrap_or_else(|faults| panic!("{faults}")));
    &RULES
}

fn compile(text: &str) -> RuleSet {
    RuleSet::compile(&[("test.toml", text)], trusted()).unwrap_or_else(|faults| panic!("{faults}"))
}

fn names(rules: &RuleSet, tool: &str, args: &Value) -> Vec<String> {
    rules
        .classify(tool, args)
        .rules()
        .map(|rule| rule.name.clone())
        .collect()
}

fn risk(rules: &RuleSet, tool: &str, args: &Value) -> Risk {
    rules.classify(tool, args).risk()
}

fn code(language: &str, text: &str) -> Value {
    json!({ "language": language, "code": text })
}
