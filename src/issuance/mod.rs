//! Issuance: signs tokens, and only those that the journal recorded.
//!
//! Enter through [`Issuance::issue`], which takes a [`Recorded`] grant, or [`Issuance::create`] for a new key. The entry has
//! the digest of a token's bytes. After signing, the token is read back, and a token that differs from what was recorded is
//! refused. This folder is the home of josekit (signing) and rcgen (certificates, `authority`).
//!
//! Contract: `issue` returns a token or a fault, and nothing is retried. A recorded grant whose token was refused here stays
//! on record as a token that never left. Keys come from the journal's sealed keyring and are unsealed in memory only.

pub mod authority;
mod fault;
pub mod identity;
mod jwks;
mod signer;

use base64::Engine as _;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, RwLock};

use josekit::jws::JwsSigner as _;

use crate::domain::credential::claims::Payload;
use crate::domain::credential::keys::SigningKey;
use crate::domain::decision::grant::Grant;
use crate::domain::state::State;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Entropy, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, KeyId};
use crate::domain::value::p256;
use crate::journal::{BlobName, Journal, Kek, Recorded, SealedBlob};

pub use fault::IssueFault;
pub use jwks::{KeySet, document};
pub use signer::{PrivateKey, UnusableKey};

/// The purpose that signing keys are sealed for: a blob of another purpose does not open as one.
const PURPOSE: &str = "signing";

/// The unsealed keys of this node.
pub struct Issuance {
    kek: Kek,
    entropy: Arc<dyn Entropy>,
    ring: RwLock<HashMap<KeyId, Arc<PrivateKey>>>,
    authorities: RwLock<HashMap<KeyId, Arc<authority::issuing_key::IssuingKey>>>,
    responders: RwLock<HashMap<KeyId, (Timestamp, Arc<authority::ocsp::Responder>)>>,
    /// The time at which the making of a responder last began.
    begun: Arc<tokio::sync::Mutex<HashMap<KeyId, Timestamp>>>,
}

/// A signed token.
///
/// Its `Debug` shows the entry alone and it has no `Serialize`: it is written into one response.
pub struct IssuedToken {
    text: String,
    entry: u64,
}

impl IssuedToken {
    /// The compact JWS.
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The journal entry that records it.
    pub fn entry(&self) -> u64 {
        self.entry
    }
}

impl fmt::Debug for IssuedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedToken(entry {})", self.entry)
    }
}

/// A key that was made and is not in the journal yet: its public record and its sealed private key.
pub struct NewKey {
    /// The record for the change.
    pub record: SigningKey,
    /// The blob for the keyring, in the same transaction.
    pub sealed: SealedBlob,
}

/// A text that one of our keys signed: what it says, and which key that was.
pub struct Signed {
    /// Its claims.
    pub claims: Payload,
    /// SHA-256 of the bytes of its claims.
    pub digest: Digest,
    /// The key.
    pub kid: KeyId,
    /// The algorithm.
    pub alg: Alg,
}

