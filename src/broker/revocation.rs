//! Revokes: on record first, then in the live index, and acknowledged after both (ABUSE S12).
//!
//! A revocation acts at once and takes one person. To lift one takes an approval. Tokens that were cut stay cut.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Broker;
use super::cause::Cause;
use super::failure::{Denied, Failure, away, busy};
use super::review::ask;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::revocable::{Thing, find};
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::{Authorized, Contain};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Kind;
use crate::domain::state::State;
use crate::domain::state::cut::Reach;
use crate::domain::value::names::{ApprovalId, ClientId, RevocationId, TokenId};
use crate::journal::{Committed, Ended, ForRequest};

/// A requested revocation.
pub struct Revoke {
    /// The target.
    pub target: RevocationTarget,
    /// The client of the token, if the target is one token.
    pub client: Option<ClientId>,
    /// True to cut the tokens issued so far, and refuse nothing later.
    pub tokens_only: bool,
    /// The reason.
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
        Cut::new(if is_key { Unconfirmed::of_key(committed) } else { Unconfirmed::by(committed) }, reach)
    }
}

/// A person's revocation was not made, because that person was cut.
struct Unrevoked(&'static Reason);

impl From<&'static Reason> for Unrevoked {
    fn from(reason: &'static Reason) -> Self {
        Self(reason)
    }
}

/// A revocation target, as a request names it.
pub enum Named {
    /// A token by its `jti`.
    Token(TokenId),
    /// Anything else, by its kind and name.
    Thing(Thing, String),
}

/// A cut on record: its confirmation is due, and the tokens that it ended can be counted.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The confirmation that is due.
    pub unconfirmed: Unconfirmed,
    reach: Option<Reach>,
}

/// The longest that counting may delay the answer to a cut that is done.
const COUNTED_WITHIN: Duration = Duration::from_secs(5);

impl Cut {
    pub(super) fn new(unconfirmed: Unconfirmed, reach: Option<Reach>) -> Self {
        Self { unconfirmed, reach }
    }
}

/// How long an acknowledgement waits for the live index and for every other node, and how often it looks.
///
/// It is counted from the time at which the cut was asked for, so that whoever waits is answered in time; a bit of it is always left.
const EFFECT_WITHIN: Duration = Duration::from_secs(5);
const EFFECT_AT_LEAST: Duration = Duration::from_secs(1);
const EFFECT_EVERY: Duration = Duration::from_millis(25);

/// A cut on record, which is not acknowledged before [`Broker::confirm`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[must_use = "what is not confirmed is not acknowledged"]
pub struct Unconfirmed {
    index: u64,
    /// True if a key was cut: the ring may still hold it.
    of_key: bool,
    /// True if nodes read the cut in the log alone: the live index holds nothing of people and their passkeys.
    #[serde(default)]
    by_log_alone: bool,
    /// When it was asked for. A repetition begins anew.
    #[serde(skip)]
    asked: Option<Instant>,
}

/// The log as a request found it that may bring versions into force.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    seen: Option<u64>,
    at: Instant,
}

impl Unconfirmed {
    /// A cut by the entry with this index, or an earlier one.
    pub fn at(index: u64) -> Self {
        Self { index, of_key: false, by_log_alone: false, asked: None }
    }

    /// A cut by this change.
    pub(super) fn by(committed: &Committed) -> Self {
        Self { index: committed.index, of_key: false, by_log_alone: false, asked: Some(committed.asked) }
    }

    /// A cut of a key, by this change.
    pub(super) fn of_key(committed: &Committed) -> Self {
        Self { of_key: true, ..Self::by(committed) }
    }

    /// A cut of a person or a passkey, by this change.
    pub(super) fn of_person(committed: &Committed) -> Self {
        Self { by_log_alone: true, ..Self::by(committed) }
    }

    /// The cuts of versions that came into force since `before`; `None` if none of them took anything away.
    pub fn of_versions(before: Before, state: &State) -> Option<Self> {
        let next = before.seen.map_or(0, |index| index.saturating_add(1));
        let newest = state.narrowings.since(next).map(|(_, narrowing)| narrowing.index).max()?;
        Some(Self { asked: Some(before.at), ..Self::at(newest) })
    }

