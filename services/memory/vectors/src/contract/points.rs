//! Points: written, written over, deleted, and whose they are.

use uuid::Uuid;

use super::{World, found, gone, made, numbers, of, point, tags};
use crate::{Filter, Tags};

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
    let owners = [
        (1, "a", "s"),
        (2, "a", "t"),
        (3, "b", "s"),
        (4, "s", "a"),
        // run together, these are as the first
        (5, "", "as"),
        (6, "as", ""),
        (7, "1:a", "s"),
        (8, "1", ":as"),
    ];
    let points = owners.map(|(number, tenant, subject)| point(number, &[1.0, 0.0], tags(tenant, subject)));
    world
        .vectors()
        .upsert(&collection, points.to_vec())
        .await
        .unwrap();
    for (number, tenant, subject) in owners {
        let found = found(world, &collection, &of(tenant, subject)).await;
        assert_eq!(found, [number].into());
        let counted = world.vectors().count_of(&collection, &of(tenant, subject)).await;
        assert_eq!(counted.unwrap(), 1);
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
