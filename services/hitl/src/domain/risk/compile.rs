//! Turns rules into what the classifier runs: per tool, the arguments to scan and the checks behind each text found.

use std::collections::HashMap;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

use super::Risk;
use super::literals::{self, MIN_LITERAL};
use super::rule::{Arg, Condition, Rule, Test};
use super::scan::{Atoms, Scanner};

/// Bit `n` of a set is the tool's rule `n`.
pub(super) type RuleBits = u128;

/// Rules about one tool, and groups of texts its rules look for.
const MAX_BITS: usize = 128;
/// Arguments that the rules of one tool may look at; they live in a fixed array while a call is classified.
pub(super) const MAX_ARGS: usize = 8;

/// All rules about one tool.
#[derive(Debug, Default)]
pub(super) struct ToolRules {
    pub(super) rules: Vec<CompiledRule>,
    pub(super) args: Vec<CompiledArg>,
    /// Rules without conditions.
    pub(super) base: RuleBits,
    /// Rules whose conditions must be looked at whatever texts occur.
    pub(super) ungated: RuleBits,
    /// For each atom, the rules to look at when it occurs.
    pub(super) gated: Vec<RuleBits>,
    /// Rules by risk, lowest first.
    pub(super) by_risk: [RuleBits; Risk::ALL.len()],
}

/// A rule about one tool.
#[derive(Debug)]
pub(super) struct CompiledRule {
    /// Position in the rule set.
    pub(super) index: usize,
    pub(super) when: Vec<Check>,
}

/// One argument that rules look at.
#[derive(Debug)]
pub(super) struct CompiledArg {
    pub(super) arg: Arg,
    pub(super) scanner: Scanner,
    /// Whether some rule takes it for a URL.
    pub(super) is_url: bool,
}

/// A compiled condition. `arg` is a position in [`ToolRules::args`].
#[derive(Debug)]
pub(super) enum Check {
    Any(Vec<Check>),
    /// One of the atom's texts occurs.
    Occurs(Atoms),
    /// One of the atom's texts occurs (no atom: whatever occurs) and the expression matches.
    Matches {
        arg: usize,
        atom: Option<Atoms>,
        regex: Regex,
    },
    Other {
        arg: usize,
        test: Test,
    },
}

/// The expression as rules mean it: a search, without regard to case, over bytes.
pub(super) fn regex(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .case_insensitive(true)
        .unicode(false)
        .build()
}

/// A rule that cannot be compiled.
pub(super) struct Misfit {
    /// Position of the rule.
    pub(super) rule: usize,
    pub(super) problem: String,
    pub(super) fix: String,
}

/// Compiles `rules`, or says of all that cannot be compiled why.
pub(super) fn tools(rules: &[Rule]) -> Result<HashMap<String, ToolRules>, Vec<Misfit>> {
    let mut builders: HashMap<&str, Builder> = HashMap::new();
    let mut faults = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        for tool in &rule.tools {
            if let Err((problem, fix)) = builders.entry(tool).or_default().add(index, rule) {
                faults.push(Misfit {
                    rule: index,
                    problem: format!("tool `{tool}`: {problem}"),
                    fix,
                });
            }
        }
    }
    if faults.is_empty() {
        Ok(builders
            .into_iter()
            .map(|(tool, builder)| (tool.to_owned(), builder.finish()))
            .collect())
    } else {
        Err(faults)
    }
}

type Fault = (String, String);

/// Collects the rules of one tool.
#[derive(Default)]
struct Builder {
    tool: ToolRules,
    args: Vec<PendingArg>,
}

struct PendingArg {
    arg: Arg,
    texts: Vec<(Vec<u8>, Atoms)>,
    is_url: bool,
}

impl Builder {
    fn add(&mut self, index: usize, rule: &Rule) -> Result<(), Fault> {
        let position = self.tool.rules.len();
        if position >= MAX_BITS {
            let problem = format!("more than {MAX_BITS} rules");
            return Err((problem, "join rules with `any`".to_owned()));
        }
        let bit = 1 << position;
        let when = self.checks(&rule.when)?;
        if when.is_empty() {
            self.tool.base |= bit;
        } else {
            match gate(&when) {
                Some(atoms) => {
                    for (atom, rules) in self.tool.gated.iter_mut().enumerate() {
                        if atoms & (1 << atom) != 0 {
                            *rules |= bit;
                        }
                    }
                }
                None => self.tool.ungated |= bit,
            }
        }
        if let Some(rules) = self.tool.by_risk.get_mut(rule.risk as usize) {
            *rules |= bit;
        }
        self.tool.rules.push(CompiledRule { index, when });
        Ok(())
    }

