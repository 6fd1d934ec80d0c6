//! Owners' lexical indexes in memory: as many as fit, those that were used last. One that is not there is loaded from the
//! store, one that is there is brought up to date by what has changed since.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use super::book::Book;
use super::place::{Place, is_little, slices};
use super::workers::Workers;
use crate::domain::{Memory, Owner, Revision};
use crate::error::Error;
use crate::metrics::{IndexUse, RecallNumbers};
use crate::store::{MemoryStore, Peers};

/// Memories that are read at once.
const PAGE: u32 = 1_000;
/// Owners who are asked for at once.
const COMPARED: usize = 1_000;
/// No memory takes less of an index, in bytes.
const MEMORY_LEAST: usize = 256;
/// How many times as many changes are read when those that were read do not fill the index.
const FURTHER: u64 = 4;

/// The cache of indexes.
pub(crate) struct Shelf {
    memories: Arc<dyn MemoryStore>,
    workers: Workers,
    places: Mutex<Places>,
    numbers: RecallNumbers,
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

    /// Lets the owner's index go.
    pub(crate) async fn forget(&self, owner: &Owner) {
        let (held, gone) = self.places.lock().remove(owner);
        self.numbers.set_index_bytes(held);
        if let Some(gone) = gone {
            self.workers.run(move || drop(gone)).await;
        }
    }

    /// Lets the indexes of owners go who are no more, or are others of the name.
    ///
    /// # Errors
    /// The store's; the rest is done next time.
    pub(crate) async fn tidy(&self, peers: &dyn Peers) -> Result<(), Error> {
        let loaded: Vec<(Owner, u64)> = self.places.lock().loaded();
        for some in loaded.chunks(COMPARED) {
            for owner in peers.gone(some.to_vec()).await? {
                self.forget(&owner).await;
            }
        }
        Ok(())
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
        let turn = place.turn().acquire().await;
        if !place.is_at(revision) {
            self.bring_up(owner, &place, revision).await?;
            let bytes = place.known().bytes;
            let (held, gone) = self.places.lock().weigh(owner, &place, bytes);
            self.numbers.set_index_bytes(held);
            if !gone.is_empty() {
                self.workers.run(move || drop(gone)).await;
            }
        }
        drop(turn);
        Ok(place)
    }

