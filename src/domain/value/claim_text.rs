//! Text that claims and records are compared by: which characters it may have, and when two of them are the same.
//!
//! One parser for both sides. What a record may name a token may hold, and the other way round, so that `carnet validate` admits what the
//! wire admits. Text is compared byte for byte and never normalised: a look-alike, or another Unicode form of the same letters, is another
//! text (ABUSE J-21). Refused are characters that nobody sees or that reorder what is seen.

use std::borrow::Cow;

use serde_json::{Number, Value};

use super::text::misleads;

/// Bytes of UTF-8 that a compared text may have. RFC 7519 has no limit; customised subjects of CI platforms pass 255.
const LONGEST: usize = 1024;

/// Numbers beyond it are not told apart by a parser that reads JSON numbers as doubles (RFC 8259 section 6).
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why a value is compared with nothing: what was expected, never what was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(&'static str);

/// Whether `text` is fit to be compared.
pub fn ensure_fit(text: &str) -> Result<(), Unfit> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(Unfit("a text of 1 to 1024 bytes"));
    }
    if text.chars().any(misleads) {
        return Err(Unfit("a text without control, bidirectional or zero-width characters"));
    }
    if text.trim() != text {
        return Err(Unfit("a text without a blank at either end"));
    }
    Ok(())
}

/// The text by which a claim is compared: a string as it is, a number or boolean by its JSON text. An array that holds the wanted value is
/// not the wanted value, and an object or null has no text (ABUSE P-06).
pub fn compared(value: &Value) -> Result<Cow<'_, str>, Unfit> {
    match value {
        Value::String(text) => ensure_fit(text).map(|()| text.as_str().into()),
        Value::Number(number) if is_exact(number) => Ok(number.to_string().into()),
        Value::Number(_) => Err(Unfit("a number of at most 15 digits, or a text")),
        Value::Bool(flag) => Ok(if *flag { "true" } else { "false" }.into()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Unfit("a text, a number or a boolean")),
    }
}

fn is_exact(number: &Number) -> bool {
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|value| value.abs() < EXACT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn j_21_what_people_write_is_fit_and_what_nobody_sees_is_not() {
        let longest = "x".repeat(1024);
        let umlauts = "ä".repeat(512);
        for fit in [
            "organization:acme:project:Default Project:workspace:x",
            "project_path:grp/bücher:ref_type:branch:ref:фича/日本語",
            "e\u{301}",
            "é",
            "a  b",
            "🦀",
            "a\u{a0}b",
            &longest,
            &umlauts,
        ] {
            assert_eq!(ensure_fit(fit), Ok(()), "{fit:?}");
        }
        let too_long = "x".repeat(1025);
        let too_wide = "ä".repeat(513);
        for unfit in [
            "",
            " a",
            "a ",
            "\u{a0}a",
            "a\u{3000}",
            "a\u{2003}",
            "\u{2028}",
            "a\nb",
            "a\tb",
            "a\0",
            "a\u{7f}",
            "a\u{85}b",
            "a\u{9b}b",
            "\u{202e}abc",
            "a\u{2066}b",
            "a\u{200e}b",
            "a\u{61c}b",
            "a\u{200b}b",
            "a\u{200d}b",
            "a\u{2060}b",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{180e}b",
            "a\u{fe0f}",
            "a\u{e0041}",
            "a\u{3164}b",
            "a\u{2028}b",
            &too_long,
            &too_wide,
        ] {
            assert!(ensure_fit(unfit).is_err(), "{unfit:?}");
        }
    }

    #[test]
    fn numbers_and_booleans_compare_by_their_json_text() {
        let text = |value: Value| compared(&value).ok().map(Cow::into_owned);
        for (value, want) in [
            (json!(456_789), "456789"),
            (json!(-5), "-5"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(1.5), "1.5"),
            (json!(true), "true"),
            (json!(false), "false"),
            (json!("true"), "true"),
        ] {
            assert_eq!(text(value).as_deref(), Some(want));
        }
        // Two numbers that a double cannot tell apart would be one.
        for value in
            [json!(1e20), json!(123_456_789_012_345_678_901_f64), json!(null), json!([1]), json!({"a": 1}), json!(" x")]
        {
            assert_eq!(text(value.clone()), None, "{value}");
        }
    }
}
