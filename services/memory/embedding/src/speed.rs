//! How fast an embedder is on this machine, for reports.

use std::time::{Duration, Instant};

use crate::{Embedder, Error, Local, Purpose};

/// What was measured.
#[derive(Clone, Debug)]
pub struct Speed {
    /// The middle of the times of one query, nothing else going on.
    pub query_p50: Duration,
    /// What one in a hundred exceeded.
    pub query_p99: Duration,
    /// Passages in a second.
    pub passages_per_second: f64,
    /// Tokens in a second, the two around each text included.
    pub tokens_per_second: f64,
}

/// Embeds each text as a query, one after the other, and then all of them as passages at once.
///
/// # Errors
/// The embedder's.
pub async fn measure(local: &Local, texts: &[String]) -> Result<Speed, Error> {
    let mut times = Vec::with_capacity(texts.len());
    for text in texts {
        let start = Instant::now();
        local.embed(vec![text.clone()], Purpose::Query).await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let most = usize::try_from(local.model().max_tokens).unwrap_or(usize::MAX);
    let tokens = texts
        .iter()
        .map(|text| (local.count_tokens(text) + 2).min(most))
        .sum::<usize>();
    let start = Instant::now();
    local.embed(texts.to_vec(), Purpose::Passage).await?;
    let seconds = start.elapsed().as_secs_f64().max(1e-9);
    let at = |hundredths: usize| {
        times
            .get(times.len() * hundredths / 100)
            .copied()
            .unwrap_or_default()
    };
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    let per_second = |count: usize| count as f64 / seconds;
    Ok(Speed {
        query_p50: at(50),
        query_p99: at(99),
        passages_per_second: per_second(texts.len()),
        tokens_per_second: per_second(tokens),
    })
}
