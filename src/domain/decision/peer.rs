//! The verified client certificate of a connection, and the client that it admits.
//!
//! It is a leaf of our own authority, or an X.509-SVID of a partner's trust domain. Enter through [`admit_peer`]. The decision
//! (`grant`) judges whether the certificate counts now.

use super::admission::Principal;
use crate::domain::caller::conditions::conditions;
use crate::domain::caller::proof::Verified;
use crate::domain::caller::spiffe::Svid;
use crate::domain::credential::certificate::ClientCertificate;
use crate::domain::reason;
use crate::domain::reason::decision::Refused;
use crate::domain::registry::binding::Admits;
use crate::domain::state::State;
use crate::domain::state::candidates::Candidate;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ClientId, EnvironmentName, TrustDomain};

/// A certificate whose key the peer has proved to hold.
#[derive(Clone, Debug)]
pub enum Peer {
    /// A leaf of this environment's authority.
    Own(Verified<ClientCertificate>),
    /// An X.509-SVID.
    Svid(Verified<Svid>),
}

impl Peer {
    /// The certificate's `x5t#S256`.
    pub fn fingerprint(&self) -> Digest {
        match self {
            Self::Own(shown) => shown.fingerprint,
            Self::Svid(shown) => shown.fingerprint,
        }
    }

    /// The SVID, if it is one.
    pub fn svid(&self) -> Option<&Verified<Svid>> {
        match self {
            Self::Own(_) => None,
            Self::Svid(shown) => Some(shown),
        }
    }

    /// The leaf of our authority, if it is one.
    pub fn own(&self) -> Option<&Verified<ClientCertificate>> {
        match self {
            Self::Own(shown) => Some(shown),
            Self::Svid(_) => None,
        }
    }
}

/// Finds the client that a certificate admits in `environment`, whose trust domain is given.
///
/// # Errors
/// No binding takes it, or bindings of two clients do.
pub fn admit_peer(
    peer: &Peer,
    environment: &EnvironmentName,
    trust_domain: &TrustDomain,
    state: &State,
) -> Result<Principal, Refused> {
    match peer {
        Peer::Own(shown) => admit_own(shown, environment, trust_domain, state),
        Peer::Svid(shown) => admit_svid(shown, environment, state),
    }
}

/// Admits the integration that a leaf of ours names, if a binding of it takes certificates.
fn admit_own(
    shown: &Verified<ClientCertificate>,
    environment: &EnvironmentName,
    trust_domain: &TrustDomain,
    state: &State,
) -> Result<Principal, Refused> {
    let leaf = &shown.leaf;
    let client = ClientId::Integration(leaf.integration.clone());
    let refused = |reason| Refused { known: Some(client.clone()), ..Refused::unknown(reason) };
    if leaf.environment != *environment {
        return Err(refused(&reason::CERTIFICATE_PROFILE));
    }
    let integration = state.integrations.get(&leaf.integration);
    // The decision refuses suspended and ended ones with that reason, once the caller is known.
    let current = integration.and_then(|it| it.current.as_ref()).ok_or_else(|| refused(&reason::INTEGRATION_NOT_ACTIVE))?;
    let access = current.record.environments.get(environment);
    let binding = access.and_then(|access| access.bindings.iter().find(|binding| binding.admits == Admits::Certificate));
    let binding = binding.ok_or_else(|| refused(&reason::BINDING_NO_MATCH))?;
    Ok(Principal::by_own(shown, trust_domain, &binding.name, current.version, &state.barred))
}

/// Admits by the bindings that name this ID and rest on the very bundle that verified the chain.
pub(in crate::domain) fn admit_svid(
    shown: &Verified<Svid>,
    environment: &EnvironmentName,
    state: &State,
) -> Result<Principal, Refused> {
    let claims = serde_json::json!({"sub": shown.id.as_str()});
    let admits = |candidate: &&Candidate| {
        let rule = &candidate.rule;
        let spiffe = rule.takes_svids() && rule.keys == shown.source;
        spiffe && !rule.matchers.is_empty() && conditions(rule, &claims).all(|result| result.holds)
    };
    let issuer = shown.id.issuer();
    let candidates = state.candidates(environment, &issuer);
    let mut admitting = candidates.meeting(&claims).filter(admits);
    let first = admitting.next().ok_or_else(|| Refused::unknown(&reason::BINDING_NO_MATCH))?;
    if admitting.any(|other| other.client != first.client) {
        return Err(Refused::unknown(&reason::BINDING_AMBIGUOUS));
    }
    Ok(Principal::by_svid(shown, first, &state.barred))
}
