//! Reads the conditions of a rule: `{ arg = "...", OPERATOR = ... }`, `{ language = ... }` and `{ any = [...] }`.

use toml::de::{DeTable, DeValue};

use super::super::rule::{Arg, Condition, Scalar, Test, UrlTrait};
use super::super::{HostSet, compile};
use super::{Reader, Value};

const OPERATORS: [&str; 11] = [
    "contains",
    "matches",
    "equals",
    "in",
    "not_in",
    "longer_than",
    "path_leaves_workspace",
    "host_in",
    "host_not_in_trusted",
    "url_is",
    "query_longer_than",
];

impl Reader<'_> {
    pub(super) fn conditions(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<Condition>> {
        match value.get_ref() {
            DeValue::Array(list) if !list.is_empty() => {
                let read: Vec<_> = list.iter().filter_map(|item| self.condition(item)).collect();
                (read.len() == list.len()).then_some(read)
            }
            _ => {
                self.fault(
                    value.span(),
                    format!("`{key}` is not a list of conditions"),
                    format!("write `{key} = [{{ arg = \"code\", contains = [\"...\"] }}]`, or leave it out"),
                );
                None
            }
        }
    }

    fn condition(&mut self, value: &Value<'_>) -> Option<Condition> {
        let DeValue::Table(table) = value.get_ref() else {
            self.fault(
                value.span(),
                "a condition is not a table",
                "write `{ arg = \"...\", contains = [...] }`",
            );
            return None;
        };
        if table.get("any").is_some() {
            self.known_keys(table, &["any"]);
            return self.optional(table, "any", Self::conditions).map(Condition::Any);
        }
        if table.get("language").is_some() {
            self.known_keys(table, &["language"]);
            let languages = self.optional(table, "language", Self::texts)?;
            let languages = languages.into_iter().map(Scalar::Text).collect();
            return Some(Condition::Arg(Arg::new("language"), Test::In(languages)));
        }
        let mut known = vec!["arg"];
        known.extend(OPERATORS);
        self.known_keys(table, &known);
        let arg = self
            .required(table, &value.span(), "arg", Self::text)
            .map(|name| Arg::new(&name));
        let test = self.test(table, value);
        Some(Condition::Arg(arg?, test?))
    }

    fn test(&mut self, table: &DeTable<'_>, value: &Value<'_>) -> Option<Test> {
        let mut operators = OPERATORS
            .iter()
            .filter(|operator| table.get(**operator).is_some());
        let (Some(operator), None) = (operators.next(), operators.next()) else {
            self.fault(
                value.span(),
                "a condition needs exactly one operator",
                format!(
                    "use one of {}; split two tests into two conditions",
                    OPERATORS.join(", ")
                ),
            );
            return None;
        };
        match *operator {
            "contains" => self.optional(table, operator, Self::texts).map(Test::Contains),
            "matches" => self.optional(table, operator, Self::pattern).map(Test::Matches),
            "equals" => self
                .optional(table, operator, Self::scalar)
                .map(|value| Test::In(vec![value])),
            "in" => self.optional(table, operator, Self::scalars).map(Test::In),
            "not_in" => self.optional(table, operator, Self::scalars).map(Test::NotIn),
            "longer_than" => self.optional(table, operator, Self::bytes).map(Test::LongerThan),
            "path_leaves_workspace" => self
                .optional(table, operator, Self::only_true)
                .map(|()| Test::PathLeavesWorkspace),
            "host_in" => self.optional(table, operator, Self::hosts).map(Test::HostIn),
            "host_not_in_trusted" => self
                .optional(table, operator, Self::only_true)
                .map(|()| Test::HostNotInTrusted),
            "url_is" => self.optional(table, operator, Self::url_trait).map(Test::UrlIs),
            _ => self
                .optional(table, operator, Self::bytes)
                .map(Test::QueryLongerThan),
        }
    }

    fn pattern(&mut self, key: &str, value: &Value<'_>) -> Option<String> {
        let pattern = self.text(key, value)?;
        if let Err(error) = compile::regex(&pattern) {
            self.fault(
                value.span(),
                format!(
                    "`{key}` is not a regular expression: {}",
                    error.to_string().replace('\n', " ")
                ),
                "correct it; the syntax is that of https://docs.rs/regex, on bytes",
            );
            return None;
        }
        Some(pattern)
    }

    fn scalar(&mut self, key: &str, value: &Value<'_>) -> Option<Scalar> {
        let scalar = match value.get_ref() {
            DeValue::String(text) => Some(Scalar::Text(text.as_ref().to_owned())),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(Scalar::Integer),
            DeValue::Boolean(boolean) => Some(Scalar::Boolean(*boolean)),
            _ => None,
        };
        if scalar.is_none() {
            self.fault(
                value.span(),
                format!("`{key}` is neither a text, a whole number nor a boolean"),
                "compare with one of these",
            );
        }
        scalar
    }

    fn scalars(&mut self, key: &str, value: &Value<'_>) -> Option<Vec<Scalar>> {
        match value.get_ref() {
            DeValue::Array(list) if !list.is_empty() => {
                let scalars: Vec<_> = list.iter().filter_map(|item| self.scalar(key, item)).collect();
                (scalars.len() == list.len()).then_some(scalars)
            }
            _ => {
                self.fault(
                    value.span(),
                    format!("`{key}` is not a list"),
                    format!("write `{key} = [...]`, not empty"),
                );
                None
            }
        }
    }

    fn bytes(&mut self, key: &str, value: &Value<'_>) -> Option<usize> {
        let bytes = match value.get_ref() {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        if bytes.is_none() {
            self.fault(
                value.span(),
                format!("`{key}` is not a number of bytes"),
                format!("write for example `{key} = 1024`"),
            );
        }
        bytes
    }

    fn hosts(&mut self, key: &str, value: &Value<'_>) -> Option<HostSet> {
        match HostSet::new(self.texts(key, value)?) {
            Ok(set) => Some(set),
            Err(bad) => {
                self.fault(
                    value.span(),
                    format!("not host names: {}", bad.join(", ")),
                    "write `example.com`, or `*.example.com` for all hosts below it; no scheme, port or path",
                );
                None
            }
        }
    }

    fn only_true(&mut self, key: &str, value: &Value<'_>) -> Option<()> {
        if matches!(value.get_ref(), DeValue::Boolean(true)) {
            return Some(());
        }
        self.fault(
            value.span(),
            format!("`{key}` can only be true"),
            "leave the condition out instead",
        );
        None
    }

    fn url_trait(&mut self, key: &str, value: &Value<'_>) -> Option<UrlTrait> {
        let written = value.get_ref().as_str();
        let found = UrlTrait::NAMES.iter().find(|(name, _)| Some(*name) == written);
        if found.is_none() {
            let names = UrlTrait::NAMES.map(|(name, _)| name).join(", ");
            self.fault(
                value.span(),
                format!("`{key}` is not a trait of URLs"),
                format!("use one of {names}"),
            );
        }
        found.map(|(_, which)| *which)
    }
}
