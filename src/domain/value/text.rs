//! Personal data and free text: what people may ask us to forget.
//!
//! In a journal entry such a text stands as `text:` and the SHA-256 of salt and text; salt and text lie in the journal's
//! `texts` table and may be erased by a recorded change. State, proofs and `verify` never need the plain form (docs/explanation/journal.md).

use std::fmt;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::clock::Entropy;
use super::hex;

/// A text that can be forgotten: plain while a request is worked on, only its digest once it is in an entry.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Text {
    /// As somebody wrote it. Never serialised into an entry: `seal` comes first.
    Plain(String),
    /// SHA-256(salt ‖ text).
    Sealed(TextDigest),
}

/// SHA-256(salt ‖ text), shown as `text:` and 64 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TextDigest(pub [u8; 32]);

/// A row of the journal's `texts` table: what a digest stands for.
#[derive(Clone, Eq, PartialEq)]
pub struct TextRow {
    /// What the entry holds.
    pub digest: TextDigest,
    /// 16 unguessable bytes, so that a digest tells nothing of a short text.
    pub salt: [u8; 16],
    /// The text.
    pub text: String,
}

const PREFIX: &str = "text:";

/// Whether a character hides or reorders text on a screen (Trojan source): controls, line and paragraph separators, the marks of
/// bidirectional text (Unicode UAX 9), and what has no width (Unicode TR 36 section 2).
pub fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text as it may be shown: what would hide or reorder it stands as an escape, but for what is kept (ABUSE L-05).
pub fn visible(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) && !keep(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

impl Text {
    /// Replaces a plain text by its digest and hands out the row that must be stored in the same transaction.
    pub fn seal(&mut self, entropy: &dyn Entropy) -> Option<TextRow> {
        let Self::Plain(text) = self else { return None };
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let row = TextRow { digest: TextDigest::of(&salt, text), salt, text: std::mem::take(text) };
        *self = Self::Sealed(row.digest);
        Some(row)
    }

    /// The plain text, if it is plain.
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Sealed(_) => None,
        }
    }

    /// The digest, if it is sealed.
    pub fn digest(&self) -> Option<TextDigest> {
        match self {
            Self::Plain(_) => None,
            Self::Sealed(digest) => Some(*digest),
        }
    }
}

impl TextDigest {
    /// SHA-256(salt ‖ text).
    pub fn of(salt: &[u8; 16], text: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(salt);
        context.update(text.as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl TryFrom<String> for Text {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.strip_prefix(PREFIX) {
            None => Ok(Self::Plain(text)),
            Some(digits) => hex::decode_32(digits)
                .map(|bytes| Self::Sealed(TextDigest(bytes)))
                .ok_or("a text that begins with text: must be a digest"),
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        match text {
            Text::Plain(text) => text,
            Text::Sealed(digest) => digest.to_string(),
        }
    }
}

impl fmt::Display for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex::encode(&self.0))
    }
}

impl fmt::Debug for TextDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Neither salt nor text is printed.
impl fmt::Debug for TextRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextRow({})", self.digest)
    }
}

/// Plain text is never printed: it is somebody's name, address or words.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Text(…)"),
            Self::Sealed(digest) => fmt::Display::fmt(digest, f),
        }
    }
}
