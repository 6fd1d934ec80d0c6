//! What is remembered of other conversations: shown to the model as data, told to the client, and used by tools.

use harombe_proto::memory::v1::{Memory, Provenance, TrustLabel};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ContextBuilt, Risk, RunEvent, ToolOutcome};
use harombe_trail::Kind;

use crate::world::{World, answer, collect, ended_run, finished_tools, kinds, until};

const GREETING: &str = "[[turn]]\ntext = 'Hello, my friend.'";
const ID: &str = "01a206d8-4a0c-7079-8b04-9907cff8aefd";

fn memory(text: &str, label: TrustLabel) -> Memory {
    Memory {
        memory_id: ID.to_owned(),
        text: text.to_owned(),
        provenance: Some(Provenance {
            session_id: "01a206d8-4a0c-7079-8b04-000000000001".to_owned(),
            run_id: "01a206d8-4a0c-7079-8b04-000000000002".to_owned(),
            label: label.into(),
            ..Provenance::default()
        }),
        ..Memory::default()
    }
}

fn context(events: &[RunEvent]) -> ContextBuilt {
    let built = events.iter().find_map(|event| match event.event.as_ref() {
        Some(Event::ContextBuilt(context)) => Some(context.clone()),
        _ => None,
    });
    built.unwrap()
}

fn call(tool: &str, arguments: &str) -> String {
    format!("[[turn]]\n[[turn.calls]]\ntool = '{tool}'\narguments = {{ {arguments} }}\n")
}

#[tokio::test]
async fn memories_are_looked_for_by_the_message_and_told() {
    let world = World::new();
    world.memory.state.lock().memories = vec![memory("I live in Kiel.", TrustLabel::Person)];
    let node = world.node(GREETING).await;
    let events = node.say(&world, "Where do I live?").await;
    let context = context(&events);
    let [recalled] = context.recalled.as_slice() else {
        panic!("{context:?}")
    };
    assert_eq!(
        (
            recalled.memory_id.as_str(),
            recalled.session_id.as_str(),
            recalled.run_id.as_str()
        ),
        (
            ID,
            "01a206d8-4a0c-7079-8b04-000000000001",
            "01a206d8-4a0c-7079-8b04-000000000002"
        )
    );
    assert!(recalled.tokens > 0 && context.counted_by == "estimate" && context.recall_fault.is_empty());
    let asked = world.memory.state.lock().asked.clone();
    assert_eq!(
        (asked[0].query.as_str(), asked[0].recall_limit),
        ("Where do I live?", 8)
    );
    assert!(asked[0].max_turn_bytes > 100_000);
    let turns = world.memory.state.lock().turns.clone();
    let texts: Vec<_> = turns[0]
        .messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(
        texts,
        ["Where do I live?", "Hello, my friend."],
        "what was recalled is not part of the turn"
    );
}

#[tokio::test]
async fn an_agent_may_recall_nothing() {
    let world = World::new();
    world.memory.state.lock().memories = vec![memory("I live in Kiel.", TrustLabel::Person)];
    let node = world.node_with(GREETING, |agent| agent.recall = 0).await;
    assert_eq!(context(&node.say(&world, "hi").await).recalled, []);
    assert_eq!(world.memory.state.lock().asked[0].recall_limit, 0);
}

#[tokio::test]
async fn a_run_goes_on_when_nothing_can_be_recalled_and_says_so() {
    let world = World::new();
    world.memory.state.lock().no_recall = true;
    let node = world.node(GREETING).await;
    let events = node.say(&world, "hi").await;
    assert!(
        context(&events).recall_fault.contains("memory could not"),
        "{events:?}"
    );
    assert_eq!(answer(&events), "Hello, my friend.");
}

#[tokio::test]
async fn a_model_saves_finds_and_hides_memories_without_a_grant() {
    let world = World::new();
    world.memory.state.lock().memories = vec![memory("I live in Kiel.", TrustLabel::Person)];
    let script = [
        call("memory_save", "text = 'Prefers short answers.', importance = 0.9"),
        call("memory_search", "query = 'home'"),
        call("memory_forget", &format!("memory_id = '{ID}'")),
        "[[turn]]\ntext = 'Done.'".to_owned(),
    ]
    .concat();
    let node = world.node(&script).await;
    let events = node.say(&world, "hi").await;
    let tools = finished_tools(&events);
    assert!(
        tools.iter().all(|tool| tool.outcome() == ToolOutcome::Ok),
        "{tools:?}"
    );
    let state = world.memory.state.lock();
    let saved = &state.remembered[0];
    assert_eq!(
        saved.memory_id, tools[0].call_id,
        "the call's own id, so that again is the same"
    );
    assert_eq!(
        (saved.text.as_str(), saved.importance, saved.label()),
        ("Prefers short answers.", Some(0.9), TrustLabel::Model)
    );
    assert!(
        tools[1].result.contains("> I live in Kiel."),
        "{}",
        tools[1].result
    );
    assert!(tools[1].result.contains(ID) && tools[1].result.contains("said by the person"));
    assert_eq!(state.forgotten, [ID]);
    assert!(world.hitl.state.lock().authorized.is_empty(), "nobody was asked");
    let started = events.iter().find_map(|event| match event.event.as_ref() {
        Some(Event::ToolStarted(started)) => Some(started.risk()),
        _ => None,
    });
    assert_eq!(started, Some(Risk::Unspecified));
    drop(state);
    let recorded: Vec<_> = world.audit.events().into_iter().map(|event| event.kind).collect();
    assert_eq!(
        recorded,
        [Kind::RunStarted.as_str(), Kind::RunFinished.as_str()],
        "memory records the rest"
    );
}

