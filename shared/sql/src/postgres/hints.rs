//! What one process tells the others that share its schema, without hearing itself.

use std::fmt::Display;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Postgres;
use super::notify::{Heard, Notifier};

/// The line to the other processes on a schema. It ends when it is dropped.
#[derive(Debug)]
pub struct Hints {
    postgres: Postgres,
    notifier: Notifier,
    /// Tells our own hints, which come back to us, from others'.
    own: u64,
    _sending: DropGuard,
}

impl Hints {
    /// Must be called inside a tokio runtime, where hints are then sent.
    #[must_use]
    pub fn start(postgres: Postgres) -> Self {
        let stop = CancellationToken::new();
        let (notifier, sending) = postgres.notifier(stop.clone());
        tokio::spawn(sending);
        Self {
            postgres,
            notifier,
            own: RandomState::new().build_hasher().finish(),
            _sending: stop.drop_guard(),
        }
    }

    /// Tells the others, soon; at most 7900 bytes. Never waits, and may get lost.
    pub fn tell(&self, hint: impl Display) {
        self.notifier.notify(format!("{} {hint}", self.own));
    }

    /// Hands on what the others tell, until `stop`. `read` says what a hint means, `None` for one that this version does not
    /// understand, and `missed` is handed on when some may not have been heard. What finds no place in `news` is dropped.
    pub async fn listen<T: Send>(
        &self,
        stop: &CancellationToken,
        news: mpsc::Sender<T>,
        read: impl Fn(&str) -> Option<T> + Send + Sync,
        missed: impl Fn() -> T + Send + Sync,
    ) {
        let hear = |heard: Heard<'_>| {
            let heard = match heard {
                Heard::Hint(hint) => self.of_others(hint).and_then(&read),
                Heard::Gap => Some(missed()),
            };
            if let Some(heard) = heard {
                let _ = news.try_send(heard);
            }
        };
        self.postgres.listen(stop, hear).await;
    }

    fn of_others<'h>(&self, hint: &'h str) -> Option<&'h str> {
        let (sender, hint) = hint.split_once(' ')?;
        let sender: u64 = sender.parse().ok()?;
        (sender != self.own).then_some(hint)
    }
}
