//! What was read somewhere stays what anybody may have written, however often it is repeated: in other sessions too, where no
//! tool was used.

use harombe::attach::Client;
use harombe_e2e::{Answer, Stage, Talk, World};
use harombe_proto::agent::v1::DeleteSessionRequest;
use harombe_proto::memory::v1::{GetMemoryStatsRequest, ListMemoriesRequest, Memory, MemoryKind, TrustLabel};

use crate::memories::{context, leave_tokens_out};
use crate::support::{ending, start, talk, until};

both!(words_from_outside_do_not_become_the_models_own);

const SCRIPT: &str = "
[[turn]]
when_user_contains = 'look'
[[turn.calls]]
tool = 'file_list'
arguments = {}
[[turn]]
when_user_contains = 'look'
text = 'The harbour opens at ten.'
[[turn]]
when_user_contains = 'when'
text = 'Ten is the hour at which the harbour opens.'
[[turn]]
when_user_contains = 'remember'
[[turn.calls]]
tool = 'memory_save'
arguments = { text = 'The harbour opens at ten.' }
[[turn]]
when_user_contains = 'remember'
text = 'Noted.'
";

/// Says something in a session of its own, and waits until so many messages are remembered.
async fn say(world: &World, client: &mut Client, text: &str, remembered: u64) -> Talk {
    let mut talk = talk(world).await;
    talk.say(text, Answer::Approve).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:ANSWERED", "{text}");
    until("what was said to be remembered", async || {
        let stats = client.memories.get_memory_stats(GetMemoryStatsRequest {}).await;
        (stats.unwrap().into_inner().turns >= remembered).then_some(())
    })
    .await;
    talk
}

/// The memories of which this is true, with their labels.
async fn labels(client: &mut Client, which: impl Fn(&Memory) -> bool) -> Vec<TrustLabel> {
    let request = ListMemoriesRequest {
        limit: 100,
        ..ListMemoriesRequest::default()
    };
    let listed = client.memories.list_memories(request).await.unwrap();
    let memories = listed
        .into_inner()
        .memories
        .into_iter()
        .filter(|memory| which(memory));
    memories
        .map(|memory| memory.provenance.unwrap().label())
        .collect()
}

async fn words_from_outside_do_not_become_the_models_own(stage: &Stage) {
    leave_tokens_out(stage);
    let world = start(stage, SCRIPT).await;
    let mut client = world.client();
    let read = say(&world, &mut client, "Please look at the harbour's hours.", 2).await;
    // the model repeats what another session has read
    let repeated = say(&world, &mut client, "And when does the harbour open?", 4).await;
    let built = context(&repeated);
    assert!(
        built.recalled.iter().any(|memory| memory.run_id == read.run_id()),
        "{built:?}"
    );
    let own = |memory: &Memory| memory.text.starts_with("Ten is");
    assert_eq!(labels(&mut client, own).await, [TrustLabel::Tool]);
    // and a third repeats that, when nothing of the first is left
    let delete = DeleteSessionRequest {
        session_id: read.session.clone(),
    };
    client.agent.delete_session(delete).await.unwrap();
    let saved = say(&world, &mut client, "Please remember the harbour's hours.", 4).await;
    let built = context(&saved);
    assert!(
        built
            .recalled
            .iter()
            .all(|memory| memory.run_id == repeated.run_id()),
        "{built:?}"
    );
    let facts = |memory: &Memory| memory.kind() == MemoryKind::Fact;
    assert_eq!(labels(&mut client, facts).await, [TrustLabel::Tool]);
    world.stop().await;
}
