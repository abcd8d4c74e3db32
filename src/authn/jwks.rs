//! Key sets of issuers, read key by key: what is usable is kept, what is not is counted (ABUSE K-18).
//!
//! Enter through [`KeySet::parse`]. josekit's own `JwkSet` is not used: one odd key would discard the whole set. What makes a
//! *set* unusable: no JSON object with `keys`, a duplicate member (two readers would see two keys), or a private key in it
//! (whoever published it has lost it).

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::discovery::ProbedKey;
use super::json;
use super::signature::PublicKey;
use super::svid::Anchors;
use crate::domain::alg::Alg;
use crate::domain::certificate::Der;
use crate::domain::digest::Digest;

/// Usable keys that are kept of a set. More, and selection and memory are the issuer's to choose (ABUSE K-18).
const MAX_KEYS: usize = 100;

/// Values in a whole set: 256 KiB of the smallest ones would be 128 thousand.
const MAX_VALUES: usize = 150_000;

/// Members that only a private key has (RFC 7518 section 6, RFC 8037).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "priv"];

/// RSA moduli outside of this are ignored: smaller are broken, larger cost the verifier a millisecond each (ABUSE J-40).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The usable public keys of one source.
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
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

/// One public key: one kid, one algorithm.
#[derive(Debug)]
pub(super) struct Key {
    kid: Option<String>,
    /// RFC 7638, SHA-256.
    pub(super) thumbprint: Digest,
    /// One; two for an Ed25519 key without `alg`, which goes by both names of its one algorithm.
    publics: Vec<PublicKey>,
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

impl KeySet {
    /// Reads a JWK set (RFC 7517 section 5).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, SetFault> {
        let set = json::parse(bytes, MAX_VALUES).ok_or(SetFault::Malformed)?;
        let entries = set.get("keys").and_then(Value::as_array).ok_or(SetFault::Malformed)?;
        // All entries are looked at for private members, also those beyond the limit.
        if entries.iter().any(is_private) {
            return Err(SetFault::Private);
        }
        let keys = unambiguous(entries.iter().filter_map(Key::parse).take(MAX_KEYS).collect());
        if keys.is_empty() {
            return Err(SetFault::Empty);
        }
        Ok(Self { ignored: entries.len() - keys.len(), keys, bundle: None })
    }

    /// Reads the bundle of a SPIFFE trust domain (SPIFFE Trust Domain and Bundle, section 4): keys of JWT-SVIDs, authorities of X.509-SVIDs.
    /// What has another `use` is ignored. One that is empty is no fault: the domain has withdrawn everything.
    pub(super) fn bundle(bytes: &[u8]) -> Result<Self, SetFault> {
        let set = json::parse(bytes, MAX_VALUES).ok_or(SetFault::Malformed)?;
        let entries = set.get("keys").and_then(Value::as_array).ok_or(SetFault::Malformed)?;
        if entries.iter().any(is_private) {
            return Err(SetFault::Private);
        }
        let sequence = match set.get("spiffe_sequence") {
            None => None,
            Some(number) => Some(number.as_u64().ok_or(SetFault::Malformed)?),
        };
        let of_use = |usage: &'static str| entries.iter().filter(move |entry| entry["use"] == usage);
        // A JWT-SVID names its key, so a key without a name verifies none (section 4.2.2).
        let named = of_use("jwt-svid").filter_map(|entry| Key::of_use(entry, "jwt-svid")).filter(|key| key.kid.is_some());
        let keys = unambiguous(named.take(MAX_KEYS).collect());
        let authorities: Vec<Der> = of_use("x509-svid").filter_map(authority).take(MAX_KEYS).collect();
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

    /// The keys that verify tokens.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(|key| &**key)
    }

    /// How many keys can be used, authorities of X.509-SVIDs among them.
    pub(super) fn len(&self) -> usize {
        let anchors = self.bundle.as_ref().and_then(|bundle| bundle.anchors.as_ref());
        self.keys.len() + anchors.map_or(0, |anchors| anchors.authorities.len())
    }

    /// The key that `kid` and `alg` name. Without `kid` only the one key of that algorithm, if it is the only one: keys are
    /// never tried one after the other (ABUSE J-24).
    pub(super) fn select(&self, kid: Option<&str>, alg: Alg) -> Option<Arc<Key>> {
        let fits = |key: &&Arc<Key>| key.public(alg).is_some() && (kid.is_none() || key.kid.as_deref() == kid);
        let mut candidates = self.keys.iter().filter(fits);
        let key = candidates.next()?;
        candidates.next().is_none().then(|| key.clone())
    }
}

/// The one certificate of an X.509 authority (section 4.2.1); its JWK members are not read, the certificate says it all.
fn authority(entry: &Value) -> Option<Der> {
    let [Value::String(only)] = entry.get("x5c")?.as_array()?.as_slice() else { return None };
    STANDARD.decode(only).ok().map(Der)
}

/// Two different keys under one kid and algorithm: which is meant would be a guess, so neither counts. A repetition of the
/// same key is one key.
fn unambiguous(mut keys: Vec<Key>) -> Vec<Arc<Key>> {
    let mut seen = BTreeSet::new();
    keys.retain(|key| seen.insert((key.kid.clone(), key.thumbprint, key.publics.first().map(PublicKey::alg))));
    let collides = |key: &Key| keys.iter().filter(|other| key.collides(other)).count() > 1;
    let keep: Vec<bool> = keys.iter().map(|key| key.kid.is_none() || !collides(key)).collect();
    keys.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(key, _)| Arc::new(key)).collect()
}

