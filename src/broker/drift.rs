//! Drift: what differs between the files of a repository and what is in force, and who or what made it so.
//!
//! Enter through [`Broker::drift`]. It changes nothing and holds nothing: to repair is to apply the files, and a repair that widens waits for
//! approval like any other version. What people do at once (suspensions, revocations, closing) stands in no file, so it is drift until it is
//! lifted, or until the files have no longer what it stops.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Broker;
use super::exception::without_closed;
use super::failure::{Failure, Fault, failed};
use super::stored::{Stored, joined};
use super::view::gain::Gain;
use super::words::names as names_of;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::check;
use crate::domain::people::actor::{Actor, Authorized, Read};
use crate::domain::reason;
use crate::domain::record::{self, Difference, Kind, Record};
use crate::domain::registry::integration::Integration;
use crate::domain::registry::lifecycle::{Held, Versioned};
use crate::domain::state::recertification::Narrowed;
use crate::domain::state::{Revocation, State, Suspension};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::{
    ApiName, ApprovalId, BindingName, ClientId, EnvironmentName, ExceptionId, GuardrailName, IntegrationId, PartnerName,
};
use crate::domain::value::text::{Text, TextDigest, TextRow};

/// What differs between files and what is in force.
#[derive(Debug)]
pub struct Drift {
    /// The number of records in the files.
    pub records: usize,
    /// Each record that differs, by kind and name.
    pub items: Vec<Drifted>,
    /// When it was found.
    pub at: Timestamp,
}

/// A record that differs.
#[derive(Debug)]
pub struct Drifted {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub subject: String,
    /// How it differs.
    pub state: Standing,
    /// What an apply of the file would change, each with its gain.
    pub differences: Vec<(Difference, Option<Gain>)>,
    /// What made it so, as far as the journal knows.
    pub causes: Vec<Deed>,
}

/// How a record differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The version in force is another one than the file's.
    Differs,
    /// It has a file, and no version of it is in force.
    NotInForce,
    /// A version is in force, and no file has it.
    NoFile,
    /// File and version are the same, and something stops what they give.
    Stopped,
}

impl Standing {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::NotInForce => "not-in-force",
            Self::NoFile => "no-file",
            Self::Stopped => "stopped",
        }
    }
}

/// What made a record differ from its file.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Somebody applied the version in force.
    Applied(Applied),
    /// Somebody applied a version that is not in force: a draft, or one that waits.
    Waits(Applied),
    /// A review narrowed it.
    Reviewed(Box<Narrowed>),
    /// It is suspended.
    Suspended(Suspension),
    /// Something of it is revoked.
    Revoked(Revocation),
    /// An environment that the file names is closed for everybody.
    EnvironmentClosed(EnvironmentName, Timestamp),
    /// A static secret that the file names is closed.
    ExceptionClosed {
        /// Its id.
        id: ExceptionId,
        /// Its name in the record.
        what: String,
        /// Who said that it lives no more.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// A binding that the file names is retired, because nobody used it.
    BindingRetired(EnvironmentName, BindingName),
}

/// Who applied a version.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, if they said so.
    pub reason: Option<Text>,
    /// The approval that it took or waits for.
    pub approval: Option<ApprovalId>,
}

impl Deed {
    /// The texts in it that may be forgotten.
    pub fn texts(&self) -> Vec<&Text> {
        match self {
            Self::Applied(one) | Self::Waits(one) => names_of(&one.by).chain(&one.reason).collect(),
            Self::Reviewed(one) => names_of(&one.by).collect(),
            Self::Suspended(one) => names_of(&one.by).chain([&one.reason]).collect(),
            Self::Revoked(one) => names_of(&one.by).chain([&one.reason]).collect(),
            Self::ExceptionClosed { by, .. } => names_of(by).collect(),
            Self::EnvironmentClosed(..) | Self::BindingRetired(..) => Vec::new(),
        }
    }
}

/// A file's record, with what is stored of it.
struct Pair {
    file: Record,
    stored: Stored,
}

