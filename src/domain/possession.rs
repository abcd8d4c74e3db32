//! What a caller shows besides its proof: a certificate of the connection, the key of a DPoP proof; and what a record asks of both.
//!
//! Enter through [`possession`], one step of the decision on a grant. Judged at every request, whatever the handshake said earlier.

use super::admission::Principal;
use super::certificate::{ClientCertificate, Leaf};
use super::clock::Timestamp;
use super::confirmation::Confirmation;
use super::decision::Trace;
use super::enrolment::rotation_due;
use super::grant::{Context, Life, ensure};
use super::integration::{Access, Require};
use super::names::ClientId;
use super::peer::{Peer, admit_svid};
use super::proof::Verified;
use super::reason::{self, Reason};
use super::revocation::Subject;
use super::spiffe::Svid;
use super::state::State;

/// The key that the token is bound to, where one is shown: a certificate of the connection counts only if it is this client's here,
/// stands on record, and was not revoked; judged at every request (ABUSE M-22). What is shown is never ignored.
pub(super) fn possession(
    principal: &Principal,
    access: &Access,
    context: &Context,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    match &context.certificate {
        None => {}
        Some(Peer::Own(shown)) => {
            let leaf = &shown.leaf;
            let own = *principal.client() == ClientId::Integration(leaf.integration.clone())
                && *principal.environment() == leaf.environment;
            let texts = || (principal.client().to_string(), format!("{} in {}", leaf.integration, leaf.environment));
            ensure(trace.check("certificate.client", own, texts), &reason::CERTIFICATE_OTHER)?;
            counts(shown, state, now, trace)?;
            life.end("certificate.not-after", leaf.ends);
            rotated(leaf, state, now, trace, life)?;
        }
        Some(Peer::Svid(shown)) => {
            svid(principal, shown, state, now, trace)?;
            life.end("certificate.not-after", shown.ends);
        }
    }
    dual(principal, access, context, trace)?;
    bound(access.require >= Require::Bound, context, trace)
}

/// An X.509-SVID counts for the client that it admits, in its time. Its revocation is the trust domain's: it ends soon, or the bundle goes.
fn svid(
    principal: &Principal,
    shown: &Verified<Svid>,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<(), &'static Reason> {
    let admitted = admit_svid(shown, principal.environment(), state);
    let own = admitted.as_ref().is_ok_and(|admitted| admitted.client() == principal.client());
    let texts = || (principal.client().to_string(), shown.id.to_string());
    ensure(trace.check("certificate.client", own, texts), &reason::CERTIFICATE_OTHER)?;
    // Beside an assertion it is no ingredient that the decision would look up by itself: what it came through is asked here.
    let through = admitted.iter().flat_map(|by| {
        let subjects = [
            Subject::Issuer { issuer: by.proof().issuer.clone() },
            Subject::Binding {
                client: by.client().clone(),
                environment: by.environment().clone(),
                binding: by.binding().clone(),
            },
        ];
        subjects.map(|subject| subject.member())
    });
    let refused = through.into_iter().find(|member| state.is_refused(member));
    let refused = refused.or_else(|| admitted.as_ref().ok()?.barred().map(str::to_owned));
    let seen = || refused.clone().unwrap_or_else(|| "nothing".to_owned());
    ensure(trace.check("certificate.revoked", refused.is_none(), || ("nothing revoked".into(), seen())), &reason::REVOKED)?;
    let valid = shown.starts <= now && now < shown.ends;
    let texts = || (format!("valid at {now}"), format!("from {} until {}", shown.starts, shown.ends));
    ensure(trace.check("certificate.standing", valid, texts), &reason::CERTIFICATE_EXPIRED)
}

/// The rotation cadence of the record, where a late key is refused; then no token outlives it either.
fn rotated(leaf: &Leaf, state: &State, now: Timestamp, trace: &mut Trace, life: &mut Life) -> Result<(), &'static Reason> {
    let current = state.integrations.get(&leaf.integration).and_then(|integration| integration.current.as_ref());
    let since = state.certificates.key_since(&leaf.environment, leaf.key);
    let due = current.and_then(|current| rotation_due(&current.record, since)).filter(|due| due.refuses);
    let Some(due) = due else { return Ok(()) };
    life.end("certificate.rotation", due.at);
    let texts = || (format!("a key that is changed by {}", due.at), format!("{now}"));
    ensure(trace.check("certificate.rotation", now < due.at, texts), &reason::CERTIFICATE_LATE)
}

/// `require: bound`, of the record or of the API.
pub(super) fn bound(required: bool, context: &Context, trace: &mut Trace) -> Result<(), &'static Reason> {
    let bound = !required || confirmation(context).is_some();
    ensure(trace.check("proof.bound", bound, || ("a certificate or DPoP proof".into(), "none".into())), &reason::PROOF_UNBOUND)
}

/// `require: dual`: an assertion and a certificate of one integration. That the two are of one is judged where the certificate is.
fn dual(principal: &Principal, access: &Access, context: &Context, trace: &mut Trace) -> Result<(), &'static Reason> {
    let both = access.require < Require::Dual || (context.certificate.is_some() && !principal.is_by_certificate());
    ensure(
        trace.check("proof.dual", both, || ("an assertion and a certificate".into(), "one of them".into())),
        &reason::PROOF_SINGLE,
    )
}

/// What the token is bound to. `cnf` holds one key: whoever makes a DPoP proof asks for that.
pub(super) fn confirmation(context: &Context) -> Option<Confirmation> {
    let proof = context.possession.as_ref().map(|shown| Confirmation::ProofKey(shown.key));
    proof.or_else(|| context.certificate.as_ref().map(|shown| Confirmation::Certificate(shown.fingerprint())))
}

/// Whether a verified certificate counts now: validity, authority, record, revocation.
fn counts(shown: &ClientCertificate, state: &State, now: Timestamp, trace: &mut Trace) -> Result<(), &'static Reason> {
    let leaf = &shown.leaf;
    let standing = state.certificates.standing(shown, now);
    let texts = || (format!("on record and valid at {now}"), format!("{} until {}", leaf.serial, leaf.ends));
    trace.check("certificate.standing", standing.is_ok(), texts);
    standing?;
    let unrevoked = !state.is_refused(&leaf.member());
    ensure(
        trace.check("certificate.revoked", unrevoked, || ("not revoked".into(), leaf.serial.to_string())),
        &reason::CERTIFICATE_REVOKED,
    )?;
    // Where the binding for certificates is revoked they count for nothing: neither alone, nor beside an assertion, nor for another one.
    let barred = state.barred.certificate(&leaf.integration, &leaf.environment);
    let texts = || ("nothing revoked".into(), barred.unwrap_or("nothing").to_owned());
    ensure(trace.check("certificate.binding", barred.is_none(), texts), &reason::REVOKED)
}

/// Whether the certificate of a connection may be used at all now, for what is no token: introspection.
pub fn peer_counts(principal: &Principal, peer: &Peer, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    match peer {
        Peer::Own(shown) => certificate_counts(shown, state, now),
        Peer::Svid(shown) => svid(principal, shown, state, now, &mut Trace::off()),
    }
}

/// The same of a leaf of ours, for enrolment.
pub fn certificate_counts(shown: &ClientCertificate, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    counts(shown, state, now, &mut Trace::off())
}
