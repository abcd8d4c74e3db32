//! The state: registry, approvals, revocations and keys, as a pure fold of the journal.
//!
//! Enter through [`State::apply`]. Deliberately not here: issued tokens (the journal's entries), and
//! any rule that would keep a change from happening: a change in the journal has happened.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use super::credential::certificate::Certificates;
use super::credential::revocation_key::RevocationKey;
use super::log::archive::Archive;
use super::log::change::{Attributed, Change};
use super::log::elevation::ElevationChange;
use super::log::evidence::EvidenceChange;
use super::log::mail::MailChange;
use super::people::actor::Person;
use super::people::passkey::Passkeys;
use super::registry::approval::Approval;
use super::registry::environment::{Configuration, Environment};
use super::value::clock::Timestamp;
use super::value::names::{
    ApiName, ApprovalId, EnvironmentName, ExceptionId, IntegrationId, Issuer, PartnerName, RevocationId,
};
use super::value::shared::SharedTexts;
use super::value::text::Text;
use barred::Barred;
use closures::Closures;
use dates::Dates;
use effects::{Effects, Entered};
use elevations::Elevations;
use guardrail::Guardrails;
use history::History;
use integration::IntegrationState;
use issuer_keys::IssuerKeys;
use narrowings::Narrowings;
use offboarding::Offboardings;
use owners::Owners;
use recent_cuts::{Cut, RecentCuts};
use recertification::Recertification;
use revoked_tokens::RevokedTokens;
use signal::Signals;
use taken::Taken;

pub use super::credential::keys::Keys;
pub use super::registry::lifecycle::{ApiState, Held, PartnerState, Versioned};
pub use super::registry::stop::Revocation;
pub use super::registry::suspension::{Party, Suspension, Suspensions};
pub use crate::domain::registry::phase::{PartnerPhase, Phase};
pub use candidates::{Candidate, Candidates, Listed};

pub mod about;
mod apis;
pub mod appliers;
mod approvals;
pub mod barred;
pub mod candidates;
pub mod certificates;
pub mod closures;
mod configuration;
pub mod cut;
mod dated;
pub mod dates;
mod departures;
mod effects;
pub mod elevations;
pub mod ends;
mod environments;
pub mod erasures;
pub mod exception;
pub mod exceptions;
pub mod facts;
mod granted;
pub mod guardrail;
mod guardrails;
pub mod history;
pub mod integration;
mod integrations;
pub mod issuer_keys;
mod journal;
mod keys;
mod narrowed;
pub mod narrowings;
pub mod non_use;
pub mod offboarding;
mod offboardings;
mod opening;
pub mod ours;
pub mod own;
pub mod owners;
mod partners;
mod people;
#[cfg(test)]
mod rebuilt;
pub mod recent_cuts;
pub mod recertification;
mod recertifications;
mod remembered;
mod revocations;
pub mod revoked_tokens;
pub mod signal;
mod signals;
pub mod standing;
pub mod suspensions;
pub mod taken;
mod unique;
mod versions;

/// A state as an entry left it, to be asked later.
///
/// It is a trait because a state holds such states: so nobody, and no compiler, has to look through all of them to know one.
pub trait Earlier: std::fmt::Debug + Send + Sync {
    /// The state.
    fn state(&self) -> &State;
}

/// A state as an entry left it.
pub type Then = Arc<dyn Earlier>;

impl Earlier for State {
    fn state(&self) -> &State {
        self
    }
}

