//! Which words make an expression of time, and which days it means.

use std::ops::RangeInclusive;

use jiff::civil::{Date, Weekday};

use super::tokens::Token;
use super::{Period, YEARS, day, days, plus_days, plus_months};

/// The words from here on.
type Words<'a> = &'a [Token];
/// What was read, and how many words it took.
type Read = Option<(Vec<Period>, usize)>;

const MONTHS: [(&str, i8); 24] = [
    ("january", 1),
    ("jan", 1),
    ("february", 2),
    ("feb", 2),
    ("march", 3),
    ("mar", 3),
    ("april", 4),
    ("apr", 4),
    ("may", 5),
    ("june", 6),
    ("jun", 6),
    ("july", 7),
    ("jul", 7),
    ("august", 8),
    ("aug", 8),
    ("september", 9),
    ("sep", 9),
    ("sept", 9),
    ("october", 10),
    ("oct", 10),
    ("november", 11),
    ("nov", 11),
    ("december", 12),
    ("dec", 12),
];
/// Seasons with their first month.
const SEASONS: [(&str, i8); 5] = [
    ("spring", 3),
    ("summer", 6),
    ("fall", 9),
    ("autumn", 9),
    ("winter", 12),
];
/// What stands before a month or a season when it is one.
const BEFORE_A_TIME: [&str; 17] = [
    "in", "of", "during", "on", "by", "since", "early", "late", "mid", "last", "this", "next", "every",
    "until", "from", "before", "after",
];

/// Years in which a date without one is meant, at most: the latest.
const MAX_YEARS: usize = 100;

/// All expressions of the text. `years` are those that a date without a year is meant in.
pub(super) fn read(tokens: &[Token], today: Date, years: &RangeInclusive<i16>) -> Vec<Period> {
    let reader = Reader { today, years };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = tokens.get(at..).filter(|rest| !rest.is_empty()) {
        // "In the summer" is as good as "in summer".
        let before = tokens.iter().take(at).rev().find(|token| token.word != "the");
        match reader.expression(before, rest) {
            Some((periods, taken)) => {
                found.extend(periods);
                at += taken.max(1);
            }
            None => at += 1,
        }
    }
    found
}

struct Reader<'a> {
    today: Date,
    years: &'a RangeInclusive<i16>,
}

