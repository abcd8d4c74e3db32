//! Changes of texts of people.

use super::kinds::kinds;
use crate::domain::value::text::{Text, TextDigest};

kinds! {
    /// Changes of texts of people.
    pub enum TextChange {
        /// Texts were forgotten.
        #[kind = "text.erased"]
        Erased {
            /// The texts. Salt and text are deleted in the same transaction.
            texts: Vec<Text>,
            /// The reason.
            reason: Text,
        },
    }
}

impl TextChange {
    /// The texts that the change forgets.
    pub fn erased(&self) -> Vec<TextDigest> {
        match self {
            Self::Erased { texts, .. } => texts.iter().filter_map(Text::digest).collect(),
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Erased { texts, .. } => format!("{} texts", texts.len()),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Erased { reason, .. } => Some(reason),
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Erased { reason, .. } => vec![reason],
        }
    }
}
