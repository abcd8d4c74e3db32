//! Changes of our signing keys.

use super::kinds::kinds;
use crate::domain::credential::keys::SigningKey;
use crate::domain::value::names::{EnvironmentName, KeyId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of our signing keys.
    pub enum KeyChange {
        /// A signing key was made.
        #[kind = "key.created"]
        Created(SigningKey),
        /// Every node that lives knows a key whose time has come: it signs.
        #[kind = "key.activated"]
        Activated {
            /// Its environment.
            environment: EnvironmentName,
            /// The key.
            kid: KeyId,
        },
        /// A key was tainted: it signs no more, and all tokens that it signed are revoked.
        #[kind = "key.tainted"]
        Tainted {
            /// Its environment.
            environment: EnvironmentName,
            /// The key.
            kid: KeyId,
            /// The reason.
            reason: Text,
        },
        /// A key's time is over, and its sealed private half is destroyed.
        #[kind = "key.retired"]
        Retired {
            /// Its environment.
            environment: EnvironmentName,
            /// The key.
            kid: KeyId,
        },
    }
}

impl KeyChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Created(key) => format!("{}/{}", key.environment, key.kid),
            Self::Tainted { environment, kid, .. }
            | Self::Activated { environment, kid }
            | Self::Retired { environment, kid } => format!("{environment}/{kid}"),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Tainted { reason, .. } => Some(reason),
            Self::Created(_) | Self::Activated { .. } | Self::Retired { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Tainted { reason, .. } => vec![reason],
            Self::Created(_) | Self::Activated { .. } | Self::Retired { .. } => Vec::new(),
        }
    }
}
