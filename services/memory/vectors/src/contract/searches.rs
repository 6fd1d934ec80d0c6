//! Searches: what a filter lets through, and what is nearest.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{Numbers, World, cosine, found, gone, made, numbers, of, point, tags};
use crate::{Collection, Filter, Tags};

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

pub async fn finds_of_a_subject_whatever_others_are_called(world: &impl World) {
    /// Tenants whose one subject has the same name, and points of the largest of them: each other has a twentieth.
    const TENANTS: usize = 30;
    const MANY: u128 = 2_000;
    let vectors = world.vectors();
    let collection = made(world, 64).await;
    let mut random = Numbers::new(3);
    let center = random.vector(64);
    let tenant = |number: usize| format!("tenant-{number}");
    let mut next = 0;
    for number in 0..TENANTS {
        let many = if number == 0 { MANY } else { MANY / 20 };
        // all about the same, so that the nearest of all are other tenants'
        let points: Vec<_> = (next..next + many)
            .map(|id| point(id, &random.near(&center, 0.5), tags(&tenant(number), "user")))
            .collect();
        next += many;
        for batch in points.chunks(1_000) {
            vectors.upsert(&collection, batch.to_vec()).await.unwrap();
        }
    }
    world.settle(&collection).await;
    let (mut there, mut asked) = (0, 0);
    for number in 0..TENANTS {
        let filter = of(&tenant(number), "user");
        let query = random.near(&center, 0.5);
        let search = async |exact| {
            let hits = vectors.search(&collection, &filter, &query, 10, exact).await;
            numbers(&hits.unwrap())
        };
        let (exact, hits) = (search(true).await, search(false).await);
        asked += exact.len();
        there += exact.iter().filter(|number| hits.contains(number)).count();
    }
    let counted = vectors.count_of(&collection, &of(&tenant(1), "user")).await;
    assert_eq!(u128::from(counted.unwrap()), MANY / 20);
    assert_eq!(asked, TENANTS * 10);
    assert!(there * 100 >= asked * 98, "{there} of {asked}");
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
