//! Exchanges a proof for a token, and records the token before it is released.
//!
//! Enter through [`Broker::exchange`] (docs/explanation/architecture.md#one-exchange). All three grants use it: they differ only in
//! the slot of the proof, so no grant can lack a check (ABUSE P-20, I-19).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::caller::{Credential, VerifiedCredential};
use super::cause::Cause;
use super::failure::{Denied, away, busy};
use crate::authn::dpop;
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::credential::claims::Detail;
use crate::domain::credential::confirmation::Confirmation;
use crate::domain::decision::admission::Principal;
use crate::domain::decision::ask::{Ask, Context};
use crate::domain::decision::grant::{Decision, Grant, decide};
use crate::domain::decision::guard::{Guarded, Guards as _};
use crate::domain::decision::peer::Peer;
use crate::domain::log::issuer_key::IssuerKeyChange;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Class, Reason};
use crate::domain::registry::integration::Limits;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, RequestId, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::quota::{Bucket, Operation};
use crate::issuance::IssuedToken;
use crate::journal::{Again, RecordFault, Recorded, View};
use crate::policy::Guardrails;
use crate::revocation::{Admission, Shown};

/// How long a token waits until the first use of a key is on record.
const NOTED_WITHIN: Duration = Duration::from_secs(1);

/// How often a decision is taken anew because its guardrails were still to be compiled.
const ROUNDS: usize = 3;

/// A token request whose form was checked already.
pub struct Request {
    /// The environment that it was sent to.
    pub environment: EnvironmentName,
    /// The credential that it presents.
    pub proof: Credential,
    /// The API and the rights that it asks for.
    pub ask: Ask,
    /// The address that it comes from.
    pub source: Option<IpAddr>,
    /// The client certificate of its connection.
    pub certificate: Option<Peer>,
    /// The key of its DPoP proof.
    pub possession: Option<Verified<Possession>>,
    /// Its id.
    pub id: RequestId,
}

/// A token, and the other facts of its response.
pub struct Exchanged {
    /// The token.
    pub token: IssuedToken,
    /// Seconds until it expires.
    pub expires_in: Seconds,
    /// Its scopes.
    pub scope: String,
    /// True if it works only with a DPoP proof. Decides `token_type`.
    pub by_proof: bool,
    /// Its `authorization_details`: endpoint conditions and elevations.
    pub details: Arc<[Detail]>,
    /// Its client, for metrics.
    pub client: ClientId,
    /// Its API, for metrics.
    pub api: ApiName,
}

impl Broker {
    /// Exchanges a proof for a token.
    ///
    /// A refusal is queued for the journal when this returns. A refusal up to the decision spends no proof.
    pub async fn exchange(&self, request: &Request) -> Result<Exchanged, Denied> {
        let denied = match self.run(request).await {
            Ok(exchanged) => {
                self.turns.count();
                return Ok(exchanged);
            }
            Err(denied) => self.until_minting(denied),
        };
        self.note(&request.environment, &request.id, &denied.refused);
        // Whoever is refused for want of something of ours comes back, and not all of them together.
        let is_busy = denied.refused.reason.class == Class::Busy;
        let retry_after = denied.retry_after.or_else(|| is_busy.then(|| self.turns.later()));
        Err(Denied { retry_after, ..denied })
    }

    async fn run(&self, request: &Request) -> Result<Exchanged, Denied> {
        // Steps 3 and 4: the unverified issuer finds the keys, and the keys verify.
        let shown = self.establish(&request.environment, &request.proof, request.certificate.as_ref()).await?;
        // Step 5: the claims find the client.
        let view = self.journal.view();
        let principal = Self::identify(&request.environment, &shown, &view.state, self.now())?;
        let known = |refused: Refused| Refused { known: Some(principal.client().clone()), ..refused };
        // Who can have no token waits for no turn. The gate asks again, after the wait.
        self.can_mint().map_err(known)?;
        let _turn = self.turns.take().await.ok_or_else(|| known(busy(&reason::NODE_BUSY)))?;
        // Quota and seen-set are checked in one round trip. No answer is a refusal (ABUSE T-07).
        self.pass_gate(&principal, Operation::Exchange)
            .await
            .map_err(|denied| Denied { refused: known(denied.refused), ..denied })?;
        if let VerifiedCredential::Assertion(shown) = &shown {
            self.note_reusable(&principal, shown);
        }
        let tenure = self.journal.tenure().map_err(|fault| known(busy(fault.reason())))?;
        // Step 6: the decision.
        let context = Context {
            request: request.id.clone(),
            token: TokenId::fresh(&*self.entropy, self.now()),
            source: request.source,
            certificate: request.certificate.clone(),
            possession: request.possession.clone(),
        };
        let recorded = self.decided(request, (shown, &principal), context, view).await?;
        let known_to = |refused: Refused| Denied::from(known(refused));
        // A grant that was decided again may rest on another elevation. To record a grant and not release its token is harmless.
        let elevations = &recorded.value().provenance().elevations;
        self.signatures_hold(elevations).map_err(known_to)?;
        self.tickets_are_open(elevations).map_err(known_to)?;
        // Step 8: the token is signed, and read back.
        let token = self.issuance.issue(&recorded).map_err(|_| known(busy(&reason::KEY_UNAVAILABLE)))?;
        self.note_issuer_key(&principal).await;
        // Nothing is awaited after this: a node whose lease ran out since the decision lets no token go, although it is on record, and although
        // the lease may be renewed by now.
        self.journal.ensure_leased_since(tenure).map_err(|_| known(busy(&reason::STORE_UNCONFIRMED)))?;
        // The seen-set is filled after the commit. If that fails, the journal still refuses a replay.
        let grant = recorded.value();
        if let Some((proof, until)) = grant.spends() {
            self.live.spend(&proof, until);
        }
        let claims = grant.claims();
        Ok(Exchanged {
            token,
            expires_in: claims.expires.since(self.now()),
            scope: claims.scope.to_string(),
            by_proof: matches!(claims.confirmation, Some(Confirmation::ProofKey(_))),
            details: Arc::clone(&claims.details),
            client: claims.client.clone(),
            api: grant.provenance().api.clone(),
        })
    }

