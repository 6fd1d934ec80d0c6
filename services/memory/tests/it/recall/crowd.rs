//! A tenant with very many memories beside one with three.

use harombe_proto::memory::v1 as pb;
use harombe_types::{MemoryId, SystemClock};

use super::elsewhere::with_elsewhere;
use super::{ABOUT_SISTER, FACTS, SISTER, until};
use crate::person::{import, stats};

const MANY: u64 = 50_000;

fn memory(number: u64) -> pb::Memory {
    pb::Memory {
        memory_id: MemoryId::generate(&SystemClock).to_string(),
        kind: pb::MemoryKind::Fact.into(),
        text: format!("Parcel {number} was delivered to shelf {}.", number % 97),
        importance: 0.5,
        ..pb::Memory::default()
    }
}

#[tokio::test]
async fn a_tenant_with_very_many_memories_keeps_one_with_three_not_waiting() {
    let (rig, run, elsewhere, _) = with_elsewhere().await;
    elsewhere.is_away(false);
    rig.remember(&run, FACTS[1]).await;
    rig.until_found_by_meaning(&run, "rubber for the automobile", FACTS[1])
        .await;

    // all of the many are there before the few
    elsewhere.is_away(true);
    let crowd = rig.person("crowd", "ann");
    let mut numbers = 0..MANY;
    loop {
        let batch: Vec<_> = numbers.by_ref().take(256).map(memory).collect();
        if batch.is_empty() {
            break;
        }
        import(&rig, &crowd, batch).await.expect("imported");
    }
    rig.remember_all(&run, &[SISTER, FACTS[5]]).await;
    assert_eq!(stats(&rig, &crowd).await.waiting_for_embedding, MANY);

    elsewhere.is_away(false);
    until("the few are embedded", async || {
        stats(&rig, &rig.ann()).await.waiting_for_embedding == 0
    })
    .await;
    rig.until_found_by_meaning(&run, ABOUT_SISTER, SISTER).await;
    let waiting = stats(&rig, &crowd).await.waiting_for_embedding;
    assert!(waiting > MANY / 2, "{waiting}");
}
