//! Owners' lexical indexes in memory: as many as fit, those that were used last. One that is not there is loaded from the
//! store, one that is there is brought up to date by what has changed since.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

use super::book::Book;
use super::workers::Workers;
use crate::domain::{Owner, Revision};
use crate::error::Error;
use crate::metrics::{IndexUse, RecallNumbers};
use crate::store::MemoryStore;

/// Memories that are read at once.
const PAGE: u32 = 1_000;
/// So few changes take less time than a thread takes to begin.
const FEW: usize = 32;
/// No memory takes less of an index, in bytes: an owner's changes before as many as could fit are not read at all.
const MEMORY_LEAST: usize = 256;

/// The cache of indexes.
pub(crate) struct Shelf {
    memories: Arc<dyn MemoryStore>,
    workers: Workers,
    places: Mutex<Places>,
    numbers: RecallNumbers,
}

/// Where an owner's index stands. Its readers hold nobody up; who brings it up to date waits for them.
pub(crate) struct Place {
    book: RwLock<Option<Book>>,
    /// One at a time brings it up to date.
    turn: Semaphore,
}

struct Places {
    by_owner: HashMap<Owner, Slot>,
    /// The longest unused first.
    by_use: BTreeMap<u64, Owner>,
    uses: u64,
    bytes: usize,
    most: usize,
}

struct Slot {
    place: Arc<Place>,
    used: u64,
    bytes: usize,
}

impl Place {
    /// What the index says; `None` while it was never loaded.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> Option<T> {
        self.book.read().as_ref().map(look)
    }

    /// Memories of the index; many take long to rank.
    pub(crate) fn len(&self) -> usize {
        self.read(|book| book.index.len()).unwrap_or_default()
    }

    fn at(&self) -> Option<Revision> {
        self.read(|book| book.at)
    }

    fn is_at(&self, revision: Revision) -> bool {
        self.at()
            .is_some_and(|at| at.epoch == revision.epoch && at.rev >= revision.rev)
    }
}

impl Shelf {
    /// A cache of at most so many bytes; one owner has half of them at most.
    pub(crate) fn new(
        memories: Arc<dyn MemoryStore>,
        workers: Workers,
        most: usize,
        numbers: RecallNumbers,
    ) -> Self {
        let places = Places {
            by_owner: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            most,
        };
        Self {
            memories,
            workers,
            places: Mutex::new(places),
            numbers,
        }
    }

    /// The owner's index, with all that was changed before now.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn of(&self, owner: &Owner) -> Result<Arc<Place>, Error> {
        let revision = self.memories.revision(owner).await?;
        let place = self.places.lock().take(owner);
        if place.is_at(revision) {
            self.numbers.index_used(IndexUse::Found);
            return Ok(place);
        }
        // nobody closes it
        let turn = place.turn.acquire().await;
        if !place.is_at(revision) {
            self.bring_up(owner, &place, revision).await?;
            let bytes = place.read(Book::bytes).unwrap_or_default();
            let held = self.places.lock().weigh(owner, &place, bytes);
            self.numbers.set_index_bytes(held);
        }
        drop(turn);
        Ok(place)
    }

    async fn bring_up(&self, owner: &Owner, place: &Arc<Place>, revision: Revision) -> Result<(), Error> {
        match place.at() {
            Some(at) if at.epoch == revision.epoch => {
                self.numbers.index_used(IndexUse::BroughtUp);
                self.catch_up(owner, place, at.rev).await
            }
            _ => {
                self.numbers.index_used(IndexUse::Loaded);
                let book = self.load(owner, revision).await?;
                *place.book.write() = Some(book);
                Ok(())
            }
        }
    }

    async fn catch_up(&self, owner: &Owner, place: &Arc<Place>, mut rev: u64) -> Result<(), Error> {
        loop {
            let changed = self.memories.changed_since(owner, rev, PAGE).await?;
            let Some(last) = changed.last() else { return Ok(()) };
            rev = last.rev;
            let place = Arc::clone(place);
            let (few, page) = (changed.len() <= FEW && place.len() <= Self::SMALL, changed.len());
            let take_in = move || {
                if let Some(book) = place.book.write().as_mut() {
                    book.take_in(&changed);
                }
            };
            if few {
                take_in();
            } else {
                self.workers.run(take_in).await;
            }
            if !is_full(page) {
                return Ok(());
            }
        }
    }

    /// Indexes of so few memories are ranked and changed where the caller is.
    pub(crate) const SMALL: usize = 500;

    async fn load(&self, owner: &Owner, revision: Revision) -> Result<Book, Error> {
        let most = self.places.lock().most / 2;
        let fit = u64::try_from(most / MEMORY_LEAST).unwrap_or(u64::MAX);
        let from = Revision {
            rev: revision.rev.saturating_sub(fit),
            ..revision
        };
        let mut book = Book::empty(from, most);
        loop {
            let changed = self.memories.changed_since(owner, book.at.rev, PAGE).await?;
            let page = changed.len();
            if page <= FEW {
                book.take_in(&changed);
            } else {
                book = self
                    .workers
                    .run(move || {
                        book.take_in(&changed);
                        book
                    })
                    .await;
            }
            if !is_full(page) {
                // what was erased in between has left a gap
                book.at.rev = book.at.rev.max(revision.rev);
                return Ok(book);
            }
        }
    }
}

