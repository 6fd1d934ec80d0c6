//! A span that a rule took for a secret, and how overlapping spans become one.

/// A suspected secret inside the slice that was searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) kind: &'static str,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Where the evidence begins, which for `password = x` is before the value.
    pub(crate) evidence: usize,
    /// 0..=100; decides which kind an overlap is called.
    pub(crate) confidence: u8,
}

impl Candidate {
    pub(crate) fn shifted(self, by: usize) -> Self {
        Self {
            start: self.start + by,
            end: self.end + by,
            evidence: self.evidence + by,
            ..self
        }
    }
}

/// Sorts the candidates and joins those that overlap: the union disappears, under the surer name.
pub(crate) fn merge(mut found: Vec<Candidate>) -> Vec<Candidate> {
    found.sort_unstable_by_key(|c| (c.start, usize::MAX - c.end));
    let mut merged: Vec<Candidate> = Vec::with_capacity(found.len());
    for next in found {
        match merged.last_mut() {
            Some(last) if next.start < last.end => {
                last.end = last.end.max(next.end);
                last.evidence = last.evidence.min(next.evidence);
                if next.confidence > last.confidence {
                    last.kind = next.kind;
                    last.confidence = next.confidence;
                }
            }
            _ => merged.push(next),
        }
    }
    merged
}
