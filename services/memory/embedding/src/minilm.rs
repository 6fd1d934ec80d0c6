//! MiniLM-L6: a BERT encoder of 6 layers, as published, in plain Rust. Why not an engine: docs/adr.
//!
//! Several texts are computed at once as the rows of one matrix, without padding. Each row's sums are made in the same order
//! however many rows there are, so a text has the same vector alone and among others, to the last bit.

mod attention;
mod kernel;
mod rows;
mod weights;

use std::path::Path;

use half::slice::HalfFloatSliceExt as _;
use pulp::Arch;

use crate::port::normalise;
use crate::{Error, Known};
use attention::Attention;
use kernel::{Multiply, WIDTH};
use rows::{AddNormalise, Gelu};
use weights::Weights;

/// Numbers of a token between the layers.
const HIDDEN: usize = 384;
/// Numbers of a token inside a layer's second half.
const INNER: usize = 1536;
const LAYERS: usize = 6;
const HEADS: usize = 12;
/// Numbers of a head.
const HEAD: usize = HIDDEN / HEADS;
/// Tokens the tokenizer knows.
const VOCABULARY: usize = 30522;
/// Positions that have an embedding.
const POSITIONS: usize = 512;

/// The model, ready to compute. Shared by all threads.
pub(crate) struct MiniLm {
    weights: Weights,
    arch: Arch,
}

/// What one thread computes in; kept between calls.
#[derive(Default)]
pub(crate) struct Scratch {
    /// A row for each token.
    state: Vec<f32>,
    /// Query, key and value of each token.
    qkv: Vec<f32>,
    context: Vec<f32>,
    inner: Vec<f32>,
    sum: Vec<f32>,
    packed: Vec<f32>,
    attention: attention::Scratch,
}

impl MiniLm {
    /// Reads the weights.
    pub(crate) fn open(folder: &Path, known: &Known) -> Result<Self, Error> {
        Ok(Self {
            weights: Weights::read(folder, known.file("model.safetensors")?)?,
            arch: Arch::new(),
        })
    }

    /// A vector of length 1 for each text, given as its tokens: at least one and at most 512, each below 30,522.
    pub(crate) fn embed(&self, texts: &[Vec<u32>], scratch: &mut Scratch) -> Vec<Vec<f32>> {
        let tokens = texts.iter().map(Vec::len).sum::<usize>();
        scratch.sum.resize(tokens * HIDDEN, 0.0);
        scratch.state.resize(tokens * HIDDEN, 0.0);
        scratch.context.resize(tokens * HIDDEN, 0.0);
        scratch.qkv.resize(tokens * 3 * HIDDEN, 0.0);
        scratch.inner.resize(tokens * INNER, 0.0);
        self.look_up(texts, scratch);
        for layer in &self.weights.layers {
            self.layer(layer, texts, scratch);
        }
        let mut rows = scratch.state.chunks_exact(HIDDEN);
        texts
            .iter()
            .map(|text| mean(rows.by_ref().take(text.len())))
            .collect()
    }

    /// The first state: what the tokens and their places are.
    fn look_up(&self, texts: &[Vec<u32>], scratch: &mut Scratch) {
        let weights = &self.weights;
        let places = texts
            .iter()
            .flat_map(|text| text.iter().zip(weights.positions.chunks_exact(HIDDEN)));
        for ((&token, position), row) in places.zip(scratch.state.chunks_exact_mut(HIDDEN)) {
            let at = token as usize * HIDDEN;
            match weights.words.get(at..at + HIDDEN) {
                Some(word) => word.convert_to_f32_slice(row),
                None => row.fill(0.0),
            }
            for (x, p) in row.iter_mut().zip(position) {
                *x += p;
            }
        }
        scratch.sum.fill(0.0);
        self.arch.dispatch(AddNormalise {
            norm: &weights.norm,
            sum: &scratch.sum,
            state: &mut scratch.state,
        });
    }

    fn layer(&self, layer: &weights::Layer, texts: &[Vec<u32>], scratch: &mut Scratch) {
        self.linear(&layer.qkv, &scratch.state, &mut scratch.qkv, &mut scratch.packed);
        self.arch.dispatch(Attention {
            texts,
            qkv: &scratch.qkv,
            context: &mut scratch.context,
            scratch: &mut scratch.attention,
        });
        self.linear(
            &layer.output,
            &scratch.context,
            &mut scratch.sum,
            &mut scratch.packed,
        );
        self.arch.dispatch(AddNormalise {
            norm: &layer.attention_norm,
            sum: &scratch.sum,
            state: &mut scratch.state,
        });
        self.linear(&layer.up, &scratch.state, &mut scratch.inner, &mut scratch.packed);
        self.arch.dispatch(Gelu(&mut scratch.inner));
        self.linear(&layer.down, &scratch.inner, &mut scratch.sum, &mut scratch.packed);
        self.arch.dispatch(AddNormalise {
            norm: &layer.norm,
            sum: &scratch.sum,
            state: &mut scratch.state,
        });
    }

    fn linear(&self, linear: &weights::Linear, rows: &[f32], out: &mut [f32], packed: &mut Vec<f32>) {
        self.arch.dispatch(Multiply {
            rows,
            stride: linear.inputs,
            count: rows.len() / linear.inputs,
            depth: linear.inputs,
            panels: &linear.panels,
            bias: &linear.bias,
            out,
            out_stride: linear.bias.len(),
            packed,
        });
    }
}

/// The mean of the rows, at length 1.
fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Vec<f32> {
    let mut mean = vec![0.0; HIDDEN];
    for row in rows {
        for (sum, x) in mean.iter_mut().zip(row) {
            *sum += x;
        }
    }
    // the length of the sum does not matter, and it is never zero
    normalise(&mut mean);
    mean
}

const _: () = assert!(HIDDEN.is_multiple_of(WIDTH) && INNER.is_multiple_of(WIDTH) && HEAD == WIDTH);