impl Issuance {
    /// An empty ring; [`load`](Self::load) fills it.
    pub fn new(kek: Kek, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            kek,
            entropy,
            ring: RwLock::default(),
            authorities: RwLock::default(),
            responders: RwLock::default(),
            begun: Arc::default(),
        }
    }

    /// Brings the ring in line with the state: unseals new keys, drops retired and tainted ones.
    ///
    /// # Errors
    /// A blob that is missing or does not open leaves its key out, and makes the node not ready (ABUSE Q-04).
    pub async fn load(&self, journal: &Journal, state: &State) -> Result<(), UnusableKey> {
        let mut ring = HashMap::new();
        let mut outcome = Ok(());
        for key in state.keys.all().filter(|key| !key.tainted && !key.retired) {
            let key = &key.key;
            let held = self.held(&key.kid);
            let unsealed = match held {
                Some(held) => Ok(held),
                None => self.unseal(journal, key).await.map(Arc::new),
            };
            match unsealed {
                Ok(private) => {
                    ring.insert(key.kid.clone(), private);
                }
                Err(fault) => outcome = Err(fault),
            }
        }
        // A poisoned lock means that a thread panicked while it held the map. The map is replaced as a whole, so it is valid.
        *self.ring.write().unwrap_or_else(std::sync::PoisonError::into_inner) = ring;
        outcome
    }

    /// True if the ring has every key that may sign now or later.
    pub fn is_complete(&self, state: &State) -> bool {
        let ring = self.ring.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.keys.all().filter(|key| !key.tainted && !key.retired).all(|key| ring.contains_key(&key.key.kid))
    }

    async fn unseal(&self, journal: &Journal, key: &SigningKey) -> Result<PrivateKey, UnusableKey> {
        let blob = journal.blob(&blob_name(&key.environment, &key.kid)).await.map_err(|_| UnusableKey)?.ok_or(UnusableKey)?;
        if blob.digest() != key.sealed {
            return Err(UnusableKey);
        }
        let der = self.kek.open(&blob).map_err(|_| UnusableKey)?;
        let private = PrivateKey::from_pkcs8(key.alg, &der)?;
        if *private.kid() == key.kid { Ok(private) } else { Err(UnusableKey) }
    }

    fn held(&self, kid: &KeyId) -> Option<Arc<PrivateKey>> {
        self.ring.read().unwrap_or_else(std::sync::PoisonError::into_inner).get(kid).cloned()
    }

    /// Makes a key for `alg` in `environment`, usable from `usable_from`.
    ///
    /// It signs nothing before the journal has it.
    pub fn create(&self, environment: &EnvironmentName, alg: Alg, usable_from: Timestamp) -> Result<NewKey, UnusableKey> {
        let (private, der) = PrivateKey::generate(alg)?;
        let kid = private.kid().clone();
        let sealed = self.kek.seal(blob_name(environment, &kid), &der, self.entropy.as_ref());
        let record = SigningKey {
            environment: environment.clone(),
            kid,
            alg,
            public: private.public().clone(),
            sealed: sealed.digest(),
            usable_from,
            awaits_nodes: false,
        };
        Ok(NewKey { record, sealed })
    }

    /// Signs a recorded grant and reads the token back.
    pub fn issue(&self, recorded: &Recorded<Box<Grant>>) -> Result<IssuedToken, IssueFault> {
        let grant = recorded.value();
        let key = self.held(&grant.provenance().kid).ok_or(IssueFault::NoKey)?;
        let payload = recorded.claims();
        let header = Header { alg: key.alg().name().into(), kid: key.kid().as_str().into(), typ: grant.profile().typ().into() };
        let text = compact(&header, payload, &key).ok_or(IssueFault::Signing)?;
        read_back(&text, payload, grant, &key)?;
        Ok(IssuedToken { text, entry: recorded.index() })
    }

    /// Verifies a token that claims to be ours by `environment`'s keys, and returns its claims.
    ///
    /// The caller must decide if the token is on record and live, and whose it is.
    pub fn verify(&self, state: &State, environment: &EnvironmentName, token: &str) -> Option<Signed> {
        let SigningKey { kid, alg, public, .. } = named_key(state, environment, token)?;
        let (header, payload, signature) = parts(token)?;
        let input = token.get(..header.len() + 1 + payload.len())?.as_bytes();
        let signature = decode(signature)?;
        // A key in the ring is parsed already; one that left it is parsed again.
        let verifies = match self.held(kid).filter(|key| key.alg() == *alg) {
            Some(key) => key.verifies(input, &signature),
            None => signer::verify(*alg, public, input, &signature),
        };
        verifies.then_some(())?;
        let bytes = decode(payload)?;
        let claims: Payload = serde_json::from_slice(&bytes).ok()?;
        Some(Signed { claims, digest: Digest::of(&bytes), kid: kid.clone(), alg: *alg })
    }
}

/// The key of `environment` that the header of a token names, if the header is one of ours.
fn named_key<'s>(state: &'s State, environment: &'s EnvironmentName, token: &str) -> Option<&'s SigningKey> {
    let (header, _, _) = parts(token)?;
    let header = decode(header)?;
    let header: Header<'_> = serde_json::from_slice(&header).ok()?;
    let key = &state.keys.of(environment).find(|key| *key.key.kid.as_str() == *header.kid)?.key;
    (header.alg == key.alg.name() && ["at+jwt", "JWT"].contains(&&*header.typ)).then_some(key)
}

