//! What one world told: to its clients, run by run, and to the log. It is kept to be compared with another world's.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use harombe_proto::types::v1::run_event::Event;
use harombe_proto::types::v1::{OutputStream, RunEvent};

use crate::neutral::Neutral;
use crate::{Log, Record, name_of};

/// Shared by a world and the clients that talk in it.
#[derive(Clone, Debug, Default)]
pub struct Account(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    runs: Vec<Run>,
    /// Once the world has ended.
    log: Option<Vec<Record>>,
    /// Its directory, which no other world has.
    dir: String,
}

/// What clients heard of a run.
#[derive(Debug, Default)]
struct Run {
    id: String,
    /// Journalled ones once, others as they came.
    events: Vec<RunEvent>,
    /// The stream that brought the last one, and whether others did before.
    stream: u64,
    resumed: bool,
}

impl Account {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event of that stream of a client's.
    pub fn hear(&self, stream: u64, event: &RunEvent) {
        let mut told = self.told();
        let nth = told.runs.iter().position(|run| run.id == event.run_id);
        let nth = nth.unwrap_or_else(|| {
            told.runs.push(Run {
                id: event.run_id.clone(),
                stream,
                ..Run::default()
            });
            told.runs.len() - 1
        });
        let Some(run) = told.runs.get_mut(nth) else {
            return;
        };
        run.resumed |= run.stream != stream;
        run.stream = stream;
        let again = |known: &RunEvent| !passes(known) && known.cursor == event.cursor;
        if passes(event) || !run.events.iter().any(again) {
            run.events.push(event.clone());
        }
    }

    /// The log of the world, which has ended.
    pub(crate) fn close(&self, log: &Log, dir: &str) {
        let mut told = self.told();
        told.log = Some(log.records.clone());
        dir.clone_into(&mut told.dir);
    }

    /// Everything that was told, without what is different by nature each time: a line for each event and for each entry.
    /// Kinds of events and entries that are `left_out` are not among them.
    ///
    /// # Panics
    /// When the world has not ended: half a story compares with nothing. And when a delta is no part of the text that
    /// supersedes it.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test's world: without it there is no test")]
    pub fn tell(&self, left_out: &[String]) -> String {
        let told = self.told();
        let mut neutral = Neutral::new(&told.dir);
        let mut text = String::new();
        for run in &told.runs {
            let _ = writeln!(text, "run {}", neutral.of(&run.id));
            for line in run.lines(left_out) {
                let _ = writeln!(text, "  {}", neutral.of(&line));
            }
        }
        let log = told.log.as_ref().expect("a scenario ends its world");
        let calls: Vec<&str> = told.runs.iter().flat_map(Run::calls).collect();
        for (run, mut entries) in by_run(log, &calls, left_out) {
            let _ = writeln!(text, "log of run {}", neutral.of(&run));
            if run.is_empty() {
                // What belongs to no run is written by many at the same time.
                entries.sort_by_cached_key(|entry| Neutral::without_names(entry));
            }
            for entry in entries {
                let _ = writeln!(text, "  {}", neutral.of(&entry));
            }
        }
        text
    }
}

impl Run {
    /// Its calls, in the model's order.
    fn calls(&self) -> impl Iterator<Item = &str> {
        self.events.iter().filter_map(|event| match &event.event {
            Some(Event::ToolCallProposed(proposed)) => Some(proposed.call_id.as_str()),
            _ => None,
        })
    }