    /// Steps 6 and 7: the decision, and its record.
    async fn decided(
        &self,
        request: &Request,
        (shown, principal): (VerifiedCredential, &Principal),
        context: Context,
        mut view: Arc<View>,
    ) -> Result<Recorded<Box<Grant>>, Denied> {
        let client = principal.client().clone();
        let known = |refused: Refused| Refused { known: Some(client.clone()), ..refused };
        let known_to = |refused: Refused| Denied::from(known(refused));
        let (mut principal, mut spent) = (principal.clone(), false);
        for _ in 0..ROUNDS {
            // A view whose guards are being compiled waits for them here, where nobody else waits for it.
            let guards = self.guards(&view).await;
            let guard = guards.of(&view.state);
            let on = Guarded { state: &view.state, guard: &*guard };
            let grant = match decide(&principal, &request.ask, &context, on, self.now()) {
                Decision::Granted(grant) => grant,
                Decision::NeedsElevation(refused) | Decision::Refused(refused) => return Err(refused.into()),
            };
            let elevations = &grant.provenance().elevations;
            self.signatures_hold(elevations).map_err(known_to)?;
            self.tickets_are_open(elevations).map_err(known_to)?;
            // A proof of possession is used once. It is spent last, so a proof whose request was refused before may be sent again.
            if !std::mem::replace(&mut spent, true) {
                self.spend_possession(request.possession.as_ref()).await.map_err(known)?;
            }
            // Step 7: one commit records the grant and spends its proof. On a newer state the decision is taken again from step 5.
            let again = Self::decide_again(request, shown.clone(), context.clone(), guards);
            match self.journal.record(view.seen, grant, again).await {
                Ok(recorded) => return Ok(recorded),
                // The newer state has guardrails that are still to be compiled. The journal does not wait for that.
                Err(RecordFault::Refused(refused))
                    if *refused.reason == reason::GUARDRAIL_UNAVAILABLE && self.lacks_guards() =>
                {
                    view = self.journal.view();
                    principal = Self::identify(&request.environment, &shown, &view.state, self.now())?;
                }
                Err(RecordFault::Refused(refused)) => return Err((*refused).into()),
                Err(RecordFault::Replayed) => {
                    // An index that lost its seen-set learns the proof again, so that the next copy takes
                    // nothing from its owner's bucket.
                    self.note_seen(&principal);
                    return Err(known(Refused::unknown(&reason::ASSERTION_REPLAYED)).into());
                }
                Err(RecordFault::Unavailable(fault)) => return Err(known(busy(fault.reason())).into()),
            }
        }
        Err(known(busy(&reason::GUARDRAIL_UNAVAILABLE)).into())
    }

    fn decide_again(request: &Request, shown: VerifiedCredential, context: Context, guards: Arc<Guardrails>) -> Again {
        let (environment, ask) = (request.environment.clone(), request.ask.clone());
        Box::new(move |state, now| match Self::identify(&environment, &shown, state, now) {
            Ok(principal) => {
                let guard = guards.of(state);
                decide(&principal, &ask, &context, Guarded { state, guard: &*guard }, now)
            }
            Err(refused) => Decision::Refused(refused),
        })
    }

    /// Adds the time until minting resumes, if the journal rests after it was reopened.
    pub(super) fn until_minting(&self, denied: Denied) -> Denied {
        if *denied.refused.reason != reason::JOURNAL_REOPENED {
            return denied;
        }
        let retry_after = Some(self.journal.view().state.mints_from.since(self.now()));
        Denied { retry_after, ..denied }
    }

    /// Refuses if the node may not mint, the quota is used up, or the proof was seen before.
    pub(super) async fn pass_gate(&self, principal: &Principal, operation: Operation) -> Result<(), Denied> {
        self.can_mint()?;
        self.take(principal.environment(), principal.client(), operation, Payment::of(principal)).await
    }