impl Broker {
    /// Compares the documents of `yaml` with everything that is in force.
    ///
    /// # Errors
    /// A document cannot be read, stands there twice, or takes too many steps to compare.
    pub async fn drift(&self, by: &Authorized<Read>, yaml: String) -> Result<Drift, Failure> {
        let _turn = self.reading.turn(&by.staff().person)?;
        let view = self.journal.view();
        let seen = Arc::clone(&view);
        let read = move || -> Result<(Vec<Pair>, Vec<TextDigest>), Failure> {
            let located = record::read("records", &yaml).map_err(failed)?;
            let twice = check::twice(&located);
            if !twice.is_empty() {
                return Err(failed(twice));
            }
            let mut texts = Vec::new();
            let mut pairs = Vec::with_capacity(located.len());
            for one in located {
                let mut stored = Stored::of(&one.record, &seen.state);
                let known = [&mut stored.newest, &mut stored.in_force].into_iter().flatten();
                texts.extend(known.flat_map(Record::texts_mut).filter_map(|text| text.digest()));
                pairs.push(Pair { file: one.record, stored });
            }
            Ok((pairs, texts))
        };
        let (pairs, texts) = self.reading.desk.work(read).await??;
        let rows = self.journal.texts(&texts).await?;
        let now = self.now();
        self.reading.desk.work(move || compare(pairs, &rows, &view.state, now)).await?
    }
}

fn compare(pairs: Vec<Pair>, rows: &HashMap<TextDigest, TextRow>, state: &State, now: Timestamp) -> Result<Drift, Failure> {
    let records = pairs.len();
    let mut effort = Effort::default();
    let mut items = Vec::new();
    let mut named: BTreeSet<(Kind, String)> = BTreeSet::new();
    let mut wanted: Vec<(usize, Digest)> = Vec::new();
    let revoked = revocations(state);
    for Pair { file, stored } in pairs {
        let (kind, subject) = (file.kind(), file.name().1);
        named.insert((kind, subject.clone()));
        let mut causes = stops(&file, state, &revoked);
        let in_force = stored.in_force.map(|known| joined(known, rows).0);
        let (standing, differences) = match &in_force {
            None => (Standing::NotInForce, Vec::new()),
            Some(in_force) => {
                let (old, new) = (without_closed(in_force, state), without_closed(&file, state));
                let found =
                    record::compare(Some(&old), &new, &mut effort).map_err(|exhausted| too_much(&subject, exhausted))?;
                // A record may be another one and differ in nothing that is weighed.
                let standing = if old == new { Standing::Stopped } else { Standing::Differs };
                let gains = found.into_iter().map(|one| {
                    let gain = Gain::of(&new, &one, state);
                    (one, gain)
                });
                (standing, gains.collect())
            }
        };
        if standing == Standing::Stopped && causes.is_empty() {
            continue;
        }
        let made = match standing {
            Standing::NotInForce => waits(kind, &subject, state).map(|(made, _)| Deed::Waits(made)),
            Standing::Differs | Standing::NoFile => made_so(kind, &subject, state, (&mut wanted, items.len())),
            Standing::Stopped => None,
        };
        if let Some(made) = made {
            causes.insert(0, made);
        }
        items.push(Drifted { kind, subject, state: standing, differences, causes });
    }
    for (kind, subject) in everything(state).into_iter().filter(|one| !named.contains(one)) {
        let made = made_so(kind, &subject, state, (&mut wanted, items.len()));
        items.push(Drifted {
            kind,
            subject,
            state: Standing::NoFile,
            differences: Vec::new(),
            causes: made.into_iter().collect(),
        });
    }
    add_approvals(&mut items, &wanted, state);
    items.sort_by(|a, b| (a.kind, &a.subject).cmp(&(b.kind, &b.subject)));
    Ok(Drift { records, items, at: now })
}

fn too_much(subject: &str, exhausted: Exhausted) -> Failure {
    let message = format!("to compare the versions takes more than the {} steps that one request may", exhausted.most);
    Failure::Faults(vec![Fault { at: subject.to_owned(), reason: &reason::RECORD_EFFORT, message }])
}

/// Adds the approvals that versions in force took.
fn add_approvals(items: &mut [Drifted], wanted: &[(usize, Digest)], state: &State) {
    let mut by_version: HashMap<Digest, Vec<usize>> = HashMap::new();
    for (place, version) in wanted {
        by_version.entry(*version).or_default().push(*place);
    }
    for approval in state.approvals.values().filter(|_| !by_version.is_empty()) {
        for place in by_version.get(&approval.version).into_iter().flatten() {
            let Some(item) = items.get_mut(*place).filter(|item| item.subject == approval.subject) else { continue };
            for cause in &mut item.causes {
                if let Deed::Applied(applied) = cause {
                    applied.approval = Some(approval.id.clone());
                }
            }
        }
    }
}

