//! How many runs may be under way: each holds a lease that somebody renews and a place in every sweep, so whoever could begin
//! runs without end could keep all nodes busy with them.

use std::fmt;

use crate::error::Error;

/// Most runs that are under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunLimits {
    /// Of one subject, in all sessions.
    pub(crate) per_subject: u32,
    /// Of a tenant.
    pub(crate) per_tenant: u32,
}

/// How many runs are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnderWay {
    pub(crate) of_subject: u64,
    pub(crate) of_tenant: u64,
}

/// Whose runs are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Subject,
    Tenant,
}

impl Whose {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Tenant => "tenant",
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl RunLimits {
    /// # Errors
    /// [`Error::TooManyRuns`] when there is no room for one more.
    pub(crate) fn admit(self, under_way: UnderWay) -> Result<(), Error> {
        let refused = |whose, most| Err(Error::TooManyRuns { whose, most });
        if under_way.of_subject >= u64::from(self.per_subject) {
            refused(Whose::Subject, self.per_subject)
        } else if under_way.of_tenant >= u64::from(self.per_tenant) {
            refused(Whose::Tenant, self.per_tenant)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_is_taken_and_none_beyond() {
        let most = RunLimits {
            per_subject: 2,
            per_tenant: 3,
        };
        for (of_subject, of_tenant, full) in [
            (0, 0, None),
            (1, 2, None),
            (2, 2, Some(Whose::Subject)),
            (1, 3, Some(Whose::Tenant)),
        ] {
            let refused = match most.admit(UnderWay {
                of_subject,
                of_tenant,
            }) {
                Ok(()) => None,
                Err(Error::TooManyRuns { whose, .. }) => Some(whose),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(refused, full, "{of_subject} {of_tenant}");
        }
    }
}
