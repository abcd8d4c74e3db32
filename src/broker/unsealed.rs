//! Texts of people in plain, in a record or alone. A forgotten one is told apart by its digest, and shown as forgotten.

use super::words::Words;
use crate::domain::record::Record;
use crate::domain::value::text::Text;

/// The placeholder for a text that was forgotten.
pub const ERASED: &str = "[erased]";

/// The text in plain, or [`ERASED`] if it was forgotten.
pub fn plain(text: Option<&Text>, words: &Words) -> Option<String> {
    text.map(|text| words.plain(text).unwrap_or(ERASED).to_owned())
}

/// Unseals the texts of a record, and returns the digests of the forgotten ones.
pub fn fill(record: &mut Record, words: &Words) -> Vec<String> {
    let mut erased = Vec::new();
    for text in record.texts_mut() {
        match words.plain(text).map(str::to_owned) {
            Some(plain) => *text = Text::Plain(plain),
            None => erased.extend(text.digest().map(|digest| digest.to_string())),
        }
    }
    erased
}

/// Replaces the texts that are still sealed.
pub fn replace(record: &mut Record, with: impl Fn(usize) -> String) {
    for (number, text) in record.texts_mut().into_iter().enumerate() {
        if text.plain().is_none() {
            *text = Text::Plain(with(number));
        }
    }
}
