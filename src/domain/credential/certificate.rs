//! Certificates of our own authority: the integration that they name, their life, their validity.
//!
//! An authority belongs to one environment. Its leaves name exactly one integration by a SPIFFE ID and are valid for hours. A
//! certificate counts only while the journal has it on record: a thief of the authority's key alone can make nothing that we accept
//! (docs/explanation/journal.md). The rules of every request are here. `authn` verifies the signature, `issuance` encodes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imbl::{HashSet, OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::revocation_key::RevocationKey;
use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnrolmentId, EnvironmentName, IntegrationId, KeyId, Serial};

/// The life of a leaf, unless a ceiling ends it earlier.
pub const LEAF_LIFE: Seconds = Seconds::hours(24);

/// The longest life that a request may ask for.
pub const LONGEST_LEAF_LIFE: Seconds = Seconds::days(90);

/// How far a leaf's `notBefore` is set back, for verifiers whose clocks are slow.
pub const LEAF_BACKDATED: Seconds = Seconds::minutes(5);

/// The shortest time to the first ceiling for which a certificate is made.
pub const SHORTEST_LEAF_LIFE: Seconds = Seconds::minutes(5);

/// The life of a certificate of our own; it is renewed long before its end.
pub const SERVER_LIFE: Seconds = Seconds::days(7);

/// How long an approved enrolment token can be used.
pub const ENROLMENT_LIFE: Seconds = Seconds::minutes(10);

/// How long a certificate stays in the state after its end.
///
/// A revocation list has it once more after it has ended (RFC 5280 section 3.3).
const REMEMBERED: Seconds = Seconds::days(2);

/// How long the age of a key is remembered after the end of its last certificate.
///
/// A key that was unused for less is as old as before.
const KEYS_REMEMBERED: Seconds = Seconds::days(90);

/// An authority of one environment: a root, and the issuing key under it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    /// Its environment.
    pub environment: EnvironmentName,
    /// The issuing key: base64url of the SHA-256 of its SubjectPublicKeyInfo.
    pub kid: KeyId,
    /// The root's certificate.
    pub root: Der,
    /// The issuing key's certificate, signed by the root.
    pub issuing: Der,
    /// When the issuing certificate expires; no leaf lasts longer.
    pub ends: Timestamp,
    /// SHA-256 of the sealed issuing key, which is in the journal's keyring.
    pub sealed: Digest,
    /// SHA-256 of the root's sealed key.
    pub sealed_root: Digest,
}

/// An authority and its taint.
#[derive(Clone, Debug)]
pub struct AuthorityState {
    /// The authority.
    pub authority: Authority,
    /// True if it is stolen or suspected: nothing that it signed counts.
    pub tainted: bool,
}

/// DER bytes, as base64 in JSON.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Der(pub Vec<u8>);

/// A certificate as it is recorded before it is signed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaf {
    /// Its environment.
    pub environment: EnvironmentName,
    /// The integration that it names.
    pub integration: IntegrationId,
    /// Its serial number, given by its authority.
    pub serial: Serial,
    /// The issuing key.
    pub authority: KeyId,
    /// SHA-256 of the SubjectPublicKeyInfo that it certifies.
    pub key: Digest,
    /// `notBefore`.
    pub starts: Timestamp,
    /// `notAfter`.
    pub ends: Timestamp,
}

/// The purpose of a certificate of our own.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// The mTLS socket presents it.
    Socket,
    /// It signs OCSP answers for its authority (RFC 6960 section 4.2.2.2).
    Responder,
}

/// A certificate of our own, for a socket or a responder, as it is recorded before it is signed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerLeaf {
    /// The environment whose authority signs.
    pub environment: EnvironmentName,
    /// Its purpose.
    pub purpose: Purpose,
    /// Its serial number.
    pub serial: Serial,
    /// The issuing key.
    pub authority: KeyId,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: Digest,
    /// Host names and addresses.
    pub names: Vec<String>,
    /// `notBefore`.
    pub starts: Timestamp,
    /// `notAfter`.
    pub ends: Timestamp,
}