pub(super) fn is_private(entry: &Value) -> bool {
    entry.as_object().is_some_and(|members| PRIVATE.iter().any(|name| members.contains_key(*name)))
}

impl Key {
    /// The key as it verifies `alg`, if it does.
    pub(super) fn public(&self, alg: Alg) -> Option<&PublicKey> {
        self.publics.iter().find(|public| public.alg() == alg)
    }

    /// As whoever probes its issuer is shown it.
    pub(super) fn probed(&self) -> ProbedKey {
        let algs = self.publics.iter().map(PublicKey::alg).collect();
        ProbedKey { kid: self.kid.clone(), algs, thumbprint: self.thumbprint }
    }

    /// True of a key and itself, too.
    fn collides(&self, other: &Self) -> bool {
        self.kid == other.kid && self.publics.iter().any(|public| other.public(public.alg()).is_some())
    }

    /// A key for signatures with one algorithm, or nothing. `x5c`, `x5t` and unknown members are ignored.
    pub(super) fn parse(entry: &Value) -> Option<Self> {
        Self::of_use(entry, "sig")
    }

    /// The same, where `use` may be absent or is this one.
    fn of_use(entry: &Value, wanted: &str) -> Option<Self> {
        let members = entry.as_object()?;
        let kid = optional_text(members, "kid")?.map(str::to_owned);
        let alg = optional_text(members, "alg")?;
        let usage = optional_text(members, "use")?;
        if usage.is_some_and(|usage| usage != wanted) || !may_verify(members) {
            return None;
        }
        match text(members, "kty")? {
            "EC" => Self::ec(members, kid, alg),
            "OKP" => Self::okp(members, kid, alg),
            "RSA" => Self::rsa(members, kid, alg),
            _ => None,
        }
    }

    fn ec(members: &Map<String, Value>, kid: Option<String>, alg: Option<&str>) -> Option<Self> {
        let (x, y) = (text(members, "x")?, text(members, "y")?);
        if text(members, "crv")? != "P-256" || alg.is_some_and(|alg| alg != "ES256") {
            return None;
        }
        let public = PublicKey::p256(&exactly(x)?, &exactly(y)?)?;
        let thumbprint = thumbprint(&[("crv", "P-256"), ("kty", "EC"), ("x", x), ("y", y)]);
        Some(Self { kid, thumbprint, publics: vec![public] })
    }

    fn okp(members: &Map<String, Value>, kid: Option<String>, alg: Option<&str>) -> Option<Self> {
        let x = text(members, "x")?;
        if text(members, "crv")? != "Ed25519" {
            return None;
        }
        let names: &[Alg] = match alg {
            None => &[Alg::EdDsa, Alg::Ed25519],
            Some("EdDSA") => &[Alg::EdDsa],
            Some("Ed25519") => &[Alg::Ed25519],
            Some(_) => return None,
        };
        let x_bytes = exactly(x)?;
        let publics = names.iter().map(|name| PublicKey::ed25519(*name, &x_bytes)).collect::<Option<_>>()?;
        let thumbprint = thumbprint(&[("crv", "Ed25519"), ("kty", "OKP"), ("x", x)]);
        Some(Self { kid, thumbprint, publics })
    }

    /// Without `alg` an RSA key is for RS256, the default of OpenID Connect: one key, one algorithm (RFC 8725 section 3.1).
    fn rsa(members: &Map<String, Value>, kid: Option<String>, alg: Option<&str>) -> Option<Self> {
        let (n, e) = (text(members, "n")?, text(members, "e")?);
        let alg = match alg {
            None | Some("RS256") => Alg::Rs256,
            Some("PS256") => Alg::Ps256,
            Some(_) => return None,
        };
        let (modulus, exponent) = (decode(n)?, decode(e)?);
        if !is_sound_rsa(&modulus, &exponent) {
            return None;
        }
        let public = PublicKey::rsa(alg, &modulus, &exponent)?;
        let thumbprint = thumbprint(&[("e", e), ("kty", "RSA"), ("n", n)]);
        Some(Self { kid, thumbprint, publics: vec![public] })
    }
}

/// Size within bounds, odd, no leading zeros; an odd exponent of 65537 or more and at most 32 bits (ABUSE J-40).
fn is_sound_rsa(modulus: &[u8], exponent: &[u8]) -> bool {
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    let canonical = modulus.first() != Some(&0) && exponent.first().is_some_and(|first| *first != 0);
    let odd = modulus.last().is_some_and(|last| last & 1 == 1) && exponent.last().is_some_and(|last| last & 1 == 1);
    let exponent = exponent.iter().take(5).fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    canonical && odd && RSA_BITS.contains(&bits) && (65_537..=u64::from(u32::MAX)).contains(&exponent)
}

/// `key_ops` absent, or an array of strings with `verify` among them (RFC 7517 section 4.3, ABUSE J-04).
fn may_verify(members: &Map<String, Value>) -> bool {
    match members.get("key_ops") {
        None => true,
        Some(Value::Array(ops)) => ops.iter().all(Value::is_string) && ops.iter().any(|op| op == "verify"),
        Some(_) => false,
    }
}

/// SHA-256 of the required members in their order (RFC 7638 section 3). The values are base64url or names: nothing to escape.
fn thumbprint(members: &[(&str, &str)]) -> Digest {
    let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
    Digest::of(format!("{{{}}}", members.join(",")).as_bytes())
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name)?.as_str()
}

/// `None` where the member is not a string: such a key is not usable.
fn optional_text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<Option<&'a str>> {
    match members.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(Some),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn exactly(text: &str) -> Option<[u8; 32]> {
    decode(text)?.try_into().ok()
}
