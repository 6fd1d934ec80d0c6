//! Finding what is remembered: by words in an index of the owner's that is kept in memory, by meaning in the vectors, both
//! ranked together. When meaning is out of reach, by words alone.

mod ask;
mod book;
mod meaning;
mod narrow;
mod place;
mod recaller;
mod shelf;
mod workers;

pub(crate) use ask::{Ask, Found, Hit, Means, QUERY_MAX, Recalled, ShownAnyway};
pub(crate) use book::item;
pub(crate) use meaning::{Behind, Meaning, Meanings, Model};
pub(crate) use narrow::{kind_number, label};
pub(crate) use recaller::Recaller;
pub(crate) use shelf::Shelf;
pub(crate) use workers::Workers;