    /// A line for each event, those of a call together: calls of one turn run side by side.
    fn lines(&self, left_out: &[String]) -> Vec<String> {
        let mut lines: Vec<((usize, usize), String)> = Vec::new();
        let mut calls: Vec<&str> = Vec::new();
        // Events of no call part those of calls.
        let mut part = 0;
        for event in self.events.iter().filter(|event| !passes(event)) {
            let Some(what) = &event.event else { continue };
            let place = match call_of(what) {
                Some(call) => {
                    let known = calls.iter().position(|known| *known == call);
                    let nth = known.unwrap_or_else(|| {
                        calls.push(call);
                        calls.len() - 1
                    });
                    (part, nth + 1)
                }
                None => {
                    part += 1;
                    (part, 0)
                }
            };
            for line in self.lines_of(event, what) {
                lines.push((place, line));
            }
        }
        lines.retain(|(_, line)| !left_out.iter().any(|kind| line.split(' ').next() == Some(kind)));
        // Stable: what belongs together stays in its order.
        lines.sort_by_key(|(place, _)| *place);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// The event's own line, after one for what it supersedes.
    fn lines_of(&self, event: &RunEvent, what: &Event) -> Vec<String> {
        let mut lines = Vec::new();
        if let Event::TextFinished(finished) = what {
            self.check_text(event.cursor, &finished.text);
        }
        if let Event::ToolFinished(finished) = what {
            lines.extend(self.output_of(&finished.call_id));
        }
        lines.push(format!("{} {:?}", name_of(event), timeless(what.clone())));
        lines
    }

    /// Deltas of a text are not stored, and who comes late or is slow misses some; those that came are parts of it.
    fn check_text(&self, cursor: u64, text: &str) {
        let begun = self.events.iter().filter(|event| !passes(event));
        let before = begun
            .map(|event| event.cursor)
            .filter(|known| *known < cursor)
            .max();
        for event in &self.events {
            if let (Some(Event::TextDelta(delta)), true) = (&event.event, Some(event.cursor) == before) {
                let at = usize::try_from(delta.offset).unwrap_or(usize::MAX);
                let rest = text.get(at..).unwrap_or_default();
                assert!(rest.starts_with(&delta.text), "{delta:?} is no part of {text:?}");
            }
        }
    }

    /// What a call printed, each stream joined; nothing where the client was away, because it is not told again.
    fn output_of(&self, call: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for stream in [OutputStream::Stdout, OutputStream::Stderr] {
            let mut bytes = Vec::new();
            for event in &self.events {
                if let Some(Event::ToolOutput(output)) = &event.event
                    && (output.call_id.as_str(), output.stream()) == (call, stream)
                {
                    bytes.extend_from_slice(&output.data);
                }
            }
            if !bytes.is_empty() && !self.resumed {
                let text = String::from_utf8_lossy(&bytes);
                lines.push(format!("tool_output {} {call} {text:?}", stream.as_str_name()));
            }
        }
        lines
    }
}

/// Whether it is not stored.
fn passes(event: &RunEvent) -> bool {
    matches!(event.event, Some(Event::TextDelta(_) | Event::ToolOutput(_)))
}

fn call_of(event: &Event) -> Option<&str> {
    match event {
        Event::ToolCallProposed(event) => Some(&event.call_id),
        Event::ApprovalRequired(event) => Some(&event.call_id),
        Event::ApprovalDecided(event) => Some(&event.call_id),
        Event::ToolStarted(event) => Some(&event.call_id),
        Event::ToolFinished(event) => Some(&event.call_id),
        _ => None,
    }
}

fn timeless(mut event: Event) -> Event {
    match &mut event {
        Event::ApprovalRequired(event) => event.deadline = None,
        Event::ToolFinished(event) => event.duration_ms = 0,
        _ => {}
    }
    event
}

/// The entries of each run, runs in their order; of one run those of no call first, then call by call. Only of one call is
/// the order of entries defined, but for the end of a connection, which is noted when there is time for it.
fn by_run(log: &[Record], calls: &[&str], left_out: &[String]) -> Vec<(String, Vec<String>)> {
    let mut runs: Vec<(String, Vec<&Record>)> = Vec::new();
    for record in log {
        // Keys are made, and tried, only where a client needs one.
        if record.leaf.service == "gateway" || left_out.contains(&record.leaf.kind) {
            continue;
        }
        match runs.iter_mut().find(|(run, _)| *run == record.leaf.run) {
            Some((_, records)) => records.push(record),
            None => runs.push((record.leaf.run.clone(), vec![record])),
        }
    }
    let told = runs.into_iter().map(|(run, mut records)| {
        // Calls that a person makes, such as uploads, are in no run's events: one comes after the other.
        let written: Vec<_> = records.iter().map(|record| record.leaf.call.clone()).collect();
        records.sort_by_key(|record| {
            let call = record.leaf.call.as_str();
            let proposed = calls.iter().position(|known| *known == call);
            let first = written.iter().position(|known| known == call);
            let nth = (proposed.unwrap_or(usize::MAX), first);
            (!call.is_empty(), nth, record.leaf.kind == "egress.closed")
        });
        (run, records.into_iter().map(entry).collect())
    });
    told.collect()
}

fn entry(record: &Record) -> String {
    let leaf = &record.leaf;
    format!(
        "{} {} {} of {} in {} by {:?} for {:?}: session {:?}, call {:?}, approval {:?}, policy {:?}, {}",
        leaf.kind,
        leaf.service,
        leaf.outcome,
        leaf.agent,
        leaf.tenant,
        leaf.principal,
        leaf.claimed_by,
        leaf.session,
        leaf.call,
        leaf.approval,
        leaf.policy_version,
        record.details,
    )
}

#[cfg(test)]
mod tests {
    use harombe_proto::types::v1::{
        ApprovalRequired, TextDelta, TextFinished, ToolCallProposed, ToolFinished,
    };

