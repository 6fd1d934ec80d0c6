//! Vectors and models that are away, damaged or gone.

use std::path::Path;
use std::time::Duration;

use harombe_proto::memory::v1 as pb;
use harombe_testkit::files_under;
use harombe_vectors::testserver::TestServer;

use super::{ABOUT_SISTER, FACTS, SISTER, texts, until, with_model};
use crate::person::stats;
use crate::rig::{Rig, by_meaning, model};

#[tokio::test]
async fn vectors_that_are_lost_or_damaged_are_made_again() {
    let rig = with_model(|_| ()).await;
    let run = rig.run_in(rig.new_session().await);
    rig.remember_all(&run, &FACTS).await;
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;

    let rig = rig
        .restart_after(|data| std::fs::remove_dir_all(data.join("vectors")).expect("folder"))
        .await;
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;

    let rig = rig.restart_after(|data| damage(&data.join("vectors"))).await;
    // by words in the meantime, whatever becomes of the vectors
    assert_eq!(texts(&rig.recall(&run, "biologist").await).first(), Some(&SISTER));
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
}

/// Overwrites the beginning of every file.
fn damage(folder: &Path) {
    let all = files_under(folder);
    assert!(!all.is_empty());
    for file in all {
        std::fs::write(&file, [0x5a; 64]).expect("file");
    }
}

#[tokio::test]
async fn while_vectors_are_away_words_find_and_what_was_missed_is_caught_up_with() {
    let folder = tempfile::tempdir().expect("directory");
    let server = TestServer::start(folder.path()).await.expect("server");
    let rig = with_model(|config| {
        config.vectors.qdrant = server.config();
        config.vectors.qdrant.timeout = Duration::from_millis(500).into();
        config.vectors.qdrant.tries = 1;
    })
    .await;
    let run = rig.run_in(rig.new_session().await);
    rig.remember(&run, FACTS[1]).await;
    rig.until_found_by_meaning(&run, "rubber for the automobile", FACTS[1])
        .await;
    server.stop().await;
    // saved, found by words and forgotten all the same
    rig.remember(&run, SISTER).await;
    let gone = rig.remember(&run, FACTS[3]).await;
    let recalled = rig.recall(&run, "biologist").await;
    assert_eq!(recalled.means(), pb::RecallMeans::Degraded);
    assert_eq!(texts(&recalled).first(), Some(&SISTER));
    rig.forget(&run, &gone).await;
    let recalled = rig.recall(&run, "peanuts").await;
    assert!(!texts(&recalled).contains(&FACTS[3]), "{recalled:?}");

    server.resume().await.expect("server");
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    let recalled = rig.recall(&run, "food that makes me ill").await;
    assert!(!texts(&recalled).contains(&FACTS[3]), "{recalled:?}");
    rig.service.shutdown(Duration::from_secs(5)).await;
    server.stop().await;
}

#[tokio::test]
async fn what_is_forgotten_is_not_found_although_its_vector_is_there() {
    let rig = with_model(|_| ()).await;
    let run = rig.run_in(rig.new_session().await);
    let memories = rig.remember_all(&run, &FACTS).await;
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    rig.forget(&run, &memories[0]).await;
    let recalled = rig.recall(&run, ABOUT_SISTER).await;
    assert_eq!(recalled.means(), pb::RecallMeans::Hybrid);
    assert!(!texts(&recalled).contains(&SISTER), "{recalled:?}");
    assert!(
        rig.recall(&run, "biologist")
            .await
            .hits
            .iter()
            .all(|hit| { hit.memory.as_ref().is_some_and(|memory| memory.text != SISTER) })
    );
}

#[tokio::test]
async fn a_model_that_was_altered_keeps_nobody_from_starting() {
    let folder = tempfile::tempdir().expect("directory");
    for file in files_under(&model()) {
        let copy = folder.path().join(file.file_name().expect("name"));
        if copy.ends_with("model.safetensors") {
            std::fs::write(copy, b"something else").expect("file");
        } else {
            std::fs::copy(&file, copy).expect("file");
        }
    }
    let rig = Rig::with(|config| config.embedding.folder = Some(folder.path().to_owned())).await;
    let run = rig.run_in(rig.new_session().await);
    rig.remember(&run, SISTER).await;
    let recalled = rig.recall(&run, "biologist").await;
    assert_eq!(recalled.means(), pb::RecallMeans::Degraded);
    assert_eq!(texts(&recalled).first(), Some(&SISTER));
    let shown = || {
        rig.metrics
            .encode()
            .lines()
            .any(|line| line == "harombe_memory_embedding_model_usable 0")
    };
    until("the metric says so", || async { shown() }).await;
}

#[tokio::test]
async fn a_model_that_is_not_there_is_used_when_it_comes() {
    let folder = tempfile::tempdir().expect("directory");
    let place = folder.path().join("model");
    let rig = Rig::with(|config| {
        by_meaning(config);
        config.embedding.folder = Some(place.clone());
    })
    .await;
    let run = rig.run_in(rig.new_session().await);
    rig.remember(&run, SISTER).await;
    let recalled = rig.recall(&run, "biologist").await;
    assert_eq!(recalled.means(), pb::RecallMeans::Degraded);
    assert_eq!(texts(&recalled).first(), Some(&SISTER));
    // nothing of it waits in the outbox, and yet it cannot be found by meaning
    let shown = stats(&rig, &rig.ann()).await;
    assert_eq!(
        (shown.waiting_for_embedding, shown.embedding_model.as_str()),
        (1, "")
    );
    let coming = folder.path().join("coming");
    std::fs::create_dir(&coming).expect("folder");
    for file in files_under(&model()) {
        std::fs::copy(&file, coming.join(file.file_name().expect("name"))).expect("file");
    }
    std::fs::rename(coming, place).expect("folder");
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    assert_eq!(stats(&rig, &rig.ann()).await.waiting_for_embedding, 0);
}
