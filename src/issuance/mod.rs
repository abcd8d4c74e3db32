//! Issuance: the only place that signs tokens, and it signs only what the journal recorded.
//!
//! Enter through [`Issuance::issue`], which takes a [`Recorded`] grant, or [`Issuance::create`] for a new key. A token's bytes are
//! those of which the entry has the digest; after signing they are read back, and a token that is not what was recorded is refused
//! rather than released. Home of josekit (signing) and, for tests, of rcgen.
//!
//! Contract: `issue` returns a token or nothing; nothing is retried; a recorded grant whose token was refused here stays on record
//! as a token that never left. Keys come from the journal's sealed keyring and are held unsealed in memory only.

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

/// What the sealed blobs of signing keys are sealed for: a blob of another purpose does not open as one.
const PURPOSE: &str = "signing";

/// The unsealed ring of this node.
pub struct Issuance {
    kek: Kek,
    entropy: Arc<dyn Entropy>,
    ring: RwLock<HashMap<KeyId, Arc<PrivateKey>>>,
    authorities: RwLock<HashMap<KeyId, Arc<authority::issuing_key::IssuingKey>>>,
    responders: RwLock<HashMap<KeyId, (Timestamp, Arc<authority::ocsp::Responder>)>>,
    /// When the making of a responder was last begun.
    begun: Arc<tokio::sync::Mutex<HashMap<KeyId, Timestamp>>>,
}

/// A signed token. It has no `Debug` and no `Serialize`: it is written into one response and nowhere else.
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

/// A key that was made and is not yet in the journal: its public record and its sealed private half.
pub struct NewKey {
    /// For the change.
    pub record: SigningKey,
    /// For the keyring, in the same transaction.
    pub sealed: SealedBlob,
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

    /// Brings the ring in line with the state: unseals what is new, drops what is retired or tainted. A blob that is missing or does
    /// not open leaves its key out, and the first fault is told: the node is not ready (ABUSE Q-04).
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
        // A poisoned lock means that a thread died while it held the map; the map is replaced whole, so it is sound.
        *self.ring.write().unwrap_or_else(std::sync::PoisonError::into_inner) = ring;
        outcome
    }

    /// Whether the ring holds every key that may sign now or later.
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

    /// Makes a key for `alg` in `environment`, to be used from `usable_from`. It signs nothing before the journal has it.
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

    /// Verifies a token of ours that somebody shows: by the published keys of `environment`, whatever the header says besides.
    /// Returns the claims; whether the token is on record, live and whose it is, is for the caller to judge.
    pub fn verify(&self, state: &State, environment: &EnvironmentName, token: &str) -> Option<(Payload, Digest)> {
        let (header, payload, _) = parts(token)?;
        let header = decode(header)?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        let key = state.keys.of(environment).find(|key| *key.key.kid.as_str() == *header.kid)?;
        if header.alg != key.key.alg.name() || !["at+jwt", "JWT"].contains(&&*header.typ) {
            return None;
        }
        signer::verify(key.key.alg, &key.key.public, token).then_some(())?;
        let bytes = decode(payload)?;
        let claims: Payload = serde_json::from_slice(&bytes).ok()?;
        Some((claims, Digest::of(&bytes)))
    }
}

/// The name of a signing key's sealed half in the keyring.
pub fn blob_name(environment: &EnvironmentName, kid: &KeyId) -> BlobName {
    BlobName::new(environment, PURPOSE, kid)
}

/// The header of our tokens: these members and no others.
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

/// The compact serialisation (RFC 7515 section 7.1). josekit's does the same by way of a map of JSON that it copies; its signer is the
/// seam to the cryptography here as well, and its own serialisation and ours are compared in a test.
fn compact(header: &Header<'_>, payload: &[u8], key: &PrivateKey) -> Option<String> {
    let header = serde_json::to_vec(header).ok()?;
    // Four characters for three bytes, of three parts.
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

/// Reads our own output as a verifier would: header and claims, byte for byte what was recorded, and a signature in its one form (docs/explanation/architecture.md#one-exchange,
/// step 8).
fn read_back(text: &str, payload: &[u8], grant: &Grant, key: &PrivateKey) -> Result<(), IssueFault> {
    let check = || {
        let (header, claims, signature) = parts(text)?;
        let header = decode(header)?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        // What we would not take back ourselves is not released.
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

    /// Ed25519 signs without a random number, so equal input is an equal token; for the others stock josekit verifies (`signer`).
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
            assert!(signer::verify(alg, key.public(), &ours) && signer::verify(alg, key.public(), &theirs), "{alg}");
            assert!(ours.len() <= ours.capacity() && ours.capacity() < ours.len() + 64, "room for it, and little more");
        }
    }
}
