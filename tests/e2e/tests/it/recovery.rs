//! What must hold of a run that somebody died in, whoever it was.

use std::collections::{BTreeMap, HashMap};

use harombe::attach::Client;
use harombe_e2e::{Log, Talk, name_of, reason_of};
use harombe_error::Reason;
use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{Decision, RunEvent, ToolFinished, ToolOutcome};
use tonic::Status;

use crate::support::{ANSWER, call, ending, python};

const MESSAGE: &str = "Act.";

/// Sent again under the same id it is the same message.
const ID: &str = "the message";

/// An effect that would be seen twice, one that would not, and one that is denied.
pub(crate) fn script() -> String {
    [
        python("open('effects.txt', 'a').write('acted\\n')\nprint('acted')"),
        call("tool = \"file_write\"\narguments = { path = \"written.txt\", content = \"written\" }"),
        call("tool = \"web_fetch\"\narguments = { url = \"https://elsewhere.example.com/\" }"),
        ANSWER.to_owned(),
    ]
    .concat()
}

/// What a client remembers of a run, across every death of the system.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) session: String,
    /// Journalled events by cursor.
    pub(crate) seen: BTreeMap<u64, RunEvent>,
    /// Approvals whose decision was answered.
    pub(crate) decided: Vec<String>,
}

impl Memory {
    pub(crate) async fn begin(&mut self, client: &Client) {
        self.try_begin(client).await.unwrap();
    }

    pub(crate) async fn try_begin(&mut self, client: &Client) -> Result<(), Status> {
        self.session = Talk::begin(client.clone()).await?.session;
        Ok(())
    }

    /// Sends the message, approves what is asked, until the run has ended.
    pub(crate) async fn go_on(&mut self, client: &Client) -> Result<(), Status> {
        let mut talk = self.talk(client);
        let mut stream = talk.send(ID, MESSAGE).await?;
        while let Some(response) = stream.message().await? {
            let event = response.event.unwrap_or_default();
            if !["text_delta", "tool_output"].contains(&name_of(&event)) {
                self.see(&event);
            }
            if let Some(Event::ApprovalRequired(required)) = &event.event {
                talk.client
                    .decide(&required.approval_id, Decision::Approved, false, "")
                    .await?;
                self.decided.push(required.approval_id.clone());
            }
        }
        Ok(())
    }

    fn see(&mut self, event: &RunEvent) {
        if let Some(before) = self.seen.insert(event.cursor, event.clone()) {
            assert_eq!(&before, event, "an event was told differently");
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        let last = self.seen.last_key_value();
        last.is_some_and(|(_, event)| ["run_finished", "run_failed"].contains(&name_of(event)))
    }

    pub(crate) fn talk(&self, client: &Client) -> Talk {
        Talk::of(client.clone(), self.session.clone())
    }

    /// The run's whole journal.
    pub(crate) async fn journal(&self, client: &Client) -> Vec<RunEvent> {
        let run_id = &self.seen.first_key_value().unwrap().1.run_id;
        self.talk(client).watched(run_id).await.unwrap()
    }

    pub(crate) async fn check_decisions(&self, client: &mut Client) {
        for id in &self.decided {
            let approval = client.approval(id).await.unwrap();
            assert_eq!(approval.decision(), Decision::Approved);
            let other = client.decide(id, Decision::Denied, false, "").await.unwrap_err();
            assert_eq!(reason_of(&other), Reason::AlreadyDecided);
        }
    }

    /// That the run ended as if nothing had happened; `effects` and `written` are the files that it left.
    pub(crate) fn check_events(&self, journal: &[RunEvent], effects: Option<&str>, written: Option<&str>) {
        assert_eq!(ending(journal), "finished:ANSWERED");
        for (cursor, event) in &self.seen {
            let now = journal.iter().find(|other| other.cursor == *cursor);
            assert_eq!(now, Some(event), "what was seen at {cursor} is there, unchanged");
        }
        let ended = finished(journal);
        let tools: Vec<_> = ended.iter().map(|call| call.tool.as_str()).collect();
        assert_eq!(tools, ["code_execute", "file_write", "web_fetch"]);
        let lines = effects.map_or(0, |text| text.lines().count());
        match ended[0].outcome() {
            ToolOutcome::Ok => assert_eq!(lines, 1),
            ToolOutcome::Unknown => assert!(lines <= 1, "{lines} effects"),
            other => panic!("the execution ended as {other:?}: {}", ended[0].result),
        }
        match ended[1].outcome() {
            ToolOutcome::Ok => assert_eq!(written, Some("written")),
            ToolOutcome::Unknown => assert!(written.is_none_or(|text| text == "written")),
            other => panic!("the write ended as {other:?}: {}", ended[1].result),
        }
        assert_eq!(
            (ended[2].outcome(), ended[2].reason.as_str()),
            (ToolOutcome::Denied, "EGRESS_DENIED")
        );
    }

    /// That the log tells of the run, and of its acts in their order, each once.
    pub(crate) fn check_log(&self, log: &Log, journal: &[RunEvent]) {
        self.check_once(log, journal);
        let ended = finished(journal);
        for call in ended[..2].iter().filter(|call| call.outcome() == ToolOutcome::Ok) {
            let kinds = log.of_call(&call.call_id);
            let acts = ["grant.redeemed", "exec.started", "exec.finished"];
            let acted: Vec<_> = kinds.iter().filter(|kind| acts.contains(kind)).copied().collect();
            assert_eq!(acted, acts, "{kinds:?}");
        }
    }

    /// That the log tells of the run, and of no act twice.
    pub(crate) fn check_once(&self, log: &Log, journal: &[RunEvent]) {
        let run = journal[0].run_id.as_str();
        let of_run = |kind| log.of(kind).filter(|record| record.leaf.run == run);
        for kind in ["grant.redeemed", "exec.started", "exec.finished"] {
            let mut calls: HashMap<&str, usize> = HashMap::new();
            for record in of_run(kind) {
                *calls.entry(&record.leaf.call).or_default() += 1;
            }
            assert!(calls.values().all(|times| *times == 1), "{kind}: {calls:?}");
        }
        assert!(of_run("run.started").count() >= 1);
        assert!(of_run("run.finished").count() >= 1);
        if !self.decided.is_empty() {
            let decided = of_run("approval.decided")
                .filter(|record| record.leaf.outcome == "approved" || record.leaf.outcome == "ok");
            assert_eq!(decided.count(), 1);
        }
    }
}

pub(crate) fn finished(journal: &[RunEvent]) -> Vec<&ToolFinished> {
    let events = journal.iter().filter_map(|event| event.event.as_ref());
    let ended = events.filter_map(|event| match event {
        Event::ToolFinished(finished) => Some(finished),
        _ => None,
    });
    ended.collect()
}
