//! A run's events as they are shown. What happens while somebody types a line waits: it neither moves what they decide about
//! nor takes their line back.

use std::collections::VecDeque;

use harombe_proto::hitl::v1::Approval;
use harombe_proto::types::v1::RunEvent;
use harombe_proto::types::v1::run_event::Event;
use tonic::Status;

use super::super::following::Following;

/// A run's events, those first that had to wait.
pub(super) struct Course {
    pub(super) following: Following,
    held: Held,
    /// That the stream broke off after them, and why.
    broken: Option<Option<Status>>,
}

/// Events that are shown when the line has been typed, in their order.
#[derive(Debug, Default)]
struct Held {
    events: VecDeque<RunEvent>,
    /// Bytes of what is told only while it happens.
    passing: usize,
}

/// Events that are held.
const MOST: usize = 1_000;
/// Bytes of output that are held; what is more comes with the end of its call.
const MOST_PASSING: usize = 1024 * 1024;
/// What each event takes besides.
const EVENT: usize = 256;

impl Course {
    pub(super) fn of(following: Following) -> Self {
        Self {
            following,
            held: Held::default(),
            broken: None,
        }
    }

    /// Takes in what comes while a line is typed, until something takes the question for it back. Can be called off.
    pub(super) async fn hold(&mut self, approval: &Approval) {
        while !self.held.is_full() {
            match self.following.next().await {
                Ok(event) => {
                    let settles = settles(&event, approval);
                    self.held.keep(event);
                    if settles {
                        return;
                    }
                }
                Err(why) => {
                    self.broken = Some(why);
                    return;
                }
            }
        }
    }

    /// Whether there is something that has to be shown first.
    pub(super) fn has_held(&self) -> bool {
        !self.held.events.is_empty() || self.broken.is_some()
    }

    /// The next event, or why the stream broke off. Can be called off.
    pub(super) async fn next(&mut self) -> Result<RunEvent, Option<Status>> {
        if let Some(event) = self.held.take() {
            return Ok(event);
        }
        match self.broken.take() {
            Some(why) => Err(why),
            None => self.following.next().await,
        }
    }
}

impl Held {
    /// Keeps an event.
    fn keep(&mut self, event: RunEvent) {
        let passing = match &event.event {
            Some(Event::ToolOutput(output)) => output.data.len() + EVENT,
            Some(Event::TextDelta(delta)) => delta.text.len() + EVENT,
            _ => 0,
        };
        if self.passing + passing > MOST_PASSING {
            return;
        }
        self.passing += passing;
        self.events.push_back(event);
    }

    /// The next one.
    fn take(&mut self) -> Option<RunEvent> {
        let event = self.events.pop_front();
        if self.events.is_empty() {
            self.passing = 0;
        }
        event
    }

    /// Whether there is no room for what has to be kept.
    fn is_full(&self) -> bool {
        let passing = self.passing / EVENT;
        self.events.len().saturating_sub(passing) >= MOST
    }
}

/// Whether nothing remains to be decided about this approval.
fn settles(event: &RunEvent, approval: &Approval) -> bool {
    match &event.event {
        Some(Event::ApprovalDecided(decided)) => decided.approval_id == approval.approval_id,
        Some(Event::ToolFinished(finished)) => finished.call_id == approval.call_id,
        Some(Event::RunFinished(_) | Event::RunFailed(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use harombe_proto::types::v1::{ApprovalDecided, ToolOutput, ToolStarted};

    use super::*;

    fn event(cursor: u64, event: Event) -> RunEvent {
        RunEvent {
            cursor,
            event: Some(event),
            ..RunEvent::default()
        }
    }

    fn output(bytes: usize) -> RunEvent {
        let output = ToolOutput {
            call_id: "other".into(),
            data: vec![b'x'; bytes].into(),
            ..ToolOutput::default()
        };
        event(1, Event::ToolOutput(output))
    }

    fn decided(approval: &str) -> RunEvent {
        let decided = ApprovalDecided {
            approval_id: approval.into(),
            ..ApprovalDecided::default()
        };
        event(3, Event::ApprovalDecided(decided))
    }

    fn asked() -> Approval {
        Approval {
            approval_id: "asked".into(),
            call_id: "call".into(),
            ..Approval::default()
        }
    }

    #[tokio::test]
    async fn a_question_stands_until_it_is_settled_and_everything_comes_after_it_in_order() {
        let events = vec![
            output(3),
            event(2, Event::ToolStarted(ToolStarted::default())),
            decided("other"),
            output(4),
            decided("asked"),
            output(5),
        ];
        let mut course = Course::of(Following::of(events.clone()));
        assert!(!course.has_held());
        course.hold(&asked()).await;
        assert!(course.has_held());
        for expected in events.into_iter().take(5) {
            assert_eq!(course.next().await.unwrap(), expected);
        }
        assert!(!course.has_held());
        // The stream breaks off at the next question.
        course.hold(&asked()).await;
        assert_eq!(course.next().await.unwrap(), output(5));
        assert!(course.has_held());
        assert!(course.next().await.unwrap_err().is_none());
    }

    #[tokio::test]
    async fn what_is_held_is_bounded() {
        let mut events = vec![output(64 * 1024); 64];
        events.push(decided("asked"));
        let mut course = Course::of(Following::of(events));
        course.hold(&asked()).await;
        let mut kept = 0;
        while course.next().await.unwrap() != decided("asked") {
            kept += 1;
        }
        assert_eq!(kept, 15, "the rest comes when the call has ended");
        let started = event(2, Event::ToolStarted(ToolStarted::default()));
        let mut course = Course::of(Following::of(vec![started; 2 * MOST]));
        assert!(course.hold(&asked()).now_or_never().is_some());
        assert!(course.broken.is_none());
        assert_eq!(course.held.events.len(), MOST);
    }
}
