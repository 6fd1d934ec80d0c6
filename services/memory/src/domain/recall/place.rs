//! Where an owner's index stands. Whoever serves calls never waits for it: what is known of it is told without it, and what
//! takes longer, or has to wait, is done on a thread beside.

use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;

use super::book::Book;
use crate::domain::{Memory, Revision};

/// Changes of so few memories with so many bytes of text take less time than a thread takes to begin, or not much more.
const FEW: usize = 32;
const LITTLE: usize = 32 * 1024;
/// Indexes of so few memories and bytes are ranked and changed where the caller is.
const SMALL: (usize, usize) = (500, 1 << 20);

/// An owner's index, once it was loaded.
pub(crate) struct Place {
    book: RwLock<Option<Book>>,
    /// Nobody holds it for longer than it takes to copy.
    known: Mutex<Known>,
    /// One at a time brings it up to date.
    turn: Semaphore,
}

/// What is known of an index.
#[derive(Clone, Copy, Default)]
pub(crate) struct Known {
    /// Up to which change it knows the memories; none while it was never loaded.
    pub(crate) at: Option<Revision>,
    memories: usize,
    pub(crate) bytes: usize,
    /// Whether it holds all that may be found.
    pub(crate) holds_all: bool,
}

impl Known {
    /// Whether ranking and changing it takes little time.
    pub(crate) fn is_small(&self) -> bool {
        self.memories <= SMALL.0 && self.bytes <= SMALL.1
    }

    /// Whether the owner has never had a memory.
    pub(crate) fn is_of_nothing(&self) -> bool {
        self.at.is_some_and(|at| at.rev == 0)
    }
}

impl Place {
    pub(super) fn new() -> Self {
        Self {
            book: RwLock::new(None),
            known: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    pub(crate) fn known(&self) -> Known {
        *self.known.lock()
    }

    pub(super) fn is_at(&self, revision: Revision) -> bool {
        let at = self.known().at;
        at.is_some_and(|at| at.is_of(revision) && at.rev >= revision.rev)
    }

    pub(super) fn turn(&self) -> &Semaphore {
        &self.turn
    }

    /// Waits while somebody changes it.
    pub(super) fn read<T>(&self, look: impl FnOnce(&Book) -> T) -> Option<T> {
        self.book.read().as_ref().map(look)
    }

    /// # Errors
    /// Somebody changes it: the look is still to be taken.
    pub(super) fn try_read<T, F: FnOnce(&Book) -> T>(&self, look: F) -> Result<Option<T>, F> {
        match self.book.try_read() {
            Some(book) => Ok(book.as_ref().map(look)),
            None => Err(look),
        }
    }

    /// Waits while somebody looks at it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Option<Book>) -> T) -> T {
        let mut book = self.book.write();
        let changed = change(&mut book);
        self.note(book.as_ref());
        changed
    }

    /// Whether it was changed: not while somebody looks at it.
    pub(super) fn try_change(&self, change: impl FnOnce(&mut Option<Book>)) -> bool {
        let Some(mut book) = self.book.try_write() else {
            return false;
        };
        change(&mut book);
        self.note(book.as_ref());
        true
    }

    fn note(&self, book: Option<&Book>) {
        *self.known.lock() = book.map_or_else(Known::default, |book| Known {
            at: Some(book.at()),
            memories: book.index.len(),
            bytes: book.bytes(),
            holds_all: book.holds_all(),
        });
    }
}

/// Whether taking these in is little work.
pub(super) fn is_little(changed: &[Memory]) -> bool {
    changed.len() <= FEW && text_of(changed) <= LITTLE
}

/// The memories in parts that are little work each: one alone, or some of few words.
pub(super) fn slices(mut rest: &[Memory]) -> impl Iterator<Item = &[Memory]> {
    std::iter::from_fn(move || {
        let most = rest.len().min(FEW);
        let fits = (2..=most).take_while(|count| rest.get(..*count).is_some_and(is_little));
        let count = fits.last().unwrap_or(1);
        let (slice, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(slice)
    })
}

fn text_of(changed: &[Memory]) -> usize {
    changed.iter().map(|memory| memory.text.len()).sum()
}