/// A certificate that is verified and has the form of our leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientCertificate {
    /// Its content.
    pub leaf: Leaf,
    /// SHA-256 of its DER: `x5t#S256`.
    pub fingerprint: Digest,
}

/// A first enrolment: requested by one person, approved by another, used once.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The integration that it is for.
    pub integration: IntegrationId,
    /// The environment.
    pub environment: EnvironmentName,
    /// SHA-256 of the token's secret.
    pub secret: Digest,
    /// The approval that it needs.
    pub approval: crate::domain::value::names::ApprovalId,
    /// True if a certificate was made with it.
    pub used: bool,
}

/// The authorities, the certificates on record, and the enrolments.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    authorities: Arc<BTreeMap<EnvironmentName, Vec<AuthorityState>>>,
    leaves: OrdMap<(EnvironmentName, Serial), Leaf>,
    /// The leaves by their end: the first of them is forgotten first.
    leaf_ends: OrdSet<(Timestamp, EnvironmentName, Serial)>,
    /// The history of each key, by environment and SHA-256 of the SubjectPublicKeyInfo.
    keys: OrdMap<(EnvironmentName, Digest), KeyHistory>,
    /// The keys that certificates of each integration were made for.
    keys_of: OrdMap<IntegrationId, OrdSet<(EnvironmentName, Digest)>>,
    /// The keys by the end of their newest certificate, except those that are never forgotten.
    key_ends: OrdSet<(Timestamp, EnvironmentName, Digest)>,
    /// The keys of revoked certificates, in any environment.
    spoilt: HashSet<Digest>,
    enrolments: OrdMap<EnrolmentId, Enrolment>,
    /// When certificates ended because their integration was offboarded. They stay ended, also if it comes back.
    ended: OrdMap<(EnvironmentName, Serial), Timestamp>,
    /// The newest certificate of our own for each environment and purpose.
    servers: OrdMap<(EnvironmentName, Purpose), ServerLeaf>,
}

/// The history of a key that certificates were made for.
#[derive(Clone, Debug)]
struct KeyHistory {
    /// When the first certificate for it was made.
    since: Timestamp,
    /// The end of the newest one.
    ends: Timestamp,
    /// True if one of them was revoked. The key is then never forgotten, nor certified again.
    revoked: bool,
    /// The integrations that they name: nearly always one.
    of: Vec<IntegrationId>,
}

/// A key of certificates of an integration.
pub struct CertifiedKey<'a> {
    /// Its environment.
    pub environment: &'a EnvironmentName,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: Digest,
    /// When the first certificate for it was made.
    pub since: Timestamp,
    /// The end of the newest one.
    pub ends: Timestamp,
}

impl Certificates {
    /// Adds an authority, which issues from now on.
    pub(in crate::domain) fn add_authority(&mut self, authority: Authority) {
        let known = Arc::make_mut(&mut self.authorities).entry(authority.environment.clone()).or_default();
        known.push(AuthorityState { authority, tainted: false });
    }

    /// Taints an authority: nothing that it signed counts any more.
    pub(in crate::domain) fn taint(&mut self, environment: &EnvironmentName, kid: &KeyId) {
        let known = Arc::make_mut(&mut self.authorities).get_mut(environment).into_iter().flatten();
        for state in known.filter(|state| state.authority.kid == *kid) {
            state.tainted = true;
        }
    }

    /// Taints every authority: after a restore nobody knows which certificates were revoked since.
    pub(in crate::domain) fn taint_all(&mut self) -> Vec<(EnvironmentName, KeyId)> {
        let known = Arc::make_mut(&mut self.authorities).values_mut().flatten().filter(|state| !state.tainted);
        known
            .map(|state| {
                state.tainted = true;
                (state.authority.environment.clone(), state.authority.kid.clone())
            })
            .collect()
    }

