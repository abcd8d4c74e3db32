//! Changes of what people are told by mail.

use super::kinds::kinds;
use crate::domain::people::addressee::Addressee;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of what people are told by mail.
    pub enum MailChange {
        /// Nobody took a mail for a week: those whom it was for were not told.
        #[kind = "mail.given-up"]
        GivenUp {
            /// Whom it was for.
            recipient: Addressee,
            /// When the first try failed.
            since: Timestamp,
            /// The first entry that it told of.
            first: u64,
            /// The number of things that it told of.
            notices: u64,
        },
    }
}

impl MailChange {
    /// The subject of the change: the integration whose owner was not told, or `mail`.
    pub fn subject(&self) -> String {
        match self {
            Self::GivenUp { recipient, .. } => recipient.integration().map_or_else(|| "mail".to_owned(), ToString::to_string),
        }
    }

    /// The reason, which nobody gives.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::GivenUp { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::GivenUp { .. } => Vec::new(),
        }
    }
}
