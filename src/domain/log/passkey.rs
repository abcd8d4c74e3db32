//! Changes of the passkeys that approvers sign with.

use super::kinds::kinds;
use crate::domain::value::names::PasskeyId;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of passkeys.
    pub enum PasskeyChange {
        /// A person registered a passkey to sign approvals with.
        #[kind = "passkey.registered"]
        Registered {
            /// Its id.
            passkey: PasskeyId,
            /// The name that its owner gave it.
            label: Text,
            /// Credential id and public key, as `authn::passkey` persists them.
            credential: serde_json::Value,
        },
        /// A passkey was revoked: neither the passkey nor its signatures count any more.
        #[kind = "passkey.revoked"]
        Revoked {
            /// The id of the passkey.
            passkey: PasskeyId,
            /// The reason.
            reason: Text,
        },
    }
}

impl PasskeyChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Registered { passkey, .. } | Self::Revoked { passkey, .. } => passkey.to_string(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Revoked { reason, .. } => Some(reason),
            Self::Registered { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Registered { label, .. } => vec![label],
            Self::Revoked { reason, .. } => vec![reason],
        }
    }
}
