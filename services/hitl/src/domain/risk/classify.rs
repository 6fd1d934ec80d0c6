//! The compiled rule set and its one operation: rate a call.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::compile::{self, Check, CompiledArg, MAX_ARGS, RuleBits, ToolRules};
use super::fault::{Faults, RuleFault};
use super::parse::{self, DEFAULT_DEADLINE};
use super::path;
use super::rule::{Arg, Rule, Scalar, Test};
use super::scan::Atoms;
use super::url::UrlShape;
use super::{DEFAULT_RULES, HostSet, Risk};

/// Compiled rules, ready to classify from any number of threads.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    tools: HashMap<String, ToolRules>,
    trusted: HostSet,
    version: String,
}

impl RuleSet {
    /// Compiles the rules of several files, each given as (name, text), together.
    /// `trusted` are the hosts the operator lets agents read from unasked.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn compile(sources: &[(&str, &str)], trusted: HostSet) -> Result<Self, Faults> {
        let mut faults = Vec::new();
        let mut rules = Vec::new();
        let mut places: Vec<(&str, usize, usize)> = Vec::new();
        for (source, text) in sources {
            for (rule, span) in parse::rules(source, text, &mut faults) {
                let (line, column) = parse::position(text, span.start);
                places.push((source, line, column));
                rules.push(rule);
            }
        }
        let fault = |index: usize, problem: String, fix: String| {
            let (source, line, column) = places.get(index).copied().unwrap_or(("", 0, 0));
            let rule = rules.get(index).map(|rule: &Rule| rule.name.clone());
            RuleFault {
                source: source.to_owned(),
                line,
                column,
                rule,
                problem,
                fix,
            }
        };
        let mut names = HashMap::new();
        for (index, rule) in rules.iter().enumerate() {
            if let Some(first) = names.insert(rule.name.as_str(), index) {
                let (source, line, _) = places.get(first).copied().unwrap_or(("", 0, 0));
                let problem = format!("the name is taken by the rule at {source}:{line}");
                faults.push(fault(
                    index,
                    problem,
                    "give every rule a name of its own".to_owned(),
                ));
            }
        }
        let tools = compile::tools(&rules).unwrap_or_else(|wrong| {
            faults.extend(
                wrong
                    .into_iter()
                    .map(|misfit| fault(misfit.rule, misfit.problem, misfit.fix)),
            );
            HashMap::new()
        });
        if !faults.is_empty() {
            return Err(Faults(faults));
        }
        let version = version(&rules, &trusted);
        Ok(Self {
            rules,
            tools,
            trusted,
            version,
        })
    }

    /// The rules that ship with Harombe.
    ///
    /// # Errors
    /// None with the file as it ships; a test holds it to that.
    pub fn defaults(trusted: HostSet) -> Result<Self, Faults> {
        Self::compile(&[("default.toml", DEFAULT_RULES)], trusted)
    }

    /// All rules in the order written.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Changes exactly when the rules or the trusted hosts mean something else: the first 16 hex digits of a
    /// SHA-256 over them, comments and layout left out.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Rates a call of `tool` with `args`. Allocates nothing unless a rule looks at an argument that is no string.
    #[must_use]
    pub fn classify(&self, tool: &str, args: &Value) -> Verdict<'_> {
        let Some(tool) = self.tools.get(tool) else {
            return Verdict {
                set: self,
                tool: None,
                matched: 0,
                claimed: None,
            };
        };
        let mut call = Call {
            tool,
            trusted: &self.trusted,
            args: [const { None }; MAX_ARGS],
            atoms: 0,
        };
        call.look_at(args);
        let matched = call.matched();
        Verdict {
            set: self,
            tool: Some(tool),
            matched,
            claimed: None,
        }
    }
}

/// What the rules say about one call.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'r> {
    set: &'r RuleSet,
    tool: Option<&'r ToolRules>,
    matched: RuleBits,
    claimed: Option<Risk>,
}

impl<'r> Verdict<'r> {
    /// The highest risk of all matching rules, or what the model claims if that is higher.
    #[must_use]
    pub fn risk(&self) -> Risk {
        self.by_rule().max(self.claimed.unwrap_or(Risk::Low))
    }

    /// The same verdict after the model's own opinion, which may raise the risk and never lowers it.
    #[must_use]
    pub fn claimed_by_model(self, claimed: Risk) -> Self {
        Self {
            claimed: Some(claimed),
            ..self
        }
    }

    /// The rules that match, in the order written.
    pub fn rules(&self) -> impl Iterator<Item = &'r Rule> + use<'r> {
        let (set, matched) = (self.set, self.matched);
        let rules = self.tool.map_or(&[][..], |tool| tool.rules.as_slice());
        rules
            .iter()
            .enumerate()
            .filter(move |(bit, _)| matched & (1 << bit) != 0)
            .filter_map(move |(_, rule)| set.rules.get(rule.index))
    }

    /// Why the risk is what it is, for the approver: the reasons of all matching rules, gravest first.
    #[must_use]
    pub fn reasons(&self) -> Vec<&'r str> {
        let mut rules: Vec<_> = self.rules().collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.risk));
        let mut reasons: Vec<_> = rules.into_iter().map(|rule| rule.reason.as_str()).collect();
        if self.tool.is_none() {
            reasons.push("Unknown tool: no rule speaks about it.");
        } else if self.matched == 0 {
            reasons.push("No rule covers this call.");
        }
        if self.claimed.is_some_and(|claimed| claimed > self.by_rule()) {
            reasons.push("The model itself rates this call higher than the rules do.");
        }
        reasons
    }

    /// How long the request may wait for an approver: the shortest deadline of the matching rules.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.rules()
            .map(|rule| rule.deadline)
            .min()
            .unwrap_or(DEFAULT_DEADLINE)
    }

    fn by_rule(&self) -> Risk {
        let Some(tool) = self.tool else { return Risk::High };
        let levels = Risk::ALL.into_iter().zip(tool.by_risk);
        levels
            .filter(|(_, rules)| rules & self.matched != 0)
            .map(|(risk, _)| risk)
            .max()
            .unwrap_or(Risk::High)
    }
}

