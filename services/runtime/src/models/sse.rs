//! Reads server-sent events (WHATWG HTML §9.2) out of bytes that come in pieces of any size, within bounds.

/// Longest line, and longest data of one event, in bytes: a whole call's arguments may come in one.
const MAX: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Of the field `event`; empty when there was none.
    pub name: String,
    /// Lines joined by line feeds. What is not UTF-8 is replaced.
    pub data: String,
}

/// Longer than anything that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// What was read of the event that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    lines: u64,
    after_return: bool,
    event: Event,
    has_data: bool,
}

impl Parser {
    /// The events that these bytes complete.
    ///
    /// # Errors
    /// [`TooLong`]: nothing more can be read.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        while let Some((first, rest)) = bytes.split_first() {
            // the line feed of a line end that was cut in two
            if std::mem::take(&mut self.after_return) && *first == b'\n' {
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, tail) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.line.len() + line.len() > MAX {
                return Err(TooLong);
            }
            self.line.extend_from_slice(line);
            let Some((end, rest)) = tail.split_first() else {
                break;
            };
            self.after_return = *end == b'\r';
            bytes = rest;
            events.extend(self.end_line()?);
        }
        Ok(events)
    }

    /// The last event of a stream that ended without an empty line.
    ///
    /// # Errors
    /// [`TooLong`].
    pub(super) fn finish(&mut self) -> Result<Option<Event>, TooLong> {
        if !self.line.is_empty() {
            self.end_line()?;
        }
        self.end_line()
    }

    fn end_line(&mut self) -> Result<Option<Event>, TooLong> {
        let line = std::mem::take(&mut self.line);
        self.lines += 1;
        let mut line = line.as_slice();
        if self.lines == 1 {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => {
                let (field, value) = line.split_at(at);
                let value = value.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
            b"data" => self.data(value)?,
            // not in the standard: how some model servers tell of a failure
            b"error" => {
                self.event.name = "error".to_owned();
                self.data(value)?;
            }
            _ => {}
        }
        Ok(None)
    }

    fn data(&mut self, value: &[u8]) -> Result<(), TooLong> {
        if self.event.data.len() + value.len() > MAX {
            return Err(TooLong);
        }
        if std::mem::replace(&mut self.has_data, true) {
            self.event.data.push('\n');
        }
        self.event.data.push_str(&String::from_utf8_lossy(value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(parser.feed(piece).unwrap());
        }
        events.extend(parser.finish().unwrap());
        events.into_iter().map(|event| (event.name, event.data)).collect()
    }

    fn check(text: &str, expected: &[(&str, &str)]) {
        let whole = read([text.as_bytes()]);
        let told: Vec<_> = whole
            .iter()
            .map(|(name, data)| (name.as_str(), data.as_str()))
            .collect();
        assert_eq!(told, expected, "{text:?}");
        for at in 0..=text.len() {
            let (left, right) = text.as_bytes().split_at(at);
            assert_eq!(read([left, right]), whole, "{text:?} cut at {at}");
        }
        assert_eq!(read(text.as_bytes().chunks(1)), whole, "{text:?} byte by byte");
    }

    #[test]
    fn events_are_read_whatever_their_line_ends_and_wherever_they_are_cut() {
        check("data: a\n\ndata: b\n\n", &[("", "a"), ("", "b")]);
        check(
            "event: x\r\ndata: a\r\n\r\nevent: y\rdata: b\r\r",
            &[("x", "a"), ("y", "b")],
        );
        check("\u{feff}data:a\ndata:  b\n\n", &[("", "a\n b")]);
        check(
            ": comment\nid: 7\nretry: 3\nevent: x\n\ndata: a\n\n",
            &[("", "a")],
        );
        check("data\n\ndata: end", &[("", ""), ("", "end")]);
        check("error: {\"code\":500}\n\n", &[("error", "{\"code\":500}")]);
        check("data: grüße 🦀\n\n\n\n", &[("", "grüße 🦀")]);
        check("", &[]);
    }

    #[test]
    fn what_is_not_utf_8_is_replaced() {
        assert_eq!(
            read([&b"data: a\xff"[..], &b"b\n\n"[..]]),
            [(String::new(), "a\u{fffd}b".to_owned())]
        );
    }

    #[test]
    fn what_has_no_end_is_given_up() {
        let mut parser = Parser::default();
        let piece = vec![b'x'; 1 << 20];
        assert_eq!(
            (0..5).map(|_| parser.feed(&piece)).find(Result::is_err),
            Some(Err(TooLong))
        );
        let mut parser = Parser::default();
        let line = [b"data: ", piece.as_slice(), b"\n"].concat();
        assert_eq!(
            (0..5).map(|_| parser.feed(&line)).find(Result::is_err),
            Some(Err(TooLong))
        );
    }
}
