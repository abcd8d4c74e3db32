//! Signed approvals: approvers' passkeys, and the check of their signatures before a token leaves.
//!
//! The account of passkeys is in `domain::people::passkey`, the cryptography in `authn::passkey`. The check uses the current state:
//! a review that got into the journal by other means has no signature of its approver, and grants nothing.

use super::Broker;
use super::failure::Failure;
use super::revocation::Unconfirmed;
use crate::authn::passkey::{Passkeys, Registration};
use crate::domain::decision::elevation::statement;
use crate::domain::elevation::Narrowing;
use crate::domain::log::change::{Attributed, Change};
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::entry::ChangeEntry;
use crate::domain::log::passkey::PasskeyChange;
use crate::domain::people::actor::{Authorized, Retire, Review};
use crate::domain::people::passkey::Signature;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Verdict;
use crate::domain::state::State;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ElevationId, PasskeyId};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

/// A browser's answer to a registration.
pub struct Registered<'a> {
    /// The registration that was begun.
    pub registration: &'a Registration,
    /// The new passkey, as the browser sent it.
    pub answer: &'a str,
    /// A signature by a passkey that the person has already, if there is one.
    pub confirmation: Option<&'a str>,
    /// The passkey's label.
    pub label: &'a str,
}

/// Finds the first change with a forged approval of an elevation, for verifying a journal.
///
/// An approval is forged if its signature does not hold, if it has none although the API requires one, or if its person had
/// reviewed before. Each signature is judged at the origin that it names itself; the test is whose passkey made it, and over what.
pub fn forged<'a>(changes: impl IntoIterator<Item = &'a ChangeEntry>) -> Option<u64> {
    let mut state = State::default();
    let found = changes.into_iter().find(|entry| {
        let holds = holds(&state, &entry.change);
        state.apply(entry.index, entry.time, &entry.change);
        !holds
    });
    found.map(|entry| entry.index)
}

/// Tells whether a change that is about to be folded into `state` has the signature that it needs.
fn holds(state: &State, change: &Attributed) -> bool {
    let Change::Elevation(ElevationChange::Reviewed { elevation, verdict: Verdict::Approve, narrowing, signature, .. }) =
        &change.what
    else {
        return true;
    };
    let (Some(request), Some(person)) = (state.elevations.find(elevation), change.by.person()) else { return false };
    if request.reviews.iter().any(|review| review.by.is(person)) {
        return false;
    }
    // The later review of an elevation that began without an approval grants nothing.
    let Some(signature) = signature else { return request.elevation.break_glass || !request.is_signed(state) };
    let known = signature.origin().and_then(|origin| Passkeys::at(&origin)).zip(state.passkeys.signing(signature, person));
    let digest = statement(&request.elevation, signature.seen, narrowing, person);
    known.is_some_and(|(passkeys, known)| passkeys.verify(known, signature, digest).is_ok())
}

impl Broker {
    /// Registers a passkey for the person who presents it.
    ///
    /// A further one needs a signature by one that is there. A sign-in alone, such as a stolen session at the identity provider,
    /// makes no new signature for a person who has a passkey already.
    pub async fn register_passkey(
        &self,
        by: &Authorized<Review>,
        wanted: Registered<'_>,
        request: Option<ForRequest>,
    ) -> Result<PasskeyId, Failure> {
        let passkeys = self.passkeys.as_ref().ok_or(&reason::ELEVATION_SIGNATURE)?;
        let refuse = |refused: crate::authn::passkey::Refused| {
            tracing::info!(cause = %refused, "a passkey was not registered");
            &reason::PASSKEY_REFUSED
        };
        let (id, credential) = passkeys.finish(wanted.registration, wanted.answer).map_err(refuse)?;
        let digest = wanted.registration.confirmation;
        let confirmation = wanted.confirmation.map(|word| passkeys.read(word, digest)).transpose().map_err(refuse)?;
        let person = &by.staff().person;
        let label = Text::from(wanted.label);
        self.change_by(by, request, |state, _now| {
            state.passkeys.may_register(&id, person)?;
            if state.passkeys.of(person).next().is_some() {
                let word = confirmation.as_ref().ok_or(&reason::PASSKEY_SIGNATURE)?;
                let known = state.passkeys.signing(word, person).ok_or(&reason::PASSKEY_SIGNATURE)?;
                passkeys.verify_new(known, word, digest).map_err(refuse)?;
            }
            let (passkey, label, credential) = (id.clone(), label.clone(), credential.clone());
            Ok(PasskeyChange::Registered { passkey, label, credential })
        })
        .await?;
        tracing::warn!(passkey = %id, "a passkey was registered");
        Ok(id)
    }

