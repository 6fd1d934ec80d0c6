//! One trace from the public door to the sandbox, in the logs of every process on the way.

use std::collections::HashMap;

use harombe_e2e::{Answer, Topology};
use harombe_types::ServiceName;
use serde_json::Value;

use crate::support::{ANSWER, call, ending, start_with, talk};

/// A call that a service answered, as its log tells.
#[derive(Debug)]
struct Answered {
    service: ServiceName,
    caller: String,
    method: String,
    trace: String,
    span: String,
    parent: String,
}

impl Answered {
    /// `None` for lines of another kind. Every line is one JSON object.
    fn read(service: ServiceName, line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).unwrap();
        let span = &line["span"];
        let field = |name: &str| span[name].as_str().unwrap_or_default().to_owned();
        (line["message"] == "answered").then(|| Self {
            service,
            caller: field("caller"),
            method: field("method"),
            trace: field("trace_id"),
            span: field("span_id"),
            parent: line["parent_id"].as_str().unwrap_or_default().to_owned(),
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_has_one_trace_through_all_processes() {
    let write = call("tool = \"file_write\"\narguments = { path = \"a.txt\", content = \"x\" }");
    let world = start_with(Topology::Processes, &(write + ANSWER), |setup| {
        setup.log = Some("harombe_rpc=debug".to_owned());
    })
    .await;
    let mut talk = talk(&world).await;
    talk.say("Write.", Answer::Approve).await.unwrap();
    assert_eq!(ending(&talk.events), "finished:ANSWERED");
    let stopped = world.stop().await;

    let mut answered = Vec::new();
    for service in ServiceName::SERVICES {
        let log = std::fs::read_to_string(stopped.root().join(format!("{service}-0.log"))).unwrap();
        answered.extend(log.lines().filter_map(|line| Answered::read(service, line)));
    }
    let message = answered.iter().find(|call| call.method.ends_with("/SendMessage"));
    let trace = &message.expect("the gateway answered the message").trace;
    let of_it: Vec<_> = answered.iter().filter(|call| call.trace == *trace).collect();
    let spans: HashMap<_, _> = of_it.iter().map(|call| (&call.span, call)).collect();
    assert_eq!(
        spans.len(),
        of_it.len(),
        "each call is a span of its own: {of_it:#?}"
    );
    for call in &of_it {
        // The door's own call is a part of the request that came in, which is no call between services.
        if call.service != ServiceName::Gateway {
            let parent = spans.get(&call.parent).map(|parent| parent.service.as_str());
            assert_eq!(parent, Some(call.caller.as_str()), "{call:?} of {of_it:#?}");
        }
    }
    for (service, method) in [
        (ServiceName::Runtime, "/Run"),
        (ServiceName::Memory, "/BeginTurn"),
        (ServiceName::Memory, "/FinishTurn"),
        (ServiceName::Hitl, "/Authorize"),
        (ServiceName::SandboxBroker, "/WriteFile"),
        (ServiceName::Hitl, "/RedeemGrant"),
    ] {
        let there = of_it
            .iter()
            .any(|call| call.service == service && call.method.ends_with(method));
        assert!(there, "{service} answered {method}: {of_it:#?}");
    }
}
