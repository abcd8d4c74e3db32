//! Reads the answers of the scripts.

use redis::{FromRedisValue, Value};

use super::away::Away;
use super::keys::{BEFORE, COMPLETE, KEYS, key};
use super::marker::{Applied, Found, Marker, Strange, compare};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::EnvironmentName;

/// A script's answer.
pub(super) enum Read {
    /// A code.
    Code(i64),
    /// The marker that is there instead of the expected one.
    Marker(Found<Marker>),
}

pub(super) fn read(answer: &[Value], environment: &EnvironmentName) -> Result<Read, Away> {
    let strange = |name: &str, seen: String, wanted| {
        Ok(Read::Marker(Found::Strange(Strange { key: key(environment, name), seen, wanted })))
    };
    match answer.first().and_then(value::<i64>) {
        Some(code @ 1..=2) => Ok(Read::Code(code)),
        Some(-1) => Ok(Read::Marker(marker(answer.get(1..).unwrap_or_default(), environment))),
        Some(-2) => {
            let at = answer.get(1).and_then(value::<usize>).and_then(|at| at.checked_sub(1)).unwrap_or_default();
            let name = KEYS.get(at).copied().unwrap_or(COMPLETE);
            let wanted = if name == COMPLETE { A_MARKER } else { "a sorted set" };
            strange(name, format!("a {}", shown(answer.get(2))), wanted)
        }
        Some(-3) => {
            strange(COMPLETE, format!("its {} is a text of {} bytes", shown(answer.get(1)), shown(answer.get(2))), A_MARKER)
        }
        Some(-4) => {
            let end = shown(answer.get(1));
            strange(BEFORE, format!("a line beyond index {end}, where the marker stands"), "no line beyond the marker")
        }
        _ => Err(Away::Unexpected),
    }
}

const A_MARKER: &str = "a hash of epoch, index, root and time";

/// Parses the marker, if its fields have the form that a node of ours writes.
///
/// The time is not compared: every live node renews it.
pub(super) fn marker(fields: &[Value], environment: &EnvironmentName) -> Found<Marker> {
    let field = |at: usize| fields.get(at).filter(|value| !matches!(value, Value::Nil | Value::Boolean(false)));
    if (0..3).all(|at| field(at).is_none()) {
        return Found::Missing;
    }
    let text = |at: usize| field(at).and_then(value::<String>);
    // Exactly as written: "007" and "+7" are numbers to some readers and not to others.
    let number = |at: usize| text(at).and_then(|text| text.parse::<u64>().ok().filter(|number| number.to_string() == text));
    let root = text(2).and_then(|root| Digest::try_from(root).ok());
    let time = text(3).and_then(|time| Timestamp::from_seconds(time.parse().ok()?));
    if let (Some(epoch), Some(index), Some(root)) = (number(0), number(1), root) {
        return Found::At(Marker { epoch, index, root, time: time.unwrap_or_default() });
    }
    let sound = [number(0).is_some(), number(1).is_some(), root.is_some()];
    let broken = ["epoch", "index", "root"].iter().zip(sound).enumerate().filter(|(_, (_, sound))| !sound);
    let broken = broken.map(|(at, (name, _))| match (field(at).is_some(), *name) {
        (false, name) => format!("its {name} is missing"),
        (true, "root") => "its root is no SHA-256".to_owned(),
        (true, name) => format!("its {name} is no number"),
    });
    let seen = broken.collect::<Vec<_>>().join(", ");
    Found::Strange(Strange { key: key(environment, COMPLETE), seen, wanted: A_MARKER })
}

pub(super) fn applied(
    answer: &[Value],
    environment: &EnvironmentName,
    prior: Option<&Marker>,
    wanted: &Marker,
) -> Result<Applied, Away> {
    match read(answer, environment)? {
        Read::Code(1) => Ok(Applied::Done),
        Read::Code(_) => Ok(Applied::AlreadyThere),
        Read::Marker(Found::Strange(strange)) => Ok(Applied::Strange(strange)),
        Read::Marker(Found::Missing) => Ok(Applied::Behind),
        Read::Marker(Found::At(found)) => match compare(Some(&found), prior, wanted) {
            // The script found it to be neither, so the compared marker cannot be the one that it saw.
            Applied::Done | Applied::AlreadyThere => Err(Away::Unexpected),
            other => Ok(other),
        },
    }
}

pub(super) fn value<T: FromRedisValue>(value: &Value) -> Option<T> {
    redis::from_redis_value(value.clone()).ok()
}

/// A word or number that a script made, never a value that somebody else wrote.
pub(super) fn shown(value: Option<&Value>) -> String {
    value.and_then(self::value::<String>).unwrap_or_else(|| "value".to_owned())
}
