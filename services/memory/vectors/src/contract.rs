//! What every adapter of [`Vectors`] must do, as tests: `contract!(make_world)` in a test module runs them all.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a suite of tests fails like tests"
)]

use std::collections::BTreeSet;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Collection, Ensured, Error, Filter, Hit, Point, Tags, Vectors};

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
            finds_by_index_what_comparing_finds, pages_through_ids, refuses_numbers_that_are_none,
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

pub async fn makes_a_collection_once(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    assert_eq!(vectors.ensure(&collection).await.unwrap(), Ensured::Existing);
    let listed = vectors.collections().await.unwrap();
    assert!(listed.contains(&collection), "{listed:?}");
    gone(world, &collection).await;
}

pub async fn refuses_another_dimension(world: &impl World) {
    let there = made(world, 2).await;
    let asked = Collection {
        dimension: 3,
        ..there.clone()
    };
    let refused = |error: Error| {
        matches!(
            error,
            Error::Dimension {
                there: 2,
                asked: 3,
                ..
            }
        )
    };
    assert!(refused(world.vectors().ensure(&asked).await.unwrap_err()));
    let three = [1.0, 0.0, 0.0];
    let filter = of("a", "s");
    let searched = world.vectors().search(&asked, &filter, &three, 1, false);
    assert!(refused(searched.await.unwrap_err()));
    let points = vec![point(1, &three, tags("a", "s"))];
    assert!(refused(world.vectors().upsert(&asked, points).await.unwrap_err()));
    gone(world, &there).await;
}

