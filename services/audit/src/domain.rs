//! The rules of the log in plain types: what an event must be, what a leaf is, how details are sealed, what a query asks.

mod event;
mod filter;
mod leaf;
mod own;
mod seal;
mod wrap;

pub(crate) use event::{Draft, hash_of};
pub use event::{Event, Limits, MAX_BATCH};
pub use filter::Filter;
pub use leaf::{Leaf, millis_of};
pub(crate) use own::{Sequence, data_key_erased};
pub(crate) use seal::{DataKey, KEY_LEN, KeyId, key_id_of};
pub(crate) use wrap::WrappingKey;