    /// Takes one from the quota of a known caller.
    ///
    /// A proof that was seen before is refused and takes nothing: otherwise a copy of a spent proof would empty its owner's bucket.
    pub(crate) async fn take(
        &self,
        environment: &EnvironmentName,
        caller: &ClientId,
        operation: Operation,
        payment: Option<Payment>,
    ) -> Result<(), Denied> {
        let known = |refused: Refused| Refused { known: Some(caller.clone()), ..refused };
        let allowance = operation.allowance(caller, exchanges_per_minute(caller, environment, &self.journal.view().state));
        let bucket = Bucket { environment, caller, operation, allowance };
        let proof = payment
            .as_ref()
            .map(|payment| Shown { key: payment.key, spent_until: (!payment.by_entry).then_some(payment.until) });
        match self.live.admit(&bucket, proof, self.clock.now()).await.map_err(|_| known(away()))? {
            Admission::Taken => Ok(()),
            Admission::Seen => {
                let again = payment.map_or(&reason::ASSERTION_REPLAYED, |payment| payment.again);
                Err(known(Refused::unknown(again)).into())
            }
            Admission::Exceeded { retry_after } => {
                Err(Denied { refused: known(Refused::unknown(&reason::QUOTA_EXCEEDED)), retry_after: Some(retry_after) })
            }
        }
    }

    /// Tells the live index that the journal has spent a proof.
    pub(super) fn note_seen(&self, principal: &Principal) {
        let proof = principal.proof();
        if let Some(key) = proof.spends() {
            self.live.spend(&key, ProofKey::remembered_until(proof.expires));
        }
    }

    /// Records the first use of an issuer's key, if the client's record asks how old such keys are.
    ///
    /// The token does not depend on it. A use that is not recorded now is recorded with the next token.
    async fn note_issuer_key(&self, principal: &Principal) {
        let ClientId::Integration(id) = principal.client() else { return };
        let (proof, view) = (principal.proof(), self.journal.view());
        let current = view.state.integrations.get(id).and_then(|integration| integration.current.as_ref());
        let asks = current.and_then(|current| current.record.rotation.as_ref()?.issuer_keys).is_some();
        let news = |state: &State, now| state.issuer_keys.is_news(&proof.issuer, proof.key, now);
        if principal.is_by_certificate() || !asks || !news(&view.state, self.now()) {
            return;
        }
        let used = || IssuerKeyChange::FirstUsed { issuer: proof.issuer.clone(), key: proof.key };
        let decide = |state: &State, now| news(state, now).then(used).ok_or(());
        let noted = tokio::time::timeout(NOTED_WITHIN, self.change_as(Cause::Broker, None, decide)).await;
        if !matches!(noted, Ok(Ok(_))) {
            tracing::warn!(issuer = %proof.issuer, "the first use of a key could not be recorded");
        }
    }
}

/// A proof that is used once.
pub(crate) struct Payment {
    /// Its key.
    pub key: ProofKey,
    /// The reason for refusing its second use.
    pub again: &'static Reason,
    /// Until when it is remembered.
    pub until: Timestamp,
    /// True if the entry of a token spends it. Otherwise the live index does, with the quota.
    by_entry: bool,
}

impl Payment {
    /// The assertion of a caller, if it is used once. The entry of a token spends it.
    pub(super) fn of(principal: &Principal) -> Option<Self> {
        let until = ProofKey::remembered_until(principal.proof().expires);
        principal.proof().spends().map(|key| Self { key, again: &reason::ASSERTION_REPLAYED, until, by_entry: true })
    }

    /// The same for a read, which has no entry.
    pub(super) fn for_read(principal: &Principal) -> Option<Self> {
        Self::of(principal).map(|payment| Self { by_entry: false, ..payment })
    }

    /// A proof of possession.
    pub(super) fn by_possession(shown: &Verified<Possession>) -> Result<Self, Refused> {
        let owner = format!("dpop:{}", shown.key);
        let key = ProofKey::of(&owner.parse().map_err(|_| away())?, &shown.id);
        let until = shown.issued.plus(dpop::REMEMBERED);
        Ok(Self { key, again: &reason::DPOP_REPLAYED, until, by_entry: false })
    }
}

/// The quota of a known caller, which has one in any case (docs/reference/limits.md).
///
/// If its record names none, the default applies.
fn exchanges_per_minute(caller: &ClientId, environment: &EnvironmentName, state: &State) -> u32 {
    let ClientId::Integration(id) = caller else { return Limits::DEFAULT_EXCHANGES_PER_MINUTE };
    let current = state.integrations.get(id).and_then(|integration| integration.current.as_ref());
    let access = current.and_then(|current| current.record.environments.get(environment));
    access.map_or(Limits::DEFAULT_EXCHANGES_PER_MINUTE, |access| access.limits.per_minute())
}