pub async fn refuses_names_that_are_none(world: &impl World) {
    for name in ["", "A", "a/b", "..", "a b", "a.b", "ä", &"a".repeat(65)] {
        let collection = Collection {
            name: name.to_owned(),
            dimension: 2,
        };
        let refused = world.vectors().ensure(&collection).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{name}: {refused}");
        let refused = world.vectors().drop_collection(name).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{name}: {refused}");
    }
    for dimension in [0, 8_193] {
        let refused = world.vectors().ensure(&collection(dimension)).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
}

pub async fn drops_a_collection(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let points = vec![point(1, &[1.0, 0.0], tags("a", "s"))];
    vectors.upsert(&collection, points).await.unwrap();
    gone(world, &collection).await;
    gone(world, &collection).await;
    assert!(!vectors.collections().await.unwrap().contains(&collection));
    let missing = vectors.count(&collection).await.unwrap_err();
    assert!(matches!(missing, Error::Missing { .. }), "{missing}");
    // Another of the same name has nothing of it.
    assert_eq!(vectors.ensure(&collection).await.unwrap(), Ensured::Created);
    assert_eq!(vectors.count(&collection).await.unwrap(), 0);
    gone(world, &collection).await;
}

pub async fn knows_no_collection_before_it_is_made(world: &impl World) {
    let (vectors, collection) = (world.vectors(), collection(2));
    let filter = of("a", "s");
    let missing = [
        vectors.count(&collection).await.unwrap_err(),
        vectors
            .search(&collection, &filter, &[1.0, 0.0], 1, false)
            .await
            .unwrap_err(),
        vectors
            .upsert(&collection, vec![point(1, &[1.0, 0.0], tags("a", "s"))])
            .await
            .unwrap_err(),
        vectors
            .delete(&collection, "a", vec![Uuid::from_u128(1)])
            .await
            .unwrap_err(),
        vectors.ids(&collection, None, 1).await.unwrap_err(),
    ];
    for error in missing {
        assert!(matches!(error, Error::Missing { .. }), "{error}");
    }
}

pub async fn is_empty_at_first(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    assert_eq!(vectors.count(&collection).await.unwrap(), 0);
    assert!(found(world, &collection, &of("a", "s")).await.is_empty());
    assert!(vectors.ids(&collection, None, 10).await.unwrap().is_empty());
    let ids = vec![Uuid::from_u128(1)];
    assert!(
        vectors
            .get(&collection, "a", ids.clone())
            .await
            .unwrap()
            .is_empty()
    );
    vectors.delete(&collection, "a", ids).await.unwrap();
    vectors.upsert(&collection, Vec::new()).await.unwrap();
    vectors.delete(&collection, "a", Vec::new()).await.unwrap();
    vectors.flush().await.unwrap();
    gone(world, &collection).await;
}

pub async fn finds_the_nearest_first(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    // The length of a vector does not matter, and equals come in the order of their ids.
    let points = [
        (4, [0.0, 5.0]),
        (1, [9.0, 0.0]),
        (3, [1.0, 1.0]),
        (2, [0.1, 0.0]),
        (5, [-1.0, 0.0]),
    ]
    .map(|(number, vector)| point(number, &vector, tags("a", "s")));
    vectors.upsert(&collection, points.to_vec()).await.unwrap();
    let filter = of("a", "s");
    for exact in [false, true] {
        let hits = vectors
            .search(&collection, &filter, &[2.0, 0.0], 10, exact)
            .await
            .unwrap();
        assert_eq!(numbers(&hits), [1, 2, 3, 4, 5]);
        for (hit, score) in hits.iter().zip([1.0, 1.0, 0.5_f32.sqrt(), 0.0, -1.0]) {
            assert!((hit.score - score).abs() < 1e-5, "{hit:?}, not {score}");
        }
        let first = vectors
            .search(&collection, &filter, &[2.0, 0.0], 3, exact)
            .await
            .unwrap();
        assert_eq!(first, hits[..3]);
    }
    gone(world, &collection).await;
}

pub async fn takes_the_same_twice(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let points = vec![
        point(1, &[1.0, 0.0], tags("a", "s")),
        point(2, &[0.0, 1.0], tags("a", "s")),
    ];
    vectors.upsert(&collection, points.clone()).await.unwrap();
    vectors.upsert(&collection, points).await.unwrap();
    assert_eq!(vectors.count(&collection).await.unwrap(), 2);
    for _ in 0..2 {
        let ids = vec![Uuid::from_u128(1), Uuid::from_u128(9)];
        vectors.delete(&collection, "a", ids).await.unwrap();
        assert_eq!(vectors.count(&collection).await.unwrap(), 1);
    }
    gone(world, &collection).await;
}

pub async fn writes_over_what_is_there(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let id = Uuid::from_u128(1);
    let mut before = tags("a", "s");
    before.session = Some(id);
    vectors
        .upsert(&collection, vec![point(1, &[1.0, 0.0], before)])
        .await
        .unwrap();
    let after = Tags {
        subject: "t".to_owned(),
        kind: 2,
        seq: 8,
        ..tags("a", "s")
    };
    vectors
        .upsert(&collection, vec![point(1, &[0.0, 2.0], after)])
        .await
        .unwrap();
    assert!(found(world, &collection, &of("a", "s")).await.is_empty());
    assert_eq!(found(world, &collection, &of("a", "t")).await, [1].into());
    let with_session = Filter {
        sessions: vec![id],
        ..of("a", "t")
    };
    assert!(found(world, &collection, &with_session).await.is_empty());
    let read = vectors.get(&collection, "a", vec![id]).await.unwrap();
    assert_eq!(read, [(id, vec![0.0, 1.0])], "of length 1");
    let listed = vectors.ids(&collection, None, 10).await.unwrap();
    assert_eq!(listed, [(id, "a".to_owned(), 8)]);
    gone(world, &collection).await;
}

pub async fn deletes_what_a_tenant_has(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let points = [(1, "a"), (2, "a"), (3, "b")];
    let points = points.map(|(number, tenant)| point(number, &[1.0, 0.0], tags(tenant, "s")));
    vectors.upsert(&collection, points.to_vec()).await.unwrap();
    let ids = (1..=3).map(Uuid::from_u128).collect();
    vectors.delete(&collection, "a", ids).await.unwrap();
    assert!(found(world, &collection, &of("a", "s")).await.is_empty());
    assert_eq!(found(world, &collection, &of("b", "s")).await, [3].into());
    // And they can be written again.
    vectors.upsert(&collection, points.to_vec()).await.unwrap();
    assert_eq!(found(world, &collection, &of("a", "s")).await, [1, 2].into());
    gone(world, &collection).await;
}

pub async fn keeps_tenants_apart(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let points = [(1, "a"), (2, "b"), (3, "A"), (4, "a ")];
    let points = points.map(|(number, tenant)| point(number, &[1.0, 0.0], tags(tenant, "s")));
    vectors.upsert(&collection, points.to_vec()).await.unwrap();
    assert_eq!(found(world, &collection, &of("a", "s")).await, [1].into());
    assert_eq!(found(world, &collection, &of("b", "s")).await, [2].into());
    assert!(found(world, &collection, &of("", "s")).await.is_empty());
    let ids: Vec<_> = (1..=4).map(Uuid::from_u128).collect();
    let read = vectors.get(&collection, "b", ids.clone()).await.unwrap();
    assert_eq!(read, [(ids[1], vec![1.0, 0.0])]);
    vectors.delete(&collection, "c", ids).await.unwrap();
    assert_eq!(vectors.count(&collection).await.unwrap(), 4);
    gone(world, &collection).await;
}

pub async fn keeps_subjects_apart(world: &impl World) {
    let collection = made(world, 2).await;
    let owners = [(1, "a", "s"), (2, "a", "t"), (3, "b", "s"), (4, "s", "a")];
    let points = owners.map(|(number, tenant, subject)| point(number, &[1.0, 0.0], tags(tenant, subject)));
    world
        .vectors()
        .upsert(&collection, points.to_vec())
        .await
        .unwrap();
    for (number, tenant, subject) in owners {
        let found = found(world, &collection, &of(tenant, subject)).await;
        assert_eq!(found, [number].into());
    }
    gone(world, &collection).await;
}

pub async fn leaves_a_point_to_its_tenant(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let (mine, stolen) = (
        point(1, &[1.0, 0.0], tags("a", "s")),
        point(1, &[0.0, 1.0], tags("b", "s")),
    );
    let other = point(2, &[0.0, 1.0], tags("b", "s"));
    vectors.upsert(&collection, vec![mine]).await.unwrap();
    vectors.upsert(&collection, vec![stolen, other]).await.unwrap();
    assert_eq!(found(world, &collection, &of("a", "s")).await, [1].into());
    assert_eq!(found(world, &collection, &of("b", "s")).await, [2].into());
    let read = vectors.get(&collection, "a", vec![Uuid::from_u128(1)]).await;
    assert_eq!(read.unwrap(), [(Uuid::from_u128(1), vec![1.0, 0.0])]);
    gone(world, &collection).await;
}

/// Points 1 to 6: agents x, x, y, y, z, z; sessions 11, 12, 13 or none; kinds 1 to 6; labels 0 and 1; times 100 to 600.
async fn tagged(world: &dyn World) -> Collection {
    let collection = made(world, 2).await;
    let mut points = Vec::new();
    for number in 1..=6_u8 {
        let tags = Tags {
            agent: ["x", "y", "z"][usize::from((number - 1) / 2)].to_owned(),
            session: (number <= 3).then(|| Uuid::from_u128(10 + u128::from(number))),
            kind: number,
            label: number % 2,
            time_ms: i64::from(number) * 100,
            ..tags("a", "s")
        };
        points.push(point(number.into(), &[1.0, 0.0], tags));
    }
    // The same in another tenant, which no search may find.
    let mut others = points.clone();
    for (number, other) in (101..).zip(&mut others) {
        other.id = Uuid::from_u128(number);
        other.tags.tenant = "b".to_owned();
    }
    world.vectors().upsert(&collection, points).await.unwrap();
    world.vectors().upsert(&collection, others).await.unwrap();
    collection
}

pub async fn filters_by_each_tag(world: &impl World) {
    let collection = tagged(world).await;
    let session = |number: u128| Uuid::from_u128(10 + number);
    let check = async |narrow: &(dyn Fn(&mut Filter) + Sync), expected: &[u128]| {
        let mut filter = of("a", "s");
        narrow(&mut filter);
        let expected: BTreeSet<u128> = expected.iter().copied().collect();
        assert_eq!(found(world, &collection, &filter).await, expected, "{filter:?}");
    };
    check(&|_| {}, &[1, 2, 3, 4, 5, 6]).await;
    check(&|filter| filter.agent = Some("y".to_owned()), &[3, 4]).await;
    check(&|filter| filter.agent = Some(String::new()), &[]).await;
    check(&|filter| filter.sessions = vec![session(2)], &[2]).await;
    let sessions = vec![session(1), session(3), session(9)];
    check(&|filter| filter.sessions.clone_from(&sessions), &[1, 3]).await;
    check(&|filter| filter.kinds = vec![4], &[4]).await;
    check(&|filter| filter.kinds = vec![0, 5, 6], &[5, 6]).await;
    check(&|filter| filter.labels = vec![0], &[2, 4, 6]).await;
    check(&|filter| filter.labels = vec![0, 1], &[1, 2, 3, 4, 5, 6]).await;
    check(&|filter| filter.from_ms = Some(300), &[3, 4, 5, 6]).await;
    check(&|filter| filter.until_ms = Some(300), &[1, 2]).await;
    let between = |from, until| {
        move |filter: &mut Filter| {
            filter.from_ms = Some(from);
            filter.until_ms = Some(until);
        }
    };
    check(&between(200, 500), &[2, 3, 4]).await;
    check(&between(500, 200), &[]).await;
    gone(world, &collection).await;
}

pub async fn filters_by_all_tags_at_once(world: &impl World) {
    let collection = tagged(world).await;
    let filter = Filter {
        agent: Some("x".to_owned()),
        sessions: vec![Uuid::from_u128(11), Uuid::from_u128(12)],
        kinds: vec![1, 2],
        labels: vec![0],
        from_ms: Some(100),
        until_ms: Some(1_000),
        ..of("a", "s")
    };
    assert_eq!(found(world, &collection, &filter).await, [2].into());
    gone(world, &collection).await;
}

pub async fn finds_exactly_what_comparing_finds(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 32).await;
    let mut random = Numbers::new(1);
    let points: Vec<_> = (0..2_000)
        .map(|number| {
            let subject = if number % 4 == 0 { "t" } else { "s" };
            point(number, &random.vector(32), tags("a", subject))
        })
        .collect();
    for batch in points.chunks(500) {
        vectors.upsert(&collection, batch.to_vec()).await.unwrap();
    }
    let filter = of("a", "s");
    for _ in 0..20 {
        let query = random.vector(32);
        let hits = vectors
            .search(&collection, &filter, &query, 10, true)
            .await
            .unwrap();
        let mut expected: Vec<_> = points
            .iter()
            .filter(|point| point.tags.subject == "s")
            .map(|point| (cosine(&query, &point.vector), point.id.as_u128()))
            .collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (hit, (score, _)) in hits.iter().zip(&expected) {
            assert!((hit.score - score).abs() < 1e-4, "{hit:?}, not {score}");
        }
        let expected: Vec<_> = expected[..10].iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers(&hits), expected);
    }
    gone(world, &collection).await;
}

