//! How the tokens of a text look at one another: for each head, a softmax over keys, and the mean of the values it weighs.

use pulp::{Simd, WithSimd};

use super::kernel::{Multiply, WIDTH, multiply};
use super::rows::{exp, highest, total};
use super::{HEAD, HEADS, HIDDEN};

/// Numbers of a token in `qkv`.
const QKV: usize = 3 * HIDDEN;
/// No bias for as many columns as there may be tokens.
const ZEROS: [f32; super::POSITIONS] = [0.0; super::POSITIONS];
/// One over the root of [`HEAD`].
const SCALE: f32 = 0.176_776_7;

#[derive(Default)]
pub(super) struct Scratch {
    keys: Vec<f32>,
    values: Vec<f32>,
    scores: Vec<f32>,
    packed: Vec<f32>,
}

/// Fills `context` from `qkv`, text by text.
pub(super) struct Attention<'a> {
    pub texts: &'a [Vec<u32>],
    pub qkv: &'a [f32],
    pub context: &'a mut [f32],
    pub scratch: &'a mut Scratch,
}

impl WithSimd for Attention<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            texts,
            mut qkv,
            mut context,
            scratch,
        } = self;
        for text in texts {
            let length = text.len();
            let (ours, rest) = qkv.split_at(length * QKV);
            qkv = rest;
            let (out, rest) = context.split_at_mut(length * HIDDEN);
            context = rest;
            for head in 0..HEADS {
                one_head(
                    simd,
                    length,
                    &ours[head * HEAD..],
                    &mut out[head * HEAD..],
                    scratch,
                );
            }
        }
    }
}

/// `qkv` and `context` begin at the head's first number.
#[inline(always)]
fn one_head<S: Simd>(simd: S, length: usize, qkv: &[f32], context: &mut [f32], scratch: &mut Scratch) {
    let Scratch {
        keys,
        values,
        scores,
        packed,
    } = scratch;
    let padded = length.next_multiple_of(WIDTH);
    keys.clear();
    keys.resize(padded * HEAD, 0.0);
    values.clear();
    for (number, token) in qkv.chunks(QKV).take(length).enumerate() {
        let key = &token[HIDDEN..][..HEAD];
        let first = number / WIDTH * WIDTH * HEAD + number % WIDTH;
        for (to, from) in keys[first..].iter_mut().step_by(WIDTH).zip(key) {
            *to = *from;
        }
        values.extend_from_slice(&token[2 * HIDDEN..][..HEAD]);
    }
    scores.resize(length * padded, 0.0);
    multiply(
        simd,
        Multiply {
            rows: qkv,
            stride: QKV,
            count: length,
            depth: HEAD,
            panels: keys,
            bias: &ZEROS[..padded],
            out: scores,
            out_stride: padded,
            packed,
        },
    );
    for row in scores.chunks_exact_mut(padded) {
        softmax(&mut row[..length]);
    }
    multiply(
        simd,
        Multiply {
            rows: scores,
            stride: padded,
            count: length,
            depth: length,
            panels: values,
            bias: &ZEROS[..HEAD],
            out: context,
            out_stride: HIDDEN,
            packed,
        },
    );
}

/// Scales, and turns into shares of 1.
#[inline(always)]
fn softmax(row: &mut [f32]) {
    let highest = highest(row);
    for x in row.iter_mut() {
        *x = exp((*x - highest) * SCALE);
    }
    let share = 1.0 / total(row, |x| x);
    for x in row {
        *x *= share;
    }
}
