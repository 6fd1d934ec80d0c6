//! How many uploads and downloads go on at a time: each takes memory for as long as a caller likes to make it last.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use harombe_types::{Subject, Tenant};
use parking_lot::Mutex;

/// Whose a transfer is.
type Whose = (Tenant, Subject);

/// The transfers that go on. None waits: who is not let in is told to come again.
#[derive(Debug)]
pub struct Transfers {
    most: usize,
    most_of_one: usize,
    now: Mutex<HashMap<Whose, usize>>,
}

/// One of them; it ends when this is dropped.
#[derive(Debug)]
pub struct Transfer {
    all: Arc<Transfers>,
    whose: Whose,
}

/// Why another one did not begin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TooManyTransfers {
    /// Of all together.
    #[error("{0} uploads and downloads are under way, and no more are begun; try again when one has ended")]
    Together(usize),
    /// Of one person.
    #[error("you have {0} uploads and downloads under way, the most at a time; try again when one has ended")]
    OfOne(usize),
}

impl Transfers {
    /// At most `most` at a time, of which `most_of_one` of one person.
    #[must_use]
    pub fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_of_one,
            now: Mutex::default(),
        })
    }

    /// Begins another one.
    ///
    /// # Errors
    /// There are as many as may be.
    pub fn begin(self: &Arc<Self>, tenant: &Tenant, subject: &Subject) -> Result<Transfer, TooManyTransfers> {
        let whose = (tenant.clone(), subject.clone());
        let mut now = self.now.lock();
        if now.get(&whose).is_some_and(|count| *count >= self.most_of_one) {
            return Err(TooManyTransfers::OfOne(self.most_of_one));
        }
        if now.values().sum::<usize>() >= self.most {
            return Err(TooManyTransfers::Together(self.most));
        }
        *now.entry(whose.clone()).or_default() += 1;
        Ok(Transfer {
            all: Arc::clone(self),
            whose,
        })
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        let mut now = self.all.now.lock();
        if let Entry::Occupied(mut count) = now.entry(self.whose.clone()) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_person_is_stopped_before_all_are_and_a_place_is_given_back() {
        let transfers = Transfers::new(3, 2);
        let begin = |subject: &str| transfers.begin(&"t".parse().unwrap(), &subject.parse().unwrap());
        let first = begin("ann").unwrap();
        let _second = begin("ann").unwrap();
        assert_eq!(begin("ann").unwrap_err(), TooManyTransfers::OfOne(2));
        let bobs = begin("bob").unwrap();
        assert_eq!(begin("bob").unwrap_err(), TooManyTransfers::Together(3));
        drop(first);
        let _third = begin("ann").unwrap();
        drop(bobs);
        begin("bob").unwrap();
        assert_eq!(transfers.now.lock().len(), 1, "who has none is forgotten");
    }

    #[test]
    fn the_same_name_in_another_tenant_is_another_person() {
        let transfers = Transfers::new(9, 1);
        let begin = |tenant: &str| transfers.begin(&tenant.parse().unwrap(), &"ann".parse().unwrap());
        let _here = begin("t").unwrap();
        begin("u").unwrap();
        begin("t").unwrap_err();
    }
}
