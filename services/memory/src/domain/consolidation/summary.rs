//! What a stretch of a session was about, in its own sentences. Nobody is asked: a sentence counts for as much as what is said
//! in others like it, weighted by how rare its words are. The same turns always give the same summary.

use std::collections::{BTreeMap, BTreeSet};

use harombe_retrieval::terms;

use super::sentences::{sentences, worth};

/// The longest summary, in bytes.
pub(super) const LONGEST: usize = 1600;
/// Most sentences that are compared with each other: those with the most to say.
const COMPARED: usize = 500;
/// Most sentences of one turn.
const OF_A_TURN: usize = 40;
/// How far a sentence's rank comes from those that are like it.
const DAMPING: f64 = 0.85;
const ROUNDS: usize = 20;
/// Of two sentences that share so many of the shorter one's terms, one is enough.
const REPEATED: f64 = 0.6;

/// A turn, as far as a summary needs it.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) speaker: String,
    pub(super) text: String,
}

struct Sentence<'t> {
    speaker: &'t str,
    text: &'t str,
    /// By number of term, ascending; the squares add up to 1.
    weights: Vec<(u32, f64)>,
    worth: f64,
}

impl Sentence<'_> {
    /// Cosine.
    fn likeness(&self, other: &Self) -> f64 {
        let (mut mine, mut theirs) = (self.weights.iter().peekable(), other.weights.iter().peekable());
        let mut sum = 0.0;
        while let (Some((one, weight)), Some((two, other))) = (mine.peek(), theirs.peek()) {
            match one.cmp(two) {
                std::cmp::Ordering::Less => drop(mine.next()),
                std::cmp::Ordering::Greater => drop(theirs.next()),
                std::cmp::Ordering::Equal => {
                    sum += weight * other;
                    mine.next();
                    theirs.next();
                }
            }
        }
        sum
    }

    /// Whether one of the two adds little to the other, however rare that little is.
    fn repeats(&self, other: &Self) -> bool {
        let theirs: BTreeSet<u32> = other.weights.iter().map(|(term, _)| *term).collect();
        let shared = self
            .weights
            .iter()
            .filter(|(term, _)| theirs.contains(term))
            .count();
        let shorter = self.weights.len().min(theirs.len());
        shared as f64 >= REPEATED * shorter as f64
    }

    fn line(&self) -> String {
        match self.speaker {
            "" => self.text.to_owned(),
            speaker => format!("{speaker}: {}", self.text),
        }
    }
}

/// The summary of these turns, one sentence a line with its speaker, in the order in which they were said; `None` when nothing
/// was said that could be quoted.
pub(super) fn summary(turns: &[Line]) -> Option<String> {
    let sentences = weighed(turns);
    let ranks = ranks(&sentences);
    let mut order: Vec<usize> = (0..sentences.len()).collect();
    let rank = |at: usize| ranks.get(at).copied().unwrap_or_default();
    order.sort_by(|one, two| rank(*two).total_cmp(&rank(*one)).then(one.cmp(two)));
    let mut chosen: Vec<usize> = Vec::new();
    let mut bytes = 0;
    for at in order {
        let Some(sentence) = sentences.get(at) else {
            continue;
        };
        let repeats = chosen
            .iter()
            .filter_map(|other| sentences.get(*other))
            .any(|other| sentence.repeats(other));
        let longer = sentence.line().len() + usize::from(!chosen.is_empty());
        if rank(at) <= 0.0 || repeats || bytes + longer > LONGEST {
            continue;
        }
        bytes += longer;
        chosen.push(at);
    }
    chosen.sort_unstable();
    let lines: Vec<String> = chosen
        .into_iter()
        .filter_map(|at| sentences.get(at))
        .map(Sentence::line)
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The sentences that are compared, in their order, with what their words weigh.
fn weighed(turns: &[Line]) -> Vec<Sentence<'_>> {
    let mut said = Vec::new();
    let mut numbers = BTreeMap::<String, u32>::new();
    let mut frequencies = Vec::<u32>::new();
    for turn in turns {
        for text in sentences(&turn.text).into_iter().take(OF_A_TURN) {
            let mut counts = BTreeMap::<u32, f64>::new();
            for term in terms(text) {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                *counts.entry(*numbers.entry(term).or_insert(next)).or_default() += 1.0;
            }
            for number in counts.keys() {
                let at = usize::try_from(*number).unwrap_or(usize::MAX);
                if at >= frequencies.len() {
                    frequencies.resize(at.saturating_add(1), 0);
                }
                if let Some(frequency) = frequencies.get_mut(at) {
                    *frequency += 1;
                }
            }
            said.push((turn.speaker.as_str(), text, counts));
        }
    }
    let all = said.len() as f64;
    let rarity = |number: u32| {
        let at = usize::try_from(number).unwrap_or(usize::MAX);
        let frequency = frequencies.get(at).copied().unwrap_or(1);
        (1.0 + all / f64::from(frequency)).ln()
    };
    let mut weighed: Vec<(f64, usize, Sentence<'_>)> = Vec::with_capacity(said.len());
    for (at, (speaker, text, counts)) in said.into_iter().enumerate() {
        let mut weights: Vec<(u32, f64)> = counts
            .into_iter()
            .map(|(number, count)| (number, (1.0 + count.ln()) * rarity(number)))
            .collect();
        let length = weights
            .iter()
            .map(|(_, weight)| weight * weight)
            .sum::<f64>()
            .sqrt();
        weights
            .iter_mut()
            .for_each(|(_, weight)| *weight /= length.max(f64::MIN_POSITIVE));
        let worth = worth(text);
        let sentence = Sentence {
            speaker,
            text,
            weights,
            worth,
        };
        weighed.push((length * worth, at, sentence));
    }
    weighed.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.cmp(&two.1)));
    weighed.truncate(COMPARED);
    weighed.sort_by_key(|(_, at, _)| *at);
    weighed.into_iter().map(|(_, _, sentence)| sentence).collect()
}

