//! The weights as the products want them, read from a safetensors file in one pass that digests it too.
//!
//! The layers are kept as 32-bit floats, as published. Of the word embeddings only a few rows are used at a time, and half the
//! precision is enough for them: 23 MB less.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use half::f16;
use serde::Deserialize;

use super::kernel::WIDTH;
use super::{HIDDEN, INNER, LAYERS, POSITIONS, VOCABULARY};
use crate::folder::Pinned;
use crate::{Error, KnownFile};

/// Longest header that is read.
const MAX_HEADER: u64 = 1 << 20;
/// Tensors that must be there: five of the embeddings, sixteen a layer.
const TENSORS: usize = 5 + 16 * LAYERS;

pub(super) struct Weights {
    pub words: Vec<f16>,
    /// A row for each place, with the row that says that there is one text added.
    pub positions: Vec<f32>,
    pub norm: Norm,
    pub layers: Vec<Layer>,
}

pub(super) struct Layer {
    pub qkv: Linear,
    pub output: Linear,
    pub attention_norm: Norm,
    pub up: Linear,
    pub down: Linear,
    pub norm: Norm,
}

/// A product and a sum, see [`super::kernel`].
pub(super) struct Linear {
    pub inputs: usize,
    pub panels: Vec<f32>,
    pub bias: Vec<f32>,
}

pub(super) struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Where a tensor goes.
enum Slot<'a> {
    Half(&'a mut [f16]),
    Floats(&'a mut [f32]),
    /// The matrix of a linear layer, a row for each output: its panels.
    Columns {
        inputs: usize,
        panels: &'a mut [f32],
    },
}

/// A tensor in the header (format of the `safetensors` project).
#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Weights {
    /// # Errors
    /// The file is not the pinned one, or cannot be read.
    pub(super) fn read(folder: &Path, file: &KnownFile) -> Result<Self, Error> {
        let mut pinned = Pinned::open(folder, file)?;
        let mut weights = Self::empty();
        let mut types = vec![0.0; 2 * HIDDEN];
        let read = weights.fill(&mut pinned, &mut types);
        match read {
            Ok(TENSORS) => {}
            Ok(_) => return Err(pinned.altered()),
            // not what it should be, so its digest will not be either
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(pinned.altered()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(pinned.altered()),
            Err(error) => return Err(Error::read(&pinned.path, error)),
        }
        pinned.finish()?;
        for row in weights.positions.chunks_exact_mut(HIDDEN) {
            for (x, y) in row.iter_mut().zip(&types) {
                *x += y;
            }
        }
        Ok(weights)
    }

    fn empty() -> Self {
        let layer = || Layer {
            qkv: Linear::empty(HIDDEN, 3 * HIDDEN),
            output: Linear::empty(HIDDEN, HIDDEN),
            attention_norm: Norm::empty(),
            up: Linear::empty(HIDDEN, INNER),
            down: Linear::empty(INNER, HIDDEN),
            norm: Norm::empty(),
        };
        Self {
            words: vec![f16::ZERO; VOCABULARY * HIDDEN],
            positions: vec![0.0; POSITIONS * HIDDEN],
            norm: Norm::empty(),
            layers: std::iter::repeat_with(layer).take(LAYERS).collect(),
        }
    }

    /// Takes every tensor that has a place here, and says how many those were.
    fn fill(&mut self, file: &mut impl Read, types: &mut [f32]) -> io::Result<usize> {
        let mut at = 0;
        let mut filled = 0;
        for (name, entry) in header(file)? {
            // what is not wanted is passed over, and digested
            let Some(slot) = self.slot(&name, types) else {
                continue;
            };
            let (begin, end) = entry.data_offsets;
            let gap = begin.checked_sub(at).ok_or_else(nonsense)?;
            if io::copy(&mut file.take(gap), &mut io::sink())? != gap {
                return Err(nonsense());
            }
            let numbers = slot.len() as u64;
            let says = entry
                .shape
                .iter()
                .try_fold(1u64, |product, &n| product.checked_mul(n as u64));
            if entry.dtype != "F32" || says != Some(numbers) || end.checked_sub(begin) != Some(4 * numbers) {
                return Err(nonsense());
            }
            slot.fill(file)?;
            at = end;
            filled += 1;
        }
        Ok(filled)
    }

    fn slot<'a>(&'a mut self, name: &str, types: &'a mut [f32]) -> Option<Slot<'a>> {
        let parts: Vec<&str> = name.split('.').collect();
        Some(match parts.as_slice() {
            ["embeddings", "word_embeddings", "weight"] => Slot::Half(&mut self.words),
            ["embeddings", "position_embeddings", "weight"] => Slot::Floats(&mut self.positions),
            ["embeddings", "token_type_embeddings", "weight"] => Slot::Floats(types),
            ["embeddings", "LayerNorm", which] => self.norm.slot(which)?,
            ["encoder", "layer", number, rest @ ..] => {
                self.layers.get_mut(number.parse::<usize>().ok()?)?.slot(rest)?
            }
            _ => return None,
        })
    }
}

impl Layer {
    fn slot(&mut self, parts: &[&str]) -> Option<Slot<'_>> {
        match parts {
            ["attention", "self", "query", which] => self.qkv.slot(which, 0, HIDDEN),
            ["attention", "self", "key", which] => self.qkv.slot(which, HIDDEN, HIDDEN),
            ["attention", "self", "value", which] => self.qkv.slot(which, 2 * HIDDEN, HIDDEN),
            ["attention", "output", "dense", which] => self.output.slot(which, 0, HIDDEN),
            ["attention", "output", "LayerNorm", which] => self.attention_norm.slot(which),
            ["intermediate", "dense", which] => self.up.slot(which, 0, INNER),
            ["output", "dense", which] => self.down.slot(which, 0, HIDDEN),
            ["output", "LayerNorm", which] => self.norm.slot(which),
            _ => None,
        }
    }
}

