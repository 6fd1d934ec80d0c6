//! How many requests may wait for a decision: each is kept until somebody has decided, so whoever could ask without end could
//! fill the store and bury what others wait for.

use std::fmt;

use super::Approval;

/// Most requests without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingLimits {
    /// Of all runs of one subject together.
    pub per_subject: u32,
    /// Of a tenant.
    pub per_tenant: u32,
}

impl PendingLimits {
    /// The limit that leaves no room for one more, with so many there.
    #[must_use]
    pub fn reached(self, of_subject: u64, of_tenant: u64) -> Option<Whose> {
        if of_subject >= u64::from(self.per_subject) {
            Some(Whose::Subject)
        } else if of_tenant >= u64::from(self.per_tenant) {
            Some(Whose::Tenant)
        } else {
            None
        }
    }

    /// The number that counts for them.
    #[must_use]
    pub const fn of(self, whose: Whose) -> u32 {
        match whose {
            Whose::Subject => self.per_subject,
            Whose::Tenant => self.per_tenant,
        }
    }
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Subject,
    Tenant,
}

impl Whose {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
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

/// What became of a request that was to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// The request of the call that is kept now, which may be an earlier one.
    Kept(Box<Approval>),
    /// Nothing was kept: as many wait as may.
    Full(Whose),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_place_is_taken_and_none_beyond() {
        let most = PendingLimits {
            per_subject: 2,
            per_tenant: 3,
        };
        for (of_subject, of_tenant, reached) in [
            (0, 0, None),
            (1, 2, None),
            (2, 2, Some(Whose::Subject)),
            (1, 3, Some(Whose::Tenant)),
            (9, 9, Some(Whose::Subject)),
        ] {
            assert_eq!(
                most.reached(of_subject, of_tenant),
                reached,
                "{of_subject} {of_tenant}"
            );
        }
    }
}
