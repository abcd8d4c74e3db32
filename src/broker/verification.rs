//! Forward-auth for proxies in front of an API: verdicts on requests (docs/reference/http.md).
//!
//! Enter through [`Broker::verdict`]. The proxy is checked first: its account of the request (method, path, client certificate) is
//! believed, so a stranger gets no verdict. Then come the token, as at introspection, the key that it is bound to, its scope, and
//! its endpoint conditions. If a store does not answer there is no verdict, never a good one. An entry
//! that the journal gave is not read again within the lease ([`found`](super::found)).

use std::sync::Arc;

use super::Broker;
use super::exchange::Payment;
use super::failure::{Denied, away};
use super::found_lately::Found;
use super::introspection::ClientCredential;
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::credential::claims::Detail;
use crate::domain::credential::resource::{Beside, is_held};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName};
use crate::domain::value::quota::Operation;
use crate::domain::value::scope::ScopeSet;

/// A token, with the proofs of the key that it is bound to.
pub struct HeldToken {
    /// The token, as it was sent.
    pub text: String,
    /// True if it came with scheme `DPoP`, and not `Bearer`.
    pub as_dpop: bool,
    /// SHA-256 of the client certificate of the connection that it came over.
    pub certificate: Option<Digest>,
    /// The DPoP proof that it came with.
    pub possession: Option<Verified<Possession>>,
}

impl HeldToken {
    /// Refuses unless the request proves the key that the token is bound to.
    pub(super) fn ensure_held(&self, found: &Found) -> Result<(), &'static Reason> {
        let proof_key = self.possession.as_ref().map(|shown| shown.key);
        let beside = Beside { as_dpop: self.as_dpop, certificate: self.certificate, proof_key };
        if is_held(found.claims.cnf, &beside) { Ok(()) } else { Err(&reason::TOKEN_NOT_HELD) }
    }
}

/// The caller that asks for a verdict.
pub enum Proxy {
    /// One whose address the operator lists in `verify_callers`, for every API.
    Listed,
    /// A caller of the API, with its proof.
    Caller(ClientCredential),
}

/// A request on which a verdict is asked.
pub struct Asked {
    /// The API that the request goes to.
    pub api: ApiName,
    /// The scopes that the request needs, all of them.
    pub scope: ScopeSet,
    /// Method and path of the request, without the query, if the proxy named them.
    pub request: Option<(String, String)>,
    /// The token of the request.
    pub token: HeldToken,
}

impl Broker {
    /// Refuses a proxy that may not ask about `api`.
    pub async fn admit_proxy(&self, environment: &EnvironmentName, proxy: &Proxy, api: &ApiName) -> Result<(), Denied> {
        let unknown = || Denied::from(Refused::unknown(&reason::PROXY_UNKNOWN));
        match proxy {
            Proxy::Listed => Ok(()),
            Proxy::Caller(credential) => match self.authenticate(environment, credential, Operation::Introspection).await? {
                ClientId::Api(caller) if caller == *api => Ok(()),
                ClientId::Api(_) | ClientId::Integration(_) => Err(unknown()),
            },
        }
    }

    /// Returns the claims and the entry of the token, if the request may go on.
    pub async fn verdict(&self, environment: &EnvironmentName, asked: Asked) -> Result<Arc<Found>, Denied> {
        let refused = |reason| Denied::from(Refused::unknown(reason));
        let tenure = self.ensure_live()?;
        let found = self.find(environment, &asked.token.text).await?.ok_or_else(|| refused(&reason::TOKEN_INACTIVE))?;
        let known = |reason| Refused { known: Some(found.claims.client_id.clone()), ..Refused::unknown(reason) };
        if found.entry.api != asked.api {
            return Err(known(&reason::TOKEN_OTHER_API).into());
        }
        asked.token.ensure_held(&found).map_err(known)?;
        reaches(&found, &asked).map_err(known)?;
        // A proof is spent last, so a proof whose request was refused before may be sent again. Each leaves a
        // key, so a client has a quota, and the index takes from it in the same step.
        if let Some(shown) = &asked.token.possession {
            let payment = Payment::by_possession(shown).map_err(|refused| known(refused.reason))?;
            self.take(environment, &found.claims.client_id, Operation::Possession, Some(payment)).await?;
            self.ensure_live_since(tenure)?;
        }
        self.uses.seen.add(&found.entry, asked.scope.to_string(), self.now());
        Ok(found)
    }

    /// Spends a proof of possession (RFC 9449 section 11.1).
    pub(crate) async fn spend_possession(&self, shown: Option<&Verified<Possession>>) -> Result<(), Refused> {
        let Some(shown) = shown else { return Ok(()) };
        let payment = Payment::by_possession(shown)?;
        match self.live.spend_read(&payment.key, payment.until).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refused::unknown(payment.again)),
            Err(_) => Err(away()),
        }
    }
}

/// Checks the scope, then the endpoint conditions.
///
/// If the proxy does not name the request, a token with conditions reaches nothing.
fn reaches(found: &Found, asked: &Asked) -> Result<(), &'static Reason> {
    if !asked.scope.is_within(&found.claims.scope) {
        return Err(&reason::ACCESS_SCOPE);
    }
    let (method, path) = asked.request.as_ref().map_or(("", ""), |(method, path)| (method, path));
    if Detail::admit(&found.claims.authorization_details, method, path) { Ok(()) } else { Err(&reason::ACCESS_ENDPOINT) }
}
