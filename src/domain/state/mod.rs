//! What is: the registry, approvals, revocations and keys, as a pure fold of the journal's changes.
//!
//! Enter through [`State::apply`]. Deliberately not here: issued tokens (the journal's entries), and
//! any rule that would keep a change from happening: a change in the journal has happened.

use std::sync::Arc;

use imbl::{HashMap, HashSet, OrdMap};
use serde::Serialize;

use super::credential::certificate::{Certificates, Enrolment};
use super::credential::revocation::RevocationTarget;
use super::credential::revocation_key::RevocationKey;
use super::log::archive::Archive;
use super::log::change::{Change, What};
use super::people::actor::Person;
use super::people::passkey::{Passkey, Passkeys};
use super::registry::approval::{Approval, Review, Standing};
use super::registry::environment::{Configuration, Environment};
use super::value::clock::Timestamp;
use super::value::digest::Digest;
use super::value::names::{
    ApiName, ApprovalId, ClientId, EnvironmentName, IntegrationId, Issuer, PartnerName, RevocationId, TokenId,
};
use barred::Barred;
use elevations::Elevations;
use history::History;
use integration::IntegrationState;
use issuer_keys::IssuerKeys;
use taken::Taken;

pub use super::credential::keys::Keys;
pub use super::registry::lifecycle::{ApiState, Held, PartnerState, Versioned};
pub use super::registry::stop::{Revocation, Stop};
pub use crate::domain::registry::phase::Phase;
pub use candidates::{Candidate, Candidates};

pub mod about;
pub mod appliers;
mod approvals;
pub mod barred;
pub mod candidates;
pub mod cut;
pub mod elevations;
pub mod ends;
pub mod history;
pub mod integration;
pub mod issuer_keys;
pub mod opening;
pub mod ours;
mod revocations;
pub mod standing;
pub mod taken;
mod unique;

