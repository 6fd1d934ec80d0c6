//! Collections: made, listed, refused and dropped.

use uuid::Uuid;

use super::{World, collection, found, gone, made, of, point, tags};
use crate::{Collection, Ensured, Error};

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
        vectors.count_of(&collection, &filter).await.unwrap_err(),
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

pub async fn takes_nothing_after_its_end(world: &impl World) {
    let vectors = world.vectors();
    let collection = made(world, 2).await;
    gone(world, &collection).await;
    vectors.close().await;
    vectors.close().await;
    let closed = vectors.ensure(&collection).await.unwrap_err();
    assert!(matches!(closed, Error::Closed), "{closed}");
}
