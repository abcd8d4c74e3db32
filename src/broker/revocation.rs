//! Revocation: on record first, then in the live index, and acknowledged after both (ABUSE S12).
//!
//! Revoke acts at once and takes one person; lifting opens an approval. What was cut stays cut.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Broker;
use super::cause::Cause;
use super::failure::{Denied, Failure, away};
use super::review::ask;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::revocable::{Thing, find};
use crate::domain::log::entry::Entry;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::{Authorized, Contain};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Kind;
use crate::domain::state::cut::Reach;
use crate::domain::value::names::{ApprovalId, ClientId, RevocationId, TokenId};
use crate::journal::{Committed, Ended, ForRequest, Query};

/// A revocation that is asked for.
pub struct Revoke {
    /// What to cut.
    pub target: RevocationTarget,
    /// The client whose token it is, where it is one token.
    pub client: Option<ClientId>,
    /// Cut what was issued and refuse nothing later.
    pub tokens_only: bool,
    /// Why.
    pub reason: String,
}

impl Revoke {
    fn added(&self, id: &RevocationId) -> RevocationChange {
        RevocationChange::Added {
            id: id.clone(),
            target: self.target.clone(),
            tokens_only: self.tokens_only,
            reason: self.reason.as_str().into(),
            client: self.client.clone(),
        }
    }

    fn cut(&self, committed: &Committed, reach: Option<Reach>) -> Cut {
        let is_key = matches!(self.target, RevocationTarget::Key { .. });
        let index = committed.index;
        Cut::new(if is_key { Unconfirmed::of_key(index) } else { Unconfirmed::at(index) }, reach)
    }
}

/// Why a person's revocation was not made: that person was cut.
struct Unrevoked(&'static Reason);

impl From<&'static Reason> for Unrevoked {
    fn from(reason: &'static Reason) -> Self {
        Self(reason)
    }
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

    /// Revokes in the name of a person. Repeating a revocation is safe.
    pub async fn revoke(
        &self,
        by: &Authorized<Contain>,
        revoke: Revoke,
        request: Option<ForRequest>,
    ) -> Result<(RevocationId, Cut), Denied> {
        let id: RevocationId = self.entropy.name();
        let mut reach = None;
        let outcome = self
            .try_change_by(by, request, |state, _now| {
                reach = Some(Reach::of(&revoke.target, state));
                Ok::<_, Unrevoked>(revoke.added(&id))
            })
            .await;
        let committed = outcome.map_err(|_| away())?.map_err(|Unrevoked(reason)| Refused::unknown(reason))?;
        Ok((id, revoke.cut(&committed, reach)))
    }

    /// Revokes a token in the name of the workload that gives it back.
    pub(super) async fn revoke_as(&self, cause: Cause, revoke: &Revoke, request: Option<ForRequest>) -> Result<Cut, Denied> {
        let id: RevocationId = self.entropy.name();
        let mut reach = None;
        let outcome = self
            .change_as(cause, request, |state, _now| {
                reach = Some(Reach::of(&revoke.target, state));
                Ok::<_, std::convert::Infallible>(revoke.added(&id))
            })
            .await;
        let Ok(committed) = outcome.map_err(|_| away())?;
        Ok(revoke.cut(&committed, reach))
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
        by: &Authorized<Contain>,
        id: &RevocationId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        self.change_by(by, request, |state, now| {
            let revocation = state.revocations.get(id).ok_or(&reason::NOT_FOUND)?;
            if !revocation.target.can_be_lifted() {
                return Err(Failure::Refused(&reason::REVOCATION_FINAL));
            }
            if revocation.lifted {
                return Err(Failure::Refused(&reason::LIFECYCLE_STATE));
            }
            let version = revocation.version();
            let barred = revocation.by.person().cloned().into_iter().collect();
            let approval = ask(&approval, Kind::Lift, id.to_string(), version, &actor, barred, now);
            Ok(RevocationChange::LiftAsked { id: id.clone(), reason: why.into(), approval })
        })
        .await?;
        Ok(approval)
    }
}
