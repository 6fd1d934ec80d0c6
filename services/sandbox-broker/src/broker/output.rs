//! A program's output on its way to whoever asked: live, line by line, without secrets.

use std::collections::BTreeMap;

use bytes::Bytes;
use harombe_redact::{Redactor, Scanner};
use tokio::sync::mpsc;

use crate::domain::driver::{Chunk, Stream};

/// A piece of redacted output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) stream: Stream,
    pub(crate) data: Bytes,
}

/// Redacts each stream on its own: a secret does not begin on one and end on the other.
pub(super) struct Output<'a> {
    frames: &'a mpsc::Sender<Frame>,
    out: Redactor,
    err: Redactor,
}

impl<'a> Output<'a> {
    pub(super) fn new(frames: &'a mpsc::Sender<Frame>) -> Self {
        let scanner = Scanner::shared();
        Self {
            frames,
            out: Redactor::new(scanner),
            err: Redactor::new(scanner),
        }
    }

    /// Passes everything on until the program, or the reader, is gone: all but what may be the beginning of a secret.
    pub(super) async fn pass_on(&mut self, mut chunks: mpsc::Receiver<Chunk>) {
        loop {
            let chunk = tokio::select! {
                chunk = chunks.recv() => chunk,
                // A program that writes nothing must not outlive its reader either.
                () = self.frames.closed() => return,
            };
            let Some(Chunk { stream, bytes }) = chunk else {
                return;
            };
            let safe = self.redactor(stream).push(&bytes);
            if self.send(stream, safe).await.is_err() {
                return;
            }
        }
    }

    /// Passes on the rest of a program that has written all it wanted to. Of one that was stopped nobody knows how its last
    /// line would have gone on.
    pub(super) async fn finish(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            let rest = self.redactor(stream).finish();
            if self.send(stream, rest).await.is_err() {
                return;
            }
        }
    }

    fn redactor(&mut self, stream: Stream) -> &mut Redactor {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }

    async fn send(&self, stream: Stream, data: Vec<u8>) -> Result<(), mpsc::error::SendError<Frame>> {
        if data.is_empty() {
            return Ok(());
        }
        self.frames
            .send(Frame {
                stream,
                data: Bytes::from(data),
            })
            .await
    }

    /// How many secrets of each kind were taken out.
    pub(super) fn counts(&self) -> BTreeMap<String, u32> {
        sum([self.out.counts(), self.err.counts()])
    }
}

/// The counts of several redactors together, as they go over the wire.
pub(crate) fn sum<'a>(
    counts: impl IntoIterator<Item = &'a BTreeMap<&'static str, u64>>,
) -> BTreeMap<String, u32> {
    let mut total = BTreeMap::new();
    for (kind, count) in counts.into_iter().flatten() {
        let sum: &mut u32 = total.entry((*kind).to_owned()).or_default();
        *sum = sum.saturating_add(u32::try_from(*count).unwrap_or(u32::MAX));
    }
    total
}
