//! Several processes on one Postgres and one Qdrant server: one writes the vectors, and another takes over.

use std::time::Duration;

use harombe_proto::memory::v1 as pb;
use harombe_rpc::RequestExt as _;
use harombe_vectors::testserver::TestServer;
use harombe_vectors::{Qdrant, Vectors as _};
use tonic::Request;

use crate::person::{saved, stats, until};
use crate::replicas::replica;
use crate::rig::{Rig, answer, by_meaning};

/// For so long who writes vectors is believed to be there.
const HELD: Duration = Duration::from_secs(61);

/// Waits until the text is found by meaning.
async fn until_found(rig: &Rig, query: &str, text: &str) {
    until(async || {
        let request = pb::SearchMemoriesRequest {
            query: query.to_owned(),
            ..pb::SearchMemoriesRequest::default()
        };
        let request = Request::new(request).with_token(rig.ann());
        let found = answer(rig.as_gateway().personal.search_memories(request).await).expect("search");
        let best = found.hits.first().and_then(|hit| hit.memory.as_ref());
        let is_best = best.is_some_and(|memory| memory.text == text);
        (found.means() == pb::RecallMeans::Hybrid && is_best).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_writing_of_vectors_goes_from_one_process_to_the_other() {
    let folder = tempfile::tempdir().expect("directory");
    let server = TestServer::start(folder.path()).await.expect("server");
    let one = Rig::with(|config| {
        by_meaning(config);
        config.vectors.qdrant = server.config();
    })
    .await;
    let other = replica(&one).await;
    let (clock, kept) = (one.clock.clone(), one.directory.clone());
    let sister = "My sister works as a marine biologist near Lisbon.";
    saved(&one, &one.ann(), sister).await;
    for rig in [&one, &other] {
        until_found(rig, "Which relative studies ocean animals?", sister).await;
    }
    // each in turn may think that the other is gone, while both go on
    for number in 0..30 {
        if number % 10 == 0 {
            clock.advance(HELD);
        }
        let rig = if number % 2 == 0 { &one } else { &other };
        saved(rig, &rig.ann(), &format!("Parcel {number} is on the shelf.")).await;
    }
    until(async || (stats(&one, &one.ann()).await.waiting_for_embedding == 0).then_some(())).await;

    // whoever writes is gone without a word
    one.service.shutdown(Duration::from_secs(10)).await;
    let ferry = "The ferry to the island leaves at noon.";
    saved(&other, &other.ann(), ferry).await;
    clock.advance(HELD);
    until_found(&other, "When does the boat depart?", ferry).await;
    until(async || (stats(&other, &other.ann()).await.waiting_for_embedding == 0).then_some(())).await;
    let vectors = Qdrant::connect(&server.config()).expect("vectors");
    let collections = vectors.collections().await.expect("collections");
    let [collection] = collections.as_slice() else {
        panic!("{collections:?}");
    };
    assert_eq!(vectors.count(collection).await.expect("count"), 32);
    other.service.shutdown(Duration::from_secs(10)).await;
    server.stop().await;
    drop(kept);
}
