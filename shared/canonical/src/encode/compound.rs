//! Arrays and objects. An object's members are written as they come and put in order at its end, which costs nothing
//! when they came in order.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::{Encoder, key, text};
use crate::Error;

/// An array, or anything `serde` treats as one.
pub(crate) struct Array<'a> {
    encoder: Encoder<'a>,
    is_empty: bool,
}

impl<'a> Array<'a> {
    pub(super) fn open(encoder: Encoder<'a>) -> Self {
        encoder.out.push(b'[');
        Self {
            encoder,
            is_empty: true,
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        if !self.is_empty {
            self.encoder.out.push(b',');
        }
        self.is_empty = false;
        value.serialize(Encoder {
            out: self.encoder.out,
            depth: self.encoder.depth,
        })
    }

    fn close(self) -> &'a mut Vec<u8> {
        self.encoder.out.push(b']');
        self.encoder.out
    }
}

/// An object, or anything `serde` treats as one.
pub(crate) struct Object<'a> {
    encoder: Encoder<'a>,
    /// Where in the buffer the first member begins.
    start: usize,
    members: Vec<Member>,
    key: Option<Cow<'static, str>>,
}

/// One member, and where in the buffer its text ends; it begins behind the one before it.
struct Member {
    key: Cow<'static, str>,
    end: usize,
}

impl<'a> Object<'a> {
    pub(super) fn open(encoder: Encoder<'a>, len: usize) -> Self {
        encoder.out.push(b'{');
        let start = encoder.out.len();
        // The length is a hint from outside; a wrong one must not reserve the machine's memory.
        Self {
            encoder,
            start,
            members: Vec::with_capacity(len.min(64)),
            key: None,
        }
    }

    fn member<T: Serialize + ?Sized>(&mut self, key: Cow<'static, str>, value: &T) -> Result<(), Error> {
        let out = &mut *self.encoder.out;
        text::write(out, &key);
        out.push(b':');
        value.serialize(Encoder {
            out,
            depth: self.encoder.depth,
        })?;
        self.encoder.out.push(b',');
        self.members.push(Member {
            key,
            end: self.encoder.out.len(),
        });
        Ok(())
    }

    fn close(mut self) -> Result<&'a mut Vec<u8>, Error> {
        if !self
            .members
            .is_sorted_by(|left, right| text::compare_keys(&left.key, &right.key).is_lt())
        {
            self.reorder()?;
        }
        // Every member ends in a comma; the last one becomes the bracket.
        match self.encoder.out.last_mut() {
            Some(last) if !self.members.is_empty() => *last = b'}',
            _ => self.encoder.out.push(b'}'),
        }
        Ok(self.encoder.out)
    }

    fn reorder(&mut self) -> Result<(), Error> {
        let mut start = self.start;
        let mut spans = Vec::with_capacity(self.members.len());
        for member in &self.members {
            spans.push((member.key.as_ref(), start..member.end));
            start = member.end;
        }
        spans.sort_by(|left, right| text::compare_keys(left.0, right.0));
        if spans.array_windows().any(|[left, right]| left.0 == right.0) {
            return Err(Error::Unsupported("two members with one key"));
        }
        let mut ordered = Vec::with_capacity(start - self.start);
        for (_, span) in spans {
            ordered.extend_from_slice(self.encoder.out.get(span).unwrap_or_default());
        }
        self.encoder.out.truncate(self.start);
        self.encoder.out.append(&mut ordered);
        Ok(())
    }
}

/// The content of an enum variant, inside the object that names the variant.
pub(crate) struct Wrapped<T>(pub(super) T);

impl SerializeSeq for Array<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close();
        Ok(())
    }
}

impl SerializeTuple for Array<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        SerializeSeq::end(self)
    }
}

impl SerializeTupleStruct for Array<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        SerializeSeq::end(self)
    }
}

impl SerializeTupleVariant for Wrapped<Array<'_>> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.0.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.0.close().push(b'}');
        Ok(())
    }
}

impl SerializeMap for Object<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.key = Some(Cow::Owned(key.serialize(key::KeyText)?));
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().ok_or(Error::Unsupported("value without a key"))?;
        self.member(key, value)
    }

    fn end(self) -> Result<(), Error> {
        self.close().map(|_| ())
    }
}

impl SerializeStruct for Object<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.member(Cow::Borrowed(key), value)
    }

    fn end(self) -> Result<(), Error> {
        self.close().map(|_| ())
    }
}

impl SerializeStructVariant for Wrapped<Object<'_>> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.0.member(Cow::Borrowed(key), value)
    }

    fn end(self) -> Result<(), Error> {
        self.0.close()?.push(b'}');
        Ok(())
    }
}
