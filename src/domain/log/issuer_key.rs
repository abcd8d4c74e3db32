//! Changes of what is known of the keys of partners' issuers.

use super::kinds::kinds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::Issuer;
use crate::domain::value::text::Text;

kinds! {
    /// What happens to the keys of partners' issuers.
    pub enum IssuerKeyChange {
        /// A partner's issuer signed with a key for the first time, as far as we know.
        #[kind = "issuer-key.first-used"]
        FirstUsed {
            /// The issuer.
            issuer: Issuer,
            /// The key's thumbprint.
            key: Digest,
        },
    }
}

impl IssuerKeyChange {
    /// What the change is about.
    pub fn subject(&self) -> String {
        match self {
            Self::FirstUsed { issuer, .. } => issuer.to_string(),
        }
    }

    /// Why. A proof that arrives does not say.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::FirstUsed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::FirstUsed { .. } => Vec::new(),
        }
    }
}
