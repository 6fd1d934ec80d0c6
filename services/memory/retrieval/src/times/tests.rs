use jiff::civil::Date;

use super::{Period, date_of, day_of, number_of, periods};

const DAY_MS: i64 = super::DAY_MS;

fn ms(text: &str) -> i64 {
    number_of(text.parse::<Date>().unwrap()) * DAY_MS
}

/// Asked on Wednesday, 14 June 2023, of memories from 2022 and 2023.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let now = ms("2023-06-14") + 50_000_000;
    let found = periods(text, now, ms("2022-03-01"), ms("2023-06-13"));
    let found: Vec<_> = found
        .into_iter()
        .map(|period| {
            let (first, last) = (date_of(period.from), date_of(period.until - 1));
            if first == last {
                first.to_string()
            } else {
                format!("{first}..{last}")
            }
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn days_named_from_today() {
    check("What did I do today?", &["2023-06-14"]);
    check("who called yesterday evening", &["2023-06-13"]);
    check("the day before yesterday", &["2023-06-12"]);
    check("What did we watch last night?", &["2023-06-13"]);
    check("is there anything tomorrow", &["2023-06-15"]);
}

#[test]
fn so_long_ago() {
    check("three days ago", &["2023-06-11"]);
    check("10 days ago", &["2023-06-04"]);
    check("Two weeks ago she moved", &["2023-05-28..2023-06-03"]);
    check("a couple of weeks ago", &["2023-05-28..2023-06-03"]);
    check("a week ago", &["2023-06-04..2023-06-10"]);
    check("a month ago", &["2023-04-29..2023-05-29"]);
    check("two years ago", &["2021-01-01..2021-12-31"]);
    check("a few days ago", &["2023-06-11"]);
    check("How long ago was it?", &[]);
    check("a while ago", &[]);
}

#[test]
fn last_and_this() {
    check("last week", &["2023-06-05..2023-06-11"]);
    check("this week", &["2023-06-12..2023-06-18"]);
    check("last month", &["2023-05-01..2023-05-31"]);
    check("this month", &["2023-06-01..2023-06-30"]);
    check("last year", &["2022-01-01..2022-12-31"]);
    check("this year", &["2023-01-01..2023-12-31"]);
    check("last weekend", &["2023-06-10..2023-06-11"]);
    check("in the last 3 days", &["2023-06-11..2023-06-14"]);
    check("over the past two months", &["2023-04-14..2023-06-14"]);
    check("the last thing she said", &[]);
    check("this is it", &[]);
}

#[test]
fn days_of_the_week() {
    check("on Monday", &["2023-06-12"]);
    check("on Wednesday", &["2023-06-14"]);
    check("on Friday", &["2023-06-09"]);
    check("last Wednesday", &["2023-06-07"]);
    check("last Tuesday", &["2023-06-13"]);
    check("this Friday", &["2023-06-16"]);
    check("Does she like Mondays or Friday nights?", &[]);
}

#[test]
fn dates() {
    check("on 7 May 2023", &["2023-05-07"]);
    check("on May 7, 2023?", &["2023-05-07"]);
    check("the 7th of May 2022", &["2022-05-07"]);
    check("May 7th", &["2022-05-07", "2023-05-07"]);
    check("on 29 February 2023", &[]);
    check("on 2023-05-07", &["2023-05-07"]);
    check("on 2023-13-07", &[]);
    check(
        "between 3 July and 5 July 2022",
        &["2022-07-03", "2022-07-05", "2023-07-03"],
    );
}

#[test]
fn months_and_years() {
    check("in May 2023", &["2023-05-01..2023-05-31"]);
    check("in February of 2024", &["2024-02-01..2024-02-29"]);
    check(
        "in October",
        &["2022-10-01..2022-10-31", "2023-10-01..2023-10-31"],
    );
    check("last October", &["2022-10-01..2022-10-31"]);
    check("last June", &["2022-06-01..2022-06-30"]);
    check("in may", &["2022-05-01..2022-05-31", "2023-05-01..2023-05-31"]);
    check("What may she like?", &[]);
    check("May I ask?", &[]);
    check("Did they march in the parade?", &[]);
    check("the march", &[]);
    check("in 2022", &["2022-01-01..2022-12-31"]);
    check("in 1987", &["1987-01-01..1987-12-31"]);
    check("1987 bottles", &[]);
    check("12 2022 x", &["2022-01-01..2022-12-31"]);
}

#[test]
fn seasons() {
    check("summer of 2022", &["2022-06-01..2022-08-31"]);
    check("last summer", &["2022-06-01..2022-08-31"]);
    check("last winter", &["2022-12-01..2023-02-28"]);
    check("last spring", &["2023-03-01..2023-05-31"]);
    check("Did he fall?", &[]);
    check("in fall 2022", &["2022-09-01..2022-11-30"]);
    check(
        "in the spring",
        &["2022-03-01..2022-05-31", "2023-03-01..2023-05-31"],
    );
    check("the spring in its step", &[]);
}

#[test]
fn the_very_day_is_closest_and_what_is_told_soon_after_comes_next() {
    let day = Period {
        from: 100,
        until: 101,
    };
    let month = Period {
        from: 100,
        until: 131,
    };
    let year = Period { from: 0, until: 365 };
    let values: Vec<_> = [98, 99, 100, 101, 102, 103, 107, 108, 114, 115]
        .map(|at| day.closeness(at))
        .into();
    assert_eq!(values, [0.0, 0.1, 1.0, 0.8, 0.8, 0.5, 0.5, 0.2, 0.2, 0.0]);
    let values: Vec<_> = [99, 100, 130, 131, 140, 141].map(|at| month.closeness(at)).into();
    assert_eq!(values, [0.0, 0.6, 0.6, 0.3, 0.3, 0.0]);
    let values: Vec<_> = [0, 364, 365].map(|at| year.closeness(at)).into();
    assert_eq!(values, [0.2, 0.2, 0.0]);
}

proptest::proptest! {
    #[test]
    fn any_words_at_any_time_mean_days_that_are_in_order(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "last", "this", "a", "few", "couple", "of", "weeks", "days", "years", "months", "ago", "7", "31", "0", "9999",
            "2023", "May", "may", "february", "summer", "on", "in", "the", "friday", "2023-02-30", "0000-00-00", "yesterday",
            "next", "past", "12", "1st", "4294967296", "--", "\u{130}",
        ]), 0..12),
        now in proptest::num::i64::ANY, first in proptest::num::i64::ANY, last in proptest::num::i64::ANY,
    ) {
        for period in periods(&words.join(" "), now, first, last) {
            proptest::prop_assert!(period.from < period.until);
            let value = period.closeness(day_of(now));
            proptest::prop_assert!((0.0..=1.0).contains(&value));
        }
    }

    #[test]
    fn any_text_is_read(text in "\\PC*") {
        periods(&text, 0, 0, 0);
    }
}
