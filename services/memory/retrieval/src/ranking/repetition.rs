//! Keeps an answer from saying the same thing again: maximal marginal relevance, by words in common.

use crate::feature::{ALIKE, Feature};
use crate::query::{Part, Ranked};

/// Candidates that are looked at for each item of the answer.
const POOL: usize = 3;

/// How many of the best items it takes to choose `limit` of them.
pub(super) fn pool_of(limit: usize) -> usize {
    limit.saturating_mul(POOL).saturating_add(10)
}

/// Chooses `limit` of the items, which are best first: each time the one whose score less what it repeats of those
/// chosen is highest. `weight` is what a full repetition adds. With each item goes the [`word_set`] of it.
pub(super) fn choose(pool: Vec<(Vec<u32>, Ranked)>, limit: usize, weight: f64) -> Vec<Ranked> {
    let mut waiting: Vec<_> = pool
        .into_iter()
        .map(|(words, ranked)| Candidate {
            words,
            ranked,
            repeats: 0.0,
        })
        .collect();
    let mut chosen = Vec::new();
    while chosen.len() < limit {
        let Some(at) = best(&waiting, weight) else {
            break;
        };
        let candidate = waiting.remove(at);
        for other in &mut waiting {
            other.repeats = other.repeats.max(repetition(&candidate.words, &other.words));
        }
        chosen.push(candidate.into_ranked(weight));
    }
    chosen
}

struct Candidate {
    /// See [`word_set`].
    words: Vec<u32>,
    ranked: Ranked,
    /// How much of something chosen it repeats, from 0 to 1.
    repeats: f64,
}

impl Candidate {
    fn score(&self, weight: f64) -> f64 {
        self.ranked.score + weight * self.repeats
    }

    fn into_ranked(self, weight: f64) -> Ranked {
        let score = self.score(weight);
        let mut ranked = self.ranked;
        if weight * self.repeats != 0.0 {
            ranked.parts.push(Part {
                feature: Feature::Repetition.name(),
                value: self.repeats,
                contribution: weight * self.repeats,
            });
        }
        ranked.score = score;
        ranked
    }
}

/// The first of the best.
fn best(waiting: &[Candidate], weight: f64) -> Option<usize> {
    let better = |left: &(usize, &Candidate), right: &(usize, &Candidate)| {
        let by_score = left.1.score(weight).total_cmp(&right.1.score(weight));
        by_score.then(right.1.ranked.id.cmp(&left.1.ranked.id))
    };
    waiting.iter().enumerate().max_by(better).map(|(at, _)| at)
}

/// Term numbers, each once, sorted.
pub(super) fn word_set(terms: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut words: Vec<_> = terms.collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// What the words in common, by the words of either, are above [`ALIKE`]; from 0 to 1.
fn repetition(left: &[u32], right: &[u32]) -> f64 {
    let (mut rest, mut common) = (right, 0usize);
    for word in left {
        let below = rest.iter().take_while(|other| *other < word).count();
        rest = rest.get(below..).unwrap_or_default();
        common += usize::from(rest.first() == Some(word));
    }
    let either = left.len() + right.len() - common;
    if either == 0 {
        return 0.0;
    }
    ((common as f64 / either as f64 - ALIKE) / (1.0 - ALIKE)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::repetition;

    #[test]
    fn only_what_is_much_alike_repeats() {
        assert_eq!(repetition(&[1, 2, 3], &[1, 2, 3]), 1.0);
        assert_eq!(repetition(&[1, 2, 3], &[4, 5]), 0.0);
        assert_eq!(repetition(&[1, 2, 3, 4], &[3, 4, 5]), 0.0);
        let most = repetition(&[1, 2, 3, 4, 5], &[1, 2, 3, 5]);
        assert!((most - 0.5).abs() < 1e-9, "{most}");
        assert_eq!(repetition(&[], &[]), 0.0);
        assert_eq!(repetition(&[], &[1]), 0.0);
    }
}
