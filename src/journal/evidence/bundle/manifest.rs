//! `manifest.json`: the SHA-256 of each file that a bundle vouches for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::zip::Files;
use crate::domain::value::digest::Digest;

/// The only form that there is.
const FORM: u8 = 1;

/// The files under a manifest, by their names.
///
/// A manifest has one text: JSON without spaces, its members in the order of their names (for these names and values as RFC 8785 has it).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Manifest {
    /// The digest of each file.
    pub files: BTreeMap<String, Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    bundle: u8,
    files: BTreeMap<String, Digest>,
}

impl Manifest {
    /// The manifest of these files.
    pub fn of(files: &Files<'_>) -> Self {
        Self { files: files.iter().map(|(name, content)| ((*name).to_owned(), Digest::of(content))).collect() }
    }

    /// Its text.
    pub fn text(&self) -> String {
        let text = Text { bundle: FORM, files: self.files.clone() };
        // Invariant: names and digests are JSON strings.
        serde_json::to_string(&text).expect("a manifest is JSON")
    }

    /// The digest of its text, as the closing entry has it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// Reads the text of a manifest; none if it is not exactly as [`Self::text`] writes it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let Text { bundle: FORM, files } = serde_json::from_slice(text).ok()? else { return None };
        let read = Self { files };
        (read.text().as_bytes() == text).then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_has_one_text() {
        let manifest = Manifest::of(&Files::from([("b", &b"2"[..]), ("a/x", b"1")]));
        let text = manifest.text();
        let one = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
        let two = "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35";
        assert_eq!(text, format!(r#"{{"bundle":1,"files":{{"a/x":"{one}","b":"{two}"}}}}"#));
        assert_eq!(Manifest::parse(text.as_bytes()), Some(manifest));
        for bad in [
            text.replace("bundle\":1", "bundle\":2"),
            text.replace(",\"b\"", ", \"b\""),
            text.replace(one, &one.to_uppercase()),
            text.replace("a/x", "\\u0061/x"),
            text.replace("\"b\"", "\"a/x\""),
            text.replace("a/x", "c"),
            text.replace("}}", "},\"more\":1}"),
            format!("{text}\n"),
            String::new(),
        ] {
            assert_eq!(Manifest::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
