//! `NumericDate` (RFC 7519 section 2): seconds since 1970 as a JSON number, which may have a fraction.
//!
//! Time is whole seconds here, so a fraction is rounded, and never in favour of who shows the token: the end of a life down ([`floor`]), its
//! beginning and the time of a sign-in up ([`ceiling`]).

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::clock::Timestamp;

/// The last whole second that is not after `value`: for `exp`. Nothing for a text, a negative number, or a time after the year 9999.
pub fn floor(value: &Value) -> Option<Timestamp> {
    read(value, f64::floor)
}

/// The first whole second that is not before `value`: for `iat`, `nbf` and `auth_time`.
pub fn ceiling(value: &Value) -> Option<Timestamp> {
    read(value, f64::ceil)
}

fn read(value: &Value, round: fn(f64) -> f64) -> Option<Timestamp> {
    if let Some(seconds) = value.as_i64() {
        return Timestamp::from_seconds(seconds);
    }
    // Below zero before it is rounded: -0.5 is no beginning of 1970.
    let seconds = value.as_f64().filter(|seconds| (0.0..1e12).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 1e12, by the line above")]
    Timestamp::from_seconds(round(seconds) as i64)
}

/// [`floor`] for a member of a type that serde reads.
///
/// # Errors
/// It is no such number.
pub fn deserialize_floor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    floor(&Value::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(EXPECTED))
}

/// [`ceiling`] for a member of a type that serde reads.
///
/// # Errors
/// It is no such number.
pub fn deserialize_ceiling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    ceiling(&Value::deserialize(deserializer)?).ok_or_else(|| de::Error::custom(EXPECTED))
}

const EXPECTED: &str = "expected seconds since 1970";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fraction_is_rounded_against_who_shows_it() {
        let at = |seconds| Timestamp::from_seconds(seconds);
        for (text, down, up) in [
            ("1795262400", 1_795_262_400, 1_795_262_400),
            ("1795262400.0", 1_795_262_400, 1_795_262_400),
            ("1795262400.000001", 1_795_262_400, 1_795_262_401),
            ("1795262400.5", 1_795_262_400, 1_795_262_401),
            ("1795262400.999", 1_795_262_400, 1_795_262_401),
            ("1.7952624005e9", 1_795_262_400, 1_795_262_401),
            ("17952624E2", 1_795_262_400, 1_795_262_400),
            ("0", 0, 0),
            ("0.2", 0, 1),
        ] {
            let value: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!((floor(&value), ceiling(&value)), (at(down), at(up)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_nothing() {
        for value in [
            json!(null),
            json!("1795262400"),
            json!(""),
            json!(true),
            json!([1_795_262_400]),
            json!({}),
            json!(-1),
            json!(-0.5),
            json!(-1e300),
            json!(1e300),
            json!(253_402_207_201_i64),
            json!(253_402_207_200.5),
            json!(u64::MAX),
            json!(i64::MIN),
        ] {
            assert_eq!(ceiling(&value), None, "{value}");
            // The last second of the calendar is still there when rounded down.
            assert!(floor(&value).is_none_or(|time| time == Timestamp::MAX), "{value}");
        }
        // Beyond what a double holds, and what is no JSON: no parser of ours lets them through.
        for text in ["1e400", "NaN", "Infinity", "-Infinity", "0x10", "01"] {
            assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
        }
    }
}
