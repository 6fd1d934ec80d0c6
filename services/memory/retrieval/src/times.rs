//! Expressions of time in a question, resolved to days: "yesterday", "last week", "on 7 May", "two weeks ago".
//!
//! Days are those of UTC, weeks begin on Monday, seasons are the northern ones of three whole months. A date without a
//! year means that date in every year of which something is remembered. Words that are only sometimes a time ("may",
//! "march", "fall", "second") count when what stands beside them says so.

mod grammar;
mod tokens;

use jiff::civil::Date;
use jiff::{SignedDuration, ToSpan};

const EPOCH: Date = Date::constant(1970, 1, 1);
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Years that a calendar is made of here. A clock beyond them is taken for their end.
const YEARS: std::ops::RangeInclusive<i16> = 1..=9000;

/// Some days, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Period {
    pub(crate) from: i64,
    /// The day after its last.
    pub(crate) until: i64,
}

/// How much a memory of a day has to do with a period: 1 when it is the very day, less the longer the period is, and
/// less still soon after it, since people tell of what has happened.
#[derive(Clone, Copy)]
struct Closeness {
    /// Periods of at most so many days.
    days: i64,
    inside: f64,
    /// Days after the period, at most, and what they count.
    after: &'static [(i64, f64)],
    /// What the day before counts: clocks differ.
    before: f64,
}

const CLOSENESS: [Closeness; 5] = [
    Closeness {
        days: 1,
        inside: 1.0,
        after: &[(2, 0.8), (7, 0.5), (14, 0.2)],
        before: 0.1,
    },
    Closeness {
        days: 10,
        inside: 0.8,
        after: &[(3, 0.5), (10, 0.2)],
        before: 0.0,
    },
    Closeness {
        days: 35,
        inside: 0.6,
        after: &[(10, 0.3)],
        before: 0.0,
    },
    Closeness {
        days: 100,
        inside: 0.4,
        after: &[(10, 0.2)],
        before: 0.0,
    },
    Closeness {
        days: i64::MAX,
        inside: 0.2,
        after: &[],
        before: 0.0,
    },
];

impl Period {
    /// From 0 to 1.
    pub(crate) fn closeness(self, day: i64) -> f64 {
        let days = self.until.saturating_sub(self.from);
        let Some(scale) = CLOSENESS.iter().find(|scale| days <= scale.days) else {
            return 0.0;
        };
        if day >= self.from && day < self.until {
            return scale.inside;
        }
        if day.checked_add(1) == Some(self.from) {
            return scale.before;
        }
        let late = day.saturating_sub(self.until).saturating_add(1);
        let after = scale.after.iter().find(|(most, _)| (1..=*most).contains(&late));
        after.map_or(0.0, |(_, value)| *value)
    }
}

/// The day of a moment, counted from 1970-01-01.
pub(crate) fn day_of(time_ms: i64) -> i64 {
    time_ms.div_euclid(DAY_MS)
}

/// What the text says of time, as periods, asked at `now_ms`. Dates without a year are meant in each year from that of
/// `first_ms` to that of `last_ms`.
pub(crate) fn periods(text: &str, now_ms: i64, first_ms: i64, last_ms: i64) -> Vec<Period> {
    let years = date_of(day_of(first_ms)).year()..=date_of(day_of(last_ms)).year();
    let mut found = grammar::read(&tokens::of(text), date_of(day_of(now_ms)), &years);
    found.sort_unstable();
    found.dedup();
    found
}

fn date_of(day: i64) -> Date {
    let least = Date::new(*YEARS.start(), 1, 1).unwrap_or(EPOCH);
    let most = Date::new(*YEARS.end(), 12, 31).unwrap_or(EPOCH);
    let day = day.clamp(number_of(least), number_of(most));
    EPOCH.saturating_add(SignedDuration::from_hours(24 * day))
}

fn number_of(date: Date) -> i64 {
    date.duration_since(EPOCH).as_hours() / 24
}

/// The days from `first` to `last`.
fn days(first: Date, last: Date) -> Period {
    Period {
        from: number_of(first),
        until: number_of(last) + 1,
    }
}

fn day(date: Date) -> Period {
    days(date, date)
}

/// `date` and so many days more.
fn plus_days(date: Date, days: i32) -> Date {
    date.saturating_add(i64::from(days).days())
}

/// The day `months` later, or the last of its month when it has no such day.
fn plus_months(date: Date, months: i32) -> Date {
    date.saturating_add(i64::from(months).months())
}

#[cfg(test)]
mod tests;