/// Everything that decisions rest on.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// One more with each change that a judgement of records, or a consequence, can rest on.
    pub generation: u64,
    /// The epoch of the journal; a later one after each `reopen`.
    pub epoch: u64,
    /// The entry that began it.
    pub epoch_began: u64,
    /// Made by `carnet dev`.
    pub dev: bool,
    /// Name of the log.
    pub origin: String,
    /// Nothing is minted earlier (after `reopen`).
    pub mints_from: Timestamp,
    /// The database that the journal has left for. Nothing is minted or recorded until it has arrived.
    pub moved: Option<String>,
    /// The newest format that its entries have.
    pub format: u32,
    /// Entries that took the log's time back, with the time that they have.
    pub corrections: Vec<(u64, Timestamp)>,
    /// The entries that lie outside of the database.
    pub archive: Archive,
    /// The number of keys that signed checkpoints and were succeeded.
    pub checkpoint_keys: u64,
    /// The operator's configuration.
    pub configuration: Option<Configuration>,
    /// The environments that are closed for everybody.
    pub closures: Closures,
    /// The time of the last change of the configuration that made the longest life of a token shorter.
    pub lives_shortened: Option<Timestamp>,
    /// Signing keys of all environments.
    pub keys: Keys,
    /// Authorities, certificates and enrolments of all environments.
    pub certificates: Certificates,
    /// The first uses of the keys of partners' issuers.
    pub issuer_keys: IssuerKeys,
    /// The catalogue.
    pub apis: OrdMap<ApiName, ApiState>,
    /// The guardrails.
    pub guardrails: Guardrails,
    /// The partners.
    pub partners: OrdMap<PartnerName, PartnerState>,
    /// The integrations.
    pub integrations: OrdMap<IntegrationId, Arc<IntegrationState>>,
    /// The static secrets that records in force name, and those that were closed, with their integrations.
    pub exceptions: OrdMap<ExceptionId, IntegrationId>,
    /// All approvals that were ever opened.
    pub approvals: OrdMap<ApprovalId, Arc<Approval>>,
    /// The complete approvals whose effect has not come yet.
    pub(in crate::domain) granted: OrdSet<ApprovalId>,
    /// The texts that approvals would have forgotten, while they wait.
    pub(in crate::domain) erasures: OrdMap<ApprovalId, Arc<[Text]>>,
    /// All elevations that were ever asked for.
    pub elevations: Elevations,
    /// The passkeys that approvers sign with.
    pub passkeys: Passkeys,
    /// What is known of reviews besides those of single integrations.
    pub recertification: Recertification,
    /// All revocations that were ever made, but those of single tokens.
    pub revocations: OrdMap<RevocationId, Revocation>,
    /// Revoked tokens with their environment and `exp`.
    pub revoked_tokens: RevokedTokens,
    /// The revocations by their keys, also those that are lifted or cut tokens alone.
    pub revoked: HashMap<RevocationKey, OrdSet<RevocationId>>,
    /// The lines that cut the tokens with a lower entry. They only move forward.
    pub revoked_before: OrdMap<RevocationKey, u64>,
    /// What the newest changes cut, for the live index.
    pub recent_cuts: RecentCuts,
    /// The rights that versions and guardrails took away lately, which cut tokens.
    pub narrowings: Narrowings<Then>,
    /// All signals that ever came.
    pub signals: Signals,
    /// All offboardings that ever began, and what people registered for them.
    pub offboardings: Offboardings,
    /// The texts of names that many things have.
    pub(in crate::domain) texts: SharedTexts,
    /// People whose access was ended, with the time of the cut. It stays ended.
    pub staff_cuts: Arc<Vec<(Person, Timestamp)>>,
    /// Owners of records, as people of the directory.
    pub owners: Owners,
    /// The dates of what is in force, of which people are told. No decision reads them.
    pub dates: Dates,
    /// Bindings by environment and issuer, of what is in force.
    pub candidates: Candidates,
    /// Everything that was ever in force. It only grows.
    pub history: History,
    /// The proofs that revoked bindings would admit.
    pub barred: Barred,
    /// The unique texts and rules that records in force have taken.
    pub in_force: Taken,
    /// The unique texts and rules that versions waiting for people would take: no drafts.
    pub waiting: Taken,
}