/// Everything that is in force.
fn everything(state: &State) -> BTreeSet<(Kind, String)> {
    let apis = state.apis.iter().filter(|(_, one)| one.current.is_some()).map(|(name, _)| (Kind::Api, name.to_string()));
    let partners = state.partners.iter().filter(|(_, one)| one.current.is_some());
    let partners = partners.map(|(name, _)| (Kind::Partner, name.to_string()));
    let integrations = state.integrations.iter().filter(|(_, one)| one.current.is_some());
    let integrations = integrations.map(|(id, _)| (Kind::Integration, id.to_string()));
    let guardrails = state.guardrails.in_force().map(|one| (Kind::Guardrail, one.record.name.to_string()));
    apis.chain(partners).chain(integrations).chain(guardrails).collect()
}

fn made_by<T>(version: &Versioned<T>, approval: Option<&ApprovalId>) -> (Applied, Digest) {
    let (by, at, reason, approval) = (version.by.clone(), version.at, version.reason.clone(), approval.cloned());
    (Applied { by, at, reason, approval }, version.version)
}

/// What made the version in force: a review, or whoever applied it, whose approval is wanted for the item at `place`.
fn made_so(kind: Kind, subject: &str, state: &State, (wanted, place): (&mut Vec<(usize, Digest)>, usize)) -> Option<Deed> {
    let integration = subject.parse::<IntegrationId>().ok().filter(|_| kind == Kind::Integration);
    let known = integration.and_then(|id| state.integrations.get(&id));
    if let Some(narrowed) = known.and_then(|known| known.reviews.narrowed.clone()) {
        return Some(Deed::Reviewed(narrowed));
    }
    let (made, version) = applied(kind, subject, state)?;
    wanted.push((place, version));
    Some(Deed::Applied(made))
}

/// Who applied the version in force.
fn applied(kind: Kind, subject: &str, state: &State) -> Option<(Applied, Digest)> {
    match kind {
        Kind::Api => Some(made_by(state.apis.get(&subject.parse::<ApiName>().ok()?)?.current.as_ref()?, None)),
        Kind::Guardrail => Some(made_by(state.guardrails.get(subject)?.current.as_ref()?, None)),
        Kind::Integration => {
            Some(made_by(state.integrations.get(&subject.parse::<IntegrationId>().ok()?)?.current.as_ref()?, None))
        }
        Kind::Partner => Some(made_by(state.partners.get(&subject.parse::<PartnerName>().ok()?)?.current.as_ref()?, None)),
    }
}

/// Who applied the version that waits.
fn waits(kind: Kind, subject: &str, state: &State) -> Option<(Applied, Digest)> {
    fn of<T>(held: &Held<T>) -> (Applied, Digest) {
        made_by(&held.version, held.approval.as_ref())
    }
    match kind {
        Kind::Api => state.apis.get(&subject.parse::<ApiName>().ok()?)?.held.as_deref().map(of),
        Kind::Guardrail => state.guardrails.get(subject.parse::<GuardrailName>().ok()?.as_str())?.held.as_deref().map(of),
        Kind::Integration => state.integrations.get(&subject.parse::<IntegrationId>().ok()?)?.held.as_deref().map(of),
        Kind::Partner => state.partners.get(&subject.parse::<PartnerName>().ok()?)?.held.as_deref().map(of),
    }
}

/// The revocations that refuse exchanges, by the record that they are about.
fn revocations(state: &State) -> BTreeMap<(Kind, String), Vec<&Revocation>> {
    let mut all: BTreeMap<(Kind, String), Vec<&Revocation>> = BTreeMap::new();
    for one in state.revocations.values().filter(|one| one.refuses()) {
        let about = match &one.target {
            RevocationTarget::Api { api } => Some((Kind::Api, api.to_string())),
            RevocationTarget::Binding { client: ClientId::Api(api), .. } => Some((Kind::Api, api.to_string())),
            RevocationTarget::Binding { client: ClientId::Integration(id), .. } => Some((Kind::Integration, id.to_string())),
            RevocationTarget::Integration { integration } | RevocationTarget::IntegrationEnvironment { integration, .. } => {
                Some((Kind::Integration, integration.to_string()))
            }
            RevocationTarget::Partner { partner } => Some((Kind::Partner, partner.to_string())),
            // No record says anything of these alone.
            RevocationTarget::Token { .. }
            | RevocationTarget::Elevation { .. }
            | RevocationTarget::Environment { .. }
            | RevocationTarget::Issuer { .. }
            | RevocationTarget::Certificate { .. }
            | RevocationTarget::Authority { .. }
            | RevocationTarget::Key { .. } => None,
        };
        if let Some(about) = about {
            all.entry(about).or_default().push(one);
        }
    }
    all
}