    /// Adds a certificate recorded at `now`, and forgets those that ended long before.
    pub(in crate::domain) fn add_leaf(&mut self, leaf: Leaf, enrolment: Option<&EnrolmentId>, now: Timestamp) {
        self.forget_ended(now);
        let fresh = KeyHistory { since: now, ends: leaf.ends, revoked: false, of: Vec::new() };
        let key = self.keys.entry((leaf.environment.clone(), leaf.key)).or_insert(fresh);
        self.key_ends.remove(&(key.ends, leaf.environment.clone(), leaf.key));
        key.ends = key.ends.max(leaf.ends);
        if !key.of.contains(&leaf.integration) {
            key.of.push(leaf.integration.clone());
            let own = self.keys_of.entry(leaf.integration.clone()).or_default();
            own.insert((leaf.environment.clone(), leaf.key));
        }
        if !key.revoked {
            self.key_ends.insert((key.ends, leaf.environment.clone(), leaf.key));
        }
        let end = (leaf.ends, leaf.environment.clone(), leaf.serial.clone());
        if let Some(earlier) = self.leaves.insert((leaf.environment.clone(), leaf.serial.clone()), leaf) {
            self.leaf_ends.remove(&(earlier.ends, earlier.environment, earlier.serial));
        }
        self.leaf_ends.insert(end);
        if let Some(enrolment) = enrolment.and_then(|id| self.enrolments.get_mut(id)) {
            enrolment.used = true;
        }
    }

    /// Forgets leaves that ended long before `now`, and keys whose last one ended longer before.
    fn forget_ended(&mut self, now: Timestamp) {
        while let Some(end) = self.leaf_ends.get_min().filter(|(ends, ..)| now > ends.plus(REMEMBERED)).cloned() {
            self.leaf_ends.remove(&end);
            let leaf = (end.1, end.2);
            self.leaves.remove(&leaf);
            self.ended.remove(&leaf);
        }
        while let Some(end) = self.key_ends.get_min().filter(|(ends, ..)| now > ends.plus(KEYS_REMEMBERED)).cloned() {
            self.key_ends.remove(&end);
            let key = (end.1, end.2);
            for integration in self.keys.remove(&key).into_iter().flat_map(|history| history.of) {
                let left = self.keys_of.remove(&integration).map(|own| own.without(&key));
                if let Some(own) = left.filter(|own| !own.is_empty()) {
                    self.keys_of.insert(integration, own);
                }
            }
        }
    }

    /// The integrations with a key that is forgotten when the next certificate is made, at `now`.
    pub fn forgets(&self, now: Timestamp) -> impl Iterator<Item = &IntegrationId> {
        let over = self.key_ends.iter().take_while(move |(ends, ..)| now > ends.plus(KEYS_REMEMBERED));
        over.filter_map(|(_, environment, key)| self.keys.get(&(environment.clone(), *key))).flat_map(|history| &history.of)
    }

