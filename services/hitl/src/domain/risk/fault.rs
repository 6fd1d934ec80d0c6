//! What is wrong with a rule file, where, and what to do about it; all faults of a file are reported together.

use std::fmt;

/// One fault in a rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// Name of the file or other source.
    pub source: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The rule it is in, once its name is known.
    pub rule: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.source, self.line, self.column)?;
        if let Some(rule) = &self.rule {
            write!(f, "rule {rule:?}: ")?;
        }
        write!(f, "{}; {}", self.problem, self.fix)
    }
}

/// Every fault found in a set of rule files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the risk rules have {} fault(s):{}", .0.len(), lines(.0))]
pub struct Faults(pub Vec<RuleFault>);

fn lines(faults: &[RuleFault]) -> String {
    faults.iter().map(|fault| format!("\n  {fault}")).collect()
}