impl Reader<'_> {
    fn expression(&self, before: Option<&Token>, rest: Words<'_>) -> Read {
        iso_date(rest)
            .or_else(|| self.day_of_month(rest))
            .or_else(|| self.month(before, rest))
            .or_else(|| self.season(before, rest))
            .or_else(|| year(before, rest))
            .or_else(|| self.named_day(rest))
            .or_else(|| self.ago(rest))
            .or_else(|| self.last_or_this(rest))
            .or_else(|| self.weekday(before, rest))
    }

    /// 7 May 2023, 7th of May, May 7, May 7th 2023.
    fn day_of_month(&self, rest: Words<'_>) -> Read {
        let (number, month, mut taken) = match (rest.first()?.digits(), month_of(rest.first()?)) {
            (Some(number), _) => {
                let skip = usize::from(is(rest.get(1), "of"));
                (number, month_of(rest.get(1 + skip)?)?, 2 + skip)
            }
            (None, Some(month)) => {
                let skip = usize::from(is(rest.get(1), "the"));
                (rest.get(1 + skip)?.digits()?, month, 2 + skip)
            }
            (None, None) => return None,
        };
        let number = i8::try_from(number)
            .ok()
            .filter(|number| (1..=31).contains(number))?;
        let year = rest.get(taken).and_then(year_of);
        taken += usize::from(year.is_some());
        let dates = self.each_year(year, |year| Date::new(year, month, number).ok().map(day));
        Some((dates, taken))
    }

    /// May 2023, in May, last May.
    fn month(&self, before: Option<&Token>, rest: Words<'_>) -> Read {
        let word = rest.first()?;
        let month = month_of(word)?;
        let skip = usize::from(is(rest.get(1), "of"));
        let year = rest.get(1 + skip).and_then(year_of);
        let is_word_too = matches!(word.word.as_str(), "may" | "march" | "mar" | "jan" | "august");
        if year.is_none()
            && is_word_too
            && !(word.capital && follows(before))
            && !follows_strictly(before, word)
        {
            return None;
        }
        if year.is_none() && is(before, "last") {
            let this = Date::new(self.today.year(), month, 1).ok()?;
            let past = if this.last_of_month() < self.today {
                this
            } else {
                plus_months(this, -12)
            };
            return Some((vec![days(past, past.last_of_month())], 1));
        }
        let months = self.each_year(year, |year| {
            let first = Date::new(year, month, 1).ok()?;
            Some(days(first, first.last_of_month()))
        });
        Some((months, 1 + if year.is_some() { skip + 1 } else { 0 }))
    }

    /// Summer of 2022, last winter, in the fall.
    fn season(&self, before: Option<&Token>, rest: Words<'_>) -> Read {
        let (name, month) = *SEASONS.iter().find(|(name, _)| is(rest.first(), name))?;
        let skip = usize::from(is(rest.get(1), "of"));
        let year = rest.get(1 + skip).and_then(year_of);
        let season = |year: i16| {
            let first = Date::new(year, month, 1).ok()?;
            Some((first, plus_months(first, 2).last_of_month()))
        };
        if year.is_none() && is(before, "last") {
            let now = self.today.year();
            let past = [now, now - 1, now - 2].into_iter().filter_map(season);
            let (first, last) = past.into_iter().find(|(_, last)| *last < self.today)?;
            return Some((vec![days(first, last)], 1));
        }
        let sure = !matches!(name, "spring" | "fall") || follows(before);
        if year.is_none() && !sure {
            return None;
        }
        let seasons = self.each_year(year, |year| season(year).map(|(first, last)| days(first, last)));
        Some((seasons, 1 + if year.is_some() { skip + 1 } else { 0 }))
    }

    /// Today, yesterday, the day before yesterday, tomorrow, last night.
    fn named_day(&self, rest: Words<'_>) -> Read {
        let at = |days: i32, taken| Some((vec![day(plus_days(self.today, days))], taken));
        if says(rest, &["day", "before", "yesterday"]) {
            return at(-2, 3);
        }
        if says(rest, &["last", "night"]) {
            return at(-1, 2);
        }
        match rest.first()?.word.as_str() {
            "today" | "tonight" => at(0, 1),
            "yesterday" => at(-1, 1),
            "tomorrow" => at(1, 1),
            _ => None,
        }
    }

    /// Three days ago, a couple of weeks ago, a year ago.
    fn ago(&self, rest: Words<'_>) -> Read {
        let start =
            usize::from(is(rest.first(), "a") && matches!(rest.get(1)?.word.as_str(), "couple" | "few"));
        let count = rest.get(start)?.count()?;
        let of = usize::from(is(rest.get(start + 1), "of"));
        let unit = rest.get(start + of + 1)?.word.as_str();
        if !is(rest.get(start + of + 2), "ago") {
            return None;
        }
        let period = match unit {
            "day" | "days" => day(plus_days(self.today, -count)),
            "week" | "weeks" => {
                let middle = plus_days(self.today, count.saturating_mul(-7));
                days(plus_days(middle, -3), plus_days(middle, 3))
            }
            "month" | "months" => {
                let middle = plus_months(self.today, -count);
                days(plus_days(middle, -15), plus_days(middle, 15))
            }
            "year" | "years" => {
                let then = plus_months(self.today, count.saturating_mul(-12));
                days(then.first_of_year(), then.last_of_year())
            }
            _ => return None,
        };
        Some((vec![period], start + of + 3))
    }

    /// Last week, this month, the past three days, last weekend, last Friday.
    fn last_or_this(&self, rest: Words<'_>) -> Read {
        let this = match rest.first()?.word.as_str() {
            "last" | "past" | "previous" => false,
            "this" => true,
            _ => return None,
        };
        if !this && let Some(count) = rest.get(1).and_then(Token::count) {
            let unit = match rest.get(2)?.word.as_str() {
                "day" | "days" => plus_days(self.today, -count),
                "week" | "weeks" => plus_days(self.today, count.saturating_mul(-7)),
                "month" | "months" => plus_months(self.today, -count),
                "year" | "years" => plus_months(self.today, count.saturating_mul(-12)),
                _ => return None,
            };
            return Some((vec![days(unit, self.today)], 3));
        }
        let unit = rest.get(1)?;
        let back = i32::from(!this);
        let monday = plus_days(
            self.today,
            -i32::from(self.today.weekday().to_monday_zero_offset()),
        );
        let period = match unit.word.as_str() {
            "week" => {
                let first = plus_days(monday, -7 * back);
                days(first, plus_days(first, 6))
            }
            "weekend" => {
                let first = plus_days(monday, 5 - 7 * back);
                days(first, plus_days(first, 1))
            }
            "month" => {
                let first = plus_months(self.today.first_of_month(), -back);
                days(first, first.last_of_month())
            }
            "year" => {
                let first = plus_months(self.today.first_of_year(), -12 * back);
                days(first, first.last_of_year())
            }
            _ => {
                let wanted = weekday_of(unit)?;
                if this {
                    day(plus_days(monday, i32::from(wanted.to_monday_zero_offset())))
                } else {
                    day(self.latest(wanted, 1))
                }
            }
        };
        Some((vec![period], 2))
    }

    /// On Friday: the latest one, today included.
    fn weekday(&self, before: Option<&Token>, rest: Words<'_>) -> Read {
        let wanted = weekday_of(rest.first()?)?;
        let named = before.is_some_and(|word| matches!(word.word.as_str(), "on" | "since"));
        named.then(|| (vec![day(self.latest(wanted, 0))], 1))
    }

    /// The latest such day of the week that is at least `ago` days ago.
    fn latest(&self, wanted: Weekday, ago: i32) -> Date {
        let from = plus_days(self.today, -ago);
        let back = from.weekday().to_monday_zero_offset() - wanted.to_monday_zero_offset();
        plus_days(from, -i32::from(back.rem_euclid(7)))
    }

    /// What the date is in `year`, or in each of the years that are remembered.
    fn each_year(&self, year: Option<i16>, date: impl Fn(i16) -> Option<Period>) -> Vec<Period> {
        match year {
            Some(year) => date(year).into_iter().collect(),
            None => self
                .years
                .clone()
                .rev()
                .take(MAX_YEARS)
                .filter_map(date)
                .collect(),
        }
    }
}

