//! What waits to be computed: queries before passages, each only so many.

use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::{Error, Purpose};

type Answer = Result<Vec<Vec<f32>>, Error>;

/// Some texts, and who waits for their vectors.
pub(super) struct Task {
    pub(super) texts: Vec<String>,
    answer: oneshot::Sender<Answer>,
}

impl Task {
    pub(super) fn new(texts: Vec<String>) -> (Self, oneshot::Receiver<Answer>) {
        let (answer, receiver) = oneshot::channel();
        (Self { texts, answer }, receiver)
    }

    /// Nobody waits any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    pub(super) fn finish(self, answer: Answer) {
        // whoever went away does not need it
        let _ = self.answer.send(answer);
    }
}

pub(super) struct Queue {
    state: Mutex<State>,
    some: Condvar,
}

struct State {
    queries: Lane,
    passages: Lane,
    closed: bool,
}

struct Lane {
    tasks: VecDeque<Task>,
    /// Texts in them.
    texts: usize,
    most: usize,
}

impl Lane {
    fn new(most: usize) -> Self {
        Self {
            tasks: VecDeque::new(),
            texts: 0,
            most,
        }
    }

    fn push(&mut self, task: Task) -> Result<(), Error> {
        let texts = self.texts + task.texts.len();
        if texts > self.most {
            // who has left makes room
            self.tasks.retain(|task| !task.is_abandoned());
            self.texts = self.tasks.iter().map(|task| task.texts.len()).sum();
        }
        if self.texts + task.texts.len() > self.most {
            return Err(Error::Busy);
        }
        self.texts += task.texts.len();
        self.tasks.push_back(task);
        Ok(())
    }

    fn pop(&mut self) -> Option<Task> {
        while let Some(task) = self.tasks.pop_front() {
            self.texts -= task.texts.len();
            if !task.is_abandoned() {
                return Some(task);
            }
        }
        None
    }
}

impl Queue {
    pub(super) fn new(queries: usize, passages: usize) -> Self {
        let state = State {
            queries: Lane::new(queries),
            passages: Lane::new(passages),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            some: Condvar::new(),
        }
    }

    pub(super) fn push(&self, task: Task, purpose: Purpose) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        match purpose {
            Purpose::Query => state.queries.push(task)?,
            Purpose::Passage => state.passages.push(task)?,
        }
        drop(state);
        self.some.notify_one();
        Ok(())
    }

    /// Waits for the next task; `None` once the queue is closed.
    pub(super) fn next(&self) -> Option<Task> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return None;
            }
            let task = state.queries.pop();
            if let Some(task) = task.or_else(|| state.passages.pop()) {
                return Some(task);
            }
            self.some.wait(&mut state);
        }
    }

    /// A query that waits.
    pub(super) fn next_query(&self) -> Option<Task> {
        self.state.lock().queries.pop()
    }

    /// Lets go of all that waits, and takes nothing more.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.queries.tasks.clear();
        state.passages.tasks.clear();
        drop(state);
        self.some.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(texts: &[&str]) -> (Task, oneshot::Receiver<Answer>) {
        Task::new(texts.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn queries_go_first_and_each_lane_has_its_own_room() {
        let queue = Queue::new(1, 3);
        let (first, _first) = task(&["a", "b"]);
        let (second, _second) = task(&["c"]);
        let (query, _query) = task(&["q"]);
        queue.push(first, Purpose::Passage).unwrap();
        queue.push(second, Purpose::Passage).unwrap();
        queue.push(query, Purpose::Query).unwrap();
        assert!(matches!(
            queue.push(task(&["d"]).0, Purpose::Passage),
            Err(Error::Busy)
        ));
        assert!(matches!(
            queue.push(task(&["r"]).0, Purpose::Query),
            Err(Error::Busy)
        ));
        assert_eq!(queue.next().unwrap().texts, ["q"]);
        assert!(queue.next_query().is_none());
        assert_eq!(queue.next().unwrap().texts, ["a", "b"]);
        assert_eq!(queue.next().unwrap().texts, ["c"]);
    }

    #[test]
    fn who_has_left_takes_no_room_and_is_not_served() {
        let queue = Queue::new(1, 2);
        let (left, answer) = task(&["a", "b"]);
        queue.push(left, Purpose::Passage).unwrap();
        drop(answer);
        let (stays, _answer) = task(&["c", "d"]);
        queue.push(stays, Purpose::Passage).unwrap();
        let (leaves, answer) = task(&["q"]);
        queue.push(leaves, Purpose::Query).unwrap();
        drop(answer);
        assert_eq!(queue.next().unwrap().texts, ["c", "d"]);
    }

    #[test]
    fn a_closed_queue_lets_go() {
        let queue = Queue::new(1, 1);
        let (waits, mut answer) = task(&["a"]);
        queue.push(waits, Purpose::Query).unwrap();
        queue.close();
        assert!(queue.next().is_none());
        assert!(answer.try_recv().is_err());
        assert!(matches!(
            queue.push(task(&["b"]).0, Purpose::Query),
            Err(Error::Closed)
        ));
    }
}
