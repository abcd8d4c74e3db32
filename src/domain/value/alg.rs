//! Signature algorithms by their JOSE names (RFC 7518 section 3.1, RFC 8037, RFC 9864).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a token or an assertion may be signed with. There is no symmetric algorithm here, and no `none` (ABUSE J-01, J-03).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Alg {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256. Inbound for workload tokens; outbound where an API asked for it.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PSS with SHA-256. Inbound only.
    #[serde(rename = "PS256")]
    Ps256,
    /// Ed25519 under its older name (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// Ed25519 under its fully specified name (RFC 9864).
    #[serde(rename = "Ed25519")]
    Ed25519,
}

impl Alg {
    /// The JOSE name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
            Self::Ed25519 => "Ed25519",
        }
    }

    /// What an `oidc` binding takes unless its record narrows it (docs/reference/records.md).
    pub const WORKLOAD: [Self; 5] = [Self::Es256, Self::Rs256, Self::Ps256, Self::EdDsa, Self::Ed25519];

    /// What a `key` binding takes unless its record says otherwise: RS256 only if listed.
    pub const KEY: [Self; 4] = [Self::Es256, Self::Ps256, Self::EdDsa, Self::Ed25519];
}

impl FromStr for Alg {
    type Err = &'static str;
    /// Byte for byte: `es256` is no algorithm (RFC 8725bis: names are case-sensitive).
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::WORKLOAD.into_iter().find(|alg| alg.name() == name).ok_or("expected ES256, RS256, PS256, EdDSA or Ed25519")
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
