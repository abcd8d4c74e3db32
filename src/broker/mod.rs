//! The broker's operations, one file for each (floor 3).
//!
//! Enter through [`Broker`]. Orchestration is thin: each operation reads like a numbered list, and every rule that it calls is a
//! pure function of `domain`. Nothing here knows HTTP: `http` calls these operations and maps their refusals.

pub mod activity;
pub mod agreement;
mod answering;
pub mod answers;
pub mod approval_view;
pub mod caller;
mod cause;
pub mod certificate_status;
mod change;
pub mod compiling;
pub mod counting;
pub mod cursor;
mod cursors;
mod dates;
pub mod delivery;
pub mod desk;
pub mod directory;
mod dossier;
pub mod drift;
pub mod effect;
mod effect_times;
mod effects;
pub mod elevation;
pub mod elevation_view;
pub mod enrolment;
mod environment;
mod erasure;
pub mod event;
pub mod evidence;
mod exception;
pub mod exchange;
pub mod explain;
pub mod exported;
pub mod failure;
pub mod fetched;
pub mod follow;
pub mod formats;
mod found;
pub mod found_lately;
mod gains;
pub mod guardrail;
mod guards;
pub mod import;
pub mod in_flight;
pub mod introspection;
pub mod inventory;
pub mod judged;
pub mod lifecycle;
pub mod mail;
#[cfg(test)]
mod model;
mod narrowing;
pub mod needs;
mod non_use;
pub mod offboarding;
mod offboarding_run;
pub mod owners;
pub mod passkey;
pub mod past;
mod pause;
pub mod people;
pub mod plan;
pub mod reading;
pub mod recertification;
pub mod registry;
pub mod replay;
mod replay_records;
pub mod replayed;
pub mod review;
pub mod revocation;
pub mod rotation;
pub mod seen;
pub mod shadow;
pub mod shelf;
pub mod signal;
pub mod stated;
mod stored;
pub mod suggestion;
mod supposing;
pub mod suspension;

pub mod ticket;
pub mod told;
pub mod turns;
pub mod unsealed;
pub mod uses;
pub mod verification;
pub(crate) mod view;
pub mod viewed;
mod wake_up;
pub mod words;

use std::sync::Arc;

use failure::{away, busy};
use in_flight::InFlight;

use crate::authn::dpop::Nonces;
use crate::authn::passkey::Passkeys;
use crate::authn::{IssuerKeys, StaffVerifier, Verifier};
use crate::domain::reason::decision::Refused;
use crate::domain::value::clock::{Clock, Entropy, Timestamp};
use crate::domain::value::names::{EnvironmentName, RequestId};
use crate::issuance::Issuance;
use crate::journal::{Journal, RefusalNote, Tenure};
use crate::revocation::Index;

/// The broker: the gateways, and the operations over them.
#[derive(Clone)]
pub struct Broker {
    inner: Arc<Gateways>,
}

/// The gateways that a broker is made of.
pub struct Gateways {
    /// The journal, which is the truth.
    pub journal: Journal,
    /// Verifies partners' proofs.
    pub verifier: Verifier,
    /// The keys of partners' issuers.
    pub issuers: IssuerKeys,
    /// The nonces of DPoP proofs.
    pub nonces: Nonces,
    /// Verifies staff.
    pub staff: StaffVerifier,
    /// Signs tokens and certificates.
    pub issuance: Issuance,
    /// Whether the file of this node agrees with the record.
    pub agreement: stated::Agreement,
    /// The guards of the guardrails in force.
    pub guardrails: compiling::Compiling,
    /// The counts of uses.
    pub uses: counting::Uses,
    /// The live revocation index, seen-sets and quotas.
    pub live: Index,
    /// Sealed records that all nodes see.
    pub shelf: Arc<shelf::Shelf>,
    /// The progress of the live index.
    pub follower: follow::Follower,
    /// The last answers about the status of certificates.
    pub answers: answers::Answers,
    /// The tokens that were found on record lately.
    pub found_lately: found_lately::FoundLately,
    /// The last refusals, for `explain`.
    pub recent: explain::Recent,
    /// Verifies approvers' passkeys; `None` if nobody can sign in with a browser.
    pub passkeys: Option<Passkeys>,
    /// The ticket system, if there is one.
    pub tickets: Option<Arc<ticket::Tickets>>,
    /// Mail, if there is a mail server.
    pub mail: Option<Arc<mail::Mail>>,
    /// The receivers of events.
    pub receivers: Vec<Arc<delivery::Receiver>>,
    /// How far receivers and mail are, as all nodes see it.
    pub cursors: cursor::Cursors,
    /// The turns of exchanges.
    pub turns: turns::Turns,
    /// The requests that run to their end.
    pub in_flight: InFlight,
    /// The people directory.
    pub people: people::People,
    /// Runs long work on records.
    pub desk: desk::Desk,
    /// What reviewers of access were shown.
    pub views: viewed::Views,
    /// Runs long work of people who only read.
    pub reading: reading::Reading,
    /// The turn of who takes the steps of offboardings.
    pub offboarding_turn: tokio::sync::Mutex<()>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of unguessable bytes.
    pub entropy: Arc<dyn Entropy>,
}

impl std::ops::Deref for Broker {
    type Target = Gateways;
    fn deref(&self) -> &Gateways {
        &self.inner
    }
}

impl Broker {
    /// Makes a broker of its gateways.
    pub fn new(gateways: Gateways) -> Self {
        Self { inner: Arc::new(gateways) }
    }

    /// The time of decisions. It is never before the journal's head (docs/explanation/journal.md).
    pub fn now(&self) -> Timestamp {
        self.journal.now()
    }

    /// Refuses while the time cannot be believed, or the lease of this node has run out.
    ///
    /// Nothing is then minted, recorded or called active (ABUSE L-10). It is asked first, and again before an answer leaves.
    pub fn ensure_steady(&self) -> Result<(), Refused> {
        self.journal.ensure_steady().and_then(|()| self.journal.ensure_leased()).map_err(|fault| busy(fault.reason()))
    }

    /// Refuses as [`Self::ensure_steady`] does, and while the live index may be incomplete.
    ///
    /// It may be if it was not heard of within the lease (ABUSE I-16).
    pub(crate) fn ensure_live(&self) -> Result<Tenure, Refused> {
        self.ensure_steady()?;
        let tenure = self.journal.tenure().map_err(|fault| busy(fault.reason()))?;
        if self.follower.is_live(self.clock.now()) { Ok(tenure) } else { Err(away()) }
    }

    /// Refuses as [`Self::ensure_live`] does, and if the lease of this node had run out since `tenure`.
    pub(crate) fn ensure_live_since(&self, tenure: Tenure) -> Result<(), Refused> {
        if self.ensure_live()? == tenure { Ok(()) } else { Err(away()) }
    }

    /// Queues a refusal for the journal, and never waits.
    ///
    /// The refusal of a known caller becomes an entry, that of a stranger a count.
    pub fn note(&self, environment: &EnvironmentName, request: &RequestId, refused: &Refused) {
        self.recent.add(explain::Explanation {
            request: request.clone(),
            environment: environment.clone(),
            time: self.now(),
            client: refused.known.as_ref().map(ToString::to_string),
            entry: None,
            reason: Some(refused.reason),
            tree: refused.clone().bounded().tree,
        });
        self.journal.refuse(RefusalNote {
            environment: environment.clone(),
            request: request.clone(),
            refused: refused.clone(),
        });
    }
}
