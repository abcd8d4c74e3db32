//! Changes of revocations.

use super::kinds::kinds;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::registry::approval::Approval;
use crate::domain::value::names::{ClientId, RevocationId};
use crate::domain::value::text::Text;

kinds! {
    /// What happens to revocations.
    #[expect(clippy::large_enum_variant, reason = "a change is made once, and its entry is boxed")]
    pub enum RevocationChange {
        /// Something was revoked.
        #[kind = "revocation.added"]
        Added {
            /// Its id.
            id: RevocationId,
            /// What is cut. The entry itself has a `subject`, and no member of it may stand twice.
            #[serde(rename = "cut")]
            target: RevocationTarget,
            /// Cuts what was issued and refuses nothing later.
            tokens_only: bool,
            /// Why.
            reason: Text,
            /// The client whose token it is, where one token is cut: the token's id names nobody. Older entries do not say it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            client: Option<ClientId>,
        },
        /// Somebody asked to lift a revocation.
        #[kind = "revocation.lift-asked"]
        LiftAsked {
            /// Which.
            id: RevocationId,
            /// Why.
            reason: Text,
            /// What must be approved.
            approval: Approval,
        },
        /// A revocation was lifted: later exchanges are allowed again. Tokens that it cut stay cut.
        #[kind = "revocation.lifted"]
        Lifted {
            /// Which.
            id: RevocationId,
        },
    }
}

impl RevocationChange {
    /// What the change is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Added { target, .. } => target.key().to_string(),
            Self::LiftAsked { id, .. } | Self::Lifted { id } => id.to_string(),
        }
    }

    /// Why.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Added { reason, .. } | Self::LiftAsked { reason, .. } => Some(reason),
            Self::Lifted { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Added { reason, .. } => vec![reason],
            Self::LiftAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Lifted { .. } => Vec::new(),
        }
    }
}
