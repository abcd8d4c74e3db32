//! Registers passkeys and verifies their signatures (Web Authentication Level 2, by webauthn-rs).
//!
//! The relying party is the console's own host. Every answer of an authenticator must be for that host and at that very origin, and
//! say that the person was present *and* verified (PIN, finger, face). Attestation is not requested: an approval does not depend on
//! the make of the authenticator.
//!
//! **The challenge of an approval is chosen here**, and the library has no call for that. It is the digest of the statement
//! that is approved (`domain::decision::elevation::statement`), so the signature means that and nothing else. The review
//! ensures freshness: it names a version that was seen, and each person has one vote. The challenge is put into the library's
//! serialised state (`danger-allow-state-serialisation`), and the library verifies the signature: at the review, at every mint,
//! and when a journal is verified.
//!
//! Not here: who may have which passkey (`domain::people::passkey`), and the pages (`http::console`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use webauthn_rs::prelude as library;
use webauthn_rs::{Webauthn, WebauthnBuilder};

use crate::domain::people::actor::Person;
use crate::domain::people::passkey::{Passkey, Signature};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::PasskeyId;

/// Registers passkeys for one origin, and verifies their signatures.
pub struct Passkeys {
    library: Webauthn,
    origin: String,
}

/// A registration that was begun, and can be finished once. Another process of ours may finish it.
#[derive(Deserialize, Serialize)]
pub struct Registration {
    state: library::PasskeyRegistration,
    /// The options for the browser: `PublicKeyCredentialCreationOptions` in JSON.
    pub options: String,
    /// The digest that a present passkey of the person must sign to admit another one.
    pub confirmation: Digest,
}

/// An answer of an authenticator that is refused. The cause is for our own log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an authenticator's answer is not taken: {0}")]
pub struct Refused(String);

fn refused(cause: impl std::fmt::Debug) -> Refused {
    Refused(format!("{cause:?}"))
}

impl Passkeys {
    /// For the console at `origin`, such as `https://carnet.acme.example`.
    ///
    /// `None` if its host is an address, for which no passkey can be made.
    pub fn at(origin: &str) -> Option<Self> {
        let url = library::Url::parse(origin).ok()?;
        let host = url.domain()?.to_owned();
        let library = WebauthnBuilder::new(&host, &url).ok()?.rp_name("Carnet").build().ok()?;
        Some(Self { library, origin: origin.to_owned() })
    }