    use super::*;

    const RUN: &str = "01a206bb-ae62-7ba7-b127-fcf7a922668b";

    fn event(cursor: u64, event: Event) -> RunEvent {
        RunEvent {
            run_id: RUN.to_owned(),
            cursor,
            event: Some(event),
            ..RunEvent::default()
        }
    }

    fn proposed(call: &str) -> Event {
        Event::ToolCallProposed(ToolCallProposed {
            call_id: call.to_owned(),
            ..ToolCallProposed::default()
        })
    }

    fn finished(call: &str, result: &str, duration_ms: u64) -> Event {
        Event::ToolFinished(ToolFinished {
            call_id: call.to_owned(),
            result: result.to_owned(),
            duration_ms,
            ..ToolFinished::default()
        })
    }

    fn lines(events: impl IntoIterator<Item = Event>) -> Vec<String> {
        let account = Account::default();
        for (cursor, what) in (1..).zip(events) {
            account.hear(1, &event(cursor, what));
        }
        let told = account.told();
        told.runs[0].lines(&[])
    }

    #[test]
    fn what_differs_by_nature_is_the_same_and_a_changed_event_is_not() {
        let story = |result: &str, duration| lines([proposed("a"), finished("a", result, duration)]);
        assert_eq!(story("x", 1), story("x", 2));
        assert_ne!(story("x", 1), story("y", 1));
        let asked = |deadline| {
            lines([Event::ApprovalRequired(ApprovalRequired {
                deadline,
                ..ApprovalRequired::default()
            })])
        };
        assert_eq!(asked(Some(Default::default())), asked(None));
    }

    #[test]
    fn calls_of_one_turn_may_end_in_any_order_and_events_of_one_call_may_not_change_theirs() {
        let [a, b] = ["a", "b"];
        let one = lines([proposed(a), proposed(b), finished(a, "", 0), finished(b, "", 0)]);
        let other = lines([proposed(a), proposed(b), finished(b, "", 0), finished(a, "", 0)]);
        assert_eq!(one, other);
        assert_ne!(
            lines([proposed(a), finished(a, "", 0)]),
            lines([finished(a, "", 0), proposed(a)])
        );
    }

    #[test]
    fn an_event_that_is_told_again_is_one() {
        let account = Account::default();
        for stream in [1, 1, 2] {
            account.hear(stream, &event(1, proposed("a")));
        }
        assert_eq!(account.told().runs[0].lines(&[]).len(), 1);
        assert_eq!(
            account.told().runs[0].lines(&["tool_call_proposed".to_owned()]),
            Vec::<String>::new()
        );
    }

    #[test]
    #[should_panic(expected = "is no part of")]
    fn a_delta_is_a_part_of_its_text() {
        let account = Account::default();
        account.hear(1, &event(1, proposed("a")));
        let (offset, text) = (1, "x".to_owned());
        account.hear(1, &event(1, Event::TextDelta(TextDelta { offset, text })));
        let text = "abc".to_owned();
        account.hear(1, &event(2, Event::TextFinished(TextFinished { text })));
        let _ = account.told().runs[0].lines(&[]);
    }
}