pub async fn finds_by_index_what_comparing_finds(world: &impl World) {
    const MANY: u128 = 4_000;
    let vectors = world.vectors();
    let collection = made(world, 64).await;
    let mut random = Numbers::new(2);
    let centers: Vec<_> = (0..40).map(|_| random.vector(64)).collect();
    let mut near = |number: usize| random.near(&centers[number % 40], 0.5);
    let points: Vec<_> = (0..MANY)
        .map(|number| {
            // One that has nearly all, and one that has few.
            let tenant = if number % 20 == 0 { "b" } else { "a" };
            point(number, &near(usize::try_from(number).unwrap()), tags(tenant, "s"))
        })
        .collect();
    for batch in points.chunks(1_000) {
        vectors.upsert(&collection, batch.to_vec()).await.unwrap();
    }
    world.settle(&collection).await;
    assert_eq!(u128::from(vectors.count(&collection).await.unwrap()), MANY);
    let (mut there, mut asked) = (0, 0);
    for number in 0..60 {
        let query = near(number);
        let filter = of(if number % 4 == 0 { "b" } else { "a" }, "s");
        let exact = vectors
            .search(&collection, &filter, &query, 5, true)
            .await
            .unwrap();
        let hits = vectors
            .search(&collection, &filter, &query, 5, false)
            .await
            .unwrap();
        asked += exact.len();
        there += exact
            .iter()
            .filter(|hit| numbers(&hits).contains(&hit.id.as_u128()))
            .count();
    }
    assert_eq!(asked, 300);
    assert!(there * 100 >= asked * 98, "{there} of {asked}");
    gone(world, &collection).await;
}

