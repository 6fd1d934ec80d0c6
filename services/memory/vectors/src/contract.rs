//! What every adapter of [`Vectors`] must do, as tests: `contract!(make_world)` in a test module runs them all.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a suite of tests fails like tests"
)]

mod bounds;
mod collections;
mod points;
mod searches;

use std::collections::BTreeSet;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Collection, Ensured, Filter, Hit, Point, Tags, Vectors};
pub use bounds::*;
pub use collections::*;
pub use points::*;
pub use searches::*;

/// A store to test, and what it needs to be tested.
#[async_trait]
pub trait World: Send + Sync {
    fn vectors(&self) -> &dyn Vectors;

    /// Returns when the collection has the index that it would have after a while.
    async fn settle(&self, collection: &Collection);
}

/// All of the suite, each a test of its own. `$world` is an async function that returns a [`World`].
#[macro_export]
macro_rules! contract {
    ($world:path) => {
        $crate::contract!($world:
            makes_a_collection_once, refuses_another_dimension, refuses_names_that_are_none, drops_a_collection,
            knows_no_collection_before_it_is_made, is_empty_at_first, finds_the_nearest_first, takes_the_same_twice,
            writes_over_what_is_there, deletes_what_a_tenant_has, keeps_tenants_apart, keeps_subjects_apart,
            leaves_a_point_to_its_tenant, filters_by_each_tag, filters_by_all_tags_at_once, finds_exactly_what_comparing_finds,
            finds_by_index_what_comparing_finds, finds_of_a_subject_whatever_others_are_called, pages_through_ids, refuses_numbers_that_are_none,
            refuses_vectors_of_another_length, refuses_too_much, answers_nothing_to_a_limit_of_nothing,
            is_written_by_many_at_once, takes_nothing_after_its_end
        );
    };
    ($world:path: $($case:ident),*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            $crate::contract::$case(&$world().await).await;
        }
    )*};
}

/// Numbers that look random and are the same in each run.
pub struct Numbers(u64);

impl Numbers {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Around 0, and about as a normal distribution has it.
    pub fn normal(&mut self) -> f32 {
        let sum: u64 = (0..4).map(|_| self.next_u64() >> 48).sum();
        #[expect(clippy::cast_precision_loss, reason = "18 bits")]
        let sum = sum as f32;
        (sum - 131_070.0) / 37_837.0
    }

    /// Any direction.
    pub fn vector(&mut self, dimension: u32) -> Vec<f32> {
        (0..dimension).map(|_| self.normal()).collect()
    }

    /// A direction near another, as the embeddings of texts about the same thing are.
    pub fn near(&mut self, center: &[f32], spread: f32) -> Vec<f32> {
        center
            .iter()
            .map(|number| number + spread * self.normal())
            .collect()
    }
}

/// The cosine of the angle between two vectors.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt())
}

/// A collection that no other test has, also on a server that many tests share.
fn collection(dimension: u32) -> Collection {
    Collection {
        name: format!("contract-{}", Uuid::now_v7().simple()),
        dimension,
    }
}

async fn made(world: &dyn World, dimension: u32) -> Collection {
    let collection = collection(dimension);
    let ensured = world.vectors().ensure(&collection).await.unwrap();
    assert_eq!(ensured, Ensured::Created);
    collection
}

fn tags(tenant: &str, subject: &str) -> Tags {
    Tags {
        tenant: tenant.to_owned(),
        subject: subject.to_owned(),
        agent: "default".to_owned(),
        session: None,
        kind: 1,
        label: 1,
        time_ms: 1_700_000_000_000,
        seq: 7,
    }
}

fn point(number: u128, vector: &[f32], tags: Tags) -> Point {
    Point {
        id: Uuid::from_u128(number),
        vector: vector.to_vec(),
        tags,
    }
}

fn of(tenant: &str, subject: &str) -> Filter {
    Filter {
        tenant: tenant.to_owned(),
        subject: subject.to_owned(),
        ..Filter::default()
    }
}

fn numbers(hits: &[Hit]) -> Vec<u128> {
    hits.iter().map(|hit| hit.id.as_u128()).collect()
}

async fn found(world: &dyn World, collection: &Collection, filter: &Filter) -> BTreeSet<u128> {
    let search = world
        .vectors()
        .search(collection, filter, &[1.0, 0.0], 100, false);
    numbers(&search.await.unwrap()).into_iter().collect()
}

async fn gone(world: &dyn World, collection: &Collection) {
    world.vectors().drop_collection(&collection.name).await.unwrap();
}