    /// The keys that certificates of an integration were made for, but those of which one was revoked.
    pub fn keys_of(&self, integration: &IntegrationId) -> impl Iterator<Item = CertifiedKey<'_>> {
        self.keys_of.get(integration).into_iter().flatten().filter_map(|place| {
            let history = self.keys.get(place).filter(|history| !history.revoked)?;
            Some(CertifiedKey { environment: &place.0, key: place.1, since: history.since, ends: history.ends })
        })
    }

    /// Marks the key of a revoked certificate, because somebody else may know it.
    pub(in crate::domain) fn spoil(&mut self, environment: &EnvironmentName, serial: &Serial) {
        let Some(key) = self.leaf(environment, serial).map(|leaf| leaf.key) else { return };
        let Some(history) = self.keys.get_mut(&(environment.clone(), key)) else { return };
        history.revoked = true;
        self.key_ends.remove(&(history.ends, environment.clone(), key));
        self.spoilt.insert(key);
    }

    /// Ends every certificate of these integrations, for good; they are in their order. Returns how many.
    pub(in crate::domain) fn end_of(&mut self, integrations: &[IntegrationId], at: Timestamp) -> u64 {
        let is_own = |leaf: &Leaf| integrations.binary_search(&leaf.integration).is_ok();
        let own = self.leaves.iter().filter(|(_, leaf)| is_own(leaf)).map(|(place, _)| place);
        let own: Vec<_> = own.filter(|place| !self.ended.contains_key(*place)).cloned().collect();
        for (environment, serial) in &own {
            self.spoil(environment, serial);
            self.ended.insert((environment.clone(), serial.clone()), at);
        }
        u64::try_from(own.len()).unwrap_or(u64::MAX)
    }

    /// When a certificate ended because its integration was offboarded, if it did.
    pub fn ended_at(&self, leaf: &Leaf) -> Option<Timestamp> {
        // Nearly always there is none, and then no name is copied.
        if self.ended.is_empty() {
            return None;
        }
        self.ended.get(&(leaf.environment.clone(), leaf.serial.clone())).copied()
    }

    /// Tells whether a certificate for this key was ever revoked, in any environment.
    pub fn is_spoilt(&self, key: Digest) -> bool {
        self.spoilt.contains(&key)
    }

    /// When the first certificate for this key was made, from which a rotation cadence counts.
    pub fn key_since(&self, environment: &EnvironmentName, key: Digest) -> Option<Timestamp> {
        self.keys.get(&(environment.clone(), key)).map(|history| history.since)
    }

    /// Adds an enrolment.
    pub(in crate::domain) fn add_enrolment(&mut self, id: EnrolmentId, enrolment: Enrolment) {
        self.enrolments.insert(id, enrolment);
    }

    /// Adds a certificate of our own.
    pub(in crate::domain) fn add_server(&mut self, leaf: ServerLeaf) {
        self.servers.insert((leaf.environment.clone(), leaf.purpose), leaf);
    }

    /// The newest certificate of our own for this purpose by the authority of `environment`.
    pub fn own(&self, environment: &EnvironmentName, purpose: Purpose) -> Option<&ServerLeaf> {
        self.servers.get(&(environment.clone(), purpose))
    }

    /// The authorities of `environment` that count at `now`; the one that issues comes last.
    pub fn authorities(&self, environment: &EnvironmentName, now: Timestamp) -> impl DoubleEndedIterator<Item = &Authority> {
        let known = self.authorities.get(environment).into_iter().flatten();
        known.filter(move |state| !state.tainted && now < state.authority.ends).map(|state| &state.authority)
    }

    /// The authority that issues in `environment` at `now`.
    pub fn issuing(&self, environment: &EnvironmentName, now: Timestamp) -> Option<&Authority> {
        self.authorities(environment, now).next_back()
    }

    /// Counts the changes of the authorities of `environment` until `now`. It only grows.
    ///
    /// An authority changes when it is made, tainted, or ends.
    pub fn authorities_sequence(&self, environment: &EnvironmentName, now: Timestamp) -> u64 {
        let of = |state: &AuthorityState| 1 + u64::from(state.tainted) + u64::from(now >= state.authority.ends);
        self.authorities.get(environment).into_iter().flatten().map(of).sum()
    }

    /// Every authority that was ever made.
    pub fn all_authorities(&self) -> impl Iterator<Item = &AuthorityState> {
        self.authorities.values().flatten()
    }

    /// The certificates on record.
    pub fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.leaves.values()
    }

    /// One certificate on record.
    pub fn leaf(&self, environment: &EnvironmentName, serial: &Serial) -> Option<&Leaf> {
        self.leaves.get(&(environment.clone(), serial.clone()))
    }

    /// Every first enrolment that was ever requested.
    pub fn enrolments(&self) -> impl Iterator<Item = &Enrolment> {
        self.enrolments.values()
    }

    /// One enrolment.
    pub fn enrolment(&self, id: &EnrolmentId) -> Option<&Enrolment> {
        self.enrolments.get(id)
    }

    /// Judges whether a verified certificate counts at `now`.
    ///
    /// It must be in its time, of an authority that counts, and on record as it was presented. Revocations are judged by the state
    /// ([`State::is_refused`](crate::domain::state::State::is_refused)).
    pub fn standing(&self, certificate: &ClientCertificate, now: Timestamp) -> Result<(), &'static Reason> {
        let leaf = &certificate.leaf;
        if now < leaf.starts || now >= leaf.ends {
            return Err(&reason::CERTIFICATE_EXPIRED);
        }
        if !self.authorities(&leaf.environment, now).any(|authority| authority.kid == leaf.authority) {
            return Err(&reason::CERTIFICATE_AUTHORITY);
        }
        if self.leaf(&leaf.environment, &leaf.serial) != Some(leaf) {
            return Err(&reason::CERTIFICATE_UNKNOWN);
        }
        if self.ended_at(leaf).is_some() { Err(&reason::CERTIFICATE_REVOKED) } else { Ok(()) }
    }
}