impl Linear {
    fn empty(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs,
            panels: vec![0.0; inputs * outputs],
            bias: vec![0.0; outputs],
        }
    }

    fn slot(&mut self, which: &str, first: usize, count: usize) -> Option<Slot<'_>> {
        match which {
            "bias" => self.bias.get_mut(first..first + count).map(Slot::Floats),
            "weight" => {
                let inputs = self.inputs;
                let panels = self.panels.get_mut(first * inputs..(first + count) * inputs)?;
                Some(Slot::Columns { inputs, panels })
            }
            _ => None,
        }
    }
}

impl Norm {
    fn empty() -> Self {
        Self {
            weight: vec![0.0; HIDDEN],
            bias: vec![0.0; HIDDEN],
        }
    }

    fn slot(&mut self, which: &str) -> Option<Slot<'_>> {
        match which {
            "weight" => Some(Slot::Floats(&mut self.weight)),
            "bias" => Some(Slot::Floats(&mut self.bias)),
            _ => None,
        }
    }
}

impl Slot<'_> {
    /// How many numbers go here.
    fn len(&self) -> usize {
        match self {
            Self::Half(to) => to.len(),
            Self::Floats(to) => to.len(),
            Self::Columns { panels, .. } => panels.len(),
        }
    }

    fn fill(self, file: &mut impl Read) -> io::Result<()> {
        match self {
            Self::Half(to) => {
                for row in to.chunks_mut(HIDDEN) {
                    let numbers = floats(file, row.len())?;
                    for (to, x) in row.iter_mut().zip(numbers) {
                        *to = f16::from_f32(x);
                    }
                }
            }
            Self::Floats(to) => {
                for row in to.chunks_mut(HIDDEN) {
                    let numbers = floats(file, row.len())?;
                    for (to, x) in row.iter_mut().zip(numbers) {
                        *to = x;
                    }
                }
            }
            Self::Columns { inputs, panels } => {
                for panel in panels.chunks_exact_mut(inputs * WIDTH) {
                    for column in 0..WIDTH {
                        let numbers = floats(file, inputs)?;
                        for (to, x) in panel.iter_mut().skip(column).step_by(WIDTH).zip(numbers) {
                            *to = x;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// The tensors that the file says it has, in the order in which they lie there.
fn header(file: &mut impl Read) -> io::Result<Vec<(String, Entry)>> {
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER {
        return Err(nonsense());
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text)?;
    let tensors: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&text)?;
    let mut entries = Vec::new();
    for (name, value) in tensors {
        if name != "__metadata__" {
            entries.push((name, serde_json::from_value::<Entry>(value)?));
        }
    }
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    Ok(entries)
}

/// The next numbers of the file, at most [`INNER`].
fn floats(file: &mut impl Read, count: usize) -> io::Result<impl Iterator<Item = f32>> {
    let mut bytes = [0; 4 * INNER];
    let Some(wanted) = bytes.get_mut(..4 * count) else {
        return Err(nonsense());
    };
    file.read_exact(wanted)?;
    let number = move |at: usize| bytes.get(4 * at..)?.first_chunk::<4>().copied();
    Ok((0..count).map_while(number).map(f32::from_le_bytes))
}

fn nonsense() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}
