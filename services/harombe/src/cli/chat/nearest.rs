//! What somebody may have meant.

/// The known word that is most like the one that was typed, if any is.
pub(super) fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed: String = typed.chars().take(32).collect();
    let rated = known.into_iter().map(|word| {
        let steps = if word.starts_with(&typed) {
            0
        } else {
            distance(&typed, word)
        };
        (steps, word)
    });
    rated
        .min_by_key(|(steps, _)| *steps)
        .filter(|(steps, _)| *steps <= 2)
        .map(|(_, word)| word)
}

/// Characters to change, add, take away or exchange with the next (Damerau and Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, from) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let value = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut least = value(&row, j) + usize::from(from != *to);
            least = least.min(value(&row, j + 1) + 1).min(value(&next, j) + 1);
            if j > 0 && last == Some(*to) && b.get(j - 1) == Some(&from) {
                least = least.min(value(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(from);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_anything_else_is_not() {
        let known = ["/help", "/history", "/sessions", "/load", "/quit"];
        for (typed, expected) in [
            ("/hlep", Some("/help")),
            ("/hist", Some("/history")),
            ("/session", Some("/sessions")),
            ("/laod", Some("/load")),
            ("/quitt", Some("/quit")),
            ("/banana", None),
        ] {
            assert_eq!(nearest(typed, known), expected, "{typed}");
        }
    }
}