    /// Revokes a passkey: its signatures no longer count, once this is confirmed at any node.
    pub async fn revoke_passkey(
        &self,
        by: &Authorized<Retire>,
        id: &PasskeyId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Unconfirmed, Failure> {
        let revoke = |state: &State, _now| {
            state.passkeys.may_revoke(id, by.staff())?;
            Ok::<_, Failure>(PasskeyChange::Revoked { passkey: id.clone(), reason: why.into() })
        };
        Ok(Unconfirmed::of_person(&self.change_by(by, request, revoke).await?))
    }

    /// Makes the browser's options for signing this approval; `None` if the person has no passkey.
    ///
    /// # Errors
    /// There is no such elevation, or nobody can sign here.
    pub fn to_sign(
        &self,
        by: &Authorized<Review>,
        id: &ElevationId,
        seen: Digest,
        narrowing: &Narrowing,
    ) -> Result<Option<String>, &'static Reason> {
        let passkeys = self.passkeys.as_ref().ok_or(&reason::ELEVATION_SIGNATURE)?;
        let view = self.journal.view();
        let request = view.state.elevations.find(id).ok_or(&reason::NOT_FOUND)?;
        let person = &by.staff().person;
        if view.state.passkeys.of(person).next().is_none() {
            return Ok(None);
        }
        let digest = statement(&request.elevation, seen, narrowing, person);
        let options = passkeys.ask(view.state.passkeys.of(person), digest);
        options.map(Some).map_err(|_| &reason::PASSKEY_REFUSED)
    }

    /// Verifies that a new signature is over this approval, by a passkey of the reviewer.
    pub(super) fn judge_signature(
        &self,
        by: &Authorized<Review>,
        id: &ElevationId,
        narrowing: &Narrowing,
        signature: &Signature,
    ) -> Result<(), &'static Reason> {
        let passkeys = self.passkeys.as_ref().ok_or(&reason::ELEVATION_SIGNATURE)?;
        let view = self.journal.view();
        let request = view.state.elevations.find(id).ok_or(&reason::NOT_FOUND)?;
        let person = &by.staff().person;
        let known = view.state.passkeys.signing(signature, person).ok_or(&reason::ELEVATION_SIGNATURE_INVALID)?;
        let digest = statement(&request.elevation, signature.seen, narrowing, person);
        passkeys.verify_new(known, signature, digest).map_err(|refused| {
            tracing::info!(cause = %refused, "a signature was refused");
            &reason::ELEVATION_SIGNATURE_INVALID
        })
    }

    /// Refuses unless each approval of these elevations is signed, if their API requires that.
    pub(super) fn signatures_hold(&self, elevations: &[ElevationId]) -> Result<(), Refused> {
        if elevations.is_empty() {
            return Ok(());
        }
        let view = self.journal.view();
        let holds = |id: &ElevationId| self.signatures_of(&view.state, id);
        if elevations.iter().all(holds) { Ok(()) } else { Err(Refused::unknown(&reason::ELEVATION_SIGNATURE_INVALID)) }
    }

    fn signatures_of(&self, state: &State, id: &ElevationId) -> bool {
        let Some(request) = state.elevations.find(id) else { return false };
        let signed = request.signed(state);
        // An approval that must be signed and is not does not count, even if an earlier check said otherwise.
        if signed.is_empty() {
            return !request.is_signed(state);
        }
        signed.into_iter().all(|(person, signature, digest)| {
            let known = self.passkeys.as_ref().zip(state.passkeys.signing(signature, person));
            let holds = known.is_some_and(|(passkeys, known)| passkeys.verify(known, signature, digest).is_ok());
            if !holds {
                tracing::error!(elevation = %id, "an approval on record is not signed by who approved");
            }
            holds
        })
    }
}
