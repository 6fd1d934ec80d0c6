//! Pages, what is refused, and many at once.

use uuid::Uuid;

use super::{World, gone, made, of, point, tags};
use crate::{Error, Hit, Point, Tags};

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