    /// What the index says, for somebody who looks shortly: here, unless somebody changes it; `None` while it was never loaded.
    pub(crate) async fn glance<T, F>(&self, place: &Arc<Place>, look: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(&Book) -> T + Send + 'static,
    {
        match place.try_read(look) {
            Ok(said) => said,
            Err(look) => self.study(place, look).await,
        }
    }

    /// As [`Shelf::glance`], for somebody who looks long: on a thread.
    pub(crate) async fn study<T, F>(&self, place: &Arc<Place>, look: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(&Book) -> T + Send + 'static,
    {
        let place = Arc::clone(place);
        self.workers.run(move || place.read(look)).await
    }

    async fn bring_up(&self, owner: &Owner, place: &Arc<Place>, revision: Revision) -> Result<(), Error> {
        match place.known().at {
            Some(at) if at.is_of(revision) => {
                self.numbers.index_used(IndexUse::BroughtUp);
                self.catch_up(owner, place, at.rev, revision.rev).await
            }
            _ => {
                self.numbers.index_used(IndexUse::Loaded);
                let book = self.load(owner, revision).await?;
                self.replace(place, book).await;
                Ok(())
            }
        }
    }

    /// Takes all changes after `rev` in, up to `until` at least.
    async fn catch_up(
        &self,
        owner: &Owner,
        place: &Arc<Place>,
        mut rev: u64,
        until: u64,
    ) -> Result<(), Error> {
        loop {
            let changed = self.memories.changed_since(owner, rev, PAGE).await?;
            let is_last = !is_full(changed.len());
            rev = changed.last().map_or(rev, |last| last.rev);
            // what was counted and left nothing behind is known as well
            let reached = if is_last { rev.max(until) } else { rev };
            self.take_in(place, changed, reached).await;
            if is_last {
                return Ok(());
            }
        }
    }

    async fn take_in(&self, place: &Arc<Place>, changed: Vec<Memory>, reached: u64) {
        let here = is_little(&changed) && place.known().is_small();
        let done = here
            && place.try_change(|book| {
                if let Some(book) = book {
                    book.take_in(&changed);
                    book.reach(reached);
                }
            });
        if done {
            return;
        }
        let place = Arc::clone(place);
        let work = move || {
            // those who rank it in the meantime wait for one slice at most
            for slice in slices(&changed) {
                place.change(|book| book.as_mut().map(|book| book.take_in(slice)));
            }
            place.change(|book| book.as_mut().map(|book| book.reach(reached)));
        };
        self.workers.run(work).await;
    }

    async fn replace(&self, place: &Arc<Place>, book: Book) {
        let mut new = Some(book);
        if place.known().is_small() && place.try_change(|book| *book = new.take()) {
            return;
        }
        let place = Arc::clone(place);
        let work = move || {
            // a large one takes long to be given back
            drop(place.change(|book| std::mem::replace(book, new)));
        };
        self.workers.run(work).await;
    }

    /// All that fits of the owner's memories, the newest if not all do. So many changes are read as could fit if each were of a
    /// memory of its own; more, if they are not.
    async fn load(&self, owner: &Owner, revision: Revision) -> Result<Book, Error> {
        let most = self.places.lock().most / 2;
        let mut changes = u64::try_from(most / MEMORY_LEAST).unwrap_or(u64::MAX);
        loop {
            let since = revision.rev.saturating_sub(changes);
            let from = Revision {
                rev: since,
                ..revision
            };
            let book = self.load_from(owner, Book::empty(from, most), revision).await?;
            if since == 0 || book.is_full() {
                return Ok(book);
            }
            changes = changes.saturating_mul(FURTHER);
        }
    }

    async fn load_from(&self, owner: &Owner, mut book: Book, revision: Revision) -> Result<Book, Error> {
        loop {
            let changed = self.memories.changed_since(owner, book.at().rev, PAGE).await?;
            let is_last = !is_full(changed.len());
            if is_little(&changed) {
                book.take_in(&changed);
            } else {
                let work = move || {
                    book.take_in(&changed);
                    book
                };
                book = self.workers.run(work).await;
            }
            if is_last {
                // what was erased in between has left a gap
                book.reach(revision.rev);
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
            place: Arc::new(Place::new()),
            used,
            bytes: 0,
        });
        self.by_use.remove(&slot.used);
        slot.used = used;
        self.by_use.insert(used, owner.clone());
        Arc::clone(&slot.place)
    }

    /// Takes the owner's place away, if there is one; the bytes of all that stay.
    fn remove(&mut self, owner: &Owner) -> (usize, Option<Arc<Place>>) {
        let slot = self.by_owner.remove(owner);
        if let Some(slot) = &slot {
            self.by_use.remove(&slot.used);
            self.bytes = self.bytes.saturating_sub(slot.bytes);
        }
        (self.bytes, slot.map(|slot| slot.place))
    }

    /// Whose indexes there are, and of which of the name.
    fn loaded(&self) -> Vec<(Owner, u64)> {
        let of = |(owner, slot): (&Owner, &Slot)| Some((owner.clone(), slot.place.known().at?.incarnation));
        self.by_owner.iter().filter_map(of).collect()
    }

    /// Notes how large the owner's index is, and lets others go that were not used for long if it is too much. Answers
    /// with the bytes of all that stay, and with those that go: large ones take long to be given back.
    fn weigh(&mut self, owner: &Owner, place: &Arc<Place>, bytes: usize) -> (usize, Vec<Arc<Place>>) {
        let mut gone = Vec::new();
        let slot = self.by_owner.get_mut(owner);
        let Some(slot) = slot.filter(|slot| Arc::ptr_eq(&slot.place, place)) else {
            return (self.bytes, gone);
        };
        self.bytes = self.bytes.saturating_sub(slot.bytes).saturating_add(bytes);
        slot.bytes = bytes;
        while self.bytes > self.most
            && let Some((_, longest)) = self.by_use.pop_first()
        {
            if let Some(slot) = self.by_owner.remove(&longest) {
                self.bytes = self.bytes.saturating_sub(slot.bytes);
                gone.push(slot.place);
            }
        }
        (self.bytes, gone)
    }
}

#[cfg(test)]
mod tests;
