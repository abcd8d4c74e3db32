//! Key sets of issuers: what is usable is kept, what is not is counted (ABUSE K-18); and the bundles of SPIFFE trust domains.
//!
//! Enter through [`KeySet::parse`]. What a key is and which one a token means is `domain::jwk`'s and `domain::jwk_set`'s, one reader for all;
//! josekit's own `JwkSet` is not used: one odd key would discard the whole set.

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

/// X.509 authorities that are kept of a bundle.
const MAX_AUTHORITIES: usize = 100;

/// The usable public keys of one source.
pub(super) struct KeySet {
    keys: JwkSet,
    /// Entries that were no usable key.
    pub(super) ignored: usize,
    /// What only the bundle of a SPIFFE trust domain has.
    pub(super) bundle: Option<Bundle>,
}

/// What only the bundle of a SPIFFE trust domain has.
pub(super) struct Bundle {
    /// Its X.509 authorities; none where there are none.
    pub(super) anchors: Option<Anchors>,
    /// Its number among the domain's bundles.
    sequence: Option<u64>,
}

/// One key of a probed issuer.
#[derive(Clone, Debug)]
pub struct ProbedKey {
    /// Its name.
    pub kid: Option<String>,
    /// What it verifies.
    pub algs: Vec<Alg>,
    /// RFC 7638, SHA-256.
    pub thumbprint: Digest,
}

/// Why a set as a whole is not usable.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SetFault {
    /// Not a JSON object with an array `keys`, or a duplicate member somewhere.
    #[error("the key set is not JSON with an array of keys, or has a duplicate member")]
    Malformed,
    /// A private key.
    #[error("the key set holds a private key")]
    Private,
    /// An older bundle than the one that is in use.
    #[error("the bundle has a lower sequence number than the one before")]
    Rollback,
    /// Nothing in it can be used.
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

    /// Reads the bundle of a SPIFFE trust domain (SPIFFE Trust Domain and Bundle, section 4): keys of JWT-SVIDs, authorities of X.509-SVIDs.
    /// What has another `use` is ignored. One that is empty is no fault: the domain has withdrawn everything.
    pub(super) fn bundle(bytes: &[u8]) -> Result<Self, SetFault> {
        let set = jwk_set::document(bytes)?;
        let entries = jwk_set::entries(&set)?;
        let sequence = match set.get("spiffe_sequence") {
            None | Some(Value::Null) => None,
            Some(number) => Some(number.as_u64().ok_or(SetFault::Malformed)?),
        };
        let of_use = |usage: &'static str| entries.iter().enumerate().filter(move |(_, entry)| entry["use"] == usage);
        // A JWT-SVID names its key, so a key without a name verifies none (section 4.2.2).
        let named = of_use("jwt-svid").filter(|(_, entry)| entry["kid"].as_str().is_some_and(|kid| !kid.is_empty()));
        let keys = JwkSet::read(named, "jwt-svid");
        let authorities: Vec<Der> =
            of_use("x509-svid").filter_map(|(_, entry)| authority(entry)).take(MAX_AUTHORITIES).collect();
        let bundle = Bundle { anchors: Anchors::of(authorities), sequence };
        let mut set = Self { ignored: 0, keys, bundle: Some(bundle) };
        set.ignored = entries.len().saturating_sub(set.len());
        Ok(set)
    }

    /// Whether this bundle is older than the one that is in use: taking it would bring withdrawn keys back.
    pub(super) fn rolls_back(&self, earlier: &Self) -> bool {
        let sequence = |set: &Self| set.bundle.as_ref().and_then(|bundle| bundle.sequence);
        match (sequence(earlier), sequence(self)) {
            (Some(earlier), Some(now)) => now < earlier,
            // A number that is gone could be any.
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// The keys that verify tokens, as whoever probes their issuer is shown them.
    pub(super) fn probed(&self) -> Vec<ProbedKey> {
        let shown = |key: &Arc<Jwk>| ProbedKey {
            kid: key.kid.clone(),
            algs: key.publics.iter().map(|public| public.alg).collect(),
            thumbprint: key.thumbprint,
        };
        self.keys.usable().map(shown).collect()
    }

    /// What is odd about the entries of the set, in fixed words.
    pub(super) fn notes(&self) -> Vec<String> {
        let padded = self.keys.usable().filter(|key| key.padded).map(|key| {
            let kid = key.kid.as_deref().unwrap_or("without kid");
            format!("key {kid}: n begins with a zero octet, which RFC 7518 section 6.3.1.1 forbids; it is dropped, and others refuse such a key")
        });
        let refused = self.keys.refused().iter().map(|(at, fault)| format!("keys[{at}] is not used: {fault}"));
        padded.chain(refused).take(MOST_NOTES).collect()
    }

    /// How many keys can be used, authorities of X.509-SVIDs among them.
    pub(super) fn len(&self) -> usize {
        let anchors = self.bundle.as_ref().and_then(|bundle| bundle.anchors.as_ref());
        self.keys.usable().count() + anchors.map_or(0, |anchors| anchors.authorities.len())
    }

    /// The key that `kid` and `alg` name ([`JwkSet::select`]).
    pub(super) fn select(&self, kid: Option<&str>, alg: Alg) -> Option<Arc<Jwk>> {
        self.keys.select(kid, alg).cloned()
    }
}

/// Notes that are shown of one set: somebody else chose how many entries it has.
const MOST_NOTES: usize = 20;

/// The one certificate of an X.509 authority (section 4.2.1); its JWK members are not read, the certificate says it all.
fn authority(entry: &Value) -> Option<Der> {
    let [Value::String(only)] = entry.get("x5c")?.as_array()?.as_slice() else { return None };
    STANDARD.decode(only).ok().map(Der)
}
