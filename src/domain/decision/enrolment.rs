//! Enrolment: whether a certificate may be made, and what it will say.
//!
//! Enter through [`decide_enrolment`]. As for tokens, it is a function of the state and `now`, and is asked again on the state that the
//! certificate is recorded on: of two that use one enrolment token at one time, one gets a certificate.

use super::possession::certificate_counts;
use super::rotation::rotation_due;
use super::stopped;
use crate::domain::credential::certificate::{
    ClientCertificate, ENROLMENT_LIFE, Enrolment, LEAF_BACKDATED, LEAF_LIFE, Leaf, leaf_end,
};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::{Standing, Verdict};
use crate::domain::registry::binding::Admits;
use crate::domain::state::{Phase, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnrolmentId, EnvironmentName, IntegrationId, Serial};

/// The credential of a workload that enrols, as it is judged.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A one-time enrolment token.
    Token {
        /// Which enrolment.
        id: EnrolmentId,
        /// SHA-256 of its secret.
        secret: Digest,
    },
    /// The certificate in use.
    Certificate(ClientCertificate),
}

/// A certificate that is asked for.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// Where.
    pub environment: EnvironmentName,
    /// For whom, as the request says; it must be whom the credential names.
    pub integration: IntegrationId,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: Digest,
    /// The serial number that it will have.
    pub serial: Serial,
}

/// Decides: the leaf that may be recorded and then signed, and the enrolment that it uses up.
///
/// # Errors
/// Why there is none. Everything about a token that does not hold is one reason: what holds would help whoever guesses.
pub fn decide_enrolment(
    wanted: &CertificateRequest,
    credential: &Credential,
    state: &State,
    now: Timestamp,
) -> Result<(Leaf, Option<EnrolmentId>), &'static Reason> {
    let uses = match credential {
        Credential::Token { id, secret } => {
            let enrolment = state.certificates.enrolment(id).ok_or(&reason::ENROLMENT_REFUSED)?;
            usable(enrolment, *secret, wanted, state, now)?;
            Some(id.clone())
        }
        Credential::Certificate(shown) => {
            certificate_counts(shown, state, now)?;
            if shown.leaf.environment != wanted.environment || shown.leaf.integration != wanted.integration {
                return Err(&reason::ENROLMENT_NAMES);
            }
            None
        }
    };
    stopped::enrolment(&wanted.integration, &wanted.environment, state).map_err(|_| &reason::ENROLMENT_BINDING)?;
    let integration = state.integrations.get(&wanted.integration);
    let active = integration.filter(|integration| integration.phase() == Phase::Active);
    let record = &active.and_then(|integration| integration.current.as_ref()).ok_or(&reason::ENROLMENT_BINDING)?.record;
    let partner = state.partners.get(&wanted.integration.partner).filter(|partner| partner.suspended.is_none());
    let verified = partner.and_then(|partner| partner.current.as_ref()).ok_or(&reason::ENROLMENT_BINDING)?;
    let access = record.environments.get(&wanted.environment).ok_or(&reason::ENROLMENT_BINDING)?;
    if !access.bindings.iter().any(|binding| binding.admits == Admits::Certificate) || now < record.contract.starts {
        return Err(&reason::ENROLMENT_BINDING);
    }
    if state.certificates.is_spoilt(wanted.key) {
        return Err(&reason::ENROLMENT_KEY_REUSED);
    }
    // A late key gets no new certificate, so that a new key is the only way on.
    let due = rotation_due(record, state.certificates.key_since(&wanted.environment, wanted.key));
    if due.is_some_and(|due| due.refuses && now >= due.at) {
        return Err(&reason::CERTIFICATE_LATE);
    }
    let authority = state.certificates.issuing(&wanted.environment, now).ok_or(&reason::AUTHORITY_AWAY)?;
    let ceilings = [record.contract.ends, verified.record.verification.expires, authority.ends];
    let ends = leaf_end(now, LEAF_LIFE, ceilings).ok_or(&reason::ENROLMENT_LIFE)?;
    let leaf = Leaf {
        environment: wanted.environment.clone(),
        integration: wanted.integration.clone(),
        serial: wanted.serial.clone(),
        authority: authority.kid.clone(),
        key: wanted.key,
        starts: now.minus(LEAF_BACKDATED),
        ends,
    };
    Ok((leaf, uses))
}

/// A token that is known, for this integration and environment, approved within its ten minutes, and not used up.
fn usable(
    enrolment: &Enrolment,
    secret: Digest,
    wanted: &CertificateRequest,
    state: &State,
    now: Timestamp,
) -> Result<(), &'static Reason> {
    let approval = state.approvals.get(&enrolment.approval).filter(|approval| approval.standing(now) == Standing::Approved);
    let approving = approval.iter().flat_map(|approval| &approval.reviews).filter(|review| review.verdict == Verdict::Approve);
    let in_time = approving.map(|review| review.at).max().is_some_and(|at| now.since(at) < ENROLMENT_LIFE);
    let same = enrolment.secret == secret
        && enrolment.integration == wanted.integration
        && enrolment.environment == wanted.environment;
    if same && in_time && !enrolment.used { Ok(()) } else { Err(&reason::ENROLMENT_REFUSED) }
}
