//! What the vectors found, for every slot.

use crate::index::Index;
use crate::query::DenseView;

/// Cosines by slot. What was not found has that of the last hit, since it is no nearer than that.
pub(super) struct Cosines {
    least: f32,
    by_slot: Vec<Option<f32>>,
    nearby: Vec<Option<f32>>,
}

impl Cosines {
    /// None when nothing was found. `reach` is how many items of the session before and after one are nearby.
    pub(super) fn of(index: &Index, view: &DenseView, reach: u32) -> Option<Self> {
        let hits = view.hits.iter().filter(|(_, cosine)| cosine.is_finite());
        let least = hits.clone().map(|(_, cosine)| *cosine).reduce(f32::min)?;
        let slots = index.places().len();
        let mut cosines = Self {
            least,
            by_slot: vec![None; slots],
            nearby: vec![None; slots],
        };
        for (id, cosine) in hits {
            if let Some(slot) = index.slot(*id) {
                raise(&mut cosines.by_slot, slot, *cosine);
                cosines.spread(index, slot, *cosine, reach);
            }
        }
        Some(cosines)
    }

    fn spread(&mut self, index: &Index, slot: u32, cosine: f32, reach: u32) {
        raise(&mut self.nearby, slot, cosine);
        let (mut before, mut after) = (slot, slot);
        for _ in 0..reach {
            before = index.place(before).map_or(before, |place| place.before);
            after = index.place(after).map_or(after, |place| place.after);
            raise(&mut self.nearby, before, cosine);
            raise(&mut self.nearby, after, cosine);
        }
    }

    /// Whether the item or one nearby was found.
    pub(super) fn found(&self, slot: u32) -> bool {
        self.nearby.get(slot as usize).is_some_and(Option::is_some)
    }

    pub(super) fn of_item(&self, slot: u32) -> f64 {
        self.value(&self.by_slot, slot)
    }

    /// The best of the item and those nearby.
    pub(super) fn nearby(&self, slot: u32) -> f64 {
        self.value(&self.nearby, slot)
    }

    fn value(&self, values: &[Option<f32>], slot: u32) -> f64 {
        let found = values.get(slot as usize).copied().flatten();
        f64::from(found.unwrap_or(self.least))
    }
}

fn raise(values: &mut [Option<f32>], slot: u32, cosine: f32) {
    if let Some(value) = values.get_mut(slot as usize) {
        *value = Some(value.map_or(cosine, |value| value.max(cosine)));
    }
}
