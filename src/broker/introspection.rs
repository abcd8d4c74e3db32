//! Introspection (RFC 7662) and revocation (RFC 7009) of tokens, by their holders and their APIs.
//!
//! A token is active if it verifies, is on record with exactly these claims, has not expired, and nothing that it was made from is
//! cut, neither in the journal's state nor in the live index. Every other token is inactive. If a store does not answer, the answer
//! is "busy", never "active" (ABUSE I-15). An entry that was read before is not read again while the journal
//! answered a read within the lease (ABUSE I-16).

use std::sync::Arc;

use super::Broker;
use super::caller::VerifiedCredential;
use super::cause::Cause;
use super::exchange::Payment;
use super::failure::{Denied, Failure, away};
use super::found_lately::Found;
use super::revocation::Revoke;
use super::verification::HeldToken;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::admission::{Principal, Slot};
use crate::domain::decision::cut::is_cut;
use crate::domain::decision::peer::Peer;
use crate::domain::decision::possession::peer_counts;
use crate::domain::decision::standing::in_good_standing;
use crate::domain::decision::target::BUILT_IN_SCOPES;
use crate::domain::log::entry::Issued;
use crate::domain::reason;
use crate::domain::reason::decision::Refused;
use crate::domain::value::names::{ClientId, EnvironmentName, RequestId, TokenId};
use crate::domain::value::quota::Operation;
use crate::journal::ForRequest;

/// The credential of a caller of introspection or revocation.
pub enum ClientCredential {
    /// `client_assertion` (RFC 7523 section 2.2), with the `client_id` if one was sent.
    Assertion {
        /// The JWT as it was sent.
        text: String,
        /// `client_id`.
        client: Option<String>,
    },
    /// The certificate of the connection (RFC 8705 section 2.1), with the `client_id` as sent.
    Certificate {
        /// The certificate, verified with the connection.
        shown: Peer,
        /// `client_id`.
        client: String,
    },
    /// A token of ours for API `carnet` with scope `carnet:introspect`, from `Authorization`.
    Token(HeldToken),
}

impl Broker {
    /// Authenticates a caller, and takes one from its quota of `operation`.
    ///
    /// The proof is spent in the live index, since nothing is recorded for a read. A proof over the quota is not spent, so it
    /// leaves nothing there and may be sent again.
    pub async fn authenticate(
        &self,
        environment: &EnvironmentName,
        credential: &ClientCredential,
        operation: Operation,
    ) -> Result<ClientId, Denied> {
        self.ensure_steady()?;
        self.known_caller(environment, credential, operation).await.map_err(|denied| self.until_minting(denied))
    }

    async fn known_caller(
        &self,
        environment: &EnvironmentName,
        credential: &ClientCredential,
        operation: Operation,
    ) -> Result<ClientId, Denied> {
        match credential {
            ClientCredential::Certificate { shown, client } => {
                let view = self.journal.view();
                let credential = VerifiedCredential::Certificate(shown.clone());
                let principal = Self::identify(environment, &credential, &view.state, self.now())?;
                let known = |reason| Refused { known: Some(principal.client().clone()), ..Refused::unknown(reason) };
                if *client != principal.client().to_string() {
                    return Err(known(&reason::CLIENT_MISMATCH).into());
                }
                peer_counts(&principal, shown, &view.state, self.now()).map_err(known)?;
                in_good_standing(&principal, &view.state, self.now()).map_err(known)?;
                self.take(environment, principal.client(), operation, None).await?;
                Ok(principal.client().clone())
            }
            ClientCredential::Assertion { text, client } => {
                let shown = self.verify(environment, Slot::ClientAssertion, text).await?;
                let view = self.journal.view();
                let principal = Self::admit(environment, &shown, &view.state, self.now())?;
                let known = |reason| Refused { known: Some(principal.client().clone()), ..Refused::unknown(reason) };
                if client.as_ref().is_some_and(|client| *client != principal.client().to_string()) {
                    return Err(known(&reason::CLIENT_MISMATCH).into());
                }
                in_good_standing(&principal, &view.state, self.now()).map_err(known)?;
                let payment = Payment::for_read(&principal);
                let spends = payment.as_ref().map(|payment| payment.key);
                // The journal comes last: a copy of a spent proof, or a caller over its quota, must not cost it a look-up (ABUSE I-18).
                self.take(environment, principal.client(), operation, payment).await?;
                match self.has_paid(&principal).await {
                    Ok(false) => {}
                    Ok(true) => return Err(replayed(&principal).into()),
                    // While the journal is away nothing is spent, and the proof may be sent again after the 503.
                    Err(refused) => {
                        spends.iter().for_each(|key| self.live.give_back(key));
                        return Err(refused.into());
                    }
                }
                self.note_reusable(&principal, &shown);
                Ok(principal.client().clone())
            }
            ClientCredential::Token(token) => {
                let found =
                    self.find(environment, &token.text).await?.ok_or_else(|| Refused::unknown(&reason::CLIENT_MISSING))?;
                let audience = found.claims.aud.as_str() == found.claims.iss.as_str();
                let introspects = found.claims.scope.iter().any(|scope| scope.as_str() == BUILT_IN_SCOPES[0]);
                if !audience || !introspects {
                    return Err(Refused::unknown(&reason::CLIENT_MISSING).into());
                }
                token.ensure_held(&found).map_err(Refused::unknown)?;
                let payment = token.possession.as_ref().map(Payment::by_possession).transpose()?;
                self.take(environment, &found.claims.client_id, operation, payment).await?;
                Ok(found.claims.client_id.clone())
            }
        }
    }