fn is_full(page: usize) -> bool {
    u32::try_from(page).is_ok_and(|page| page >= PAGE)
}

impl Places {
    /// The owner's place, made now if there is none; it is the one used last.
    fn take(&mut self, owner: &Owner) -> Arc<Place> {
        self.uses += 1;
        let used = self.uses;
        let slot = self.by_owner.entry(owner.clone()).or_insert_with(|| Slot {
            place: Arc::new(Place {
                book: RwLock::new(None),
                turn: Semaphore::new(1),
            }),
            used,
            bytes: 0,
        });
        self.by_use.remove(&slot.used);
        slot.used = used;
        self.by_use.insert(used, owner.clone());
        Arc::clone(&slot.place)
    }

    /// Notes how large the owner's index is, and lets others go that were not used for long if it is too much. Answers
    /// with the bytes of all that stay.
    fn weigh(&mut self, owner: &Owner, place: &Arc<Place>, bytes: usize) -> usize {
        let Some(slot) = self.by_owner.get_mut(owner) else {
            return self.bytes;
        };
        if !Arc::ptr_eq(&slot.place, place) {
            return self.bytes;
        }
        self.bytes = self.bytes.saturating_sub(slot.bytes).saturating_add(bytes);
        slot.bytes = bytes;
        while self.bytes > self.most
            && let Some((_, longest)) = self.by_use.pop_first()
        {
            if let Some(gone) = self.by_owner.remove(&longest) {
                self.bytes = self.bytes.saturating_sub(gone.bytes);
            }
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(subject: &str) -> Owner {
        Owner {
            tenant: "acme".parse().unwrap(),
            subject: subject.parse().unwrap(),
        }
    }

    #[test]
    fn those_that_were_not_used_for_long_make_room() {
        let mut places = Places {
            by_owner: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            most: 100,
        };
        let (ann, bob, eve) = (owner("ann"), owner("bob"), owner("eve"));
        let of_ann = places.take(&ann);
        assert_eq!(places.weigh(&ann, &of_ann, 40), 40);
        let of_bob = places.take(&bob);
        assert_eq!(places.weigh(&bob, &of_bob, 40), 80);
        assert!(Arc::ptr_eq(&places.take(&ann), &of_ann));
        let of_eve = places.take(&eve);
        assert_eq!(places.weigh(&eve, &of_eve, 40), 80);
        assert!(places.by_owner.contains_key(&ann) && !places.by_owner.contains_key(&bob));
        // one that grew is weighed anew, one that is gone not at all
        assert_eq!(places.weigh(&ann, &of_ann, 60), 100);
        assert_eq!(places.weigh(&bob, &of_bob, 60), 100);
        // what is too large for all of it is not kept
        assert_eq!(places.weigh(&eve, &of_eve, 101), 0);
        assert_eq!((places.by_owner.len(), places.by_use.len()), (0, 0));
    }
}
