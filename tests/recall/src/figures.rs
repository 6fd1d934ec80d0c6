//! Recall, added up over questions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::conversation::Question;

/// How many hits of an answer count.
pub(crate) const AT: [usize; 4] = [1, 5, 10, 20];
/// What is asked for, so that all of them can be told.
pub(crate) const LIMIT: usize = 20;

/// What the numbers of the categories stand for.
const CATEGORIES: [(u64, &str); 4] = [
    (1, "multi_hop"),
    (2, "temporal"),
    (3, "open_domain"),
    (4, "single_hop"),
];

#[derive(Default)]
pub(crate) struct Tally {
    all: Sum,
    by_category: BTreeMap<u64, Sum>,
    times: Vec<Duration>,
}

#[derive(Default)]
struct Sum {
    questions: u32,
    recall: [f64; AT.len()],
}

impl Tally {
    /// One question's answer: turns, best first. `time` is what it took.
    pub(crate) fn add(&mut self, category: u64, found: &[usize], evidence: &BTreeSet<usize>, time: Duration) {
        self.count(category, AT.map(|at| recall_at(at, found, evidence)));
        self.times.push(time);
    }

    /// Questions that nobody can ask recall nothing.
    pub(crate) fn add_unasked(&mut self, questions: &[Question]) {
        for question in questions {
            self.count(question.category, AT.map(|_| 0.0));
        }
    }

    fn count(&mut self, category: u64, recall: [f64; AT.len()]) {
        for sum in [&mut self.all, self.by_category.entry(category).or_default()] {
            sum.questions += 1;
            for (total, recall) in sum.recall.iter_mut().zip(recall) {
                *total += recall;
            }
        }
    }

    /// Takes another tally's questions in.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.all.absorb(&other.all);
        for (category, sum) in &other.by_category {
            self.by_category.entry(*category).or_default().absorb(sum);
        }
        self.times.extend(other.times);
    }

    /// Recall of all questions, without more.
    pub(crate) fn overall(&self) -> Value {
        Value::Object(self.all.to_json())
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut line = self.all.to_json();
        let named = |category: u64| {
            let known = CATEGORIES.iter().find(|(number, _)| *number == category);
            known.map_or_else(|| category.to_string(), |(_, name)| (*name).to_owned())
        };
        let by_category = self.by_category.iter();
        line.insert(
            "by_category".to_owned(),
            by_category
                .map(|(category, sum)| (named(*category), Value::Object(sum.to_json())))
                .collect(),
        );
        line.insert("p50_us".to_owned(), json!(self.time(50)));
        line.insert("p99_us".to_owned(), json!(self.time(99)));
        Value::Object(line)
    }

    /// The time that so many of a hundred questions stay within, in microseconds.
    fn time(&self, percent: usize) -> u128 {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(at).map_or(0, Duration::as_micros)
    }
}

impl Sum {
    fn absorb(&mut self, other: &Self) {
        self.questions += other.questions;
        for (total, more) in self.recall.iter_mut().zip(other.recall) {
            *total += more;
        }
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("questions".to_owned(), json!(self.questions));
        for (at, total) in AT.iter().zip(self.recall) {
            let mean = total / f64::from(self.questions.max(1));
            map.insert(format!("recall_at_{at}"), json!((mean * 1e4).round() / 1e4));
        }
        map
    }
}

/// Which share of the evidence is among the first `at` that were found. A turn that was found twice counts once.
fn recall_at(at: usize, found: &[usize], evidence: &BTreeSet<usize>) -> f64 {
    let found: BTreeSet<_> = found.iter().take(at).collect();
    let recalled = evidence.iter().filter(|turn| found.contains(turn)).count();
    recalled as f64 / evidence.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Tally;
    use crate::conversation::Question;

    #[test]
    fn a_question_that_nobody_can_ask_recalls_nothing_and_takes_no_time() {
        let mut tally = Tally::default();
        let evidence = [3].into();
        tally.add(4, &[3], &evidence, Duration::from_micros(10));
        tally.add_unasked(&[Question {
            text: String::new(),
            category: 4,
            evidence,
        }]);
        let line = tally.to_json();
        assert_eq!(
            (&line["questions"], &line["recall_at_1"]),
            (&2.into(), &0.5.into())
        );
        assert_eq!(line["p50_us"], 10);
    }

    #[test]
    fn recall_is_the_mean_over_questions_of_the_share_of_the_evidence() {
        let mut tally = Tally::default();
        let mut add = |category, found: &[usize], evidence: &[usize], micros| {
            let evidence = evidence.iter().copied().collect();
            tally.add(category, found, &evidence, Duration::from_micros(micros));
        };
        add(1, &[7, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12], &[1, 12, 99, 98], 10);
        add(4, &[3, 3, 3], &[3], 30);
        add(4, &[], &[3], 20);
        let mut both = Tally::default();
        both.absorb(tally);
        let line = both.to_json();
        assert_eq!(both.overall()["recall_at_5"], line["recall_at_5"]);
        assert_eq!(line["questions"], 3);
        assert_eq!(line["recall_at_1"], 0.3333);
        assert_eq!(line["recall_at_5"], 0.4167);
        assert_eq!(line["recall_at_10"], 0.4167);
        assert_eq!(line["recall_at_20"], 0.5);
        assert_eq!(line["by_category"]["multi_hop"]["recall_at_5"], 0.25);
        assert_eq!(line["by_category"]["single_hop"]["recall_at_1"], 0.5);
        assert_eq!(line["p50_us"], 20);
    }
}