/// What each sentence counts: its share of a walk from sentence to sentence along what is alike, times the worth of its form.
fn ranks(sentences: &[Sentence<'_>]) -> Vec<f64> {
    let count = sentences.len();
    let mut edges: Vec<Vec<(usize, f64)>> = vec![Vec::new(); count];
    for (one, sentence) in sentences.iter().enumerate() {
        for (two, other) in sentences.iter().enumerate().skip(one + 1) {
            let likeness = sentence.likeness(other);
            if likeness > 0.0 {
                add(&mut edges, one, two, likeness);
                add(&mut edges, two, one, likeness);
            }
        }
    }
    let sums: Vec<f64> = edges
        .iter()
        .map(|edges| edges.iter().map(|(_, likeness)| likeness).sum())
        .collect();
    let start = 1.0 / (count.max(1) as f64);
    let mut ranks = vec![start; count];
    for _ in 0..ROUNDS {
        let share = |at: usize| match (ranks.get(at), sums.get(at)) {
            (Some(rank), Some(sum)) if *sum > 0.0 => rank / sum,
            _ => 0.0,
        };
        let next = edges.iter().map(|edges| {
            let given: f64 = edges.iter().map(|(from, likeness)| likeness * share(*from)).sum();
            (1.0 - DAMPING) * start + DAMPING * given
        });
        ranks = next.collect();
    }
    let said = |sentence: &Sentence<'_>| {
        if sentence.weights.is_empty() {
            0.0
        } else {
            sentence.worth
        }
    };
    ranks
        .iter()
        .zip(sentences)
        .map(|(rank, sentence)| rank * said(sentence))
        .collect()
}

fn add(edges: &mut [Vec<(usize, f64)>], from: usize, to: usize, likeness: f64) {
    if let Some(edges) = edges.get_mut(from) {
        edges.push((to, likeness));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(said: &[(&str, &str)]) -> Vec<Line> {
        let line = |(speaker, text): &(&str, &str)| Line {
            speaker: (*speaker).to_owned(),
            text: (*text).to_owned(),
        };
        said.iter().map(line).collect()
    }

    fn talk() -> Vec<Line> {
        let mut said = lines(&[
            ("ann", "Hi! How are you?"),
            ("default", "Hello! Fine, thanks."),
            (
                "ann",
                "We want to move the Lisbon office in March 2025. The lease ends on 31 March.",
            ),
            ("default", "Noted. What does the move cost?"),
            (
                "ann",
                "The move costs 12,000 euros, said Paul. The budget for the Lisbon office is 15,000 euros.",
            ),
            ("ann", "The Lisbon office moves in March 2025."),
            (
                "default",
                "So the move is within the budget of the Lisbon office.",
            ),
            ("ann", "My cat is asleep."),
        ]);
        for at in 0..40 {
            said.push(Line {
                speaker: "ann".to_owned(),
                text: format!("Item {at} for the move is a box with things of room {at}. Is that fine?"),
            });
        }
        said
    }

    #[test]
    fn what_matters_is_quoted_in_its_order_with_its_speaker() {
        let summary = summary(&talk()).unwrap();
        assert!(summary.len() <= LONGEST, "{}", summary.len());
        assert!(
            summary.contains("ann: The move costs 12,000 euros, said Paul."),
            "{summary}"
        );
        assert!(
            !summary.contains("Hello!") && !summary.contains("How are you?"),
            "{summary}"
        );
        let repeated = [
            "We want to move the Lisbon office in March 2025.",
            "The Lisbon office moves in March 2025.",
        ];
        assert_eq!(
            repeated.iter().filter(|text| summary.contains(**text)).count(),
            1,
            "{summary}"
        );
        let places: Vec<usize> = summary
            .lines()
            .map(|line| {
                let (speaker, text) = line.split_once(": ").unwrap();
                let turn = |line: &Line| line.speaker == speaker && line.text.contains(text);
                talk().iter().position(turn).unwrap()
            })
            .collect();
        assert!(places.is_sorted(), "{summary}");
    }

    #[test]
    fn the_same_turns_give_the_same_summary() {
        assert_eq!(summary(&talk()), summary(&talk()));
    }

    #[test]
    fn little_or_nothing_gives_little_or_nothing() {
        assert_eq!(summary(&[]), None);
        assert_eq!(summary(&lines(&[("ann", ""), ("bob", "... \u{1f600}")])), None);
        assert_eq!(
            summary(&lines(&[("", "The sea was calm.")])).unwrap(),
            "The sea was calm."
        );
    }

    #[test]
    fn much_is_bounded() {
        let turn = |at: usize| Line {
            speaker: format!("speaker {}", at % 7),
            text: (0..300)
                .map(|word| format!("w{} x{}. ", word * at, word % (at + 1)))
                .collect(),
        };
        let turns: Vec<Line> = (0..400).map(turn).collect();
        assert!(summary(&turns).unwrap().len() <= LONGEST);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_summarised_within_bounds(
            texts in proptest::collection::vec(("\\PC{0,9}", "\\PC{0,80}|[\\x00-\\u{2ff}.!?\\n]{0,80}"), 0..12)
        ) {
            let turns: Vec<Line> = texts.into_iter().map(|(speaker, text)| Line { speaker, text }).collect();
            let found = summary(&turns);
            proptest::prop_assert!(found.is_none_or(|text| text.len() <= LONGEST && !text.trim().is_empty()));
        }
    }
}
