//! Revocation: on record first, then in the live index, and acknowledged after both (ABUSE S12).
//!
//! Revoke acts at once and takes one person; lifting opens an approval. What was cut stays cut.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::exchange::Denied;
use super::review::ask;
use super::{Broker, away};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::revocable::{Thing, find};
use crate::domain::log::change::{Change, What};
use crate::domain::log::entry::Entry;
use crate::domain::people::actor::{Actor, Authorized};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Kind;
use crate::domain::state::cut::Reach;
use crate::domain::value::names::{ApprovalId, ClientId, RevocationId, TokenId};
use crate::domain::value::text::Text;
use crate::journal::{Ended, ForRequest, Proposal, Query};

/// A revocation that is asked for.
pub struct Revoke {
    /// What to cut.
    pub subject: RevocationTarget,
    /// The client whose token it is, where it is one token.
    pub client: Option<ClientId>,
    /// Cut what was issued and refuse nothing later.
    pub tokens_only: bool,
    /// Why.
    pub reason: String,
}

/// What is to be revoked, as somebody names it.
pub enum Named {
    /// A token by its `jti`.
    Token(TokenId),
    /// Anything else.
    Thing(Thing, String),
}

/// Something was cut: what is still to be confirmed, and what it takes to say how much it ended.
#[derive(Clone, Debug)]
pub struct Cut {
    /// To be confirmed.
    pub unconfirmed: Unconfirmed,
    reach: Option<Reach>,
}

/// How long counting may delay the answer to a cut that is done.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);

impl Cut {
    pub(super) fn new(unconfirmed: Unconfirmed, reach: Option<Reach>) -> Self {
        Self { unconfirmed, reach }
    }
}

/// How long an acknowledgement waits for the live index.
const ACKNOWLEDGE_WITHIN: Duration = Duration::from_secs(1);

/// Something was cut, on record. It is acknowledged to nobody before [`Broker::confirm`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[must_use = "what is not confirmed is not acknowledged"]
pub struct Unconfirmed {
    index: u64,
    /// The ring may still hold a key that signs no more.
    of_key: bool,
}

impl Unconfirmed {
    /// By the entry with this index, or before it.
    pub fn at(index: u64) -> Self {
        Self { index, of_key: false }
    }

    /// A key, by the entry with this index.
    pub(super) fn of_key(index: u64) -> Self {
        Self { index, of_key: true }
    }
}

impl Broker {
    /// What is named, if there is or was such a thing; with the client, where it is one token.
    pub async fn revocable(&self, named: Named) -> Result<(RevocationTarget, Option<ClientId>), Failure> {
        let token = match named {
            Named::Thing(thing, name) => {
                let found = find(thing, &name, &self.journal.view().state);
                return Ok((found.ok_or(Failure::Refused(&reason::NOT_FOUND))?, None));
            }
            Named::Token(token) => token,
        };
        // Its entry tells its environment and end.
        let query = Query { token: Some(token), newest_first: true, limit: Some(1), ..Query::default() };
        match self.journal.entries(&query).await?.into_iter().next().map(|stored| stored.entry) {
            Some(Entry::Issued(issued)) => {
                let token = RevocationTarget::Token { environment: issued.environment, id: issued.jti, expires: issued.exp };
                Ok((token, Some(issued.subject)))
            }
            Some(Entry::Refused(_) | Entry::Counted(_) | Entry::Change(_)) | None => Err((&reason::NOT_FOUND).into()),
        }
    }

