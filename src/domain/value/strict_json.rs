//! Strict JSON: what two parsers could read differently is refused.
//!
//! `serde_json` and josekit take the last of two equal members (ABUSE S3), other programs the first; a gateway in front of us
//! may be one of those. So an object with a duplicate member, at any level, is no JSON here. Depth and number of values are
//! bounded while parsing (ABUSE J-35).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of arrays and objects.
const MAX_DEPTH: usize = 16;

/// Parses one JSON text with nothing after it, of at most `most` values. The error says nothing: the text may be hostile.
pub(crate) fn parse(text: &[u8], most: usize) -> Option<Value> {
    let mut left = most;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = Strict { depth: 0, left: &mut left }.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

struct Strict<'a> {
    depth: usize,
    left: &'a mut usize,
}

impl Strict<'_> {
    fn within<E: Error>(&mut self) -> Result<Strict<'_>, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Strict { depth: self.depth + 1, left: self.left })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate members")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(self.within()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        // Claims are about a dozen; what stands within them is small.
        let mut map = Map::with_capacity(if self.depth == 0 { 14 } else { 0 });
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.within()?)?;
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("duplicate member"));
            }
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j_18_duplicates_are_refused_at_every_level() {
        for text in [
            r#"{"exp":1,"exp":2}"#,
            r#"{"a":{"b":1,"b":1}}"#,
            r#"{"a":[{"b":1},{"c":1,"c":null}]}"#,
            r#"{"exp":1,"\u0065xp":2}"#,
            r#"{"a":1} {}"#,
            r#"{"a":1}x"#,
            "",
            r#"{"a":1e400}"#,
            "{\"a\":\"\u{0}\"}",
            r#"{"a":"\ud800"}"#,
            r#"{"a":NaN}"#,
            r#"{"a":01}"#,
            r#"{"a":1,}"#,
            "\u{feff}{}",
        ] {
            assert_eq!(parse(text.as_bytes(), 100), None, "{text}");
        }
        assert_eq!(
            parse(br#"{"a":1,"b":[{"a":-2.5},true,null,"x"]}"#, 100).map(|v| v.to_string()).as_deref(),
            Some(r#"{"a":1,"b":[{"a":-2.5},true,null,"x"]}"#)
        );
        assert_eq!(parse(b"{\"a\":\"\xff\"}", 100), None);
    }

    #[test]
    fn j_35_depth_and_number_are_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(16).as_bytes(), 100).is_some());
        assert!(parse(nested(17).as_bytes(), 100).is_none());
        assert!(parse(nested(100_000).as_bytes(), usize::MAX).is_none());
        assert!(parse(format!("[{}1]", "1,".repeat(98)).as_bytes(), 100).is_some());
        assert!(parse(format!("[{}1]", "1,".repeat(99)).as_bytes(), 100).is_none());
    }
}
