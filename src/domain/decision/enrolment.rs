//! Enrolment: decides whether a certificate may be made, and what it will say.
//!
//! Enter through [`decide_enrolment`]. As for tokens, the decision is a function of the state and `now`, and is taken again on the
//! state that the certificate is recorded on: if two requests use one enrolment token at the same time, one gets a certificate.

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

/// The credential of a workload that enrols, for the decision.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A one-time enrolment token.
    Token {
        /// The id of the enrolment.
        id: EnrolmentId,
        /// SHA-256 of its secret.
        secret: Digest,
    },
    /// The certificate in use.
    Certificate(ClientCertificate),
}

/// A request for a certificate.
#[derive(Clone, Debug)]
pub struct CertificateRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// The integration that the request names. The credential must name the same one.
    pub integration: IntegrationId,
    /// SHA-256 of the SubjectPublicKeyInfo.
    pub key: Digest,
    /// The serial number that it will have.
    pub serial: Serial,
}

/// Decides on the leaf that may be recorded and then signed, and the enrolment that it uses up.
///
/// # Errors
/// The reason for a refusal. All faults of a token share one reason: to say which part holds would help a guesser.
pub fn decide_enrolment(
    wanted: &CertificateRequest,
    credential: &Credential,
    state: &State,
    now: Timestamp,
) -> Result<(Leaf, Option<EnrolmentId>), &'static Reason> {
    stopped::open(&wanted.environment, state)?;
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
    let partner = state.partners.get(&wanted.integration.partner);
    let verified = partner.and_then(|partner| partner.current.as_ref()).ok_or(&reason::ENROLMENT_BINDING)?;
    let access = record.environments.get(&wanted.environment).ok_or(&reason::ENROLMENT_BINDING)?;
    if !access.bindings.iter().any(|binding| binding.admits == Admits::Certificate) || now < record.contract.starts {
        return Err(&reason::ENROLMENT_BINDING);
    }
    if state.certificates.is_spoilt(wanted.key) {
        return Err(&reason::ENROLMENT_KEY_REUSED);
    }
    // A late key gets no new certificate, so that the workload must change its key.
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

/// Requires an unused token for this integration and environment, approved within ten minutes.
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
