//! The encoder: a `serde` serializer that writes RFC 8785 straight into a buffer, so that a typed audit leaf, a parsed
//! value and a call all go through the same code.

mod compound;
mod key;
mod text;

use serde::{Serialize, Serializer};

use crate::{Error, MAX_DEPTH, number};
use compound::{Array, Object, Wrapped};

/// The canonical JSON of `value`. Refuses what JSON cannot say exactly: non-finite and over-long numbers, keys that are
/// not strings, two members with one key, too deep nesting.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Error> {
    let mut out = Vec::with_capacity(256);
    value.serialize(Encoder {
        out: &mut out,
        depth: 0,
    })?;
    Ok(out)
}

/// Writes one value; `depth` containers are open around it.
pub(crate) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    depth: usize,
}

impl<'a> Encoder<'a> {
    fn deeper(self) -> Result<Self, Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn integer(self, value: Option<i64>) -> Result<(), Error> {
        let value = value.filter(|value| number::is_safe(*value));
        number::write_integer(
            self.out,
            value.ok_or(Error::Unsupported("integer beyond ±(2^53 - 1)"))?,
        );
        Ok(())
    }

    /// Opens `{"name":` for an enum variant that carries data.
    fn variant(self, name: &'static str) -> Result<Self, Error> {
        let inner = self.deeper()?;
        inner.out.push(b'{');
        text::write(inner.out, name);
        inner.out.push(b':');
        Ok(inner)
    }

    /// `serde_json` smuggles raw text and arbitrary-precision numbers through structs of a private name; written as
    /// ordinary objects they would say something else.
    fn check_name(name: &'static str) -> Result<(), Error> {
        if name.starts_with("$serde_json::private::") {
            return Err(Error::Unsupported("raw JSON"));
        }
        Ok(())
    }
}

impl<'a> Serializer for Encoder<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Array<'a>;
    type SerializeTuple = Array<'a>;
    type SerializeTupleStruct = Array<'a>;
    type SerializeTupleVariant = Wrapped<Array<'a>>;
    type SerializeMap = Object<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeStructVariant = Wrapped<Object<'a>>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.integer(Some(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.integer(Some(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.integer(Some(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.integer(Some(value))
    }

    fn serialize_i128(self, value: i128) -> Result<(), Error> {
        self.integer(value.try_into().ok())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.integer(Some(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.integer(Some(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.integer(Some(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.integer(value.try_into().ok())
    }

    fn serialize_u128(self, value: u128) -> Result<(), Error> {
        self.integer(value.try_into().ok())
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        match number::classify(value).ok_or(Error::Unsupported("number that is not finite or not exact"))? {
            number::Double::Integer(integer) => number::write_integer(self.out, integer),
            number::Double::Fraction(value) => number::write_fraction(self.out, value),
        }
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        text::write(self.out, value.encode_utf8(&mut [0; 4]));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        text::write(self.out, value);
        Ok(())
    }

    fn serialize_bytes(self, _value: &[u8]) -> Result<(), Error> {
        Err(Error::Unsupported("bytes"))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        Self::check_name(name)?;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let inner = self.variant(variant)?;
        value.serialize(Encoder {
            out: inner.out,
            depth: inner.depth,
        })?;
        inner.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Array<'a>, Error> {
        Ok(Array::open(self.deeper()?))
    }

    fn serialize_tuple(self, len: usize) -> Result<Array<'a>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Array<'a>, Error> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Wrapped<Array<'a>>, Error> {
        self.variant(variant)?.serialize_seq(Some(len)).map(Wrapped)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Object<'a>, Error> {
        Ok(Object::open(self.deeper()?, len.unwrap_or_default()))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Object<'a>, Error> {
        Self::check_name(name)?;
        self.serialize_map(Some(len))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Wrapped<Object<'a>>, Error> {
        self.variant(variant)?.serialize_map(Some(len)).map(Wrapped)
    }
}