#[tokio::test]
async fn what_a_run_saves_after_it_saw_something_from_outside_is_marked() {
    let save = call("memory_save", "text = 'x'");
    let last = "[[turn]]\ntext = 'Done.'";
    for (memories, before, expected) in [
        (vec![], String::new(), TrustLabel::Model),
        (
            vec![memory("a", TrustLabel::Model)],
            String::new(),
            TrustLabel::Model,
        ),
        (
            vec![memory("a", TrustLabel::Tool)],
            String::new(),
            TrustLabel::Tool,
        ),
        (vec![], call("file_list", ""), TrustLabel::Tool),
        (vec![], call("memory_search", "query = 'a'"), TrustLabel::Model),
    ] {
        let world = World::new();
        world.memory.state.lock().memories = memories;
        let node = world.node(&[before.as_str(), &save, last].concat()).await;
        node.say(&world, "hi").await;
        assert_eq!(
            world.memory.state.lock().remembered[0].label(),
            expected,
            "{before}"
        );
    }
}

#[tokio::test]
async fn a_found_memory_from_outside_marks_what_is_saved_after_it() {
    let world = World::new();
    world.memory.state.lock().memories = vec![memory("a", TrustLabel::Imported)];
    let script = [
        call("memory_search", "query = 'a'"),
        call("memory_save", "text = 'x'"),
        "[[turn]]\ntext = 'Done.'".to_owned(),
    ];
    let node = world.node_with(&script.concat(), |agent| agent.recall = 0).await;
    node.say(&world, "hi").await;
    assert_eq!(world.memory.state.lock().remembered[0].label(), TrustLabel::Tool);
}

#[tokio::test]
async fn calls_that_memory_refuses_are_told_and_the_run_goes_on() {
    let other = "01a206d8-4a0c-7079-8b04-00000000ffff";
    let script = [
        call("memory_forget", &format!("memory_id = '{other}'")),
        call("memory_save", "text = ' '"),
        call("memory_save", "text = 'x', importance = 2.0"),
        "[[turn]]\ntext = 'Done.'".to_owned(),
    ];
    let world = World::new();
    let node = world.node(&script.concat()).await;
    let events = node.say(&world, "hi").await;
    let told: Vec<_> = finished_tools(&events)
        .into_iter()
        .map(|tool| (tool.outcome(), tool.reason))
        .collect();
    assert_eq!(
        told,
        [
            (ToolOutcome::Failed, "NOT_FOUND".to_owned()),
            (ToolOutcome::Invalid, "CALL_INVALID".to_owned()),
            (ToolOutcome::Invalid, "CALL_INVALID".to_owned()),
        ]
    );
    assert_eq!(answer(&events), "Done.");
}

#[tokio::test(start_paused = true)]
async fn memory_being_away_fails_the_call_and_not_the_run() {
    let world = World::new();
    world.memory.state.lock().memories_away = true;
    let script = [
        call("memory_save", "text = 'x'"),
        call("memory_search", "query = 'x'"),
        "[[turn]]\ntext = 'Done.'".to_owned(),
    ];
    let node = world.node(&script.concat()).await;
    let events = node.say(&world, "hi").await;
    for tool in finished_tools(&events) {
        assert_eq!(
            (tool.outcome(), tool.reason.as_str()),
            (ToolOutcome::Failed, "MEMORY_UNAVAILABLE")
        );
    }
    assert_eq!(answer(&events), "Done.");
}

#[tokio::test]
async fn a_call_that_was_broken_off_saves_under_the_same_id_again() {
    let world = World::new();
    let script = [
        call("memory_save", "text = 'x'"),
        "[[turn]]\ntext = 'Done.'".to_owned(),
    ]
    .concat();
    let node = world.node(&script).await;
    let token = world.token();
    let mut stream = node.send(&token, "m1", "hi").await.unwrap();
    until(&mut stream, |event| matches!(event, Event::ToolFinished(_))).await;
    collect(stream).await;
    // the journal as a node leaves it that dies between the effect and the record of it
    let run = ended_run(&world).await;
    let at = run.entries.iter().position(|entry| {
        matches!(
            entry.event.as_ref().and_then(|event| event.event.as_ref()),
            Some(Event::ToolFinished(_))
        )
    });
    {
        let mut state = world.memory.state.lock();
        state.turns.clear();
        let run = state.runs.values_mut().next().unwrap();
        run.entries.truncate(at.unwrap());
        run.state = harombe_proto::memory::v1::RunState::Active;
        run.expires = harombe_types::Timestamp::default();
    }
    let again = ended_run(&world).await;
    assert_eq!(again.epoch, 2, "another began where the first had ended");
    let saved: Vec<_> = world
        .memory
        .state
        .lock()
        .remembered
        .iter()
        .map(|request| request.memory_id.clone())
        .collect();
    assert_eq!(saved.len(), 2);
    assert_eq!(saved[0], saved[1]);
    let events = world.memory.events();
    assert_eq!(
        kinds(&events)
            .iter()
            .filter(|kind| **kind == "tool finished")
            .count(),
        1
    );
}
