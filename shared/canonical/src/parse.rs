//! A strict JSON reader. `serde_json` keeps the last of two duplicate keys and rounds long integers in silence; an
//! approval that shows one reading while a tool acts on another is what this reader exists to rule out.

mod string;

use serde_json::{Map, Value};

use crate::{Error, MAX_DEPTH, number};

/// Reads one JSON text (RFC 8259), refusing what has no canonical form. Numbers come back canonical: `1.0` as `1`.
pub fn parse(text: &[u8]) -> Result<Value, Error> {
    let text = std::str::from_utf8(text).map_err(|e| Error::InvalidUtf8 {
        offset: e.valid_up_to(),
    })?;
    let mut parser = Parser {
        text,
        bytes: text.as_bytes(),
        at: 0,
    };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(Error::TrailingData { offset: parser.at });
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Parser<'a> {
    /// Reads the value after any white space; `depth` containers are open around it.
    fn value(&mut self, depth: usize) -> Result<Value, Error> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => Ok(Value::String(self.string()?.into_owned())),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.expected("a value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, Error> {
        self.open(depth)?;
        let mut members = Map::new();
        if self.closes(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_space();
            let offset = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key"));
            }
            let key = self.string()?;
            self.skip_space();
            self.take(b':', "a colon")?;
            let value = self.value(depth)?;
            if members.insert(key.into_owned(), value).is_some() {
                return Err(Error::DuplicateKey { offset });
            }
            if self.closes(b'}') {
                return Ok(Value::Object(members));
            }
            self.take(b',', "a comma or the end of the object")?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, Error> {
        self.open(depth)?;
        let mut items = Vec::new();
        if self.closes(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            if self.closes(b']') {
                return Ok(Value::Array(items));
            }
            self.take(b',', "a comma or the end of the array")?;
        }
    }

    fn number(&mut self) -> Result<Value, Error> {
        let offset = self.at;
        let mut is_integer = true;
        self.skip(b'-');
        if !self.skip(b'0') {
            self.digits()?;
        }
        if self.skip(b'.') {
            is_integer = false;
            self.digits()?;
        }
        if self.skip(b'e') || self.skip(b'E') {
            is_integer = false;
            let _sign = self.skip(b'+') || self.skip(b'-');
            self.digits()?;
        }
        let literal = self.text.get(offset..self.at).unwrap_or_default();
        if is_integer {
            let exact = literal
                .parse::<i64>()
                .ok()
                .filter(|value| number::is_safe(*value));
            return exact.map(Value::from).ok_or(Error::IntegerTooLarge { offset });
        }
        let value: f64 = literal.parse().map_err(|_| self.expected("a number"))?;
        if value.is_infinite() {
            return Err(Error::NumberTooLarge { offset });
        }
        number::from_double(value)
            .map(Value::Number)
            .ok_or(Error::IntegerTooLarge { offset })
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.expected("a digit"))
        } else {
            Ok(())
        }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, Error> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Enters a container of which `depth` are then open.
    fn open(&mut self, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.at += 1;
        Ok(())
    }

    /// Skips white space and then `bracket`, if it is there.
    fn closes(&mut self, bracket: u8) -> bool {
        self.skip_space();
        self.skip(bracket)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Error> {
        if self.skip(byte) {
            Ok(())
        } else {
            Err(self.expected(expected))
        }
    }

    fn expected(&self, expected: &'static str) -> Error {
        match self.peek() {
            Some(_) => Error::Syntax {
                offset: self.at,
                expected,
            },
            None => Error::UnexpectedEnd,
        }
    }
}