    /// The one origin whose answers are accepted.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Begins a registration for a person who has the passkeys `known`.
    ///
    /// # Errors
    /// A credential of the person cannot be read.
    pub fn begin<'a>(&self, person: &Person, known: impl Iterator<Item = &'a Passkey>) -> Result<Registration, Refused> {
        let known = known.map(|passkey| credential(passkey).map(|one| one.cred_id().clone())).collect::<Result<Vec<_>, _>>()?;
        // An authenticator knows its user by this handle. It is the same at every registration, and tells nobody's name.
        let handle =
            Digest::of_parts(&[b"carnet passkey user v1\n", person.iss.as_str().as_bytes(), b"\n", person.id.as_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&handle.0[..16]);
        let handle = library::Uuid::from_bytes(bytes);
        let begun = self.library.start_passkey_registration(handle, &person.id, &person.id, Some(known));
        let (options, state) = begun.map_err(refused)?;
        let challenge: &[u8] = options.public_key.challenge.as_ref();
        let confirmation = Digest::of_parts(&[b"carnet passkey registration v1\n", challenge]);
        let options = serde_json::to_string(&options.public_key).map_err(refused)?;
        Ok(Registration { state, options, confirmation })
    }

    /// Finishes a registration: returns the new passkey's id, and its credential for the record.
    ///
    /// # Errors
    /// It is not for this registration, or nobody was verified.
    pub fn finish(&self, registration: &Registration, answer: &str) -> Result<(PasskeyId, Value), Refused> {
        let answer: library::RegisterPublicKeyCredential =
            serde_json::from_str(answer).map_err(|_| refused("not an attestation"))?;
        let made = self.library.finish_passkey_registration(&answer, &registration.state).map_err(refused)?;
        let id = id_of(made.cred_id().as_ref())?;
        Ok((id, serde_json::to_value(&made).map_err(refused)?))
    }

    /// Makes the browser's options for a signature by any of these passkeys over `digest`.
    ///
    /// They are `PublicKeyCredentialRequestOptions` in JSON.
    ///
    /// # Errors
    /// A credential cannot be read.
    pub fn ask<'a>(&self, passkeys: impl Iterator<Item = &'a Passkey>, digest: Digest) -> Result<String, Refused> {
        let credentials = passkeys.map(credential).collect::<Result<Vec<_>, _>>()?;
        let (options, _) = self.library.start_passkey_authentication(&credentials).map_err(refused)?;
        let mut options = serde_json::to_value(&options.public_key).map_err(refused)?;
        options["challenge"] = URL_SAFE_NO_PAD.encode(digest.0).into();
        Ok(options.to_string())
    }

    /// Reads a signature from the browser's answer. It names its passkey, and is not verified yet.
    ///
    /// # Errors
    /// It is not an assertion.
    pub fn read(&self, answer: &str, seen: Digest) -> Result<Signature, Refused> {
        let answer: library::PublicKeyCredential = serde_json::from_str(answer).map_err(|_| refused("not an assertion"))?;
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let id = id_of(&answer.raw_id)?;
        let response = &answer.response;
        Ok(Signature {
            passkey: id,
            seen,
            authenticator_data: text(&response.authenticator_data),
            client_data: text(&response.client_data_json),
            signature: text(&response.signature),
        })
    }

    /// Verifies that `signature` is one of `passkey` over `digest`, and returns its counter.
    ///
    /// # Errors
    /// It is not.
    pub fn verify(&self, passkey: &Passkey, signature: &Signature, digest: Digest) -> Result<u32, Refused> {
        let credential = credential(passkey)?;
        let id = URL_SAFE_NO_PAD.encode(credential.cred_id());
        let (_, state) = self.library.start_passkey_authentication(&[credential]).map_err(refused)?;
        let mut state = serde_json::to_value(state).map_err(refused)?;
        state["ast"]["challenge"] = URL_SAFE_NO_PAD.encode(digest.0).into();
        let state: library::PasskeyAuthentication = serde_json::from_value(state).map_err(refused)?;
        let answer: library::PublicKeyCredential = serde_json::from_value(json!({
            "id": id, "rawId": id, "type": "public-key", "clientExtensionResults": {},
            "response": {
                "authenticatorData": signature.authenticator_data, "clientDataJSON": signature.client_data,
                "signature": signature.signature, "userHandle": null,
            },
        }))
        .map_err(refused)?;
        let outcome = self.library.finish_passkey_authentication(&answer, &state).map_err(refused)?;
        // The library checks this too; the approval rests on this line.
        if !outcome.user_verified() {
            return Err(refused("the person was not verified"));
        }
        Ok(outcome.counter())
    }

    /// Verifies a signature that was just made, as [`verify`](Self::verify) does, and its counter.
    ///
    /// A counter that does not increase is a sign of a copied authenticator (Web Authentication Level 2, section 6.1.1).
    ///
    /// # Errors
    /// The signature does not hold, or is of a copy.
    pub fn verify_new(&self, passkey: &Passkey, signature: &Signature, digest: Digest) -> Result<(), Refused> {
        let counter = self.verify(passkey, signature, digest)?;
        if (counter > 0 || passkey.counter > 0) && counter <= passkey.counter {
            return Err(refused("the counter did not move on"));
        }
        Ok(())
    }
}

fn credential(passkey: &Passkey) -> Result<library::Passkey, Refused> {
    serde_json::from_value(passkey.credential.clone()).map_err(|_| refused("a credential on record that cannot be read"))
}

fn id_of(credential: &[u8]) -> Result<PasskeyId, Refused> {
    URL_SAFE_NO_PAD.encode(Digest::of(credential).0).parse().map_err(refused)
}
