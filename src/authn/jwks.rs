//! Key sets of issuers, and bundles of SPIFFE trust domains.
//!
//! Enter through [`KeySet::parse`]. Usable keys are kept, and other entries are counted (ABUSE K-18). `domain::value::jwk` and
//! `domain::value::jwk_set` read a key and select the one that a token means, so there is one reader for all. josekit's own
//! `JwkSet` is not used: one odd key would discard the whole set.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::svid::Anchors;
use crate::domain::credential::certificate::Der;
use crate::domain::value::alg::Alg;
use crate::domain::value::digest::Digest;
use crate::domain::value::jwk::Jwk;
use crate::domain::value::jwk_set::{self, JwkSet, Unusable};

/// The most X.509 authorities that are kept of a bundle.
const MAX_AUTHORITIES: usize = 100;

/// The usable public keys of one source.
pub(super) struct KeySet {
    keys: JwkSet,
    /// The number of entries that were no usable key.
    pub(super) ignored: usize,
    /// The additional parts of the bundle of a SPIFFE trust domain.
    pub(super) bundle: Option<Bundle>,
}

/// The parts that only the bundle of a SPIFFE trust domain has.
pub(super) struct Bundle {
    /// Its X.509 authorities; `None` if it has none.
    pub(super) anchors: Option<Anchors>,
    /// Its `spiffe_sequence`: its number among the domain's bundles.
    sequence: Option<u64>,
}

/// One key of a probed issuer.
#[derive(Clone, Debug)]
pub struct ProbedKey {
    /// Its `kid`.
    pub kid: Option<String>,
    /// The algorithms that it verifies.
    pub algs: Vec<Alg>,
    /// Its SHA-256 thumbprint (RFC 7638).
    pub thumbprint: Digest,
}

/// The reason why a set as a whole is not usable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SetFault {
    /// Not a JSON object with an array `keys`, or a duplicate member somewhere.
    #[error("the key set is not JSON with an array of keys, or has a duplicate member")]
    Malformed,
    /// It has a private key.
    #[error("the key set holds a private key")]
    Private,
    /// It is an older bundle than the one in use.
    #[error("the bundle has a lower sequence number than the one before")]
    Rollback,
    /// It has no usable key.
    #[error("the key set has no usable key")]
    Empty,
}

impl From<Unusable> for SetFault {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Malformed => Self::Malformed,
            Unusable::Private(..) => Self::Private,
        }
    }
}

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SetFault> {
        let keys = JwkSet::parse(bytes)?;
        if keys.usable().next().is_none() {
            return Err(SetFault::Empty);
        }
        Ok(Self { ignored: keys.refused().len(), keys, bundle: None })
    }

    /// Reads the bundle of a SPIFFE trust domain (SPIFFE Trust Domain and Bundle, section 4).
    ///
    /// It has the keys of JWT-SVIDs and the authorities of X.509-SVIDs. Entries with another `use` are ignored. An empty bundle is
    /// no fault: the domain has withdrawn everything.
    pub(super) fn bundle(bytes: &[u8]) -> Result<Self, SetFault> {
        let set = jwk_set::document(bytes)?;
        let entries = jwk_set::entries(&set)?;
        let sequence = match set.get("spiffe_sequence") {
            None | Some(Value::Null) => None,
            Some(number) => Some(number.as_u64().ok_or(SetFault::Malformed)?),
        };
        let of_use = |usage: &'static str| entries.iter().enumerate().filter(move |(_, entry)| entry["use"] == usage);
        // A JWT-SVID names its key, so a key without a `kid` verifies none (section 4.2.2).
        let named = of_use("jwt-svid").filter(|(_, entry)| entry["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
        let keys = JwkSet::read(named, "jwt-svid");
        let authorities: Vec<Der> =
            of_use("x509-svid").filter_map(|(_, entry)| authority(entry)).take(MAX_AUTHORITIES).collect();
        let bundle = Bundle { anchors: Anchors::of(authorities), sequence };
        let mut set = Self { ignored: 0, keys, bundle: Some(bundle) };
        set.ignored = entries.len().saturating_sub(set.len());
        Ok(set)
    }

    /// Tells whether this bundle is older than `earlier`: using it would bring withdrawn keys back.
    pub(super) fn rolls_back(&self, earlier: &Self) -> bool {
        let sequence = |set: &Self| set.bundle.as_ref().and_then(|bundle| bundle.sequence);
        match (sequence(earlier), sequence(self)) {
            (Some(earlier), Some(now)) => now < earlier,
            // A bundle without a number could be of any age.
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The keys that verify tokens, for a person who probes their issuer.
    pub(super) fn probed(&self) -> Vec<ProbedKey> {
        let shown = |key: &Arc<Jwk>| ProbedKey {
            kid: key.kid.clone(),
            algs: key.publics.iter().map(|public| public.alg).collect(),
            thumbprint: key.thumbprint,
        };
        self.keys.usable().map(shown).collect()
    }

    /// Notes on what is odd about the entries of the set, in fixed words.
    pub(super) fn notes(&self) -> Vec<String> {
        let padded = self.keys.usable().filter(|key| key.padded).map(|key| {
            let kid = key.kid.as_deref().unwrap_or("without kid");
            format!("key {kid}: n begins with a zero octet, which RFC 7518 section 6.3.1.1 forbids; it is dropped, and others refuse such a key")
        });
        let refused = self.keys.refused().iter().map(|(at, fault)| format!("keys[{at}] is not used: {fault}"));
        padded.chain(refused).take(MOST_NOTES).collect()
    }

    /// The number of usable keys, authorities of X.509-SVIDs included.
    pub(super) fn len(&self) -> usize {
        let anchors = self.bundle.as_ref().and_then(|bundle| bundle.anchors.as_ref());
        self.keys.usable().count() + anchors.map_or(0, |anchors| anchors.authorities.len())
    }

    /// Finds the key that `kid` and `alg` name ([`JwkSet::select`]).
    pub(super) fn select(&self, kid: Option<&str>, alg: Alg) -> Option<Arc<Jwk>> {
        self.keys.select(kid, alg).cloned()
    }
}

/// The most notes on one set: somebody else chose how many entries it has.
const MOST_NOTES: usize = 20;

/// Reads the one certificate of an X.509 authority (section 4.2.1).
///
/// Its JWK members are not read: the certificate has all that is needed.
fn authority(entry: &Value) -> Option<Der> {
    let [Value::String(only)] = entry.get("x5c")?.as_array()?.as_slice() else { return None };
    STANDARD.decode(only).ok().map(Der)
}
