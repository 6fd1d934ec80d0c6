//! A message and its run: what is told, stored and recorded, in which order, and where it must stop.

use std::time::Duration;

use harombe_error::{Code, Failure, Reason};
use harombe_proto::memory::v1::{Author, RunState};
use harombe_proto::runtime::v1::{CancelRequest, RunRequest};
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{ClaimedMessage, ClaimedRole, RunEvent, StopReason};
use harombe_rpc::RequestExt as _;
use harombe_testkit::Fault;
use harombe_trail::Kind;
use harombe_types::AgentName;
use tonic::Request;

use crate::world::{World, answer, collect, end, ended_run, finished_tools, kinds, until};

const GREETING: &str = "[[turn]]\ntext = 'Hello, my friend.'";

#[tokio::test]
async fn a_message_without_tools_is_answered_with_two_writes_to_memory() {
    let world = World::new();
    let node = world.node(GREETING).await;
    let events = node.say(&world, "hi").await;
    assert_eq!(
        kinds(&events),
        ["started", "context", "text", "usage", "finished"]
    );
    let cursors: Vec<_> = events.iter().map(|event| event.cursor).collect();
    assert!(cursors.is_sorted());
    let deltas: String = events
        .iter()
        .filter_map(|event| match event.event.as_ref() {
            Some(Event::TextDelta(delta)) => Some(delta.text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(deltas, "Hello, my friend.");

    let run = world.memory.the_run();
    assert_eq!((run.state, run.text.as_str()), (RunState::Finished, "hi"));
    assert_eq!(kinds(&world.memory.events()), kinds(&events));
    assert_eq!(
        world.memory.state.lock().appends,
        0,
        "BeginTurn and FinishTurn carry everything"
    );
    let turns = world.memory.state.lock().turns.clone();
    let said: Vec<_> = turns[0]
        .messages
        .iter()
        .map(|message| (message.author(), message.text.as_str()))
        .collect();
    assert_eq!(
        said,
        [(Author::User, "hi"), (Author::Assistant, "Hello, my friend.")]
    );
    let recorded: Vec<_> = world.audit.events().into_iter().map(|event| event.kind).collect();
    assert_eq!(recorded, [Kind::RunStarted.as_str(), Kind::RunFinished.as_str()]);
}

#[tokio::test]
async fn the_next_message_sees_the_turns_before() {
    let world = World::new();
    let node = world.node(GREETING).await;
    node.say(&world, "hi").await;
    let token = world.pki.run_token(&world.next_run());
    let events = collect(node.send(&token, "m2", "again").await.unwrap()).await;
    let Some(Event::ContextBuilt(context)) = events[1].event.clone() else {
        panic!("{events:?}")
    };
    assert_eq!(context.turns, 2);
}

#[tokio::test]
async fn a_claimed_past_and_instructions_are_shown_to_the_model_at_every_node() {
    let world = World::new();
    let node = world.node(GREETING).await;
    let plain = node.say(&world, "hi").await;
    let claim = |role: ClaimedRole, text: &str| ClaimedMessage {
        role: role.into(),
        text: text.to_owned(),
    };
    let message = RunRequest {
        client_message_id: "m2".into(),
        text: "hi".into(),
        history: vec![
            claim(ClaimedRole::User, &"What is this? ".repeat(20)),
            claim(ClaimedRole::Assistant, &"That is it. ".repeat(20)),
        ],
        client_instructions: "Speak like a pirate.".repeat(10),
    };
    let world = World::new();
    world.memory.state.lock().lose_after_begin = true;
    let node = world.node(GREETING).await;
    let ours = collect(node.run(&world.token(), message).await.unwrap()).await;
    let ours: Vec<_> = ours
        .into_iter()
        .map(|event| (event.run_id, event.event))
        .collect();
    let elsewhere = [(world.principal.run.to_string(), None)];
    assert_eq!(ours, elsewhere, "its past could not be read, so another goes on");
    assert_eq!(
        ended_run(&world).await.client_instructions,
        "Speak like a pirate.".repeat(10)
    );
    let events = world.memory.events();
    let read = |events: &[RunEvent]| {
        events.iter().find_map(|event| match event.event.as_ref() {
            Some(Event::Usage(usage)) => Some(usage.input_tokens),
            _ => None,
        })
    };
    let more = read(&events).unwrap() - read(&plain).unwrap();
    // two messages of 70 and 60 tokens, and instructions of 50 with their frame
    assert!(more > 180, "the model was shown only {more} tokens more");
}

#[tokio::test]
async fn instructions_longer_than_a_client_may_give_are_refused() {
    let world = World::new();
    let node = world.node(GREETING).await;
    let message = RunRequest {
        client_message_id: "m1".into(),
        text: "hi".into(),
        client_instructions: "x".repeat((64 << 10) + 1),
        ..RunRequest::default()
    };
    let status = node.run(&world.token(), message).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
    assert!(world.memory.state.lock().runs.is_empty());
}

#[tokio::test]
async fn the_same_message_again_joins_its_run() {
    let world = World::new();
    let node = world.node("[[turn]]\n[[turn.calls]]\ntool = 'code_execute'\narguments = { language = 'shell', code = 'hang' }").await;
    let mut first = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut first, |event| matches!(event, Event::ToolStarted(_))).await;
    let other = world.pki.run_token(&world.next_run());
    let mut second = node.send(&other, "m1", "hi").await.unwrap();
    let Event::RunStarted(_) = until(&mut second, |_| true).await else {
        panic!("not from its beginning")
    };
    node.client
        .clone()
        .cancel(Request::new(CancelRequest::default()).with_token(world.token()))
        .await
        .unwrap();
    assert!(matches!(end(&collect(second).await), Event::RunFinished(_)));

    // ended: the stream says only which run it is
    let third = collect(node.send(&other, "m1", "hi").await.unwrap()).await;
    let ids: Vec<_> = third
        .iter()
        .map(|event| (event.run_id.clone(), event.event.clone()))
        .collect();
    assert_eq!(ids, [(world.principal.run.to_string(), None)]);
    assert_eq!(world.memory.state.lock().runs.len(), 1);
}

#[tokio::test]
async fn cancelling_breaks_off_what_runs_and_keeps_what_was_said() {
    let world = World::new();
    let node = world.node("[[turn]]\ntext = 'Wait.'\n[[turn.calls]]\ntool = 'code_execute'\narguments = { language = 'shell', code = 'hang' }").await;
    let mut stream = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, |event| matches!(event, Event::ToolStarted(_))).await;
    let cancel = CancelRequest {
        reason: "enough".into(),
    };
    node.client
        .clone()
        .cancel(Request::new(cancel).with_token(world.token()))
        .await
        .unwrap();
    let Event::RunFinished(finished) = end(&collect(stream).await) else {
        panic!("not finished")
    };
    assert_eq!(finished.stop_reason(), StopReason::Cancelled);
    world
        .sandbox
        .hanging
        .subscribe()
        .wait_for(|count| *count == 0)
        .await
        .unwrap();
    assert_eq!(world.memory.the_run().state, RunState::Cancelled);
    let turns = world.memory.state.lock().turns.clone();
    let authors: Vec<_> = turns[0]
        .messages
        .iter()
        .map(harombe_proto::memory::v1::Message::author)
        .collect();
    assert_eq!(
        authors,
        [Author::User, Author::Assistant, Author::Tool],
        "the call has an answer"
    );
    assert_eq!(
        world.audit.wait_for_kind(Kind::RunFinished).await.outcome,
        "cancelled"
    );
}

#[tokio::test]
async fn a_run_outlives_its_client() {
    let world = World::new();
    let node = world.node(GREETING).await;
    drop(node.send(&world.token(), "m1", "hi").await.unwrap());
    world
        .memory
        .wait_until(|state| state.runs.values().any(|run| run.state == RunState::Finished))
        .await;
}

#[tokio::test]
async fn budgets_end_a_run_with_their_own_reason() {
    let endless = "repeat = true\n[[turn]]\n[[turn.calls]]\ntool = 'file_list'\n[[turn]]\n[[turn.calls]]\ntool = 'file_read'\narguments = { path = 'a' }";
    for (steps, tokens, expected) in [
        (3, 1_000_000, StopReason::StepLimit),
        (1000, 50, StopReason::TokenLimit),
    ] {
        let world = World::new();
        let node = world
            .node_with(endless, |agent| {
                agent.max_steps = steps;
                agent.max_tokens = tokens;
            })
            .await;
        let events = node.say(&world, "hi").await;
        let Event::RunFinished(finished) = end(&events) else {
            panic!("{events:?}")
        };
        assert_eq!(finished.stop_reason(), expected);
        assert_eq!(world.memory.the_run().state, RunState::Finished);
    }
}

#[tokio::test]
async fn a_model_in_a_loop_is_told_and_then_stopped() {
    let world = World::new();
    let node = world
        .node("repeat = true\n[[turn]]\n[[turn.calls]]\ntool = 'file_list'")
        .await;
    let events = node.say(&world, "hi").await;
    let Event::RunFailed(failed) = end(&events) else {
        panic!("{events:?}")
    };
    assert_eq!(failed.reason, "MODEL_INVALID");
    let reasons: Vec<_> = finished_tools(&events)
        .into_iter()
        .map(|finished| finished.reason)
        .collect();
    assert_eq!(reasons, ["", "", "MODEL_INVALID"]);
    assert_eq!(
        world.hitl.state.lock().authorized.len(),
        2,
        "the third was not even asked for"
    );
}

#[tokio::test]
async fn an_empty_response_fails_the_run_in_words_for_a_person() {
    for script in ["[[turn]]", "[[turn]]\ntext = \" \\n\\t\""] {
        let world = World::new();
        let node = world.node(script).await;
        let events = node.say(&world, "hi").await;
        let Event::RunFailed(failed) = end(&events) else {
            panic!("{events:?}")
        };
        assert_eq!(failed.reason, "MODEL_INVALID");
        assert!(failed.message.contains("empty"), "{}", failed.message);
        assert_eq!(world.memory.the_run().state, RunState::Failed);
    }
}

#[tokio::test]
async fn a_response_that_is_too_long_once_it_is_stored_fails_the_run() {
    let world = World::new();
    // a control character is one byte of text and six of JSON
    let text = "\\u0001".repeat(600_000);
    let node = world.node(&format!("[[turn]]\ntext = \"{text}\"")).await;
    let events = node.say(&world, "hi").await;
    let Event::RunFailed(failed) = end(&events) else {
        panic!("not failed")
    };
    assert_eq!(failed.reason, "MODEL_INVALID", "{}", failed.message);
    assert!(failed.message.contains("longer than"), "{}", failed.message);
    assert_eq!(world.memory.the_run().epoch, 1, "nobody asks the model again");
}

#[tokio::test]
async fn the_longest_plain_response_is_an_answer() {
    let world = World::new();
    let text = "x".repeat(1 << 20);
    let node = world.node(&format!("[[turn]]\ntext = '{text}'")).await;
    let events = node.say(&world, "hi").await;
    assert!(matches!(end(&events), Event::RunFinished(_)));
    assert_eq!(answer(&events), text);
}

#[tokio::test(start_paused = true)]
async fn without_audit_no_model_is_asked() {
    let world = World::new();
    let node = world.node(GREETING).await;
    world.audit.fail(Fault::Unavailable);
    let events = node.say(&world, "hi").await;
    let Event::RunFailed(failed) = end(&events) else {
        panic!("{events:?}")
    };
    assert_eq!(failed.reason, "AUDIT_UNAVAILABLE");
    assert_eq!(answer(&events), "");
    assert_eq!(world.memory.the_run().state, RunState::Failed);

    world.audit.fail(Fault::None);
    world.audit.wait_for_kind(Kind::RunFinished).await;
    let recorded: Vec<_> = world.audit.events().into_iter().map(|event| event.kind).collect();
    let both = [Kind::RunStarted.as_str(), Kind::RunFinished.as_str()];
    assert_eq!(recorded, both, "what was queued has an end too");
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_is_away_or_full_for_a_moment_costs_nothing() {
    let mut full = Failure::new(Code::ResourceExhausted, Reason::LimitExceeded, "too many calls");
    full.retry_after = Some(Duration::from_millis(200));
    for refusal in [None, Some(full)] {
        let world = World::new();
        let node = world
            .node("[[turn]]\n[[turn.calls]]\ntool = 'file_list'\n[[turn]]\ntext = 'done'")
            .await;
        {
            let mut state = world.memory.state.lock();
            // more than one call tries by itself
            (state.refusal, state.failures) = (refusal, 8);
        }
        let events = node.say(&world, "hi").await;
        assert_eq!(answer(&events), "done");
        assert_eq!(
            kinds(&world.memory.events()),
            kinds(&events),
            "nothing twice, nothing lost"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_the_node_at_once() {
    let world = World::new();
    let node = world.node("[[turn]]\n[[turn.calls]]\ntool = 'code_execute'\narguments = { language = 'shell', code = 'hang' }").await;
    let mut stream = node.send(&world.token(), "m1", "hi").await.unwrap();
    until(&mut stream, |event| matches!(event, Event::ToolStarted(_))).await;
    for run in world.memory.state.lock().runs.values_mut() {
        run.epoch += 1;
    }
    let before = world.memory.the_run().entries.len();
    assert!(!matches!(
        collect(stream).await.last().map(|event| event.event.clone()),
        Some(Some(Event::RunFinished(_)))
    ));
    world
        .sandbox
        .hanging
        .subscribe()
        .wait_for(|count| *count == 0)
        .await
        .unwrap();
    assert_eq!(
        world.memory.the_run().entries.len(),
        before,
        "nothing was written without the lease"
    );
}

#[tokio::test]
async fn messages_that_cannot_be_taken_are_refused_before_anything_begins() {
    let world = World::new();
    let node = world.node(GREETING).await;
    let long = "x".repeat((1 << 20) + 1);
    let nobody = harombe_types::RunPrincipal {
        agent: "nobody".parse::<AgentName>().unwrap(),
        ..world.principal.clone()
    };
    let (ours, nobodys) = (world.token(), world.pki.run_token(&nobody));
    for (token, id, text, code, words) in [
        (&ours, "m1", "  ", tonic::Code::InvalidArgument, "empty"),
        (
            &ours,
            "m1",
            long.as_str(),
            tonic::Code::InvalidArgument,
            "at most",
        ),
        (&ours, "", "hi", tonic::Code::InvalidArgument, "client_message_id"),
        (&nobodys, "m1", "hi", tonic::Code::NotFound, "agent nobody"),
    ] {
        let status = node.send(token, id, text).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(words), "{status:?}");
    }
    assert!(world.memory.state.lock().runs.is_empty());
}

#[tokio::test]
async fn a_message_that_leaves_no_room_is_refused_with_the_tokens_that_it_takes() {
    let world = World::new();
    let small = |agent: &mut harombe_runtime::AgentConfig| {
        (agent.context_tokens, agent.tools) = (2000, Vec::new());
    };
    let node = world.node_with(GREETING, small).await;
    let refused = node.send(&world.token(), "m1", &"word ".repeat(3000)).await;
    let failure = Failure::from(refused.unwrap_err());
    assert_eq!(
        (failure.code, failure.reason),
        (Code::InvalidArgument, Reason::LimitExceeded)
    );
    let tokens: Vec<u32> = failure
        .message
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    assert!(tokens[0] > 3000 && tokens[1] == 2000, "{}", failure.message);
    node.send(&world.token(), "m1", "hi").await.unwrap();
}
