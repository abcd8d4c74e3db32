//! Passkeys: what an approver signs with (Web Authentication Level 2), and what exactly is signed.
//!
//! Where an API says `approval: signed`, an approval is a signature of the approver's own authenticator over the digest that
//! [`statement`](crate::domain::decision::elevation::statement) makes of the exact elevation. It stands on record with the review, and is verified again at every mint: who can write
//! approvals, and even seal them, elevates nobody without that authenticator in hand. Registrations are what it rests on: the word of an
//! earlier passkey is asked for and not put on record, so who can seal entries can forge one. Each is an event, to be watched.
//!
//! What is here is the account of who has which passkey, a fold of the journal. Whether a signature holds is for `authn::passkey` to say;
//! a credential stands here as that room persists it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::actor::{Person, Role, Staff};
use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::PasskeyId;
use crate::domain::value::text::Text;

/// More of one person are refused: a lost one is to be revoked, not forgotten.
pub const MOST: usize = 10;

/// A passkey that was registered.
#[derive(Clone, Debug)]
pub struct Passkey {
    /// Its id.
    pub id: PasskeyId,
    /// Whose it is.
    pub by: Person,
    /// How its owner calls it.
    pub label: Text,
    /// Credential id and public key, as `authn::passkey` persists them.
    pub credential: Value,
    /// When it was registered.
    pub registered: Timestamp,
    /// When it was revoked; no signature of it counts any more, earlier ones included.
    pub revoked: Option<Timestamp>,
    /// The highest signature counter that was seen (Web Authentication Level 2, section 6.1.1); 0 where the authenticator has none.
    pub counter: u32,
}

/// A signature as it stands on record with a review: an assertion of Web Authentication Level 2, section 5.2.2, in base64url.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signature {
    /// Of which passkey.
    pub passkey: PasskeyId,
    /// The version of the elevation that was seen.
    pub seen: Digest,
    /// What the authenticator says: for whom, whether a person was there and was verified, its counter.
    pub authenticator_data: String,
    /// What the browser says: what for, which challenge, at which origin.
    pub client_data: String,
    /// The signature over both.
    pub signature: String,
}

/// All passkeys that were ever registered: a fold of the journal, as [`State`](crate::domain::state::State) is.
#[derive(Clone, Debug, Default)]
pub struct Passkeys {
    all: OrdMap<PasskeyId, Passkey>,
}

impl Passkeys {
    /// All of them, by id.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Passkey> {
        self.all.values()
    }

    /// One of them.
    pub fn find(&self, id: &PasskeyId) -> Option<&Passkey> {
        self.all.get(id)
    }

    /// Those of a person that count.
    pub fn of(&self, person: &Person) -> impl Iterator<Item = &Passkey> {
        self.all.values().filter(move |passkey| passkey.revoked.is_none() && passkey.by.is(person))
    }

    /// The passkey that may have made `signature` for `person`: theirs, and not revoked.
    pub fn signing(&self, signature: &Signature, person: &Person) -> Option<&Passkey> {
        self.find(&signature.passkey).filter(|passkey| passkey.revoked.is_none() && passkey.by.is(person))
    }

    /// Whether `person` may register `id`.
    ///
    /// # Errors
    /// It is somebody's already (or was: what was revoked does not come back), or the person has too many.
    pub fn may_register(&self, id: &PasskeyId, person: &Person) -> Result<(), &'static Reason> {
        if self.all.contains_key(id) {
            return Err(&reason::PASSKEY_KNOWN);
        }
        if self.of(person).count() >= MOST { Err(&reason::PASSKEY_TOO_MANY) } else { Ok(()) }
    }

    /// Whether `staff` may revoke `id`: their own, or anybody's as security or administrator.
    ///
    /// # Errors
    /// There is none of that id that counts, or it is somebody else's.
    pub fn may_revoke(&self, id: &PasskeyId, staff: &Staff) -> Result<(), &'static Reason> {
        let passkey = self.find(id).filter(|passkey| passkey.revoked.is_none()).ok_or(&reason::NOT_FOUND)?;
        let for_others = staff.roles.contains(&Role::Security) || staff.roles.contains(&Role::Administrator);
        if passkey.by.is(&staff.person) || for_others { Ok(()) } else { Err(&reason::STAFF_ROLE) }
    }

    pub(in crate::domain) fn register(&mut self, passkey: Passkey) {
        // An entry that names a known one is nobody's doing that passed `may_register`: the first stays.
        self.all.entry(passkey.id.clone()).or_insert(passkey);
    }

    pub(in crate::domain) fn revoke(&mut self, id: &PasskeyId, at: Timestamp) {
        if let Some(passkey) = self.all.get_mut(id) {
            passkey.revoked.get_or_insert(at);
        }
    }

    /// Takes the counter of a signature that was accepted.
    pub(in crate::domain) fn used(&mut self, signature: &Signature) {
        let counter = signature.counter();
        if let Some((passkey, counter)) = self.all.get_mut(&signature.passkey).zip(counter) {
            passkey.counter = passkey.counter.max(counter);
        }
    }
}

impl Signature {
    /// The origin at which it was made, as the browser says.
    pub fn origin(&self) -> Option<String> {
        let said: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&self.client_data).ok()?).ok()?;
        Some(said.get("origin")?.as_str()?.to_owned())
    }

    /// The authenticator's counter: the last four bytes of the fixed part (section 6.1).
    pub fn counter(&self) -> Option<u32> {
        let data = URL_SAFE_NO_PAD.decode(&self.authenticator_data).ok()?;
        Some(u32::from_be_bytes(data.get(33..37)?.try_into().ok()?))
    }
}
