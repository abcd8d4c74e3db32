//! SPIFFE IDs of partners' trust domains, and their X.509-SVIDs.
//!
//! A binding names the bundle by which a trust domain is trusted. Bundles are never merged: a signature of one trust domain proves
//! nothing about another (SPIFFE Trust Domain and Bundle, section 4). The SPIFFE IDs of our own leaves are in
//! [`certificate`](crate::domain::credential::certificate).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::registry::binding::KeySource;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{InvalidName, Issuer};

/// The longest ID that is accepted.
///
/// SPIFFE-ID section 2.3 asks for 2048; names of callers here have at most 255.
const LONGEST: usize = 255;

/// `spiffe://TRUST-DOMAIN/PATH` of a workload (SPIFFE-ID section 2), compared byte for byte.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkloadId {
    text: String,
    /// The length of `spiffe://TRUST-DOMAIN`.
    domain: usize,
}

impl WorkloadId {
    /// The ID as it is in proofs.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The trust domain as the name of an issuer: `spiffe://TRUST-DOMAIN`.
    pub fn issuer(&self) -> Issuer {
        // Invariant: a prefix of at most 255 printable characters is an issuer's name.
        self.text.get(..self.domain).unwrap_or_default().parse().expect("a trust domain is an issuer's name")
    }
}

impl FromStr for WorkloadId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const EXPECTED: InvalidName = InvalidName("expected spiffe://TRUST-DOMAIN/PATH in lower case, as SPIFFE writes it");
        let rest = text.strip_prefix("spiffe://").ok_or(EXPECTED)?;
        let (domain, path) = rest.split_once('/').ok_or(EXPECTED)?;
        let in_domain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let in_segment = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_segment);
        let sound = !domain.is_empty() && domain.bytes().all(in_domain) && path.split('/').all(segment);
        if !sound || text.len() > LONGEST {
            return Err(EXPECTED);
        }
        Ok(Self { domain: "spiffe://".len() + domain.len(), text: text.to_owned() })
    }
}

impl TryFrom<String> for WorkloadId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<WorkloadId> for String {
    fn from(id: WorkloadId) -> Self {
        id.text
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An X.509-SVID that its trust domain's bundle verified, in the form of a leaf.
///
/// X509-SVID sections 4 and 5.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Svid {
    /// The workload that it names.
    pub id: WorkloadId,
    /// The bundle that verified it.
    pub source: KeySource,
    /// SHA-256 of its SubjectPublicKeyInfo.
    pub key: Digest,
    /// SHA-256 of its DER: `x5t#S256`.
    pub fingerprint: Digest,
    /// `notBefore`.
    pub starts: Timestamp,
    /// `notAfter`, or an earlier one of its chain.
    pub ends: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_standard_and_nothing_near() {
        let good: WorkloadId = "spiffe://prod.globex.example/ns/shop/sa/Sync_1.2-x".parse().expect("an ID");
        assert_eq!(good.issuer().as_str(), "spiffe://prod.globex.example");
        for bad in [
            "spiffe://prod.globex.example",
            "spiffe://prod.globex.example/",
            "spiffe://prod.globex.example/a/",
            "spiffe://prod.globex.example//a",
            "spiffe://prod.globex.example/./a",
            "spiffe://prod.globex.example/../a",
            "spiffe://prod.globex.example/a?b",
            "spiffe://prod.globex.example/a#b",
            "spiffe://prod.globex.example/a%20b",
            "spiffe://prod.globex.example:8080/a",
            "spiffe://u@prod.globex.example/a",
            "spiffe://Prod.globex.example/a",
            "SPIFFE://prod.globex.example/a",
            "https://prod.globex.example/a",
            "spiffe:///a",
            "spiffe://prod.globex.example/\u{e4}",
        ] {
            assert!(bad.parse::<WorkloadId>().is_err(), "{bad}");
        }
        assert!(format!("spiffe://a/{}", "b".repeat(250)).parse::<WorkloadId>().is_err());
    }
}