/// Everything that decisions rest on.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Moves on by one with each change that a judgement of records, or what follows from the state, can rest on.
    pub generation: u64,
    /// Of the journal; one more after each `reopen`.
    pub epoch: u64,
    /// Made by `carnet dev`.
    pub dev: bool,
    /// Name of the log.
    pub origin: String,
    /// Nothing is minted earlier (after `reopen`).
    pub mints_from: Timestamp,
    /// Entries that took the log's time back, with the time that they have.
    pub corrections: Vec<(u64, Timestamp)>,
    /// Which entries lie outside of the database.
    pub archive: Archive,
    /// How many keys that signed checkpoints have been succeeded.
    pub checkpoint_keys: u64,
    /// What the operator configured.
    pub configuration: Option<Configuration>,
    /// Signing keys of all environments.
    pub keys: Keys,
    /// Authorities, certificates and enrolments of all environments.
    pub certificates: Certificates,
    /// When partners' issuers first used their keys.
    pub issuer_keys: IssuerKeys,
    /// The catalogue.
    pub apis: OrdMap<ApiName, ApiState>,
    /// The partners.
    pub partners: OrdMap<PartnerName, PartnerState>,
    /// The integrations.
    pub integrations: OrdMap<IntegrationId, IntegrationState>,
    /// All approvals that were ever opened.
    pub approvals: OrdMap<ApprovalId, Approval>,
    /// All elevations that were ever asked for.
    pub elevations: Elevations,
    /// What approvers sign with.
    pub passkeys: Passkeys,
    /// All revocations that were ever made, but those of single tokens.
    pub revocations: OrdMap<RevocationId, Revocation>,
    /// Revoked tokens with their environment and `exp`.
    pub revoked_tokens: HashMap<TokenId, (EnvironmentName, Timestamp)>,
    /// The keys of revocations that refuse later exchanges, of those not lifted.
    pub refused: HashSet<RevocationKey>,
    /// The lines that cut the tokens with a lower entry. They only move forward.
    pub revoked_before: OrdMap<RevocationKey, u64>,
    /// People whose access was ended, with the time of the cut. It stays ended.
    pub staff_cuts: Arc<Vec<(Person, Timestamp)>>,
    /// Bindings by environment and issuer, of what is in force.
    pub candidates: Candidates,
    /// What was ever in force. It grows for ever.
    pub history: History,
    /// The proofs that revoked bindings would admit.
    pub barred: Arc<Barred>,
    /// What must be unique, as records in force have it.
    pub in_force: Taken,
    /// What must be unique, as versions that wait for people would have it: no drafts, and nothing that was denied or withdrawn.
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
    pub fn apply(&mut self, index: u64, at: Timestamp, change: &Change) {
        let by = &change.by;
        self.generation += u64::from(unique::is_judged_by(&change.what));
        match &change.what {
            What::JournalOpened { origin, dev } => {
                self.epoch = 1;
                self.origin.clone_from(origin);
                self.dev = *dev;
            }
            What::JournalReopened { epoch, mints_from, corrects } => {
                self.corrections.extend(corrects.map(|_| (index, at)));
                self.epoch = *epoch;
                self.mints_from = *mints_from;
                for (environment, kid) in self.keys.taint_all() {
                    self.cut(&RevocationTarget::Key { environment, kid }, index);
                }
                for (environment, kid) in self.certificates.taint_all() {
                    self.cut(&RevocationTarget::Authority { environment, kid }, index);
                }
                for (environment, elevation) in self.elevations.end_all(at) {
                    self.cut(&RevocationTarget::Elevation { environment, elevation }, index);
                }
            }
            What::CheckpointKeySucceeded { .. } => self.checkpoint_keys += 1,
            What::JournalArchived(segment) => self.archive.take(segment),
            What::ConfigurationChanged(configuration) => {
                let history = &mut self.history;
                for (name, environment) in &configuration.environments {
                    history.add_environment(name, &environment.trust_domain);
                }
                self.candidates.configure(&configuration.environments);
                self.configuration = Some(configuration.clone());
                self.bar();
            }
            What::KeyCreated(key) => self.keys.add(key.clone(), at),
            What::KeyTainted { environment, kid, .. } => {
                self.keys.taint(environment, kid);
                self.cut(&RevocationTarget::Key { environment: environment.clone(), kid: kid.clone() }, index);
            }
            What::KeyRetired { environment, kid } => self.keys.retire(environment, kid),
            What::AuthorityCreated { authority, .. } => self.certificates.add_authority(authority.as_ref().clone()),
            What::AuthorityTainted { environment, kid, .. } => {
                self.certificates.taint(environment, kid);
                self.cut(&RevocationTarget::Authority { environment: environment.clone(), kid: kid.clone() }, index);
            }
            What::EnrolmentAsked { id, integration, environment, secret, approval, .. } => {
                let (integration, environment) = (integration.clone(), environment.clone());
                let enrolment =
                    Enrolment { integration, environment, secret: *secret, approval: approval.id.clone(), used: false };
                self.certificates.add_enrolment(id.clone(), enrolment);
                self.reopen(None, Some(approval), at);
            }
            What::IssuerKeyFirstUsed { issuer, key } => self.issuer_keys.add(issuer, *key, at),
            What::ServerCertificateIssued { leaf } => self.certificates.add_server(leaf.clone()),
            What::CertificateIssued { leaf, enrolment } => self.certificates.add_leaf(leaf.clone(), enrolment.as_ref(), at),
            What::ApiSubmitted { .. } | What::ApiApproved { .. } | What::ApiNarrowed { .. } => {
                self.apply_api(at, change);
                self.take(&change.what, at);
            }
            What::PartnerSubmitted { .. }
            | What::PartnerVerified { .. }
            | What::PartnerSuspended { .. }
            | What::PartnerResumeAsked { .. }
            | What::PartnerResumed { .. } => self.apply_partner(index, at, change),
            What::IntegrationDrafted { .. }
            | What::IntegrationSubmitted { .. }
            | What::IntegrationActivated { .. }
            | What::IntegrationChangeHeld { .. }
            | What::IntegrationChanged { .. }
            | What::IntegrationNarrowed { .. }
            | What::IntegrationSuspended { .. }
            | What::IntegrationResumeAsked { .. }
            | What::IntegrationResumed { .. } => {
                self.apply_integration(index, at, change);
                self.take(&change.what, at);
            }
            What::ApprovalReviewed { approval, verdict, reason, roles } => {
                if let (Some(approval), Some(by)) = (self.approvals.get_mut(approval), by.person()) {
                    let review = Review { by: by.clone(), verdict: *verdict, reason: reason.clone(), roles: roles.clone(), at };
                    approval.reviews.push(review);
                }
                self.take(&change.what, at);
            }
            What::ElevationAsked { .. }
            | What::ElevationReviewed { .. }
            | What::ElevationEnded { .. }
            | What::ElevationNoticed { .. } => {
                if let What::ElevationReviewed { signature: Some(signature), .. } = &change.what {
                    self.passkeys.used(signature);
                }
                if let Some(over) = self.elevations.apply(at, change) {
                    self.cut(&over, index);
                }
            }
            What::PasskeyRegistered { passkey, label, credential } => {
                if let Some(by) = by.person() {
                    let (id, by, label, credential) = (passkey.clone(), by.clone(), label.clone(), credential.clone());
                    let passkey = Passkey { id, by, label, credential, registered: at, revoked: None, counter: 0 };
                    self.passkeys.register(passkey);
                }
            }
            What::PasskeyRevoked { passkey, .. } => self.passkeys.revoke(passkey, at),
            What::RevocationAdded { .. } | What::RevocationLiftAsked { .. } | What::RevocationLifted { .. } => {
                self.apply_revocation(index, at, change);
            }
            What::StaffCut { person, .. } => Arc::make_mut(&mut self.staff_cuts).push((person.clone(), at)),
            What::TextErased { .. } => {}
        }
        self.note_opening(at, &change.what);
    }

    fn apply_api(&mut self, at: Timestamp, change: &Change) {
        match &change.what {
            What::ApiSubmitted { record, approval } => {
                let held = hold(record.as_ref(), change, at, Some(approval));
                let api = self.apis.entry(record.name.clone()).or_default();
                let earlier = api.held.replace(held);
                self.reopen(earlier.and_then(|held| held.approval), Some(approval), at);
            }
            What::ApiApproved { api: name, version } => {
                let Some(api) = self.apis.get_mut(name) else { return };
                promote(&mut api.held, &mut api.current, version);
                self.index_api(name);
            }
            What::ApiNarrowed { record, .. } => {
                let api = self.apis.entry(record.name.clone()).or_default();
                api.current = Some(version(record.as_ref(), change, at));
                let earlier = api.held.take();
                self.index_api(&record.name);
                self.reopen(earlier.and_then(|held| held.approval), None, at);
            }
            _ => {}
        }
    }

    fn apply_partner(&mut self, index: u64, at: Timestamp, change: &Change) {
        match &change.what {
            What::PartnerSubmitted { record, approval } => {
                let held = hold(record.as_ref(), change, at, Some(approval));
                let earlier = self.partners.entry(record.name.clone()).or_default().held.replace(held);
                self.reopen(earlier.and_then(|held| held.approval), Some(approval), at);
            }
            What::PartnerVerified { partner, version } => {
                let Some(partner) = self.partners.get_mut(partner) else { return };
                promote(&mut partner.held, &mut partner.current, version);
            }
            What::PartnerSuspended { partner: name, reason } => {
                let Some(partner) = self.partners.get_mut(name) else { return };
                partner.suspended = Some(Stop { by: change.by.clone(), reason: reason.clone(), at, lift: None });
                self.cut(&RevocationTarget::Partner { partner: name.clone() }, index);
            }
            What::PartnerResumeAsked { partner, approval, .. } => {
                let stop = self.partners.get_mut(partner).and_then(|partner| partner.suspended.as_mut());
                let earlier = stop.and_then(|stop| stop.lift.replace(approval.id.clone()));
                self.reopen(earlier, Some(approval), at);
            }
            What::PartnerResumed { partner } => {
                if let Some(partner) = self.partners.get_mut(partner) {
                    partner.suspended = None;
                }
            }
            _ => {}
        }
    }

    fn apply_integration(&mut self, index: u64, at: Timestamp, change: &Change) {
        match &change.what {
            What::IntegrationDrafted { record, .. } => {
                let held = hold(record.as_ref(), change, at, None);
                let state = self.integrations.entry(record.id.clone()).or_default();
                state.appliers.applied(&change.by);
                let earlier = state.held.replace(held);
                self.reopen(earlier.and_then(|held| held.approval), None, at);
            }
            What::IntegrationSubmitted { integration, approval } => {
                let held = self.integrations.get_mut(integration).and_then(|integration| integration.held.as_mut());
                let earlier = held.and_then(|held| held.approval.replace(approval.id.clone()));
                self.reopen(earlier, Some(approval), at);
            }
            What::IntegrationChangeHeld { record, approval } => {
                let held = hold(record.as_ref(), change, at, Some(approval));
                let state = self.integrations.entry(record.id.clone()).or_default();
                state.appliers.applied(&change.by);
                let earlier = state.held.replace(held);
                self.reopen(earlier.and_then(|held| held.approval), Some(approval), at);
            }
            What::IntegrationActivated { integration, version } | What::IntegrationChanged { integration, version } => {
                let Some(state) = self.integrations.get_mut(integration) else { return };
                let old = state.current.as_ref().map(|current| Arc::clone(&current.record));
                if promote(&mut state.held, &mut state.current, version) {
                    state.came_into_force(old);
                }
                self.index_integration(integration);
            }
            What::IntegrationNarrowed { record, .. } => {
                let state = self.integrations.entry(record.id.clone()).or_default();
                let new = Some(version(record.as_ref(), change, at));
                let old = std::mem::replace(&mut state.current, new).map(|old| old.record);
                state.appliers.applied(&change.by);
                state.came_into_force(old);
                let earlier = state.held.take();
                self.index_integration(&record.id);
                self.reopen(earlier.and_then(|held| held.approval), None, at);
            }
            What::IntegrationSuspended { integration, reason } => {
                let Some(state) = self.integrations.get_mut(integration) else { return };
                state.suspended = Some(Stop { by: change.by.clone(), reason: reason.clone(), at, lift: None });
                self.cut(&RevocationTarget::Integration { integration: integration.clone() }, index);
            }
            What::IntegrationResumeAsked { integration, approval, .. } => {
                let stop = self.integrations.get_mut(integration).and_then(|state| state.suspended.as_mut());
                let earlier = stop.and_then(|stop| stop.lift.replace(approval.id.clone()));
                self.reopen(earlier, Some(approval), at);
            }
            What::IntegrationResumed { integration } => {
                if let Some(state) = self.integrations.get_mut(integration) {
                    state.suspended = None;
                }
            }
            _ => {}
        }
    }

    /// Takes the bindings of an integration that are in force now into the indexes.
    fn index_integration(&mut self, id: &IntegrationId) {
        let Some((state, current)) = self.integrations.get(id).and_then(|state| Some((state, state.current.as_ref()?))) else {
            return;
        };
        self.candidates.index_integration(state);
        for (environment, access) in &current.record.environments {
            self.history.add_bindings(&ClientId::Integration(id.clone()), environment, &access.bindings);
        }
        self.bar();
    }

    /// Takes the callers of an API that are in force now into the indexes.
    fn index_api(&mut self, name: &ApiName) {
        let Some((state, current)) = self.apis.get(name).and_then(|state| Some((state, state.current.as_ref()?))) else {
            return;
        };
        self.candidates.index_api(state);
        for (environment, bindings) in &current.record.callers {
            self.history.add_bindings(&ClientId::Api(name.clone()), environment, bindings);
        }
        self.bar();
    }

    /// Withdraws the approval of an earlier version and opens that of the new one.
    fn reopen(&mut self, earlier: Option<ApprovalId>, approval: Option<&Approval>, at: Timestamp) {
        if let Some(approval) = earlier.and_then(|id| self.approvals.get_mut(&id)) {
            // What was denied or lapsed stays so (ABUSE I-9).
            approval.withdrawn |= !matches!(approval.standing(at), Standing::Denied | Standing::Expired);
        }
        if let Some(approval) = approval {
            self.approvals.insert(approval.id.clone(), approval.clone());
        }
    }

    /// The environment's configuration.
    pub fn environment(&self, name: &EnvironmentName) -> Option<&Environment> {
        self.configuration.as_ref()?.environments.get(name)
    }

    /// The bindings of `environment` that name `issuer`.
    pub fn candidates(&self, environment: &EnvironmentName, issuer: &Issuer) -> &[Candidate] {
        self.candidates.of(environment, issuer)
    }
}

fn version<T: Clone + Serialize>(record: &T, change: &Change, at: Timestamp) -> Versioned<T> {
    let reason = change.what.applied_because().cloned();
    Versioned { version: Digest::of_json(record), record: Arc::new(record.clone()), by: change.by.clone(), at, reason }
}

fn hold<T: Clone + Serialize>(record: &T, change: &Change, at: Timestamp, approval: Option<&Approval>) -> Held<T> {
    Held { version: version(record, change, at), approval: approval.map(|approval| approval.id.clone()) }
}

/// Puts the held version in force, if it is the one that was approved; whether it was.
fn promote<T>(held: &mut Option<Held<T>>, current: &mut Option<Versioned<T>>, approved: &Digest) -> bool {
    let is_approved = held.as_ref().is_some_and(|held| held.version.version == *approved);
    if is_approved {
        *current = held.take().map(|held| held.version);
    }
    is_approved
}
