//! What executed code prints, as far as it got here: each byte is shown once, and what never came is known at the end.

use std::collections::HashMap;

use harombe_proto::types::v1::{OutputStream, ToolFinished, ToolOutput};

/// The output of all calls of a run.
#[derive(Debug, Default)]
pub(super) struct Outputs(HashMap<String, Output>);

#[derive(Debug, Default)]
struct Output {
    stdout: Heard,
    stderr: Heard,
}

/// One stream of one call.
#[derive(Debug, Default)]
struct Heard {
    /// From its beginning to the first gap.
    kept: Vec<u8>,
    /// Where what comes next begins.
    next: u64,
    has_gap: bool,
}

/// Bytes of a stream that are kept. What the model is told of one is never longer, so there is nothing to compare beyond.
const KEPT: usize = 256 * 1024;

/// What a piece brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct New<'a> {
    /// Bytes before it that did not come.
    pub(super) missed: u64,
    pub(super) data: &'a [u8],
}

/// What is still to be shown of a call that has ended: its output as the model is told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left<'a> {
    Nothing,
    /// Nothing of it was shown.
    All(&'a str),
    /// Some of it was.
    Parts(&'a str),
}

impl Outputs {
    /// What a piece has that was not shown before.
    pub(super) fn hear<'a>(&mut self, piece: &'a ToolOutput) -> Option<New<'a>> {
        let output = self.0.entry(piece.call_id.clone()).or_default();
        let heard = if piece.stream == OutputStream::Stderr as i32 {
            &mut output.stderr
        } else {
            &mut output.stdout
        };
        let missed = piece.offset.saturating_sub(heard.next);
        let shown = usize::try_from(heard.next.saturating_sub(piece.offset)).ok()?;
        let data = piece.data.get(shown..).filter(|data| !data.is_empty())?;
        heard.next = piece.offset.saturating_add(piece.data.len() as u64);
        heard.has_gap |= missed > 0;
        if !heard.has_gap {
            let room = KEPT.saturating_sub(heard.kept.len()).min(data.len());
            heard.kept.extend_from_slice(data.get(..room).unwrap_or_default());
        }
        Some(New { missed, data })
    }

    /// What there is to show when a call has ended. Output is told as it happens and is not journalled: what was printed while
    /// nobody was connected is only in what the model is told.
    pub(super) fn left<'a>(&mut self, finished: &'a ToolFinished) -> Left<'a> {
        let output = self.0.remove(&finished.call_id).unwrap_or_default();
        let Some(code) = finished.exit_code else {
            return Left::Nothing;
        };
        let told = finished.result.as_str();
        let told = told
            .strip_suffix(&format!("\n[exit code {code}]"))
            .or_else(|| told.strip_suffix(&format!("\n[stopped: {}]", finished.reason)))
            .unwrap_or(told);
        if told.is_empty() || output.covers(told) {
            return Left::Nothing;
        }
        match (output.stdout.next, output.stderr.next) {
            (0, 0) => Left::All(told),
            _ => Left::Parts(told),
        }
    }
}

impl Output {
    /// Whether all that the model is told of it was shown.
    fn covers(&self, told: &str) -> bool {
        if self.stdout.has_gap || self.stderr.has_gap {
            return false;
        }
        let Some(rest) = self.stdout.behind(told) else {
            return false;
        };
        match rest.strip_prefix("\n[stderr]\n") {
            Some(errors) => self.stderr.behind(errors) == Some(""),
            None => rest.is_empty(),
        }
    }
}

