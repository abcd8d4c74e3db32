//! `texts.json`: people's names and free text in plain, each with the salt that proves it.
//!
//! Under the manifest such a text stands as `text:` and a digest, so a bundle holds without it: it may have been erased, or be left out for a
//! reader who is not to have it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::TEXTS;
use super::fault::BundleFault;
use crate::domain::value::hex;
use crate::domain::value::text::{TextDigest, TextRow};

/// The beginning of a digest, and its digits.
const PREFIX: &str = "text:";
const DIGITS: usize = 64;

/// Plain texts by their digests.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Texts(BTreeMap<TextDigest, Said>);

#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    salt: String,
    text: String,
}

/// Neither salt nor text is printed.
impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Said(…)")
    }
}

impl Texts {
    /// The texts of these rows.
    pub fn of(rows: impl IntoIterator<Item = TextRow>) -> Self {
        let said = |row: TextRow| (row.digest, Said { salt: hex::encode(&row.salt), text: row.text });
        Self(rows.into_iter().map(said).collect())
    }

    /// The plain text of a digest.
    pub fn plain(&self, digest: &TextDigest) -> Option<&str> {
        self.0.get(digest).map(|said| &*said.text)
    }

    /// Their number.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The file: JSON without spaces, in the order of the digests.
    pub fn file(&self) -> String {
        let all: BTreeMap<String, &Said> = self.0.iter().map(|(digest, said)| (digest.to_string(), said)).collect();
        // Invariant: strings alone.
        serde_json::to_string(&all).expect("texts are JSON")
    }

    /// Reads the file, and proves each text by its digest. `named`: the digests that the files under the manifest name.
    ///
    /// # Errors
    /// The file is not as [`Self::file`] writes it, a text is another one, or no file names it.
    pub fn read(file: &[u8], named: &BTreeSet<TextDigest>) -> Result<Self, BundleFault> {
        let fault = |what: String| BundleFault::file(TEXTS, what);
        let all: BTreeMap<String, Said> =
            serde_json::from_slice(file).map_err(|error| fault(format!("it is not a file of texts: {error}")))?;
        let mut read = Self::default();
        for (name, said) in all {
            let digest = name.strip_prefix(PREFIX).and_then(hex::decode_32).map(TextDigest);
            let digest = digest.ok_or_else(|| fault("a name in it is no digest of a text".to_owned()))?;
            let is_said = salt(&said.salt).is_some_and(|salt| TextDigest::of(&salt, &said.text) == digest);
            if !is_said {
                return Err(fault(format!("salt and text of {digest} do not have this digest")));
            }
            if !named.contains(&digest) {
                return Err(fault(format!("no file of the bundle names {digest}")));
            }
            read.0.insert(digest, said);
        }
        if read.file().as_bytes() == file { Ok(read) } else { Err(fault("it is not written as a bundle writes it".to_owned())) }
    }
}

/// 16 bytes of 32 lower-case digits.
fn salt(digits: &str) -> Option<[u8; 16]> {
    let salt = u128::from_str_radix(digits, 16).ok()?.to_be_bytes();
    (hex::encode(&salt) == digits).then_some(salt)
}

/// The text between two digests, and the digest after it; the last piece has none.
pub struct Piece<'a> {
    /// Text without digests.
    pub before: &'a str,
    /// The digest.
    pub digest: Option<TextDigest>,
}

/// Divides a text at the digests that it names.
pub fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(PREFIX).map(|at| from + at) {
        let begins = at + PREFIX.len();
        let digest = text.get(begins..begins + DIGITS).and_then(hex::decode_32);
        let Some(digest) = digest else {
            from = begins;
            continue;
        };
        pieces.push(Piece { before: &text[..at], digest: Some(TextDigest(digest)) });
        (text, from) = (&text[begins + DIGITS..], 0);
    }
    pieces.push(Piece { before: text, digest: None });
    pieces
}

/// The digests that files name.
pub fn named<'a>(files: impl IntoIterator<Item = &'a [u8]>) -> BTreeSet<TextDigest> {
    let texts = files.into_iter().filter_map(|content| std::str::from_utf8(content).ok());
    texts.flat_map(|text| pieces(text).into_iter().filter_map(|piece| piece.digest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> TextRow {
        TextRow { digest: TextDigest::of(&[7; 16], text), salt: [7; 16], text: text.to_owned() }
    }

    #[test]
    fn digests_are_found_wherever_they_stand() {
        let (one, two) = (row("one").digest, row("two").digest);
        let text = format!("text:\"by\": \"{one}\", text:{one}{two}0 text:abc é text:{}", "é".repeat(64));
        assert_eq!(named([text.as_bytes()]), BTreeSet::from([one, two]));
        let again: String = pieces(&text)
            .iter()
            .map(|piece| format!("{}{}", piece.before, piece.digest.map_or(String::new(), |d| d.to_string())))
            .collect();
        assert_eq!(again, text);
        assert!(named([&b"\xff text:"[..], b""]).is_empty());
    }

    #[test]
    fn a_file_of_texts_has_one_form_and_says_what_was_said() {
        let rows = [row("Jane \u{e9} \"x\"\n\u{1}\u{7f}"), row("two")];
        let named: BTreeSet<_> = rows.iter().map(|row| row.digest).collect();
        let texts = Texts::of(rows.clone());
        let file = texts.file();
        assert_eq!(Texts::read(file.as_bytes(), &named), Ok(texts));
        assert_eq!(Texts::read(b"{}", &named), Ok(Texts::default()));
        for place in 0..file.len() {
            let mut bent = file.clone().into_bytes();
            bent[place] ^= 1;
            Texts::read(&bent, &named).expect_err("another text");
        }
        Texts::read(format!("{file} ").as_bytes(), &named).expect_err("a space more");
        Texts::read(file.as_bytes(), &BTreeSet::from([rows[0].digest])).expect_err("one that nobody names");
        let salt = "07".repeat(16);
        Texts::read(file.replace(&salt, &format!("+{}", &salt[1..])).as_bytes(), &named).expect_err("another salt");
    }
}