    fn checks(&mut self, conditions: &[Condition]) -> Result<Vec<Check>, Fault> {
        conditions.iter().map(|condition| self.check(condition)).collect()
    }

    fn check(&mut self, condition: &Condition) -> Result<Check, Fault> {
        let (arg, test) = match condition {
            Condition::Any(inner) => return Ok(Check::Any(self.checks(inner)?)),
            Condition::Arg(arg, test) => (self.arg(arg)?, test),
        };
        match test {
            Test::Contains(texts) if texts.iter().all(|text| text.len() >= MIN_LITERAL) => {
                let texts = texts
                    .iter()
                    .map(|text| text.to_ascii_lowercase().into_bytes())
                    .collect();
                Ok(Check::Occurs(self.atom(arg, texts)?))
            }
            Test::Contains(texts) => {
                let escaped: Vec<_> = texts.iter().map(|text| regex::escape(text)).collect();
                self.matches(arg, &escaped.join("|"))
            }
            Test::Matches(pattern) => self.matches(arg, pattern),
            Test::HostIn(_) | Test::HostNotInTrusted | Test::UrlIs(_) | Test::QueryLongerThan(_) => {
                if let Some(arg) = self.args.get_mut(arg) {
                    arg.is_url = true;
                }
                Ok(Check::Other {
                    arg,
                    test: test.clone(),
                })
            }
            Test::In(_) | Test::NotIn(_) | Test::LongerThan(_) | Test::PathLeavesWorkspace => {
                Ok(Check::Other {
                    arg,
                    test: test.clone(),
                })
            }
        }
    }

    fn matches(&mut self, arg: usize, pattern: &str) -> Result<Check, Fault> {
        let hopeless = |problem: String| (problem, "make the expression simpler".to_owned());
        let regex = regex(pattern).map_err(|error| hopeless(error.to_string()))?;
        let hir = ParserBuilder::new()
            .case_insensitive(true)
            .unicode(false)
            .utf8(false)
            .build()
            .parse(pattern);
        let hir = hir.map_err(|error| hopeless(error.to_string()))?;
        let atom = literals::required(&hir)
            .map(|texts| self.atom(arg, texts))
            .transpose()?;
        Ok(Check::Matches { arg, atom, regex })
    }

    fn arg(&mut self, arg: &Arg) -> Result<usize, Fault> {
        if let Some(position) = self.args.iter().position(|known| known.arg == *arg) {
            return Ok(position);
        }
        if self.args.len() >= MAX_ARGS {
            let problem = format!("its rules look at more than {MAX_ARGS} arguments");
            return Err((problem, "drop conditions on some of them".to_owned()));
        }
        self.args.push(PendingArg {
            arg: arg.clone(),
            texts: Vec::new(),
            is_url: false,
        });
        Ok(self.args.len() - 1)
    }

    fn atom(&mut self, arg: usize, texts: Vec<Vec<u8>>) -> Result<Atoms, Fault> {
        let number = self.tool.gated.len();
        if number >= MAX_BITS {
            let problem = format!("more than {MAX_BITS} conditions on text");
            return Err((problem, "join texts into one `contains` or `matches`".to_owned()));
        }
        let atom = 1 << number;
        self.tool.gated.push(0);
        if let Some(arg) = self.args.get_mut(arg) {
            arg.texts.extend(texts.into_iter().map(|text| (text, atom)));
        }
        Ok(atom)
    }

    fn finish(mut self) -> ToolRules {
        let compiled = self.args.into_iter().map(|pending| CompiledArg {
            scanner: Scanner::new(&pending.texts),
            arg: pending.arg,
            is_url: pending.is_url,
        });
        self.tool.args = compiled.collect();
        self.tool
    }
}

/// Atoms of which one occurs whenever all of `checks` hold; `None` if no check promises that.
fn gate(checks: &[Check]) -> Option<Atoms> {
    checks.iter().find_map(|check| match check {
        Check::Occurs(atom) | Check::Matches { atom: Some(atom), .. } => Some(*atom),
        Check::Any(inner) => inner
            .iter()
            .map(|check| gate(std::slice::from_ref(check)))
            .try_fold(0, |atoms, gate| Some(atoms | gate?)),
        Check::Matches { atom: None, .. } | Check::Other { .. } => None,
    })
}
