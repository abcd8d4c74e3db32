//! The needs of a node that mints tokens.
//!
//! Readiness reports them and every exchange checks them, so a node that is not ready mints nothing. Enter through [`Broker::has`].
//! Not here: the needs of one environment or partner alone (its signing key, its issuer's keys).

use super::Broker;
use super::failure::busy;
use super::follow::Standing;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::journal::{Defect, Health, Leased, StopReason};

/// A need of a node that mints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// A journal that takes entries.
    Journal,
    /// A clock that was not set while the node runs, and is not behind the journal's newest entry.
    Clock,
    /// A live index that is complete.
    LiveIndex,
    /// A file that agrees with the configuration on record, or has differed for no longer than the grace.
    Configuration,
    /// A state of the journal that no other nodes fold otherwise.
    State,
}

impl Need {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Journal, Self::Clock, Self::LiveIndex, Self::Configuration, Self::State];

    /// Its name in `/readyz?verbose`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Clock => "clock",
            Self::LiveIndex => "live-index",
            Self::Configuration => "configuration",
            Self::State => "state",
        }
    }
}

impl Broker {
    /// Tells whether the need is met now.
    pub fn has(&self, need: Need) -> bool {
        match need {
            Need::Journal => {
                let health = self.journal.health();
                health.writable && health.stopped.is_none() && health.leased != Leased::Lost
            }
            Need::Clock => self.journal.ensure_steady().is_ok(),
            Need::LiveIndex => self.follower.is_live(self.clock.now()),
            Need::Configuration => self.keeps_configuration(),
            Need::State => !self.journal.is_split(),
        }
    }

    /// Tells whether the need is met, for callers that could ask another node.
    ///
    /// A journal that is held up still answers the requests that it has accepted, and a node whose file differs mints for its grace, so no
    /// exchange asks this.
    pub fn is_ready_by(&self, need: Need) -> bool {
        let keeps = |health: &Health| health.is_database_known && health.defect().is_none();
        let answers = |health: Health| !health.held_up && health.leased == Leased::Held && keeps(&health);
        self.has(need)
            && match need {
                Need::Journal => answers(self.journal.health()),
                Need::Configuration => self.configuration_standing().differs.is_empty(),
                Need::Clock | Need::LiveIndex | Need::State => true,
            }
    }

    /// Says, for operators, what is wrong with a need that is not met, and what to do.
    pub fn lack(&self, need: Need) -> String {
        let health = self.journal.health();
        match need {
            Need::Journal => match &health.stopped {
                Some(StopReason::Foreign { index, what }) => {
                    let stopped = format!("the journal stopped itself at entry {index}: {what}; run `carnet journal verify`");
                    stopped + &goes_on(&health)
                }
                Some(StopReason::CheckpointKey) => {
                    "another key signs checkpoints, and the key of this node did not sign that it should; run `carnet journal verify`"
                        .to_owned()
                }
                Some(StopReason::Moved { to }) => {
                    format!("the journal has moved to {to}; write it into [journal] url, and start this node again")
                }
                Some(StopReason::Lost { epoch, size, head }) => {
                    let stopped = format!(
                        "a checkpoint that it signed is of epoch {epoch} and {size} entries, and it does not extend that with its {head}: it \
                         was put back from an older copy, or forked; stop this node and put the newest journal and its anchor back"
                    );
                    stopped + &goes_on(&health)
                }
                Some(StopReason::Superseded) => {
                    "another instance has taken the id of this node; give each node an id of its own ([node] id)".to_owned()
                }
                None => unready(&health),
            },
            Need::Configuration => {
                let standing = self.configuration_standing();
                format!(
                    "the file of this node differs from the configuration on record in {}; it mints by the record until {}; put the file right, \
                     or record it with `carnet config apply`",
                    standing.names(),
                    standing.until
                )
            }
            Need::State => self.journal.split().map_or_else(
                || "it is the same again".to_owned(),
                |split| split.to_string(),
            ),
            Need::Clock => health.clock.map_or_else(|| "it is believed again".to_owned(), |fault| fault.to_string()),
            Need::LiveIndex => match self.follower.standing() {
                Standing::Unheard => "it was not heard of yet".to_owned(),
                Standing::Complete => "it was not heard of within five seconds".to_owned(),
                Standing::Behind => "it is being built anew from the journal".to_owned(),
                Standing::Away(cause) => cause.to_string(),
                Standing::Unread => "the journal does not say what should be in it".to_owned(),
                Standing::Wrong(wrong) => wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
            },
        }
    }

    /// Refuses to make a certificate of our own while the time or the journal cannot be believed.
    pub(super) fn ensure_believed(&self) -> Result<(), &'static Reason> {
        self.journal.ensure_steady().and_then(|()| self.journal.ensure_leased()).map_err(|fault| fault.reason())?;
        if self.journal.health().stopped.is_some() { Err(&reason::JOURNAL_STOPPED) } else { self.ensure_one_state() }
    }

    /// Refuses what only nodes may do that decide as the others do.
    fn ensure_one_state(&self) -> Result<(), &'static Reason> {
        self.ensure_agreed()?;
        if self.journal.is_split() { Err(&reason::STORE_UNAVAILABLE) } else { Ok(()) }
    }

    /// Refuses to say that a certificate is good while its revocation may be lost.
    ///
    /// It refuses as [`Self::ensure_believed`] does, and until the live index is known to hold nothing that the journal has lost.
    pub(super) fn ensure_undoubted(&self) -> Result<(), &'static Reason> {
        self.ensure_believed()?;
        if self.follower.is_doubted() { Err(&reason::STORE_UNAVAILABLE) } else { Ok(()) }
    }

    /// Refuses if the node lacks anything that it needs to mint.
    pub(super) fn can_mint(&self) -> Result<(), Refused> {
        self.ensure_steady()?;
        if Need::ALL.into_iter().all(|need| self.has(need)) {
            return Ok(());
        }
        if self.journal.health().stopped.is_some() {
            return Err(busy(&reason::JOURNAL_STOPPED));
        }
        self.ensure_agreed().map_err(busy)?;
        Err(busy(&reason::STORE_UNAVAILABLE))
    }
}

/// How a node goes on whose journal stopped because it is not the one that the node wrote.
fn goes_on(health: &Health) -> String {
    let way = "; or, where entries are lost, reopen it (`carnet journal reopen --help`): then this node goes on by itself";
    let held_back = health.held_back.as_ref().map(|why| format!("; it was reopened, and this node does not go on: {why}"));
    way.to_owned() + &held_back.unwrap_or_default()
}

/// What keeps a journal that did not stop from being ready.
fn unready(health: &Health) -> String {
    let words = match health.leased {
        Leased::Lost => {
            "the lease of this node has run out: its database does not answer; it is tried again four times a second"
        }
        Leased::Late => "its database did not answer the renewal of its lease for two seconds",
        Leased::Held if health.unsettled => {
            "a commit was neither confirmed nor denied; it is settled as soon as its store answers"
        }
        Leased::Held if health.held_up => "its disk has not answered for most of a second; look at the disk",
        Leased::Held if !health.writable => "its disk takes no writes (full, or read-only); it is tried again each second",
        Leased::Held if !health.is_database_known => {
            "its database renews the lease of this node, and has not said for five seconds how it keeps what it confirms (its settings and \
             standbys): what is unknown counts as a defect; it is asked each second, and the log of this node says what it answers"
        }
        Leased::Held => health.defect().map_or("it is ready again", Defect::means),
    };
    words.to_owned()
}
