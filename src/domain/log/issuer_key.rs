//! Changes of our knowledge of the keys of partners' issuers.

use super::kinds::kinds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::Issuer;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of the keys of partners' issuers.
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
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::FirstUsed { issuer, .. } => issuer.to_string(),
        }
    }

    /// The reason, which a proof that arrives does not give.
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