    /// Tells whether a token was paid for with this proof.
    ///
    /// Reads and mints share one namespace: such a proof is spent for reads as well, even if the index has lost it.
    async fn has_paid(&self, principal: &Principal) -> Result<bool, Refused> {
        let Some(key) = principal.proof().spends() else { return Ok(false) };
        self.journal.is_spent(&key).await.map_err(|_| away())
    }

    /// Spends the proof of a caller that was admitted before.
    pub(super) async fn spend_read(&self, principal: &Principal) -> Result<(), Refused> {
        if self.has_paid(principal).await? {
            // The caller passed the gate and paid with its quota, so the index had lost this proof, and learns it again.
            self.note_seen(principal);
            return Err(replayed(principal));
        }
        let Some(payment) = Payment::for_read(principal) else { return Ok(()) };
        let first = self.live.spend_read(&payment.key, payment.until).await.map_err(|_| away())?;
        if first { Ok(()) } else { Err(replayed(principal)) }
    }

    /// Returns the claims and the entry of `token`, if it is active and `caller` may see it.
    pub async fn introspect(
        &self,
        environment: &EnvironmentName,
        caller: &ClientId,
        token: &str,
    ) -> Result<Option<Arc<Found>>, Denied> {
        let found = self.find(environment, token).await?.filter(|found| is_business_of(caller, &found.entry));
        // A client that asks about its own token shows nobody that the API saw it.
        if let (Some(found), ClientId::Api(_)) = (&found, caller) {
            self.uses.seen.add(&found.entry, found.entry.scope.clone(), self.now());
        }
        Ok(found)
    }

    /// Finds a living token by its id, and tells whether it is cut.
    ///
    /// It is for people, and asks the journal alone, which knows of a cut first.
    pub async fn living_token(&self, id: &TokenId) -> Result<(Box<Issued>, bool), Failure> {
        let Some(issued) = self.journal.living_issuance(id).await? else { return Err((&reason::NOT_FOUND).into()) };
        if issued.exp <= self.now() {
            return Err((&reason::NOT_FOUND).into());
        }
        let view = self.journal.view();
        let cut = is_cut(&issued, &issued.provenance().keys(), &view.state, &*self.guards(&view).await);
        Ok((issued, cut))
    }

    /// Revokes `token`, if `caller` may see it.
    ///
    /// Otherwise it has no effect, which is not an error (RFC 7009 section 2.2). An attempt on another client's
    /// token is recorded (ABUSE R-11).
    pub async fn revoke_token(
        &self,
        environment: &EnvironmentName,
        caller: &ClientId,
        token: &str,
        request: &RequestId,
    ) -> Result<(), Denied> {
        let Some(found) = self.find(environment, token).await? else { return Ok(()) };
        if !is_business_of(caller, &found.entry) {
            let refused = Refused { known: Some(caller.clone()), ..Refused::unknown(&reason::TOKEN_FOREIGN) };
            self.note(environment, request, &refused);
            return Ok(());
        }
        let target =
            RevocationTarget::Token { environment: environment.clone(), id: found.entry.jti.clone(), expires: found.entry.exp };
        let cause = match caller {
            ClientId::Integration(id) => Cause::Workload(id.clone()),
            ClientId::Api(_) => Cause::Broker,
        };
        let text = format!("asked for by {caller}");
        let made_for = Some(ForRequest::without_key(request.clone()));
        let asked = Revoke { target, client: Some(found.entry.subject.clone()), tokens_only: true, reason: text };
        let revoked = self.revoke_as(cause, &asked, made_for).await?;
        self.confirm(revoked.unconfirmed).await
    }
}

fn replayed(principal: &Principal) -> Refused {
    Refused { known: Some(principal.client().clone()), ..Refused::unknown(&reason::ASSERTION_REPLAYED) }
}

/// Tells whether `caller` may see the token of `entry` (docs/reference/http.md).
///
/// An integration sees its own tokens, an API those of its audience.
fn is_business_of(caller: &ClientId, entry: &Issued) -> bool {
    match caller {
        ClientId::Integration(_) => entry.subject == *caller,
        ClientId::Api(api) => entry.api == *api,
    }
}
