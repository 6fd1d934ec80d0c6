//! What a memory must look like. Text that somebody saves is refused when it cannot be kept as it is; text that was said long
//! ago is made fit, because nobody could say it again.

use harombe_types::Timestamp;

use crate::error::Error;

/// The longest text, in bytes.
pub(crate) const TEXT_MAX: usize = 16 * 1024;
/// The longest name of a speaker, in bytes.
const SPEAKER_MAX: usize = 256;
/// What nobody has said is important.
pub(crate) const IMPORTANCE: f64 = 0.5;
/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999Z: what `google.protobuf.Timestamp` can say.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;

/// The text as it is kept: line ends are `\n`.
///
/// # Errors
/// It is blank, too long, or has control characters that no text needs.
pub(crate) fn text(text: String) -> Result<String, Error> {
    if text.len() > TEXT_MAX {
        return Err(Error::TooLong {
            bytes: text.len(),
            most: TEXT_MAX,
        });
    }
    let text = if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text
    };
    if text.trim().is_empty() {
        return invalid("text must not be blank");
    }
    if let Some(odd) = text.chars().find(|letter| is_odd(*letter)) {
        return invalid(format!(
            "text has the control character U+{:04X}; only line ends and tabs may be in it",
            u32::from(odd)
        ));
    }
    Ok(text)
}

/// The text with what may not be in it replaced by U+FFFD.
pub(in crate::domain) fn made_fit(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars()
        .map(|letter| {
            if is_odd(letter) {
                char::REPLACEMENT_CHARACTER
            } else {
                letter
            }
        })
        .collect()
}

fn is_odd(letter: char) -> bool {
    letter.is_control() && letter != '\n' && letter != '\t'
}

pub(crate) fn speaker(speaker: String) -> Result<String, Error> {
    if speaker.len() > SPEAKER_MAX || speaker.chars().any(char::is_control) {
        return invalid("speaker has at most 256 bytes and no control characters");
    }
    Ok(speaker)
}

pub(crate) fn importance(given: Option<f64>) -> Result<f64, Error> {
    match given {
        None => Ok(IMPORTANCE),
        Some(given) if (0.0..=1.0).contains(&given) => Ok(given),
        Some(_) => invalid("importance must be from 0 to 1"),
    }
}

pub(crate) fn time(what: &'static str, time: Timestamp) -> Result<Timestamp, Error> {
    if TIMES.contains(&time.as_millis()) {
        return Ok(time);
    }
    invalid(format!("{what} must be from year 1 to year 9999"))
}

fn invalid<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::Invalid(message.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_as_it_is_or_refused() {
        let kept = |given: &str, expected: &str| assert_eq!(text(given.to_owned()).unwrap(), expected);
        kept("I live in Köln.\n\tReally.", "I live in Köln.\n\tReally.");
        kept("two\r\nlines\rthree", "two\nlines\nthree");
        kept(&"x".repeat(TEXT_MAX), &"x".repeat(TEXT_MAX));
        for odd in ["", " \n\t ", "a\0b", "\u{1b}[31mred", "del\u{7f}", "c1\u{85}"] {
            assert!(matches!(text(odd.to_owned()), Err(Error::Invalid(_))), "{odd:?}");
        }
        let long = text("x".repeat(1 << 20)).unwrap_err();
        assert!(matches!(long, Error::TooLong { bytes: 1_048_576, .. }), "{long}");
    }

    #[test]
    fn what_was_said_is_made_fit() {
        assert_eq!(made_fit("a\0b\r\nc\td\u{1b}"), "a\u{fffd}b\nc\td\u{fffd}");
    }

    #[test]
    fn numbers_have_their_bounds() {
        assert_eq!(importance(None).unwrap(), 0.5);
        for good in [0.0, 1.0, 0.25] {
            assert_eq!(importance(Some(good)).unwrap(), good);
        }
        for bad in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert!(importance(Some(bad)).is_err(), "{bad}");
        }
        for good in [*TIMES.start(), 0, *TIMES.end()] {
            assert!(time("time", Timestamp::from_millis(good)).is_ok());
        }
        for bad in [TIMES.start() - 1, TIMES.end() + 1, i64::MIN, i64::MAX] {
            assert!(time("time", Timestamp::from_millis(bad)).is_err());
        }
    }
}
