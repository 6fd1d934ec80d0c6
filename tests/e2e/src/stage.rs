//! Where a scenario is played: the same one is played in one process and in many, and what was told there is compared.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{Account, Topology};

/// One playing of a scenario, with every world that it starts.
#[derive(Clone, Debug)]
pub struct Stage {
    topology: Topology,
    /// Present where what is told will be compared.
    program: Option<Arc<Mutex<Program>>>,
}

#[derive(Debug, Default)]
struct Program {
    accounts: Vec<Account>,
    left_out: Vec<String>,
}

impl Stage {
    /// A stage whose worlds are compared with another's.
    #[must_use]
    pub fn compared(topology: Topology) -> Self {
        Self {
            topology,
            program: Some(Arc::default()),
        }
    }

    #[must_use]
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// The same with a log that can be killed alone, also where the rest is one process.
    #[must_use]
    pub fn with_audit_apart(&self) -> Self {
        let topology = match self.topology {
            Topology::Embedded => Topology::AuditApart,
            other => other,
        };
        Self {
            topology,
            program: self.program.clone(),
        }
    }

    /// Leaves events, or entries of the log, of that kind out of the comparison; the scenario says why.
    pub fn leave_out(&self, kind: &str) {
        if let Some(program) = &self.program {
            let mut program = program.lock().unwrap_or_else(PoisonError::into_inner);
            program.left_out.push(kind.to_owned());
        }
    }

    /// The account of a new world; `None` where nobody asks for it.
    pub(crate) fn account(&self) -> Option<Account> {
        let program = self.program.as_ref()?;
        let account = Account::default();
        let mut program = program.lock().unwrap_or_else(PoisonError::into_inner);
        program.accounts.push(account.clone());
        Some(account)
    }

    /// What was told in every world that was started here.
    ///
    /// # Panics
    /// When one of them has not ended.
    #[must_use]
    pub fn told(&self) -> String {
        let Some(program) = &self.program else {
            return String::new();
        };
        let program = program.lock().unwrap_or_else(PoisonError::into_inner);
        let told = program.accounts.iter();
        told.map(|account| account.tell(&program.left_out)).collect()
    }
}

/// For a world that is compared with no other.
impl From<Topology> for Stage {
    fn from(topology: Topology) -> Self {
        Self {
            topology,
            program: None,
        }
    }
}

impl From<&Stage> for Stage {
    fn from(stage: &Stage) -> Self {
        stage.clone()
    }
}

/// The lines in which two texts differ, `-` for the first one's and `+` for the second one's, each with the line that it
/// follows; `None` when there are none.
#[must_use]
pub fn differences(one: &str, other: &str) -> Option<String> {
    if one == other {
        return None;
    }
    let (one, other): (Vec<_>, Vec<_>) = (one.lines().collect(), other.lines().collect());
    let mut out = String::new();
    let (mut left, mut right) = (one.as_slice(), other.as_slice());
    let mut shown = true;
    let mut last = "";
    let mut tell = |sign: char, line: &str, after: &str, shown: &mut bool| {
        if !std::mem::replace(shown, true) {
            out.push_str(&format!("  {after}\n"));
        }
        out.push_str(&format!("{sign} {line}\n"));
    };
    loop {
        match (left.split_first(), right.split_first()) {
            (Some((a, rest)), Some((b, others))) if a == b => {
                (left, right, last, shown) = (rest, others, a, false);
            }
            // Whichever side finds its counterpart sooner has the fewer lines of its own.
            (Some((a, rest)), Some((b, others))) => {
                let added = right.iter().position(|line| line == a);
                let removed = left.iter().position(|line| line == b);
                if removed.is_some_and(|removed| added.is_none_or(|added| removed <= added))
                    || added.is_none()
                {
                    tell('-', a, last, &mut shown);
                    left = rest;
                } else {
                    tell('+', b, last, &mut shown);
                    right = others;
                }
            }
            (Some((a, rest)), None) => {
                tell('-', a, last, &mut shown);
                left = rest;
            }
            (None, Some((b, others))) => {
                tell('+', b, last, &mut shown);
                right = others;
            }
            (None, None) => return Some(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_no_differences() {
        assert_eq!(differences("a\nb\n", "a\nb\n"), None);
    }

    #[test]
    fn each_side_shows_what_only_it_has() {
        let check = |one: &str, other: &str, expected: &str| {
            assert_eq!(
                differences(one, other).as_deref(),
                Some(expected),
                "{one:?} {other:?}"
            );
        };
        check("a\nb\nc\n", "a\nx\nc\n", "  a\n- b\n+ x\n");
        check("a\nc\n", "a\nb\nc\n", "  a\n+ b\n");
        check("a\nb\nc\n", "a\nc\n", "  a\n- b\n");
        check("", "a\n", "+ a\n");
        check("a\nb\nc\nd\n", "b\nc\n", "- a\n  c\n- d\n");
    }
}