impl Heard {
    /// What stands behind this stream in what the model is told; none when more of the stream was printed than was shown.
    fn behind<'a>(&self, told: &'a str) -> Option<&'a str> {
        let kept = String::from_utf8_lossy(&self.kept);
        let whole = told.strip_prefix(&*kept);
        if let Some(rest) = whole.filter(|rest| rest.is_empty() || rest.starts_with("\n[stderr]\n")) {
            return Some(rest);
        }
        // The model may be told less than was printed.
        let same = kept.chars().zip(told.chars()).take_while(|(a, b)| a == b);
        let same: usize = same.map(|(a, _)| a.len_utf8()).sum();
        let rest = told.get(same..)?.trim_start_matches(char::REPLACEMENT_CHARACTER);
        let (count, rest) = rest
            .strip_prefix("\n[")?
            .split_once(" more bytes were left out]")?;
        let left_out: u64 = count.parse().ok()?;
        (left_out.saturating_add(same as u64) <= self.next).then_some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(stream: OutputStream, offset: u64, data: &str) -> ToolOutput {
        ToolOutput {
            call_id: "c".into(),
            stream: stream as i32,
            offset,
            data: data.to_owned().into(),
        }
    }

    /// What is left to show when these pieces came and the model is told this.
    #[track_caller]
    fn check(pieces: &[(OutputStream, u64, &str)], told: &str, expected: Left<'_>) {
        let mut outputs = Outputs::default();
        for (stream, offset, data) in pieces {
            outputs.hear(&piece(*stream, *offset, data));
        }
        let finished = ToolFinished {
            call_id: "c".into(),
            exit_code: Some(3),
            reason: "TIME_LIMIT".into(),
            result: told.into(),
            ..ToolFinished::default()
        };
        assert_eq!(outputs.left(&finished), expected, "{pieces:?} {told:?}");
    }

    #[test]
    fn a_piece_is_new_once_and_a_gap_is_counted() {
        let mut outputs = Outputs::default();
        let first = piece(OutputStream::Stdout, 0, "one");
        let new = |missed, data: &'static str| New {
            missed,
            data: data.as_bytes(),
        };
        assert_eq!(outputs.hear(&first), Some(new(0, "one")));
        assert_eq!(outputs.hear(&first), None);
        let other = piece(OutputStream::Stderr, 0, "x");
        assert_eq!(outputs.hear(&other), Some(new(0, "x")));
        let more = piece(OutputStream::Stdout, 2, "e two");
        assert_eq!(outputs.hear(&more), Some(new(0, " two")));
        let after = piece(OutputStream::Stdout, 17, "end");
        assert_eq!(outputs.hear(&after), Some(new(10, "end")));
    }

    #[test]
    fn output_that_was_shown_is_not_shown_again() {
        use OutputStream::{Stderr, Stdout};
        check(&[], "", Left::Nothing);
        check(&[], "\n[exit code 3]", Left::Nothing);
        check(&[(Stdout, 0, "a\n"), (Stdout, 2, "b\n")], "a\nb\n", Left::Nothing);
        check(&[(Stdout, 0, "a\n")], "a\n\n[stopped: TIME_LIMIT]", Left::Nothing);
        let both = [(Stderr, 0, "bad\n"), (Stdout, 0, "a\n")];
        check(&both, "a\n\n[stderr]\nbad\n\n[exit code 3]", Left::Nothing);
        // The model is told less.
        check(
            &[(Stdout, 0, "abcdef")],
            "abc\n[3 more bytes were left out]",
            Left::Nothing,
        );
        let cut = [(Stdout, 0, "abäöü"), (Stderr, 0, "x")];
        check(
            &cut,
            "ab\u{fffd}\n[5 more bytes were left out]\n[stderr]\nx",
            Left::Nothing,
        );
    }

    #[test]
    fn output_that_was_not_shown_to_its_end_is_left() {
        use OutputStream::Stdout;
        check(&[], "a\n", Left::All("a\n"));
        check(&[], "a\n\n[exit code 3]", Left::All("a\n"));
        check(&[(Stdout, 0, "a\n")], "a\nb\n", Left::Parts("a\nb\n"));
        check(&[(Stdout, 2, "b\n")], "a\nb\n", Left::Parts("a\nb\n"));
        check(
            &[(Stdout, 0, "a"), (Stdout, 2, "c")],
            "abc\n[exit code 3]",
            Left::Parts("abc"),
        );
        let told = "a\n\n[stderr]\nbad\n";
        check(&[(Stdout, 0, "a\n")], told, Left::Parts(told));
        let told = "abc\n[4 more bytes were left out]";
        check(&[(Stdout, 0, "abcdef")], told, Left::Parts(told));
    }

    #[test]
    fn a_long_output_is_not_kept_for_ever() {
        let mut outputs = Outputs::default();
        let data = "x".repeat(KEPT);
        for at in 0..4 {
            let at = (at * KEPT) as u64;
            assert!(outputs.hear(&piece(OutputStream::Stdout, at, &data)).is_some());
        }
        assert_eq!(outputs.0["c"].stdout.kept.len(), KEPT);
        let told = format!(
            "{}\n[{} more bytes were left out]",
            &data[..1000],
            4 * KEPT - 1000
        );
        let finished = ToolFinished {
            call_id: "c".into(),
            exit_code: Some(0),
            result: told,
            ..ToolFinished::default()
        };
        assert_eq!(outputs.left(&finished), Left::Nothing);
    }
}
