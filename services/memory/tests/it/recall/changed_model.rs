//! A model that takes another's place: what is remembered is found by meaning all the while.

use harombe_proto::memory::v1 as pb;
use harombe_rpc::GrpcChannel;
use harombe_types::ServiceName;

use super::elsewhere::Elsewhere;
use super::{ABOUT_SISTER, FACTS, SISTER, texts, until, with_model};
use crate::person::stats;

#[tokio::test]
async fn another_model_takes_over_when_it_has_everything() {
    let rig = with_model(|_| ()).await;
    let run = rig.run_in(rig.new_session().await);
    rig.remember_all(&run, &FACTS[..6]).await;
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;

    let elsewhere = Elsewhere::new();
    let config = Elsewhere::config(&rig.config);
    let server = elsewhere.server(&rig);
    let way = GrpcChannel::local(&server, ServiceName::Memory);
    let rig = rig.restart_with(config, way).await;
    // the new model cannot be asked yet, and the old one serves
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    assert_eq!(rig.generations().as_deref(), Some("2"));
    // of the new one's nothing is made yet, whatever the outbox has
    assert_eq!(stats(&rig, &rig.ann()).await.waiting_for_embedding, 6);

    rig.remember(&run, FACTS[6]).await;
    elsewhere.is_away(false);
    until("only the new model's vectors are left", || async {
        let recalled = rig.recall(&run, ABOUT_SISTER).await;
        assert_eq!(recalled.means(), pb::RecallMeans::Hybrid);
        assert_eq!(texts(&recalled).first(), Some(&SISTER));
        rig.generations().as_deref() == Some("1")
    })
    .await;
    rig.until_found_by_meaning(&run, "secret word for the wireless network", FACTS[6])
        .await;

    until("nothing waits any more", async || {
        let stats = stats(&rig, &rig.ann()).await;
        stats.waiting_for_embedding == 0 && stats.embedding_model == "reversed"
    })
    .await;

    // when it is away, words are left, and it is not forgotten that there was a model
    elsewhere.is_away(true);
    let recalled = rig.recall(&run, "who is a biologist?").await;
    assert_eq!(recalled.means(), pb::RecallMeans::Degraded);
    assert_eq!(texts(&recalled).first(), Some(&SISTER));
}
