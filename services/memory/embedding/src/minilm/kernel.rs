//! Matrix times matrix, on one thread, for weights that were laid out once: panels of 32 columns, each as rows of 32.
//!
//! A tile of up to 12 rows and two vectors of columns stays in registers while the depth is gone through. `pulp` compiles
//! this for AVX-512, AVX2 and neither, and picks at run time.

use pulp::{Simd, WithSimd};

/// Columns of a panel.
pub(super) const WIDTH: usize = 32;
/// Vectors of columns in a tile.
const VECTORS: usize = 2;

/// `out = rows · panels + bias`.
pub(super) struct Multiply<'a> {
    /// `count` rows of `depth` numbers, one every `stride`.
    pub rows: &'a [f32],
    pub stride: usize,
    pub count: usize,
    pub depth: usize,
    /// `depth` rows of [`WIDTH`] numbers for each panel.
    pub panels: &'a [f32],
    /// A number for each column.
    pub bias: &'a [f32],
    /// `count` rows with a number for each column, one every `out_stride`.
    pub out: &'a mut [f32],
    pub out_stride: usize,
    /// Reused.
    pub packed: &'a mut Vec<f32>,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        multiply(simd, self);
    }
}

/// As [`Multiply`], for who has dispatched already.
#[inline(always)]
pub(super) fn multiply<S: Simd>(simd: S, of: Multiply<'_>) {
    let Multiply {
        depth,
        panels,
        bias,
        out,
        out_stride,
        packed,
        ..
    } = of;
    let lanes = S::F32_LANES;
    // 32 registers hold 24 sums, 16 hold 12
    let most = if lanes >= 16 { 12 } else { 6 };
    pack(of.rows, of.stride, of.count, depth, most, packed);
    let columns = panels.chunks_exact(depth * WIDTH).zip(bias.chunks_exact(WIDTH));
    for (number, (panel, bias)) in columns.enumerate() {
        let (panel, _) = S::as_simd_f32s(panel);
        let (bias, _) = S::as_simd_f32s(bias);
        for at in (0..WIDTH / lanes).step_by(VECTORS) {
            let column = number * WIDTH + at * lanes;
            for (start, height) in tiles(of.count, most) {
                let tile = Tile {
                    simd,
                    rows: &packed[start * depth..(start + height) * depth],
                    panel,
                    bias,
                    at,
                };
                let out = &mut out[start * out_stride + column..];
                match height {
                    1 => tile.compute::<1>(out, out_stride),
                    2 => tile.compute::<2>(out, out_stride),
                    3 => tile.compute::<3>(out, out_stride),
                    4 => tile.compute::<4>(out, out_stride),
                    5 => tile.compute::<5>(out, out_stride),
                    6 => tile.compute::<6>(out, out_stride),
                    7 => tile.compute::<7>(out, out_stride),
                    8 => tile.compute::<8>(out, out_stride),
                    9 => tile.compute::<9>(out, out_stride),
                    10 => tile.compute::<10>(out, out_stride),
                    11 => tile.compute::<11>(out, out_stride),
                    _ => tile.compute::<12>(out, out_stride),
                }
            }
        }
    }
}

struct Tile<'a, S: Simd> {
    simd: S,
    /// As many numbers as there are rows for each step of the depth.
    rows: &'a [f32],
    panel: &'a [S::f32s],
    bias: &'a [S::f32s],
    /// The first vector of columns.
    at: usize,
}

impl<S: Simd> Tile<'_, S> {
    #[inline(always)]
    fn compute<const HEIGHT: usize>(&self, out: &mut [f32], out_stride: usize) {
        let Self { simd, at, .. } = *self;
        let Some(bias) = vectors::<S>(self.bias, at) else {
            return;
        };
        let mut sums = [*bias; HEIGHT];
        let (rows, _) = self.rows.as_chunks::<HEIGHT>();
        for (row, weights) in rows.iter().zip(self.panel.chunks_exact(WIDTH / S::F32_LANES)) {
            let Some(weights) = vectors::<S>(weights, at) else {
                return;
            };
            for (sum, x) in sums.iter_mut().zip(row) {
                let x = simd.splat_f32s(*x);
                for (sum, weight) in sum.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(x, *weight, *sum);
                }
            }
        }
        for (number, sum) in sums.iter().enumerate() {
            let row = &mut out[number * out_stride..][..VECTORS * S::F32_LANES];
            let (row, _) = S::as_mut_simd_f32s(row);
            for (to, from) in row.iter_mut().zip(sum) {
                *to = *from;
            }
        }
    }
}

#[inline(always)]
fn vectors<S: Simd>(of: &[S::f32s], at: usize) -> Option<&[S::f32s; VECTORS]> {
    of.get(at..at + VECTORS)?.first_chunk()
}

/// Cuts `count` rows into tiles of nearly the same height: where each begins, and how high it is.
fn tiles(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let parts = count.div_ceil(most);
    (0..parts).map(move |part| {
        let start = part * count / parts;
        (start, (part + 1) * count / parts - start)
    })
}

/// Lays the rows of each tile out as the tile goes through them: column by column.
#[inline(always)]
fn pack(rows: &[f32], stride: usize, count: usize, depth: usize, most: usize, packed: &mut Vec<f32>) {
    packed.resize(count * depth, 0.0);
    for (start, height) in tiles(count, most) {
        let block = &mut packed[start * depth..(start + height) * depth];
        for number in 0..height {
            let row = &rows[(start + number) * stride..][..depth];
            for (to, from) in block.iter_mut().skip(number).step_by(height).zip(row) {
                *to = *from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, Scalar};

    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut x = seed;
        let next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from(u16::try_from(x >> 16).unwrap()) / 65536.0 - 0.5
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    /// Against the definition, with room between the rows on both sides.
    fn check(count: usize, depth: usize, panels: usize) {
        let (stride, columns, out_stride) = (depth + 3, panels * WIDTH, panels * WIDTH + 5);
        let rows = numbers(count * stride, 1);
        let weights = numbers(panels * depth * WIDTH, 2);
        let bias = numbers(columns, 3);
        let run = |simd: bool| {
            let mut out = vec![7.0; count * out_stride];
            let mut packed = Vec::new();
            let multiply = Multiply {
                rows: &rows,
                stride,
                count,
                depth,
                panels: &weights,
                bias: &bias,
                out: &mut out,
                out_stride,
                packed: &mut packed,
            };
            if simd {
                Arch::new().dispatch(multiply);
            } else {
                multiply.with_simd(Scalar);
            }
            out
        };
        for out in [run(true), run(false)] {
            for row in 0..count {
                for column in 0..out_stride {
                    let found = out[row * out_stride + column];
                    let weight = |k| weights[(column / WIDTH * depth + k) * WIDTH + column % WIDTH];
                    let expected = if column < columns {
                        (0..depth)
                            .map(|k| rows[row * stride + k] * weight(k))
                            .sum::<f32>()
                            + bias[column]
                    } else {
                        7.0
                    };
                    assert!(
                        (found - expected).abs() < 1e-4,
                        "{count} × {depth} at {row}, {column}: {found}, not {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_product_is_what_its_definition_says() {
        for count in [1, 2, 5, 6, 7, 11, 12, 13, 15, 23, 24, 25, 40] {
            check(count, 32, 1);
        }
        check(3, 1, 2);
        check(13, 100, 3);
    }
}
