//! What a run's first question to the model may be made of.

use harombe_proto::memory::v1 as pb;
use harombe_types::SessionId;

use super::{SISTER, until};
use crate::rig::{Rig, TestRun, answer};

impl Rig {
    async fn context(
        &self,
        run: &TestRun,
        query: &str,
        bytes: u32,
        memories: u32,
    ) -> pb::BuildContextResponse {
        let request = pb::BuildContextRequest {
            query: query.to_owned(),
            max_turn_bytes: bytes,
            recall_limit: memories,
        };
        let built = self.as_runtime().memory.build_context(run.request(request)).await;
        answer(built).expect("context")
    }

    /// A turn from its beginning to its end.
    async fn turn(&self, session: SessionId, number: u32, asked: &str, answered: &str) -> TestRun {
        let run = self.run_in(session);
        let begun = self
            .begin(&run, &format!("m{number}"), asked)
            .await
            .expect("turn");
        let epoch = begun.lease.expect("lease").epoch;
        self.finish(&run, epoch, answered).await.expect("finished");
        run
    }
}

fn recalled(context: &pb::BuildContextResponse) -> Vec<&str> {
    let hits = context.recalled.iter();
    hits.filter_map(|hit| Some(hit.memory.as_ref()?.text.as_str()))
        .collect()
}

#[tokio::test]
async fn a_context_has_the_newest_turns_and_memories_of_elsewhere() {
    let rig = Rig::new().await;
    let (before, now) = (rig.new_session().await, rig.new_session().await);
    let earlier = rig.turn(before, 1, "The biologist likes Lisbon.", "Noted.").await;
    for number in 1..=3 {
        rig.turn(now, number, &format!("The biologist, part {number}."), "Go on.")
            .await;
    }
    let run = rig.run_in(now);
    rig.remember(&run, SISTER).await;
    // turns are remembered soon after they end
    until("the earlier session's turn is recalled", || async {
        recalled(&rig.context(&run, "biologist", 1_000_000, 10).await)
            .contains(&"The biologist likes Lisbon.")
    })
    .await;
    let all = rig.context(&run, "biologist", 1_000_000, 10).await;
    let asked: Vec<_> = all
        .turns
        .iter()
        .map(|turn| turn.messages[0].text.as_str())
        .collect();
    assert_eq!(
        asked,
        [
            "The biologist, part 1.",
            "The biologist, part 2.",
            "The biologist, part 3."
        ]
    );
    assert_eq!((all.turns_left_out, all.means()), (0, pb::RecallMeans::Lexical));
    let texts = recalled(&all);
    assert!(
        texts.contains(&SISTER) && texts.contains(&"The biologist likes Lisbon."),
        "{texts:?}"
    );
    assert!(!texts.iter().any(|text| text.contains("part")), "{texts:?}");
    let of_earlier = all
        .recalled
        .iter()
        .filter_map(|hit| hit.memory.as_ref()?.provenance.as_ref());
    let runs: Vec<_> = of_earlier.map(|provenance| provenance.run_id.clone()).collect();
    assert!(runs.contains(&earlier.run.to_string()) && all.last_run_id == all.turns[2].run_id);

    // the turn that does not fit any more is recalled instead
    let newest: usize = all.turns[2]
        .messages
        .iter()
        .map(prost::Message::encoded_len)
        .sum();
    let bytes = u32::try_from(newest).expect("size");
    until("the turns that were left out are recalled", || async {
        let some = rig.context(&run, "biologist", bytes, 10).await;
        assert_eq!((some.turns.len(), some.turns_left_out), (1, 2));
        let texts = recalled(&some);
        assert!(!texts.contains(&"The biologist, part 3."), "{texts:?}");
        texts.contains(&"The biologist, part 1.") && texts.contains(&"The biologist, part 2.")
    })
    .await;
}

#[tokio::test]
async fn a_context_without_a_question_recalls_nothing() {
    let rig = Rig::new().await;
    let session = rig.new_session().await;
    rig.turn(session, 1, "hello", "hello").await;
    let run = rig.run_in(session);
    for (query, memories) in [("", 10), ("hello", 0), (" \n", 10)] {
        let context = rig.context(&run, query, 1_000_000, memories).await;
        assert_eq!((context.turns.len(), context.recalled.len()), (1, 0));
        assert_eq!(context.means(), pb::RecallMeans::Unspecified);
    }
    // a message may be longer than a question
    let context = rig.context(&run, &"ocean 𝕊 ".repeat(20_000), 1_000_000, 10).await;
    assert_eq!(context.means(), pb::RecallMeans::Lexical);
    let nothing = rig.context(&run, "hello", 0, 10).await;
    assert_eq!((nothing.turns.len(), nothing.turns_left_out), (0, 1));
}
