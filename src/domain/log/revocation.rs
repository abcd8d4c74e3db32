//! Changes of revocations.

use serde::{Deserialize, Serialize};

use super::kinds::kinds;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::registry::approval::Approval;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ClientId, EnvironmentName, RevocationId, TokenId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of revocations.
    pub enum RevocationChange {
        /// A target was revoked.
        #[kind = "revocation.added"]
        Added {
            /// Its id.
            id: RevocationId,
            /// The target. Its name is `cut`, because the entry has a `subject` already.
            #[serde(rename = "cut")]
            target: RevocationTarget,
            /// Cuts the tokens issued so far, and refuses nothing later.
            tokens_only: bool,
            /// The reason.
            reason: Text,
            /// The client of the token, if one token is cut: the token's id names nobody.
            ///
            /// Older entries lack it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            client: Option<ClientId>,
        },
        /// Somebody asked to lift a revocation.
        #[kind = "revocation.lift-asked"]
        LiftAsked {
            /// The id of the revocation.
            id: RevocationId,
            /// The reason.
            reason: Text,
            /// The approval that it opens.
            approval: Approval,
        },
        /// A revocation was lifted: later exchanges are allowed again. Tokens that it cut stay cut.
        #[kind = "revocation.lifted"]
        Lifted {
            /// The id of the revocation.
            id: RevocationId,
        },
        /// Tokens that a version or a guardrail cut when it came into force, by name: the live index learns them from here.
        #[kind = "tokens.cut"]
        TokensCut {
            /// The thing whose version took something away; the environment, if a guardrail did. Its name is `cut`, as in `revocation.added`.
            #[serde(rename = "cut")]
            target: RevocationTarget,
            /// The index of the entry that brought it into force.
            because: u64,
            /// The tokens.
            tokens: Vec<CutToken>,
        },
    }
}

/// A token that was cut.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutToken {
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its `jti`.
    pub id: TokenId,
    /// Its `exp`.
    pub expires: Timestamp,
}

impl RevocationChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Added { target, .. } | Self::TokensCut { target, .. } => target.key().to_string(),
            Self::LiftAsked { id, .. } | Self::Lifted { id } => id.to_string(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Added { reason, .. } | Self::LiftAsked { reason, .. } => Some(reason),
            Self::Lifted { .. } | Self::TokensCut { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Added { reason, .. } => vec![reason],
            Self::LiftAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Lifted { .. } | Self::TokensCut { .. } => Vec::new(),
        }
    }
}