/// The name of a signing key's sealed private key in the keyring.
pub fn blob_name(environment: &EnvironmentName, kid: &KeyId) -> BlobName {
    BlobName::new(environment, PURPOSE, kid)
}

/// The header of our tokens: exactly these members.
#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
}

/// The compact serialisation (RFC 7515 section 7.1).
///
/// josekit's goes through a map of JSON that it copies. Its signer is the interface to the cryptography here as well, and a
/// test compares its serialisation with ours.
fn compact(header: &Header<'_>, payload: &[u8], key: &PrivateKey) -> Option<String> {
    let header = serde_json::to_vec(header).ok()?;
    // Four characters for each three bytes, in three parts.
    let mut text = String::with_capacity((header.len() + payload.len() + key.signature_len()) * 4 / 3 + 8);
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    engine.encode_string(&header, &mut text);
    text.push('.');
    engine.encode_string(payload, &mut text);
    let signature = key.sign(text.as_bytes()).ok()?;
    text.push('.');
    engine.encode_string(signature, &mut text);
    Some(text)
}

/// Parses our own output as a verifier would.
///
/// Header and claims must be exactly what was recorded, and the signature in its one form
/// (docs/explanation/architecture.md#one-exchange, step 8).
fn read_back(text: &str, payload: &[u8], grant: &Grant, key: &PrivateKey) -> Result<(), IssueFault> {
    let check = || {
        let (header, claims, signature) = parts(text)?;
        let header = decode(header)?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        // A token that we would not accept ourselves is not released.
        let signature = decode(signature)?;
        let one_form = signature.len() == key.signature_len() && (key.alg() != Alg::Es256 || p256::is_low(&signature));
        one_form.then_some(())?;
        let named = header.alg == grant.alg().name() && header.kid == key.kid().as_str() && header.typ == grant.profile().typ();
        (named && key.alg() == grant.alg() && decode(claims)? == payload).then_some(())
    };
    check().ok_or(IssueFault::ReadBack)
}

fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let mut parts = text.split('.');
    let three = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(three)
}

fn decode(part: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use josekit::jws::{self, JwsHeader};

    /// Ed25519 signs without a random number, so equal input gives an equal token.
    ///
    /// For the other algorithms stock josekit verifies (`signer`).
    #[test]
    fn our_serialisation_is_josekits() {
        let payload = br#"{"iss":"https://sts.acme.example/production","exp":1700000000}"#;
        for alg in [Alg::Es256, Alg::Ed25519, Alg::EdDsa, Alg::Rs256] {
            let (key, _) = PrivateKey::generate(alg).expect("a key");
            let mut header = JwsHeader::new();
            header.set_token_type("at+jwt");
            header.set_key_id(key.kid().as_str());
            let theirs = jws::serialize_compact(payload, &header, &key).expect("signed");
            let ours = Header { alg: alg.name().into(), kid: key.kid().as_str().into(), typ: "at+jwt".into() };
            let ours = compact(&ours, payload, &key).expect("signed");
            let read = |text: &str| {
                let (header, payload, signature) = parts(text).expect("three parts");
                let header: serde_json::Value = serde_json::from_slice(&decode(header).expect("base64url")).expect("JSON");
                (header, payload.to_owned(), signature.len())
            };
            assert_eq!(read(&ours), read(&theirs), "{alg}");
            for text in [&ours, &theirs] {
                let (input, signature) = text.rsplit_once('.').expect("three parts");
                let signature = decode(signature).expect("base64url");
                assert!(key.verifies(input.as_bytes(), &signature), "{alg}");
                assert!(signer::verify(alg, key.public(), input.as_bytes(), &signature), "{alg}");
            }
            assert!(ours.len() <= ours.capacity() && ours.capacity() < ours.len() + 64, "room for it, and little more");
        }
    }
}