/// One call while it is being classified.
struct Call<'a> {
    tool: &'a ToolRules,
    trusted: &'a HostSet,
    args: [Option<Seen<'a>>; MAX_ARGS],
    atoms: Atoms,
}

/// An argument that rules look at.
struct Seen<'a> {
    value: &'a Value,
    /// Its text, or its JSON if it is no string.
    text: Cow<'a, str>,
    url: Option<UrlShape<'a>>,
}

impl<'a> Call<'a> {
    fn look_at(&mut self, args: &'a Value) {
        for (place, arg) in self.args.iter_mut().zip(&self.tool.args) {
            let Some(seen) = find(&arg.arg, args).map(|value| Seen::new(arg, value)) else {
                continue;
            };
            self.atoms |= arg.scanner.scan(seen.text.as_bytes());
            *place = Some(seen);
        }
    }

    fn matched(&self) -> RuleBits {
        let mut candidates = self.tool.ungated;
        let mut atoms = self.atoms;
        while atoms != 0 {
            candidates |= self
                .tool
                .gated
                .get(atoms.trailing_zeros() as usize)
                .copied()
                .unwrap_or(0);
            atoms &= atoms - 1;
        }
        let mut matched = self.tool.base;
        while candidates != 0 {
            let position = candidates.trailing_zeros();
            candidates &= candidates - 1;
            let rule = self.tool.rules.get(position as usize);
            if rule.is_some_and(|rule| rule.when.iter().all(|check| self.holds(check))) {
                matched |= 1 << position;
            }
        }
        matched
    }

    fn holds(&self, check: &Check) -> bool {
        match check {
            Check::Any(inner) => inner.iter().any(|check| self.holds(check)),
            Check::Occurs(atom) => self.atoms & atom != 0,
            Check::Matches { arg, atom, regex } => {
                atom.is_none_or(|atom| self.atoms & atom != 0)
                    && self
                        .arg(*arg)
                        .is_some_and(|seen| regex.is_match(seen.text.as_bytes()))
            }
            Check::Other {
                arg,
                test: Test::HostNotInTrusted,
            } => {
                let host = self.arg(*arg).and_then(|seen| seen.url?.host);
                !host.is_some_and(|host| self.trusted.contains(host))
            }
            Check::Other { arg, test } => self.arg(*arg).is_some_and(|seen| seen.passes(test)),
        }
    }

    fn arg(&self, position: usize) -> Option<&Seen<'a>> {
        self.args.get(position)?.as_ref()
    }
}

impl<'a> Seen<'a> {
    fn new(arg: &CompiledArg, value: &'a Value) -> Self {
        match value {
            Value::String(text) => {
                let url = arg.is_url.then(|| UrlShape::new(text));
                Self {
                    value,
                    text: Cow::Borrowed(text),
                    url,
                }
            }
            other => {
                let url = arg.is_url.then(UrlShape::default);
                Self {
                    value,
                    text: Cow::Owned(other.to_string()),
                    url,
                }
            }
        }
    }

    fn passes(&self, test: &Test) -> bool {
        match test {
            Test::In(scalars) => scalars.iter().any(|scalar| self.equals(scalar)),
            Test::NotIn(scalars) => !scalars.iter().any(|scalar| self.equals(scalar)),
            Test::PathLeavesWorkspace => path::leaves(&self.text),
            Test::LongerThan(bytes) => self.text.len() > *bytes,
            Test::HostIn(hosts) => self
                .url
                .and_then(|url| url.host)
                .is_some_and(|host| hosts.contains(host)),
            Test::UrlIs(which) => self.url.is_some_and(|url| url.is(*which)),
            Test::QueryLongerThan(bytes) => self.url.is_some_and(|url| url.query > *bytes),
            // Compiled into checks of their own.
            Test::Contains(_) | Test::Matches(_) | Test::HostNotInTrusted => false,
        }
    }

    fn equals(&self, scalar: &Scalar) -> bool {
        match (scalar, self.value) {
            (Scalar::Text(text), Value::String(value)) => text.eq_ignore_ascii_case(value),
            (Scalar::Integer(number), Value::Number(value)) => value.as_i64() == Some(*number),
            (Scalar::Boolean(boolean), Value::Bool(value)) => boolean == value,
            _ => false,
        }
    }
}

/// The value at `arg`; JSON null counts as absent.
fn find<'a>(arg: &Arg, args: &'a Value) -> Option<&'a Value> {
    let value = arg.path.iter().try_fold(args, |value, token| match value {
        Value::Object(map) => map.get(token),
        Value::Array(list) => list.get(token.parse::<usize>().ok()?),
        _ => None,
    })?;
    (!value.is_null()).then_some(value)
}

fn version(rules: &[Rule], trusted: &HostSet) -> String {
    let canonical = serde_json::to_vec(&(rules, trusted)).unwrap_or_default();
    let digest = Sha256::digest(&canonical);
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
