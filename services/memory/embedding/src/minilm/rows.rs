//! What is done to each row, or each number, between the products.

use pulp::{Simd, WithSimd};

use super::HIDDEN;
use super::weights::Norm;

/// BERT's.
const EPSILON: f32 = 1e-12;

/// Adds to each row of `state` its row of `sum`, and brings the result to mean 0 and variance 1, then to the scale and the
/// middle that were learnt.
pub(super) struct AddNormalise<'a> {
    pub norm: &'a Norm,
    pub sum: &'a [f32],
    pub state: &'a mut [f32],
}

impl WithSimd for AddNormalise<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        const COUNT: f32 = 384.0;
        let rows = self
            .state
            .chunks_exact_mut(HIDDEN)
            .zip(self.sum.chunks_exact(HIDDEN));
        for (row, sum) in rows {
            for (x, y) in row.iter_mut().zip(sum) {
                *x += y;
            }
            let mean = total(row, |x| x) / COUNT;
            let variance = total(row, |x| (x - mean) * (x - mean)) / COUNT;
            let scale = 1.0 / (variance + EPSILON).sqrt();
            for ((x, weight), bias) in row.iter_mut().zip(&self.norm.weight).zip(&self.norm.bias) {
                *x = (*x - mean) * scale * weight + bias;
            }
        }
    }
}

/// The activation: `x` times the share of the normal distribution below it.
pub(super) struct Gelu<'a>(pub &'a mut [f32]);

impl WithSimd for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for x in self.0 {
            *x = 0.5 * *x * (1.0 + erf(*x * std::f32::consts::FRAC_1_SQRT_2));
        }
    }
}

/// The sum of `of` over a row, in sixteen parts that a vector register can hold.
#[inline(always)]
pub(super) fn total(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0f32; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += of(*x);
        }
    }
    let rest = rest.iter().map(|x| of(*x)).sum::<f32>();
    sums.iter().sum::<f32>() + rest
}

/// The highest number of a row, in sixteen parts too.
#[inline(always)]
pub(super) fn highest(row: &[f32]) -> f32 {
    let higher = |a: f32, b: f32| if b > a { b } else { a };
    let mut parts = [f32::NEG_INFINITY; 16];
    let (chunks, rest) = row.as_chunks::<16>();
    for chunk in chunks {
        for (part, x) in parts.iter_mut().zip(chunk) {
            *part = higher(*part, *x);
        }
    }
    parts
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, b| higher(a, *b))
}

/// The exponential of `x`, within 3e-7 of it; no branches, so that a loop over it becomes vector code.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which is then in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let y = x.clamp(-87.0, 88.0) * std::f32::consts::LOG2_E;
    let rounded = y + ROUND;
    let f = y - (rounded - ROUND);
    // 2^f by its Taylor series, for f between -1/2 and 1/2
    let p = 1.540_353e-4f32;
    let p = p * f + 1.333_355_8e-3;
    let p = p * f + 9.618_129e-3;
    let p = p * f + 5.550_411e-2;
    let p = p * f + 2.402_265e-1;
    let p = p * f + std::f32::consts::LN_2;
    let p = p * f + 1.0;
    // the whole part goes into the exponent
    p * f32::from_bits(rounded.to_bits().wrapping_shl(23).wrapping_add(127 << 23))
}

/// The error function, within 2e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let a = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * a);
    let p = 1.061_405_4f32;
    let p = p * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-a * a)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_close_over_its_whole_range() {
        for step in -8700..=8800i16 {
            let x = f32::from(step) / 100.0;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (found / expected - 1.0).abs() < 8e-6,
                "{x}: {found}, not {expected}"
            );
        }
        for step in -200..=0i16 {
            let x = f32::from(step) / 100.0;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!(
                (found / expected - 1.0).abs() < 3e-7,
                "{x}: {found}, not {expected}"
            );
        }
        assert!(exp(-1e30) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn the_error_function_is_close() {
        // from tables
        let known = [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
            (2.0, 0.995_322_3),
            (4.0, 1.0),
            (40.0, 1.0),
        ];
        for (x, expected) in known {
            assert!((erf(x) - expected).abs() < 4e-7, "{x}: {}", erf(x));
            assert!((erf(-x) + expected).abs() < 4e-7, "{x}: {}", erf(-x));
        }
    }

    #[test]
    fn a_row_is_gone_through_to_its_end() {
        let row: Vec<f32> = (0..37u8).map(f32::from).collect();
        assert!((total(&row, |x| 2.0 * x) - 1332.0).abs() < 1e-3);
        assert!((highest(&row) - 36.0).abs() < 1e-6);
        assert!((highest(&row[..20]) - 19.0).abs() < 1e-6);
        assert!((highest(&[-3.0, -2.0, -5.0]) + 2.0).abs() < 1e-6);
    }
}
