//! What the vectors are to be told.

use super::memories::{fact, kept};
use super::place::{Place, on_each};
use super::*;
use crate::domain::What;

on_each![one_tenants_rows_do_not_hold_up_anothers];

async fn one_tenants_rows_do_not_hold_up_anothers(place: Place) {
    let store = place.memories().await;
    let (many, few) = (ann(), owner("beta", "bob"));
    for _ in 0..4 {
        let memories = (0..50).map(|number| fact(&number.to_string())).collect();
        kept(&*store, &many, memories).await;
    }
    kept(&*store, &few, ["a", "b", "c"].map(fact).into()).await;
    let works = store.outbox(10).await.unwrap();
    let tenants: Vec<_> = works.iter().map(|work| work.owner.tenant.to_string()).collect();
    assert_eq!(
        tenants,
        ["acme", "beta", "acme", "beta", "acme", "beta", "acme", "acme"]
    );
    assert!(works.iter().all(|work| work.what == What::Put));
    let of_many: Vec<u64> = works
        .iter()
        .filter(|work| work.owner == many)
        .map(|work| work.seq)
        .collect();
    assert!(of_many.is_sorted());
    let done: Vec<u64> = works.iter().map(|work| work.seq).collect();
    store.finished(&done).await.unwrap();
    store.finished(&done).await.unwrap();
    store.finished(&[]).await.unwrap();
    let rest = store.outbox(1000).await.unwrap();
    assert_eq!(rest.len(), 195);
    assert!(
        rest.iter()
            .all(|work| work.owner == many && !done.contains(&work.seq))
    );
}
