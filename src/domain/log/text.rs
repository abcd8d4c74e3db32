//! Changes of texts of people.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::value::text::{Text, TextDigest};

kinds! {
    /// Changes of texts of people.
    pub enum TextChange {
        /// Somebody asked that texts are forgotten.
        #[kind = "text.erase-asked"]
        EraseAsked {
            /// The texts.
            texts: Vec<Text>,
            /// The reason.
            reason: Text,
            /// The approval that this opens.
            approval: Box<Approval>,
        },
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
            Self::EraseAsked { .. } => Vec::new(),
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::EraseAsked { texts, .. } | Self::Erased { texts, .. } => format!("{} texts", texts.len()),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::EraseAsked { reason, .. } | Self::Erased { reason, .. } => Some(reason),
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::EraseAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Erased { reason, .. } => vec![reason],
        }
    }
}
