//! Forms of single values: texts, names, words, numbers, times, URLs.

use std::fmt::Display;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::base::Form;
use super::definitions::{self, Definitions, Shared};
use crate::domain::record::fault::{Faults, shown};
use crate::domain::record::read::place::Place;
use crate::domain::record::read::values::Day;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{Audience, Issuer};
use crate::domain::value::text::Text;

/// States a form without parameters: how it is read, written, and described.
macro_rules! scalar {
    ($($(#[$doc:meta])* $name:ident of $value:ty = $read:expr, $write:expr, $schema:expr;)+) => {$(
        $(#[$doc])*
        pub(in crate::domain::record) struct $name;

        impl Form for $name {
            type Value = $value;

            fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<$value> {
                let read: fn(&Place<'_>, &mut Faults) -> Option<$value> = $read;
                read(place, faults)
            }

            fn write(&self, value: &$value) -> Json {
                let write: fn(&$value) -> Json = $write;
                write(value)
            }

            fn schema(&self, definitions: &mut Definitions) -> Json {
                let schema: Shared = $schema;
                schema(definitions)
            }
        }
    )+};
}

scalar! {
    /// Words for people.
    Words of String = |place, faults| place.words(faults).map(str::to_owned), |text| json!(text), definitions::text;

    /// Words for people that may be forgotten.
    Personal of Text = |place, faults| place.personal(faults), text, definitions::text;

    /// The address of a person.
    Address of Text = |place, faults| place.address(faults), text, |_| json!({"type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$"});

    /// `true` or `false`.
    Flag of bool = |place, faults| place.flag(faults), |flag| json!(flag), |_| json!({"type": "boolean"});

    /// The exact `iss`, which is also the place of discovery.
    IssuerUrl of Issuer = |place, faults| place.url(faults)?.parse().ok(), |issuer| json!(issuer), definitions::url;

    /// A URL from which a bundle is fetched.
    Url of String = |place, faults| place.url(faults), |url| json!(url), definitions::url;

    /// The URL of a key set.
    KeyUrl of String = |place, faults| place.key_url(faults), |url| json!(url), definitions::key_url;

    /// An exact audience.
    ExactAudience of Audience = |place, faults| place.audience(faults), |audience| json!(audience),
        |_| json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[^*\\s]+$"});

    /// The audience of an API: an absolute URI without a fragment (RFC 8707 section 2).
    ApiAudience of Audience = api_audience, |audience| json!(audience), |definitions| ExactAudience.schema(definitions);
}

fn text(text: &Text) -> Json {
    match text {
        Text::Plain(text) => text.clone().into(),
        Text::Sealed(digest) => digest.to_string().into(),
    }
}

fn api_audience(place: &Place<'_>, faults: &mut Faults) -> Option<Audience> {
    let audience = place.audience(faults)?;
    if !is_absolute_uri(audience.as_str()) {
        place.refuse("expected an absolute URI without a fragment (RFC 8707 section 2)", faults);
        return None;
    }
    Some(audience)
}

fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_ok = scheme.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    scheme_ok && !rest.is_empty() && !rest.contains('#')
}

/// A value that its type parses, such as a name.
pub(in crate::domain::record) struct Parsed<T>(Shared, PhantomData<T>);

/// The form of a value that its type parses, with the definition that describes it.
pub(in crate::domain::record) fn parsed<T>(schema: Shared) -> Parsed<T> {
    Parsed(schema, PhantomData)
}

impl<T: FromStr<Err: Display> + Serialize> Form for Parsed<T> {
    type Value = T;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<T> {
        place.parse(faults)
    }

    fn write(&self, value: &T) -> Json {
        json!(value)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        (self.0)(definitions)
    }
}

/// One of a few words: the variants of an enum under the names that entries have.
pub(in crate::domain::record) struct Word<T: 'static>(pub &'static [T]);

impl<T: Copy + Serialize> Form for Word<T> {
    type Value = T;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<T> {
        let words: Vec<_> = self.0.iter().map(|value| (word(value), *value)).collect();
        place.word(&words, faults)
    }

    fn write(&self, value: &T) -> Json {
        json!(value)
    }

    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"enum": self.0})
    }
}

/// The word of a variant, as entries and records have it.
pub(in crate::domain::record) fn word(value: impl Serialize) -> String {
    match json!(value) {
        Json::String(word) => word,
        other => other.to_string(),
    }
}

/// A switch that only one word sets.
pub(in crate::domain::record) struct Only(pub &'static str);

impl Form for Only {
    type Value = bool;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<bool> {
        place.word(&[(self.0, true)], faults)
    }

    fn write(&self, _: &bool) -> Json {
        self.0.into()
    }

    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"const": self.0})
    }
}

/// A whole number between two bounds.
pub(in crate::domain::record) struct Number<T>(pub T, pub T);

impl<T: Copy + Into<u32> + TryFrom<u32> + Serialize> Form for Number<T> {
    type Value = T;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<T> {
        place.number(self.0.into(), self.1.into(), faults)?.try_into().ok()
    }

    fn write(&self, value: &T) -> Json {
        json!(value)
    }

    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"type": "integer", "minimum": self.0, "maximum": self.1})
    }
}

/// A duration between two bounds.
pub(in crate::domain::record) struct Lasting(pub Seconds, pub Seconds);

impl Form for Lasting {
    type Value = Seconds;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Seconds> {
        place.duration(self.0, self.1, faults)
    }

    fn write(&self, value: &Seconds) -> Json {
        value.to_string().into()
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions::duration(definitions)
    }
}

impl Form for Day {
    type Value = Timestamp;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Timestamp> {
        place.time(*self, faults)
    }

    fn write(&self, value: &Timestamp) -> Json {
        match self {
            Self::Start => value.first_day().into(),
            Self::End => value.last_day().into(),
        }
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions::date(definitions)
    }
}

/// A form with a description of its own in the schema.
pub(in crate::domain::record) struct Described<F>(pub F, pub &'static str);

impl<F: Form> Form for Described<F> {
    type Value = F::Value;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<F::Value> {
        self.0.read(place, faults)
    }

    fn write(&self, value: &F::Value) -> Json {
        self.0.write(value)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        let mut schema = self.0.schema(definitions);
        schema["description"] = self.1.into();
        schema
    }
}

/// A text that a function checks further.
pub(in crate::domain::record) struct Checked {
    /// Says what was expected where it is not taken.
    pub check: fn(&str) -> Result<(), &'static str>,
    /// Its JSON Schema.
    pub schema: Shared,
}

impl Form for Checked {
    type Value = String;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<String> {
        let text = place.scalar(faults)?;
        match (self.check)(text) {
            Ok(()) => Some(text.to_owned()),
            Err(expected) => {
                place.refuse(&format!("{expected}, not {}", shown(text)), faults);
                None
            }
        }
    }

    fn write(&self, value: &String) -> Json {
        json!(value)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        (self.schema)(definitions)
    }
}
