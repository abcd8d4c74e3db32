//! What a serialised value has of its types: which fields are set, which are not, and which variants its enums have.
//!
//! Enter through [`Seen::take`]. Serde tells both: a struct names its fields as it is written, skipped ones too, and an enum names all of
//! its variants as it is read ([`variants`]). So no list of fields or variants stands here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::de::value::Error;
use serde::de::{self, Deserialize, Visitor};
use serde::ser::{self, Error as _, Serialize};

/// What was seen.
#[derive(Default)]
pub struct Seen {
    /// Fields, by struct and name.
    pub fields: BTreeMap<(String, &'static str), Field>,
    /// Variants, by enum and name as it is written.
    pub variants: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

/// What was seen of a field.
#[derive(Default)]
pub struct Field {
    /// Where it was first set: the number of the value, and the JSON pointer in it.
    pub set: Option<(usize, String)>,
    /// Whether it was skipped, or null.
    pub unset: bool,
    /// Whether it was `false`, and `true`.
    pub flags: [bool; 2],
}

/// Enums that say their variant by a member among the others.
const TAGGED: [(&str, &str); 3] = [("Change", "kind"), ("RevocationTarget", "of"), ("Date", "of")];

impl Seen {
    /// Takes in all that a value has. `number` tells it from others.
    pub fn take(&mut self, number: usize, value: &impl Serialize) {
        let seen = RefCell::new(std::mem::take(self));
        value.serialize(Recorder { seen: &seen, number, at: String::new() }).expect("it serialises");
        *self = seen.into_inner();
    }
}

/// The name of an enum, and of all of its variants as they are written.
pub fn variants<'de, T: Deserialize<'de>>() -> (&'static str, &'static [&'static str]) {
    let mut found = None;
    let _ends_early = T::deserialize(Probe(&mut found)).err();
    found.expect("an enum that is tagged from outside")
}

struct Probe<'f>(&'f mut Option<(&'static str, &'static [&'static str])>);

impl<'de> de::Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("no enum"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some((name, variants));
        Err(de::Error::custom("seen"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

/// What a value is, as far as it matters here.
enum Shape {
    Nothing,
    Flag(bool),
    Text(String),
    Other,
}

#[derive(Clone)]
struct Recorder<'s> {
    seen: &'s RefCell<Seen>,
    number: usize,
    at: String,
}

impl<'s> Recorder<'s> {
    fn below(&self, step: &str) -> Self {
        Self { at: format!("{}/{}", self.at, step.replace('~', "~0").replace('/', "~1")), ..self.clone() }
    }

    fn variant(&self, name: &'static str, variant: &'static str) {
        self.seen.borrow_mut().variants.entry(name).or_default().insert(variant);
    }

    fn fields(self, name: impl Into<String>) -> Fields<'s> {
        Fields { recorder: self, name: name.into() }
    }

    fn items(self) -> Items<'s> {
        Items { recorder: self, next: 0, key: None }
    }
}

/// The fields of a struct.
struct Fields<'s> {
    recorder: Recorder<'s>,
    name: String,
}

impl Fields<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        let below = self.recorder.below(key);
        let at = (below.number, below.at.clone());
        let shape = value.serialize(below)?;
        if let (true, Shape::Text(tag)) = (TAGGED.iter().any(|(name, tag)| self.name.ends_with(name) && *tag == key), &shape) {
            self.name = format!("{} {tag}", self.name);
        }
        let mut seen = self.recorder.seen.borrow_mut();
        let field = seen.fields.entry((self.name.clone(), key)).or_default();
        match shape {
            Shape::Nothing => field.unset = true,
            Shape::Flag(flag) => {
                field.flags[usize::from(flag)] = true;
                field.set.get_or_insert(at);
            }
            Shape::Text(_) | Shape::Other => {
                field.set.get_or_insert(at);
            }
        }
        Ok(())
    }

    fn skip(&mut self, key: &'static str) {
        let mut seen = self.recorder.seen.borrow_mut();
        seen.fields.entry((self.name.clone(), key)).or_default().unset = true;
    }
}

/// The items of a list, or the members of a map.
struct Items<'s> {
    recorder: Recorder<'s>,
    next: usize,
    key: Option<String>,
}

impl Items<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(self.recorder.below(&self.next.to_string()))?;
        self.next += 1;
        Ok(())
    }
}

macro_rules! other {
    ($($method:ident: $type:ty),+ $(,)?) => {
        $(fn $method(self, _: $type) -> Result<Shape, Error> {
            Ok(Shape::Other)
        })+
    };
}

impl<'s> ser::Serializer for Recorder<'s> {
    type Ok = Shape;
    type Error = Error;
    type SerializeSeq = Items<'s>;
    type SerializeTuple = Items<'s>;
    type SerializeTupleStruct = Items<'s>;
    type SerializeTupleVariant = Items<'s>;
    type SerializeMap = Items<'s>;
    type SerializeStruct = Fields<'s>;
    type SerializeStructVariant = Fields<'s>;

    other! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_u8: u8, serialize_u16: u16,
        serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64, serialize_char: char,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str,
    }

    fn serialize_bool(self, flag: bool) -> Result<Shape, Error> {
        Ok(Shape::Flag(flag))
    }

    fn serialize_str(self, text: &str) -> Result<Shape, Error> {
        Ok(Shape::Text(text.to_owned()))
    }

    fn serialize_none(self) -> Result<Shape, Error> {
        Ok(Shape::Nothing)
    }

    fn serialize_unit(self) -> Result<Shape, Error> {
        Ok(Shape::Nothing)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Shape, Error> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Result<Shape, Error> {
        self.variant(name, variant);
        Ok(Shape::Other)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Shape, Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Shape, Error> {
        self.variant(name, variant);
        value.serialize(self.below(variant))?;
        Ok(Shape::Other)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'s>, Error> {
        Ok(self.items())
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'s>, Error> {
        Ok(self.items())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'s>, Error> {
        Ok(self.items())
    }

    fn serialize_tuple_variant(self, name: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Items<'s>, Error> {
        self.variant(name, variant);
        Ok(self.below(variant).items())
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Items<'s>, Error> {
        Ok(self.items())
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields<'s>, Error> {
        Ok(self.fields(name))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields<'s>, Error> {
        self.variant(name, variant);
        Ok(self.below(variant).fields(format!("{name} {variant}")))
    }
}

macro_rules! list {
    ($($trait:ident: $method:ident),+ $(,)?) => {
        $(impl ser::$trait for Items<'_> {
            type Ok = Shape;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.item(value)
            }

            fn end(self) -> Result<Shape, Error> {
                Ok(Shape::Other)
            }
        })+
    };
}

list! {
    SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

impl ser::SerializeMap for Items<'_> {
    type Ok = Shape;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        let Ok(serde_json::Value::String(key)) = serde_json::to_value(key) else { return Err(Error::custom("no key")) };
        self.key = Some(key);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let key = self.key.take().ok_or_else(|| Error::custom("no key"))?;
        value.serialize(self.recorder.below(&key)).map(|_| ())
    }

    fn end(self) -> Result<Shape, Error> {
        Ok(Shape::Other)
    }
}

macro_rules! fields {
    ($($trait:ident),+) => {
        $(impl ser::$trait for Fields<'_> {
            type Ok = Shape;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
                self.field(key, value)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), Error> {
                self.skip(key);
                Ok(())
            }

            fn end(self) -> Result<Shape, Error> {
                Ok(Shape::Other)
            }
        })+
    };
}

fields!(SerializeStruct, SerializeStructVariant);