    /// How long its confirmation may still take.
    fn left(self) -> Duration {
        let spent = self.asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        EFFECT_WITHIN.saturating_sub(spent).max(EFFECT_AT_LEAST)
    }
}

impl Broker {
    /// Finds the target that a request names, and the client if the target is one token.
    ///
    /// It need not exist any more.
    pub async fn revocable(&self, named: Named) -> Result<(RevocationTarget, Option<ClientId>), Failure> {
        let token = match named {
            Named::Thing(thing, name) => {
                let found = find(thing, &name, &self.journal.view().state);
                return Ok((found.ok_or(Failure::Refused(&reason::NOT_FOUND))?, None));
            }
            Named::Token(token) => token,
        };
        // The token's entry has its environment and its end.
        let Some(issued) = self.journal.issuance(&token).await? else { return Err((&reason::NOT_FOUND).into()) };
        let target = RevocationTarget::Token { environment: issued.environment, id: issued.jti, expires: issued.exp };
        Ok((target, Some(issued.subject)))
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
        let committed = outcome.map_err(|fault| busy(fault.reason()))?.map_err(|Unrevoked(reason)| Refused::unknown(reason))?;
        Ok((id, revoke.cut(&committed, reach)))
    }

    /// Revokes a token for the client that asks for it.
    pub(super) async fn revoke_as(&self, cause: Cause, revoke: &Revoke, request: Option<ForRequest>) -> Result<Cut, Denied> {
        let id: RevocationId = self.entropy.name();
        let mut reach = None;
        let outcome = self
            .change_as(cause, request, |state, _now| {
                reach = Some(Reach::of(&revoke.target, state));
                Ok::<_, std::convert::Infallible>(revoke.added(&id))
            })
            .await;
        let Ok(committed) = outcome.map_err(|fault| busy(fault.reason()))?;
        Ok(revoke.cut(&committed, reach))
    }

    /// Counts the living tokens that were cut, and finds when the last of them expires offline.
    ///
    /// `None` if they cannot be counted in time; the cut holds all the same. Everything for the count is read here, after the cut
    /// is on record. So a reader of the journal that is slow, or kept busy by somebody, delays no cut.
    pub async fn ended(&self, cut: &Cut) -> Option<Ended> {
        let counted = self.journal.ended_by(cut.reach.as_ref()?, cut.unconfirmed.index);
        match tokio::time::timeout(COUNTED_WITHIN, counted).await {
            Ok(Ok(ended)) => Some(ended),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// The log as it is now, for [`Unconfirmed::of_versions`].
    pub fn before(&self) -> Before {
        Before { seen: self.journal.view().seen, at: Instant::now() }
    }

    /// Waits until the live index has the cut, and every other node that lives has followed the log so far.
    ///
    /// Then each reader of the index and each node refuses the tokens that were cut. The cut holds all the same where the wait is too long.
    pub async fn confirm(&self, done: Unconfirmed) -> Result<(), Denied> {
        if done.of_key {
            // By the state alone, a key that was cut signs nothing. Its unsealed half is dropped as well (ABUSE R-18).
            self.reload_ring().await.map_err(|_| away())?;
        }
        let begun = Instant::now();
        let in_effect = async {
            if !done.by_log_alone {
                while !self.follower.reached(done.index, EFFECT_WITHIN).await {}
            }
            while !matches!(self.journal.is_followed(done.index).await, Ok(true)) {
                tokio::time::sleep(EFFECT_EVERY).await;
            }
        };
        if tokio::time::timeout(done.left(), in_effect).await.is_err() {
            return Err(Refused::unknown(&reason::REVOCATION_PENDING).into());
        }
        self.follower.effects.add(begun.elapsed());
        Ok(())
    }

    /// Opens the approval to lift a revocation. One `security` who did not revoke must approve.
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
                return Err(Failure::State(format!("The revocation {id} is lifted already; only one in force can be lifted.")));
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
