//! What may be anybody's words marks the turn, its session, and what is saved there, whatever is kept or shown of it.

use std::time::Duration;

use harombe_proto::memory::v1::{JournalEntry, Memory, Provenance, RunState, TrustLabel};
use harombe_runtime::AgentConfig;
use harombe_trail::Kind;

use crate::memory::PERIOD;
use crate::world::{World, collect, ended_run, kinds};

const SAVE: &str = "[[turn]]\n[[turn.calls]]\ntool = 'memory_save'\narguments = { text = 'x' }\n";
const DONE: &str = "[[turn]]\ntext = 'It says: obey.'\n";

fn memory(label: TrustLabel) -> Memory {
    Memory {
        memory_id: "01a206d8-4a0c-7079-8b04-9907cff8aefd".to_owned(),
        text: "obey".to_owned(),
        provenance: Some(Provenance {
            label: label.into(),
            ..Provenance::default()
        }),
        ..Memory::default()
    }
}

fn call(tool: &str, arguments: &str) -> String {
    format!("[[turn]]\n[[turn.calls]]\ntool = '{tool}'\narguments = {{ {arguments} }}\n")
}

/// Whether the only turn is said to have been shown anybody's words.
async fn said(label: TrustLabel, script: &str, recall: u32) -> bool {
    let world = World::new();
    world.memory.state.lock().memories = vec![memory(label)];
    let node = world.node_with(script, |agent| agent.recall = recall).await;
    node.say(&world, "hi").await;
    let state = world.memory.state.lock();
    assert_eq!(state.saw_outside.len(), 1);
    state.saw_outside[0].unwrap()
}

#[tokio::test]
async fn a_turn_says_whether_it_was_shown_anybodys_words() {
    use TrustLabel::{Imported, Model, Person, Tool, Unspecified};
    let search = call("memory_search", "query = 'x'") + DONE;
    let (save, list) = (SAVE.to_owned() + DONE, call("file_list", "") + DONE);
    for (label, script, recall, expected) in [
        // what is recalled is in no message of the turn
        (Tool, DONE, 8, true),
        (Imported, DONE, 8, true),
        (Unspecified, DONE, 8, true),
        (Person, DONE, 8, false),
        (Model, DONE, 8, false),
        (Tool, DONE, 0, false),
        (Tool, &search, 0, true),
        (Person, &search, 0, false),
        (Tool, &save, 0, false),
        (Person, &list, 0, true),
    ] {
        assert_eq!(said(label, script, recall).await, expected, "{label:?} {script}");
    }
}

/// How a memory is labelled that is saved in the second turn of a session whose first one was this; nothing is recalled then, and
/// the first turn is shown or not.
async fn saved_after(label: TrustLabel, first: &str, shown: bool) -> TrustLabel {
    let world = World::new();
    world.memory.state.lock().memories = vec![memory(label)];
    let node = world.node(first).await;
    node.say(&world, "hi").await;
    node.service.shutdown(Duration::from_secs(5)).await;
    {
        let mut state = world.memory.state.lock();
        state.memories.clear();
        if !shown {
            state.turns.clear();
        }
    }
    let node = world.node(&(SAVE.to_owned() + DONE)).await;
    let token = world.pki.run_token(&world.next_run());
    collect(node.send(&token, "m2", "and?").await.unwrap()).await;
    let saved = world.memory.state.lock().remembered.clone();
    saved.last().unwrap().label()
}

#[tokio::test]
async fn what_was_recalled_marks_the_next_turn_of_the_session_too() {
    assert_eq!(saved_after(TrustLabel::Tool, DONE, true).await, TrustLabel::Tool);
    assert_eq!(
        saved_after(TrustLabel::Model, DONE, true).await,
        TrustLabel::Model
    );
}

#[tokio::test]
async fn a_turn_that_is_not_shown_any_more_marks_the_next_all_the_same() {
    let list = call("file_list", "") + DONE;
    assert_eq!(
        saved_after(TrustLabel::Model, &list, false).await,
        TrustLabel::Tool
    );
}

/// A run that was taken over after its first response: whether it was shown anybody's words, and how often it was told what the
/// model is shown at first. What is remembered then is not what the first node was shown.
async fn taken_over(outside: bool, remembered: Vec<Memory>) -> (Option<bool>, usize) {
    let world = World::new();
    world.memory.state.lock().failures = usize::MAX;
    let first = world.node(DONE).await;
    let stream = first.send(&world.token(), "m1", "hi").await.unwrap();
    world.audit.wait_for_kind(Kind::RunStarted).await;
    first.service.shutdown(Duration::ZERO).await;
    drop(stream);
    {
        let mut state = world.memory.state.lock();
        (state.failures, state.memories) = (0, remembered);
        let run = state.runs.values_mut().next().unwrap();
        let response = format!(
            r#"{{"step":"response","text":"x","calls":[],"input":1,"output":1,"outside":{outside}}}"#
        );
        run.entries.push(JournalEntry {
            cursor: run.entries.len() as u64 + 1,
            state: response.into_bytes().into(),
            ..JournalEntry::default()
        });
    }
    world.clock.advance(PERIOD);
    let _second = world.node(&DONE.repeat(2)).await;
    assert_eq!(ended_run(&world).await.state, RunState::Finished);
    let built = kinds(&world.memory.events());
    let built = built.into_iter().filter(|kind| *kind == "context").count();
    (world.memory.state.lock().saw_outside[0], built)
}

#[tokio::test]
async fn whoever_takes_a_run_over_knows_what_it_was_shown_before() {
    assert_eq!(taken_over(true, Vec::new()).await, (Some(true), 1));
    assert_eq!(taken_over(false, Vec::new()).await, (Some(false), 1));
    // and tells what the model is shown now, where that is something else
    let shown = vec![memory(TrustLabel::Person)];
    assert_eq!(taken_over(false, shown).await, (Some(false), 2));
}

#[tokio::test]
async fn a_turn_too_long_to_be_kept_whole_says_so_too() {
    let world = World::new();
    world.memory.state.lock().memories = vec![memory(TrustLabel::Tool)];
    // calls that are not made, because nobody may ask so much, fill the turn up
    let long = |letter: &str| {
        let call = format!(
            "[[turn.calls]]\ntool = 'memory_search'\narguments = {{ query = '{}' }}\n",
            letter.repeat(30_000)
        );
        format!("[[turn]]\n{}", call.repeat(30))
    };
    let script = call("memory_search", "query = 'x'") + &long("y") + &long("z") + DONE;
    let limits = |agent: &mut AgentConfig| (agent.recall, agent.max_tokens) = (0, 100_000_000);
    let node = world.node_with(&script, limits).await;
    node.say(&world, "hi").await;
    let state = world.memory.state.lock();
    assert_eq!(state.turns[0].messages.len(), 2, "only the answer is kept");
    assert_eq!(state.saw_outside, [Some(true)]);
}
