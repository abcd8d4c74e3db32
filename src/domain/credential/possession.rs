//! What a token is bound to.

use serde::{Deserialize, Serialize};

/// What a token is bound to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Possession {
    /// Nothing: it works for everybody who has it.
    Bearer,
    /// A key: of a certificate or of DPoP proofs.
    Bound,
    /// The same, and an assertion and a certificate were shown together.
    Dual,
}

impl Possession {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bearer, Self::Bound, Self::Dual];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Bound => "bound",
            Self::Dual => "dual",
        }
    }
}