impl State {
    /// Refuses a person whose access was ended, whatever their token says: asked again where a right is decided on, so that a cut
    /// that comes in between counts (ABUSE I-11).
    pub fn ensure_not_cut(&self, person: &Person) -> Result<(), &'static super::reason::Reason> {
        let cut = self.staff_cuts.iter().any(|(known, _)| known.is(person));
        if cut { Err(&super::reason::STAFF_CUT) } else { Ok(()) }
    }

    /// Folds the change that stands at `index` with time `at` into the state.
    pub fn apply(&mut self, index: u64, at: Timestamp, change: &Attributed) {
        let mut by = change.by.clone();
        by.person_mut().into_iter().for_each(|person| person.share(&mut self.texts));
        let entry = Entered { index, at, by: &by };
        let dated = self.dated_before(entry, &change.what);
        let effects = match &change.what {
            Change::Journal(change) => self.apply_journal(entry, change),
            Change::Configuration(change) => self.apply_configuration(entry, change),
            Change::Environment(change) => self.apply_environment(entry, change),
            Change::Key(change) => self.apply_key(entry, change),
            Change::Certificate(change) => self.apply_certificate(entry, change),
            Change::IssuerKey(change) => self.apply_issuer_key(entry, change),
            Change::Api(change) => self.apply_api(entry, change),
            Change::Guardrail(change) => self.apply_guardrail(entry, change),
            Change::Exception(change) => self.apply_exception(entry, change),
            Change::Partner(change) => self.apply_partner(entry, change),
            Change::Integration(change) => {
                let id = change.integration();
                let (owners, ends) = (self.owners_of(id), self.review_ends(id));
                let effects = self.apply_integration(entry, change);
                self.index_owners(id, &owners);
                self.cut_past_review(entry, id, &ends);
                effects
            }
            Change::Recertification(change) => {
                let owners = change.integration().map(|id| (id, self.owners_of(id)));
                let effects = self.apply_recertification(entry, change);
                owners.into_iter().for_each(|(id, owners)| self.index_owners(id, &owners));
                effects
            }
            Change::Offboarding(change) => {
                let owners: Vec<_> = self.ending_with(change).into_iter().map(|id| (self.owners_of(&id), id)).collect();
                let effects = self.apply_offboarding(entry, change);
                owners.iter().for_each(|(before, id)| self.index_owners(id, before));
                effects
            }
            Change::Approval(change) => self.apply_approval(entry, change),
            Change::Elevation(change) => self.apply_elevation(entry, change),
            Change::Passkey(change) => self.apply_passkey(entry, change),
            Change::Revocation(change) => self.apply_revocation(entry, change),
            Change::Signal(change) => self.apply_signal(entry, change),
            Change::Staff(change) => self.apply_staff(entry, change),
            Change::Directory(change) => self.apply_directory(entry, change),
            Change::Dates(change) => self.apply_dates(entry, change),
            // It is for people, and no decision rests on it.
            Change::Mail(MailChange::GivenUp { .. }) | Change::Evidence(EvidenceChange::Given { .. }) => Effects::unjudged(),
            Change::Text(change) => self.apply_text(entry, change),
        };
        self.carry_out(entry, effects);
        self.index_dates(entry, &dated);
    }

    /// Folds a change of an elevation, and counts the use of the passkey that signed it.
    fn apply_elevation(&mut self, entry: Entered<'_>, change: &ElevationChange) -> Effects {
        if let ElevationChange::Reviewed { signature: Some(signature), .. } = change {
            self.passkeys.used(signature);
        }
        Effects::judged().revoking(self.elevations.apply(entry, change))
    }

    /// Carries out what a change does beside its own noun.
    fn carry_out(&mut self, entry: Entered<'_>, effects: Effects) {
        let Effects { revokes, versions, judged } = effects;
        self.generation += u64::from(judged);
        let cuts: Vec<Cut> = revokes.iter().flat_map(|target| self.cut(target, entry.index)).collect();
        self.recent_cuts.add(entry.index, cuts);
        if let Some(versions) = versions {
            self.take(&versions, entry.at);
        }
    }

    /// The names of the environments that are configured.
    pub(in crate::domain) fn environments(&self) -> impl Iterator<Item = &EnvironmentName> {
        self.configuration.iter().flat_map(|configuration| configuration.environments.keys())
    }

    /// The environment's configuration.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&Environment> {
        self.configuration.as_ref()?.environments.get(name)
    }

    /// The bindings of `environment` that name `issuer`.
    pub fn candidates<'s>(&'s self, environment: &'s EnvironmentName, issuer: &'s Issuer) -> Listed<'s> {
        self.candidates.of(environment, issuer)
    }
}