pub async fn pages_through_ids(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let last = Uuid::max();
    let mut points: Vec<_> = (0..25_u8)
        .map(|number| {
            let tenant = if number % 2 == 0 { "a" } else { "b" };
            let tags = Tags {
                seq: number.into(),
                ..tags(tenant, "s")
            };
            point(u128::from(number) << 64, &[1.0, 0.0], tags)
        })
        .collect();
    points.push(Point {
        id: last,
        ..points[0].clone()
    });
    vectors.upsert(&collection, points.clone()).await.unwrap();
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = vectors.ids(&collection, after, 10).await.unwrap();
        after = page.last().map(|(id, ..)| *id).or(after);
        let full = page.len() == 10;
        listed.extend(page);
        if !full {
            break;
        }
    }
    let expected: Vec<_> = points
        .into_iter()
        .map(|point| (point.id, point.tags.tenant, point.tags.seq))
        .collect();
    assert_eq!(listed, expected);
    assert!(vectors.ids(&collection, Some(last), 10).await.unwrap().is_empty());
    assert!(vectors.ids(&collection, None, 0).await.unwrap().is_empty());
    gone(world, &collection).await;
}

pub async fn refuses_numbers_that_are_none(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let points = vec![
            point(1, &[1.0, 0.0], tags("a", "s")),
            point(2, &[number, 1.0], tags("a", "s")),
        ];
        let refused = vectors.upsert(&collection, points).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
        let filter = of("a", "s");
        let vector = [0.0, number];
        let searched = vectors.search(&collection, &filter, &vector, 1, false);
        let refused = searched.await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
    assert_eq!(vectors.count(&collection).await.unwrap(), 0, "all or nothing");
    // No direction at all can be kept, and is near to nothing.
    let points = vec![point(1, &[0.0, 0.0], tags("a", "s"))];
    vectors.upsert(&collection, points).await.unwrap();
    let filter = of("a", "s");
    let hits = vectors
        .search(&collection, &filter, &[1.0, 0.0], 1, true)
        .await
        .unwrap();
    assert_eq!(
        hits,
        [Hit {
            id: Uuid::from_u128(1),
            score: 0.0
        }]
    );
    gone(world, &collection).await;
}

