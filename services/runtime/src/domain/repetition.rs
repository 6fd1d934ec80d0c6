//! Notices a model that goes round in circles, so that it costs a few steps and not the whole budget.

use super::model::{Call, Message};

/// Identical responses after which their calls are no longer performed; one more ends the run.
pub(crate) const TOLERATED: usize = 2;

/// How many responses at the end of the conversation propose exactly the same calls, the last one included.
/// A response without calls ends the run anyway and counts as none.
pub(crate) fn repeated(said: &[Message]) -> usize {
    let mut responses = said.iter().rev().filter_map(|message| match message {
        Message::Assistant { calls, .. } => Some(calls),
        _ => None,
    });
    let Some(last) = responses.next().filter(|calls| !calls.is_empty()) else {
        return 0;
    };
    1 + responses.take_while(|calls| same(calls, last)).count()
}

/// Ids differ in every proposal, and so may the order of an object's keys.
fn same(left: &[Call], right: &[Call]) -> bool {
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(left, right)| left.tool == right.tool && meaning(left) == meaning(right))
}

fn meaning(call: &Call) -> Vec<u8> {
    harombe_canonical::canonicalize(call.arguments.as_bytes())
        .unwrap_or_else(|_| call.arguments.clone().into_bytes())
}

#[cfg(test)]
mod tests {
    use harombe_types::{CallId, SystemClock};

    use super::*;

    fn response(calls: &[(&str, &str)]) -> Message {
        let calls = calls.iter().map(|(tool, arguments)| Call {
            id: CallId::generate(&SystemClock),
            provider_id: "p".into(),
            tool: (*tool).into(),
            arguments: (*arguments).into(),
        });
        Message::Assistant {
            text: "thinking".into(),
            calls: calls.collect(),
        }
    }

    fn check(said: &[Message], expected: usize) {
        assert_eq!(repeated(said), expected);
    }

    #[test]
    fn only_an_unbroken_row_of_the_same_calls_counts() {
        let (a, spelt) = (r#"{"x":1,"y":2}"#, r#"{ "y": 2, "x": 1.0 }"#);
        check(&[], 0);
        check(&[response(&[])], 0);
        check(&[response(&[("t", a)])], 1);
        check(&[response(&[("t", a)]), response(&[("t", spelt)])], 2);
        check(
            &[
                response(&[("t", a)]),
                response(&[("t", "{}")]),
                response(&[("t", a)]),
            ],
            1,
        );
        check(&[response(&[("t", a)]), response(&[("u", a)])], 1);
        check(&[response(&[("t", a)]), response(&[("t", a), ("t", a)])], 1);
        check(
            &[
                response(&[("t", "{")]),
                response(&[("t", "{")]),
                response(&[("t", "{")]),
            ],
            3,
        );
    }
}