impl Leaf {
    /// The key of its revocation: `certificate:production/SERIAL`.
    pub fn revocation_key(&self) -> RevocationKey {
        RevocationKey::certificate(&self.environment, &self.serial)
    }
}

/// The end of a leaf of `asked` life that begins at `now`; `None` if too little is left.
///
/// It ends at the first of its ceilings: contract, partner's verification, issuing certificate.
pub fn leaf_end(now: Timestamp, asked: Seconds, ceilings: impl IntoIterator<Item = Timestamp>) -> Option<Timestamp> {
    let ends = ceilings.into_iter().fold(now.plus(asked.min(LONGEST_LEAF_LIFE)), Timestamp::min);
    (ends.since(now) >= SHORTEST_LEAF_LIFE).then_some(ends)
}

impl TryFrom<String> for Der {
    type Error = base64::DecodeError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        STANDARD.decode(text).map(Self)
    }
}

impl From<Der> for String {
    fn from(der: Der) -> String {
        STANDARD.encode(der.0)
    }
}

impl fmt::Debug for Der {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Der({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A revoked key is refused even when its certificate is long forgotten.
    ///
    /// Other keys are forgotten with their certificates.
    #[test]
    fn a_revoked_key_is_remembered_for_ever() {
        let day = |days: u32| Timestamp::default().plus(Seconds::days(days));
        let leaf = |serial: &str, key: &[u8], from: u32| Leaf {
            environment: "production".parse().expect("a name"),
            integration: "globex/order-sync".parse().expect("a name"),
            serial: serial.parse().expect("a serial number"),
            authority: "kid".parse().expect("a name"),
            key: Digest::of(key),
            starts: day(from),
            ends: day(from + 1),
        };
        let mut certificates = Certificates::default();
        let (one, two) = (leaf(&"41".repeat(16), b"one", 1), leaf(&"42".repeat(16), b"two", 1));
        certificates.add_leaf(one.clone(), None, day(1));
        certificates.add_leaf(two.clone(), None, day(1));
        certificates.spoil(&one.environment, &one.serial);
        for days in [2, 10, 400, 9000] {
            certificates.add_leaf(leaf(&"43".repeat(16), b"three", days), None, day(days));
            assert!(certificates.is_spoilt(one.key) && !certificates.is_spoilt(two.key), "after {days} days");
        }
        assert_eq!(certificates.leaves().count(), 1);
        assert_eq!(certificates.key_since(&two.environment, two.key), None);
    }

    #[test]
    fn a_leaf_ends_with_the_first_of_its_ceilings_or_is_not_made() {
        let at = |seconds| Timestamp::from_seconds(seconds).expect("a time");
        let now = at(1_000_000);
        assert_eq!(leaf_end(now, LEAF_LIFE, []), Some(now.plus(LEAF_LIFE)));
        assert_eq!(leaf_end(now, Seconds::days(400), []), Some(now.plus(LONGEST_LEAF_LIFE)));
        assert_eq!(leaf_end(now, LEAF_LIFE, [at(1_000_600), at(1_000_900)]), Some(at(1_000_600)));
        assert_eq!(leaf_end(now, LEAF_LIFE, [at(1_000_299)]), None);
        assert_eq!(leaf_end(now, LEAF_LIFE, [at(5)]), None);
    }
}