pub async fn refuses_vectors_of_another_length(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    for vector in [&[][..], &[1.0], &[1.0, 0.0, 0.0]] {
        let points = vec![point(1, vector, tags("a", "s"))];
        let refused = vectors.upsert(&collection, points).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
        let filter = of("a", "s");
        let searched = vectors.search(&collection, &filter, vector, 1, false);
        let refused = searched.await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
    gone(world, &collection).await;
}

pub async fn refuses_too_much(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let points = (0..1_001).map(|number| point(number, &[1.0, 0.0], tags("a", "s")));
    let long = Tags {
        subject: "s".repeat(257),
        ..tags("a", "s")
    };
    let late = Tags {
        seq: u64::MAX,
        ..tags("a", "s")
    };
    let filter = of("a", "s");
    let refused = [
        vectors.upsert(&collection, points.collect()).await.unwrap_err(),
        vectors
            .upsert(&collection, vec![point(1, &[1.0, 0.0], long)])
            .await
            .unwrap_err(),
        vectors
            .upsert(&collection, vec![point(1, &[1.0, 0.0], late)])
            .await
            .unwrap_err(),
        vectors
            .delete(&collection, "a", vec![Uuid::nil(); 1_001])
            .await
            .unwrap_err(),
        vectors
            .get(&collection, "a", vec![Uuid::nil(); 1_001])
            .await
            .unwrap_err(),
        vectors
            .search(&collection, &filter, &[1.0, 0.0], 10_001, false)
            .await
            .unwrap_err(),
        vectors.ids(&collection, None, 10_001).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::Invalid(_)), "{error}");
    }
    gone(world, &collection).await;
}

pub async fn answers_nothing_to_a_limit_of_nothing(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let points = vec![point(1, &[1.0, 0.0], tags("a", "s"))];
    vectors.upsert(&collection, points).await.unwrap();
    let filter = of("a", "s");
    for exact in [false, true] {
        let search = vectors.search(&collection, &filter, &[1.0, 0.0], 0, exact);
        assert!(search.await.unwrap().is_empty());
    }
    gone(world, &collection).await;
}

pub async fn is_written_by_many_at_once(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    let writers = (0..16_u128).map(|writer| {
        let points = (0..10).map(|number| point(writer * 10 + number, &[1.0, 0.0], tags("a", "s")));
        vectors.upsert(&collection, points.collect())
    });
    let mut running: Vec<_> = writers.collect();
    std::future::poll_fn(|context| {
        running.retain_mut(|writer| match writer.as_mut().poll(context) {
            std::task::Poll::Ready(written) => {
                written.unwrap();
                false
            }
            std::task::Poll::Pending => true,
        });
        if running.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    assert_eq!(vectors.count(&collection).await.unwrap(), 160);
    gone(world, &collection).await;
}

pub async fn takes_nothing_after_its_end(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    gone(world, &collection).await;
    vectors.close().await;
    vectors.close().await;
    let closed = vectors.ensure(&collection).await.unwrap_err();
    assert!(matches!(closed, Error::Closed), "{closed}");
}
