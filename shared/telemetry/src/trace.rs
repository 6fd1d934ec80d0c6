//! Which piece of work a line of the log belongs to, across services: W3C Trace Context, level 1, the `traceparent` header.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A place in a trace: the trace, which stays the same from service to service, and one span of it, which does not.
///
/// Ids are random, not secret, and no proof of anything: whoever calls may name any trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    sampled: bool,
}

impl TraceContext {
    /// The first span of a new trace.
    #[must_use]
    pub fn start() -> Self {
        Self {
            trace: (u128::from(random()) << 64) | u128::from(random()),
            span: random(),
            sampled: true,
        }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self {
            span: random(),
            ..self
        }
    }

    /// Reads a `traceparent`. Of a version that is not known yet, what version 00 has is taken, as the standard asks;
    /// `None` when it is not one.
    #[must_use]
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        let (known, more) = traceparent.split_at_checked(LENGTH)?;
        let (version, known) = field(known, 2)?;
        let (trace, known) = field(known.strip_prefix(b"-")?, 32)?;
        let (span, known) = field(known.strip_prefix(b"-")?, 16)?;
        let (flags, _) = field(known.strip_prefix(b"-")?, 2)?;
        let grown = version > 0 && more.first() == Some(&b'-');
        if version == 0xff || trace == 0 || span == 0 || !(more.is_empty() || grown) {
            return None;
        }
        Some(Self {
            trace,
            span: u64::try_from(span).ok()?,
            sampled: flags & 1 == 1,
        })
    }

    /// What the running task works on.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|current| *current).ok()
    }

    /// Runs a future as a part of this. Tasks that it spawns begin anew unless they are given it too.
    pub fn scope<F: Future>(self, future: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, future)
    }

    /// Runs a function as a part of this.
    pub fn within<T>(self, run: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, run)
    }

    /// The trace, as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(self) -> impl fmt::Display {
        Hex(self.trace)
    }

    /// The span, as 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(self) -> impl fmt::Display {
        Hex(self.span)
    }
}

/// The `traceparent` header's value.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

struct Hex<T>(T);

impl fmt::Display for Hex<u128> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for Hex<u64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The number of so many lower-case hexadecimal digits, and what follows them.
fn field(text: &[u8], digits: usize) -> Option<(u128, &[u8])> {
    let (text, rest) = text.split_at_checked(digits)?;
    let number = text.iter().try_fold(0_u128, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(digit))
    })?;
    Some((number, rest))
}

/// Not zero, which stands for no id. Each hasher of the standard library has keys of its own.
fn random() -> u64 {
    RandomState::new().build_hasher().finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn check(text: &str, expected: bool) {
        assert_eq!(
            TraceContext::parse(text.as_bytes()).is_some(),
            expected,
            "{text:?}"
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let read = TraceContext::parse(GIVEN.as_bytes()).unwrap();
        assert_eq!(read.to_string(), GIVEN);
        assert_eq!(read.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(read.span_id().to_string(), "00f067aa0ba902b7");
        for _ in 0..100 {
            let made = TraceContext::start();
            assert_eq!(TraceContext::parse(made.to_string().as_bytes()), Some(made));
        }
    }

    #[test]
    fn only_what_the_standard_allows_is_read() {
        check(GIVEN, true);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true);
        check("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true);
        check(
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes",
            true,
        );
        check(
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
            false,
        );
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false);
        check(
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            false,
        );
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01", false);
        check("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false);
        check("", false);
    }

    #[test]
    fn a_child_is_another_span_of_the_same_trace() {
        let parent = TraceContext::start();
        let child = parent.child();
        assert_eq!(child.trace_id().to_string(), parent.trace_id().to_string());
        assert_ne!(child.span_id().to_string(), parent.span_id().to_string());
    }

    #[tokio::test]
    async fn a_future_knows_its_context_and_others_do_not() {
        let (one, two) = (TraceContext::start(), TraceContext::start());
        let seen = one.scope(async move {
            let inner = two.scope(async { TraceContext::current() }).await;
            (inner, TraceContext::current())
        });
        assert_eq!(seen.await, (Some(two), Some(one)));
        assert_eq!(one.within(TraceContext::current), Some(one));
        assert_eq!(TraceContext::current(), None);
    }
}