fn iso_date(rest: Words<'_>) -> Read {
    let mut numbers = rest
        .first()
        .filter(|token| token.word.len() == 10)?
        .word
        .split('-');
    let date = Date::new(
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
        numbers.next()?.parse().ok()?,
    );
    Some((vec![day(date.ok()?)], 1))
}

/// A year on its own: in 2022.
fn year(before: Option<&Token>, rest: Words<'_>) -> Read {
    let year = year_of(rest.first()?)?;
    let sure = (2000..2100).contains(&year) || follows(before);
    let first = Date::new(year, 1, 1).ok().filter(|_| sure)?;
    Some((vec![days(first, first.last_of_year())], 1))
}

fn year_of(token: &Token) -> Option<i16> {
    if token.word.len() != 4 || !token.word.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    token
        .word
        .parse()
        .ok()
        .filter(|year| (1900..2200).contains(year) && YEARS.contains(year))
}

fn month_of(token: &Token) -> Option<i8> {
    let named = MONTHS.iter().find(|(name, _)| *name == token.word);
    named.map(|(_, month)| *month)
}

fn weekday_of(token: &Token) -> Option<Weekday> {
    Some(match token.word.as_str() {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

fn is(token: Option<&Token>, word: &str) -> bool {
    token.is_some_and(|token| token.word == word)
}

fn says(rest: Words<'_>, words: &[&str]) -> bool {
    rest.len() >= words.len() && rest.iter().zip(words).all(|(token, word)| token.word == *word)
}

fn follows(before: Option<&Token>) -> bool {
    before.is_some_and(|word| BEFORE_A_TIME.contains(&word.word.as_str()))
}

/// As [`follows`], for a word in lower case: "in may" is a month, "this may" is not.
fn follows_strictly(before: Option<&Token>, word: &Token) -> bool {
    let sure = |before: &Token| {
        matches!(
            before.word.as_str(),
            "in" | "of" | "during" | "since" | "last" | "early" | "late" | "mid"
        )
    };
    !word.capital && before.is_some_and(sure)
}
