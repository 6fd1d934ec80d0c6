//! Steps that the audit log does not have.

use super::memories::{fact, record, saving};
use super::place::{Place, on_each};
use super::*;
use crate::domain::NewMemory;

on_each![what_the_log_refuses_waits_no_longer];

async fn what_the_log_refuses_waits_no_longer(place: Place) {
    let store = place.memories().await;
    let new = fact("a");
    let (id, refused) = (new.id, store.save(saving(&ann(), vec![new])).await.unwrap().steps);
    let other = store
        .save(saving(&owner("beta", "bob"), vec![fact("b")]))
        .await
        .unwrap()
        .steps;
    let later = NOW.plus(Duration::from_secs(1));
    let waiting = async || store.unrecorded(later, later, 9).await.unwrap();
    assert_eq!(waiting().await, [refused.clone(), other.clone()].concat());
    assert!(store.set_aside(&refused[0]).await.unwrap());
    assert!(!store.set_aside(&refused[0]).await.unwrap());
    assert_eq!(waiting().await, other);
    // whoever saves it again is told what is to be recorded first
    let memory = NewMemory { id, ..fact("a") };
    let again = store.save(saving(&ann(), vec![memory])).await.unwrap();
    assert_eq!((again.new, &again.steps), (0, &refused));
    assert_eq!(store.take_up_again().await.unwrap(), 1);
    assert_eq!(waiting().await, [refused.clone(), other].concat());
    // one that is set aside and recorded after all is done with
    store.set_aside(&refused[0]).await.unwrap();
    record(&*store, &refused, 3).await;
    assert!(!store.set_aside(&refused[0]).await.unwrap());
    assert_eq!(store.take_up_again().await.unwrap(), 0);
    assert!(store.memory(&ann(), id).await.is_ok());
}