    /// Revokes. Repeating a revocation is safe.
    pub async fn revoke(&self, by: Actor, revoke: Revoke, request: Option<ForRequest>) -> Result<(RevocationId, Cut), Denied> {
        let id: RevocationId = self.entropy.name();
        let text = Text::Plain(revoke.reason);
        let mut reach = None;
        let committed = self
            .journal
            .change(request, |state, _now| {
                reach = Some(Reach::of(&revoke.subject, state));
                let what = What::RevocationAdded {
                    id: id.clone(),
                    subject: revoke.subject.clone(),
                    tokens_only: revoke.tokens_only,
                    reason: text.clone(),
                    client: revoke.client.clone(),
                };
                Ok::<_, std::convert::Infallible>(Proposal::from(Change { by: by.clone(), what }))
            })
            .await
            .map_err(|_| away())?;
        let Ok(committed) = committed;
        let is_key = matches!(revoke.subject, RevocationTarget::Key { .. });
        let cut = if is_key { Unconfirmed::of_key(committed.index) } else { Unconfirmed::at(committed.index) };
        Ok((id, Cut::new(cut, reach)))
    }

    /// How many living tokens were cut, and when the last of them ends for who verifies it offline. Nothing where that cannot be counted in
    /// time: the cut stands all the same. All that is read for the count is read here, after the cut is on record: a reader of the journal
    /// that is slow, or kept busy by somebody, delays no cut.
    pub async fn ended(&self, cut: &Cut) -> Option<Ended> {
        let counted = self.journal.ended_by(cut.reach.as_ref()?, cut.unconfirmed.index);
        match tokio::time::timeout(COUNTED_WITHIN, counted).await {
            Ok(Ok(ended)) => Some(ended),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Waits until every reader of the live index is certain to refuse what was cut.
    pub async fn confirm(&self, done: Unconfirmed) -> Result<(), Denied> {
        if done.of_key {
            // A key that was cut signs nothing by the state alone; its unsealed half goes as well (ABUSE R-18).
            self.reload_ring().await.map_err(|_| away())?;
        }
        if self.follower.reached(done.index, ACKNOWLEDGE_WITHIN).await {
            Ok(())
        } else {
            Err(Refused::unknown(&reason::REVOCATION_PENDING).into())
        }
    }

    /// Asks to lift a revocation: one `security` who did not revoke approves.
    pub async fn ask_lift(
        &self,
        by: &Authorized<crate::domain::people::actor::Contain>,
        id: &RevocationId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let text = Text::from(why);
        let actor = by.staff().actor();
        let outcome = self
            .journal
            .change(request, |state, now| {
                state.ensure_not_cut(&by.staff().person)?;
                let revocation = state.revocations.get(id).ok_or(&reason::NOT_FOUND)?;
                if !revocation.target.can_be_lifted() {
                    return Err(&reason::REVOCATION_FINAL);
                }
                if revocation.lifted {
                    return Err(&reason::LIFECYCLE_STATE);
                }
                let version = revocation.version();
                let barred = revocation.by.person().cloned().into_iter().collect();
                let approval = ask(&approval, Kind::Lift, id.to_string(), version, &actor, barred, now);
                let what = What::RevocationLiftAsked { id: id.clone(), reason: text.clone(), approval };
                Ok(Proposal::from(Change { by: actor.clone(), what }))
            })
            .await?;
        outcome?;
        Ok(approval)
    }
}

/// Why an operation on the registry did not happen.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A rule forbids it.
    Refused(&'static Reason),
    /// What it is for is stopped (`domain/stopped.rs`), and is given nothing more.
    Stopped(&'static Reason),
    /// The content has these faults.
    Faults(Vec<Fault>),
    /// The state forbids it, for these faults.
    Collides(Vec<Fault>),
}

/// A fault of what was sent, as the admin API lists it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Where.
    pub at: String,
    /// Why.
    pub reason: &'static Reason,
    /// What exactly.
    pub message: String,
}

impl From<&'static Reason> for Failure {
    fn from(reason: &'static Reason) -> Self {
        Self::Refused(reason)
    }
}

impl From<crate::journal::Unavailable> for Failure {
    fn from(fault: crate::journal::Unavailable) -> Self {
        Self::Refused(fault.reason())
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        Self::Refused(denied.refused.reason)
    }
}
