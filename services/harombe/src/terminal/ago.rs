//! How long ago something was, in words.

use jiff::Timestamp;

/// A moment of the past in a few words; one that is a week ago or more, as its date (UTC).
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second());
    match seconds {
        ..60 => "just now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        86_400..172_800 => "yesterday".to_owned(),
        172_800..604_800 => format!("{} days ago", seconds / 86_400),
        _ => then.strftime("%Y-%m-%d").to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_ago_the_less_exact() {
        let now: Timestamp = "2026-03-10T12:00:00Z".parse().unwrap();
        for (then, expected) in [
            ("2026-03-10T12:00:05Z", "just now"),
            ("2026-03-10T11:58:30Z", "1 min ago"),
            ("2026-03-10T03:00:00Z", "9 h ago"),
            ("2026-03-09T11:00:00Z", "yesterday"),
            ("2026-03-06T12:00:00Z", "4 days ago"),
            ("2026-01-02T12:00:00Z", "2026-01-02"),
        ] {
            assert_eq!(ago(then.parse().unwrap(), now), expected, "{then}");
        }
    }
}