/// What stops something that a file gives.
fn stops(file: &Record, state: &State, revoked: &BTreeMap<(Kind, String), Vec<&Revocation>>) -> Vec<Deed> {
    let key = (file.kind(), file.name().1);
    let about = revoked.get(&key).into_iter().flatten().filter(|one| still_given(file, &one.target));
    let mut causes: Vec<Deed> = about.map(|one| Deed::Revoked((*one).clone())).collect();
    let environments: Vec<&EnvironmentName> = match file {
        Record::Api(api) => api.audience.keys().collect(),
        Record::Integration(integration) => integration.environments.keys().collect(),
        Record::Guardrail(_) | Record::Partner(_) => Vec::new(),
    };
    let closed = environments.iter().filter_map(|name| Some(((*name).clone(), state.closures.of(name)?.at)));
    causes.extend(closed.map(|(name, at)| Deed::EnvironmentClosed(name, at)));
    match file {
        Record::Partner(partner) => {
            let known = state.partners.get(&partner.name);
            causes.extend(known.into_iter().flat_map(|known| known.suspensions.iter()).cloned().map(Deed::Suspended));
        }
        Record::Integration(integration) => causes.extend(stops_of(integration, state)),
        Record::Api(_) | Record::Guardrail(_) => {}
    }
    causes
}

fn stops_of(file: &Integration, state: &State) -> Vec<Deed> {
    let Some(known) = state.integrations.get(&file.id) else { return Vec::new() };
    let covers = |one: &&Suspension| {
        one.environments.is_empty() || one.environments.iter().any(|name| file.environments.contains_key(name))
    };
    let mut causes: Vec<Deed> = known.suspensions.iter().filter(covers).cloned().map(Deed::Suspended).collect();
    for secret in &file.exceptions {
        let id = ExceptionId::of(&file.id, &secret.what);
        if let Some(closed) = known.exceptions.closed(&id).filter(|_| known.exceptions.is_closed(&id, secret)) {
            let (by, at) = (closed.by.clone(), closed.at);
            causes.push(Deed::ExceptionClosed { id, what: secret.what.clone(), by, at });
        }
    }
    let retired = known.non_use.retired().filter(|(environment, binding)| names(file, environment, binding));
    causes.extend(retired.map(|(environment, binding)| Deed::BindingRetired(environment.clone(), binding.clone())));
    causes
}

fn names(file: &Integration, environment: &EnvironmentName, binding: &BindingName) -> bool {
    file.environments.get(environment).is_some_and(|access| access.bindings.iter().any(|one| one.name == *binding))
}

/// Whether the file still has what is revoked.
fn still_given(file: &Record, target: &RevocationTarget) -> bool {
    match target {
        RevocationTarget::Binding { environment, binding, .. } => match file {
            Record::Integration(integration) => names(integration, environment, binding),
            Record::Api(api) => {
                api.callers.get(environment).is_some_and(|callers| callers.iter().any(|one| one.name == *binding))
            }
            Record::Guardrail(_) | Record::Partner(_) => true,
        },
        RevocationTarget::IntegrationEnvironment { environment, .. } => match file {
            Record::Integration(integration) => integration.environments.contains_key(environment),
            Record::Api(_) | Record::Guardrail(_) | Record::Partner(_) => true,
        },
        RevocationTarget::Token { .. }
        | RevocationTarget::Api { .. }
        | RevocationTarget::Integration { .. }
        | RevocationTarget::Partner { .. }
        | RevocationTarget::Elevation { .. }
        | RevocationTarget::Environment { .. }
        | RevocationTarget::Issuer { .. }
        | RevocationTarget::Certificate { .. }
        | RevocationTarget::Authority { .. }
        | RevocationTarget::Key { .. } => true,
    }
}
