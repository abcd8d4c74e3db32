//! Judges the keys that a caller proves besides its proof: a certificate, a DPoP key, or both.
//!
//! A record may ask for either or both. Enter through [`possession`], one step of the decision on a grant. It is judged at every
//! request, whatever the handshake said earlier.

use super::admission::Principal;
use super::ask::Context;
use super::life::Life;
use super::peer::{Peer, admit_svid};
use super::rotation::rotation_due;
use super::standing::told;
use crate::domain::caller::proof::Verified;
use crate::domain::caller::spiffe::Svid;
use crate::domain::credential::certificate::{ClientCertificate, Leaf};
use crate::domain::credential::confirmation::Confirmation;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::integration::{Access, Require};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::ClientId;

/// Judges the certificate of a request by itself and against the record.
///
/// It counts only if it is this client's in this environment, is on record, and is not revoked. It is judged at every request
/// (ABUSE M-22), and a certificate that was presented is never ignored.
pub(in crate::domain) fn possession(
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
            let whose = |client: &dyn std::fmt::Display, environment| format!("a certificate of {client} in {environment}");
            let texts = || (whose(principal.client(), principal.environment()), whose(&leaf.integration, &leaf.environment));
            trace.ensure("certificate.client", own, &reason::CERTIFICATE_OTHER, texts)?;
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

/// Judges an X.509-SVID: it counts for the client that it admits, while it is valid.
///
/// Its trust domain revokes it: it ends soon, or the bundle changes.
fn svid(
    principal: &Principal,
    shown: &Verified<Svid>,
    state: &State,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<(), &'static Reason> {
    let admitted = admit_svid(shown, principal.environment(), state);
    let own = admitted.as_ref().is_ok_and(|admitted| admitted.client() == principal.client());
    trace.ensure("certificate.client", own, &reason::CERTIFICATE_OTHER, || {
        let admits = admitted.as_ref().map_or_else(|_| "no integration".to_owned(), |by| by.client().to_string());
        (format!("an SVID that admits {}", principal.client()), format!("{}, which admits {admits}", shown.id))
    })?;
    // Beside an assertion, the decision does not look up the issuer and binding of the SVID by itself, so they are checked here.
    let through = admitted.iter().flat_map(|by| {
        [RevocationKey::issuer(&by.proof().issuer), RevocationKey::binding(by.client(), by.environment(), by.binding())]
    });
    let refused = through.into_iter().find(|key| state.is_refused(key));
    let refused = refused.or_else(|| admitted.as_ref().ok()?.barred().cloned());
    trace.ensure("certificate.revoked", refused.is_none(), &reason::REVOKED, || {
        ("nothing revoked that admits the SVID".into(), told(refused.as_ref()))
    })?;
    let valid = shown.starts <= now && now < shown.ends;
    trace.ensure("certificate.standing", valid, &reason::CERTIFICATE_EXPIRED, || {
        (format!("valid at {now}"), format!("valid from {} until {}", shown.starts, shown.ends))
    })
}

/// Applies the record's rotation cadence, if it refuses a late key.
///
/// No token outlives the key's time.
fn rotated(leaf: &Leaf, state: &State, now: Timestamp, trace: &mut Trace, life: &mut Life) -> Result<(), &'static Reason> {
    let current = state.integrations.get(&leaf.integration).and_then(|integration| integration.current.as_ref());
    let since = state.certificates.key_since(&leaf.environment, leaf.key);
    let due = current.and_then(|current| rotation_due(&current.record, since)).filter(|due| due.refuses);
    let Some(due) = due else { return Ok(()) };
    life.end("certificate.rotation", due.at);
    trace.ensure("certificate.rotation", now < due.at, &reason::CERTIFICATE_LATE, || due.texts(now))
}

/// Judges `require: bound`, of the record or of the API.
pub(in crate::domain) fn bound(required: bool, context: &Context, trace: &mut Trace) -> Result<(), &'static Reason> {
    let shown = confirmation(context);
    trace.ensure("proof.bound", !required || shown.is_some(), &reason::PROOF_UNBOUND, || {
        let want = if required { "a certificate or DPoP proof" } else { "no certificate or DPoP proof is needed" };
        let seen = match shown {
            Some(Confirmation::Certificate(_)) => "a certificate",
            Some(Confirmation::ProofKey(_)) => "a DPoP proof",
            None => "neither is shown",
        };
        (want.into(), seen.into())
    })
}

/// Judges `require: dual`: an assertion and a certificate of one integration.
///
/// [`possession`] judges that both are of the same one.
fn dual(principal: &Principal, access: &Access, context: &Context, trace: &mut Trace) -> Result<(), &'static Reason> {
    let required = access.require >= Require::Dual;
    let both = context.certificate.is_some() && !principal.is_by_certificate();
    trace.ensure("proof.dual", !required || both, &reason::PROOF_SINGLE, || {
        let want = if required { "an assertion and a certificate" } else { "one proof is enough" };
        let seen = match (principal.is_by_certificate(), &context.certificate) {
            (true, _) => "a certificate alone",
            (false, None) => "an assertion alone",
            (false, Some(_)) => "an assertion and a certificate",
        };
        (want.into(), seen.into())
    })
}

/// The key that the token is bound to.
///
/// `cnf` holds one key. A DPoP proof takes precedence, because its caller asks for that binding.
pub(in crate::domain) fn confirmation(context: &Context) -> Option<Confirmation> {
    let proof = context.possession.as_ref().map(|shown| Confirmation::ProofKey(shown.key));
    proof.or_else(|| context.certificate.as_ref().map(|shown| Confirmation::Certificate(shown.fingerprint())))
}

/// Judges whether a verified certificate counts now: validity, authority, record, revocation.
fn counts(shown: &ClientCertificate, state: &State, now: Timestamp, trace: &mut Trace) -> Result<(), &'static Reason> {
    let leaf = &shown.leaf;
    let standing = state.certificates.standing(shown, now);
    trace.check("certificate.standing", standing.is_ok(), || {
        let seen = match standing {
            Ok(()) => format!("{} is on record, valid until {}", leaf.serial, leaf.ends),
            Err(reason) => format!("{} ({} to {}): {}", leaf.serial, leaf.starts, leaf.ends, reason.code),
        };
        (format!("on record and valid at {now}"), seen)
    });
    standing?;
    let revoked = state.is_refused(&leaf.revocation_key());
    trace.ensure("certificate.revoked", !revoked, &reason::CERTIFICATE_REVOKED, || {
        let seen = if revoked { "is revoked" } else { "is not revoked" };
        ("a certificate that is not revoked".into(), format!("certificate {}/{} {seen}", leaf.environment, leaf.serial))
    })?;
    // If the binding for certificates is revoked, they do not count: neither alone, nor beside an
    // assertion, nor for another binding.
    let barred = state.barred.certificate(&leaf.integration, &leaf.environment);
    trace.ensure("certificate.binding", barred.is_none(), &reason::REVOKED, || {
        ("a binding for certificates that is not revoked".into(), told(barred))
    })
}

/// Judges whether the certificate of a connection counts for a request that issues no token.
///
/// Such a request is introspection.
pub fn peer_counts(principal: &Principal, peer: &Peer, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    match peer {
        Peer::Own(shown) => certificate_counts(shown, state, now),
        Peer::Svid(shown) => svid(principal, shown, state, now, &mut Trace::off()),
    }
}

/// Judges whether a leaf of ours counts now, for enrolment.
pub fn certificate_counts(shown: &ClientCertificate, state: &State, now: Timestamp) -> Result<(), &'static Reason> {
    counts(shown, state, now, &mut Trace::off())
}
