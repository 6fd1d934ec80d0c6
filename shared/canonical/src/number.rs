//! Which numbers have a canonical form, and how they are written (RFC 8785 §3.2.2.3, ECMAScript `Number::toString`).

use serde_json::Number;

/// The largest integer that every JSON implementation reads exactly: 2^53 − 1.
pub(crate) const MAX_INTEGER: i64 = (1 << 53) - 1;
const MAX_INTEGER_F64: f64 = MAX_INTEGER as f64;
/// From here on a double is written with an exponent, so its text no longer claims to be an exact integer.
const FIRST_EXPONENT: f64 = 1e21;

/// What a double is, canonically.
pub(crate) enum Double {
    /// An integer that is written without fraction or exponent.
    Integer(i64),
    Fraction(f64),
}

/// Sorts a double into its canonical kind; `None` when it is not finite, or an integer beyond ±(2^53 − 1) that would
/// be written as one.
pub(crate) fn classify(value: f64) -> Option<Double> {
    let size = value.abs();
    if !value.is_finite() {
        return None;
    }
    if value.fract() != 0.0 || size >= FIRST_EXPONENT {
        return Some(Double::Fraction(value));
    }
    if size > MAX_INTEGER_F64 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 53 bits")]
    Some(Double::Integer(value as i64))
}

/// Whether an integer may appear.
pub(crate) fn is_safe(value: i64) -> bool {
    (-MAX_INTEGER..=MAX_INTEGER).contains(&value)
}

/// The number as [`serde_json`] holds it, so that `1.0` and `1` become the same value.
pub(crate) fn from_double(value: f64) -> Option<Number> {
    match classify(value)? {
        Double::Integer(integer) => Some(integer.into()),
        Double::Fraction(value) => Number::from_f64(value),
    }
}

/// Writes a finite double that [`classify`] called a fraction.
pub(crate) fn write_fraction(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(ryu_js::Buffer::new().format(value).as_bytes());
}

/// Writes an integer.
pub(crate) fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = value.unsigned_abs();
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        start = at;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}
