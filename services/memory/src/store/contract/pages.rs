//! How much of a journal is read at once.

use super::place::{Place, on_each};
use super::*;

on_each![a_page_of_a_journal_is_bounded_in_entries_and_in_bytes];

/// The cursors of each page, read one after the other.
async fn pages(store: &dyn Store, run: &RunPrincipal, entries: u32, bytes: u32) -> Vec<Vec<u64>> {
    let (mut pages, mut after) = (Vec::new(), 0);
    loop {
        let room = Room { entries, bytes };
        let page = store.entries(&ann(), run.run, after, room).await.unwrap();
        let page: Vec<u64> = page.iter().map(|entry| entry.cursor).collect();
        let Some(last) = page.last() else { return pages };
        after = *last;
        pages.push(page);
    }
}

async fn a_page_of_a_journal_is_bounded_in_entries_and_in_bytes(place: Place) {
    let store = place.open().await;
    let (run, _) = begun(&*store).await;
    let of = |event: usize, state: usize| NewEntry {
        event: (event > 0).then(|| vec![b'e'; event]),
        state: vec![b's'; state].into(),
    };
    // the first two are those of the beginning
    let entries = vec![
        of(400_000, 100_000),
        of(0, 600_000),
        of(0, 0),
        of(3_000_000, 0),
        of(10, 10),
    ];
    store.append(&run, 1, 2, entries, NOW).await.unwrap();
    assert_eq!(
        pages(&*store, &run, 100, u32::MAX).await,
        [vec![1, 2, 3, 4, 5, 6, 7]]
    );
    assert_eq!(
        pages(&*store, &run, 3, u32::MAX).await,
        [vec![1, 2, 3], vec![4, 5, 6], vec![7]]
    );
    // one may begin where there is room, and there is always room for one
    assert_eq!(
        pages(&*store, &run, 100, 1_000_000).await,
        [vec![1, 2, 3, 4], vec![5, 6], vec![7]]
    );
    // what has no size takes no room
    assert_eq!(pages(&*store, &run, 100, 1).await.len(), 6);
}
