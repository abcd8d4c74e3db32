//! Changes of texts of people.

use super::kinds::kinds;
use crate::domain::value::text::{Text, TextDigest};

kinds! {
    /// What happens to texts of people.
    pub enum TextChange {
        /// Texts were forgotten.
        #[kind = "text.erased"]
        Erased {
            /// Which; salt and text are deleted in the same transaction.
            texts: Vec<Text>,
            /// Why.
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

    /// What the change is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Erased { texts, .. } => format!("{} texts", texts.len()),
        }
    }

    /// Why.
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
