//! The criteria that one integration can break.

use std::collections::BTreeSet;

use super::criterion::Criterion;
use super::findings::Count;
use crate::domain::decision::life::Life;
use crate::domain::decision::standing::standing;
use crate::domain::decision::target::BUILT_IN_API;
use crate::domain::elevation::{Request, Standing};
use crate::domain::people::actor::{Person, Role};
use crate::domain::reason::decision::Trace;
use crate::domain::record::names_its_caller;
use crate::domain::registry::approval::{Approval, Verdict};
use crate::domain::registry::binding::{Admits, JwtRule, KeySource};
use crate::domain::registry::date::OFFBOARDS_AFTER;
use crate::domain::registry::integration::{Access, Integration, OnPastDue};
use crate::domain::registry::signal::SignalKind;
use crate::domain::registry::workload::Workload;
use crate::domain::state::State;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::taken::Holder;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ClientId, EnvironmentName, ExceptionId, IntegrationId, Issuer};

/// The number of criteria.
pub(super) const CRITERIA: usize = Criterion::ALL.len();

/// What is found of one part of the state at a moment.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Judged {
    /// The items, by criterion.
    pub counts: [Count; CRITERIA],
    /// What is broken.
    pub broken: Vec<Broken>,
    /// The next moment at which time alone may change it.
    pub next: Option<Timestamp>,
}

/// An item that breaks a criterion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Broken {
    pub criterion: Criterion,
    pub item: String,
    pub agent: bool,
    pub why: String,
}

impl Judged {
    /// Counts an item, and what breaks it.
    pub fn item(&mut self, criterion: Criterion, agent: bool, item: impl FnOnce() -> String, broken: Option<String>) {
        if let Some(count) = self.counts.get_mut(criterion.place()) {
            count.add(agent);
        }
        if let Some(why) = broken {
            self.broken.push(Broken { criterion, item: item(), agent, why });
        }
    }

    /// Knows that `at` may change something, if it lies ahead.
    pub fn ahead(&mut self, at: Timestamp, now: Timestamp) {
        if at > now && self.next.is_none_or(|next| at < next) {
            self.next = Some(at);
        }
    }
}

/// Whether an integration is of an AI agent, by the version in force.
pub(super) fn is_of_agent(id: &IntegrationId, state: &State) -> bool {
    let current = state.integrations.get(id).and_then(|known| known.current.as_ref());
    current.is_some_and(|current| current.record.workload == Workload::AiAgent)
}

/// Judges an integration. `people` are the issuers that our people sign in at; `widened`: its version in force took more than the one before,
/// and nobody approved that.
pub(super) fn judge(id: &IntegrationId, state: &State, people: &BTreeSet<Issuer>, widened: bool, now: Timestamp) -> Judged {
    let mut judged = Judged::default();
    let Some(known) = state.integrations.get(id) else { return judged };
    let Some(current) = &known.current else { return judged };
    let record: &Integration = &current.record;
    let agent = record.workload == Workload::AiAgent;
    let one = One { id, known, record, agent, people, widened, state, now };
    one.end(&mut judged);
    if state.ending_of(id).is_some() {
        return judged;
    }
    judged.item(Criterion::ApprovedByTwo, one.agent, || id.to_string(), one.unapproved());
    judged.item(Criterion::BindingsApart, one.agent, || id.to_string(), one.overlaps());
    let mut has_access = false;
    for (environment, access) in &record.environments {
        has_access |= one.place(environment, access, &mut judged);
    }
    one.secrets(has_access, &mut judged);
    if has_access {
        judged.item(Criterion::OwnersKnown, one.agent, || id.to_string(), one.unowned());
        judged.item(Criterion::PartnerVerified, one.agent, || id.to_string(), one.unverified());
    }
    // Access may begin when the contract starts, and after the pause of a reopened journal. An overdue break-glass elevation ends it, in
    // whichever environment; `place` knows the other ends.
    let overdue = state.elevations.unreviewed_of(id).map(Request::review_due);
    let moves = [record.contract.starts, state.mints_from].into_iter().chain(overdue);
    moves.for_each(|at| judged.ahead(at, now));
    judged
}

struct One<'a> {
    id: &'a IntegrationId,
    known: &'a IntegrationState,
    record: &'a Integration,
    agent: bool,
    people: &'a BTreeSet<Issuer>,
    widened: bool,
    state: &'a State,
    now: Timestamp,
}

impl One<'_> {
    /// Whether what is over is being offboarded, or was.
    fn end(&self, judged: &mut Judged) {
        let said = self.known.suspensions.iter().filter(|one| one.covers_all() && one.signal.is_some_and(says_over));
        let over = said.map(|one| one.at).fold(self.record.contract.ends, Timestamp::min);
        // A case that two people gave up is asked for again after the same time.
        let given_up = self.state.offboardings.given_up(self.id).unwrap_or_default();
        let due = over.max(given_up).plus(OFFBOARDS_AFTER);
        let late = self.state.ending_of(self.id).is_none() && self.now >= due;
        let why = late.then(|| format!("it is over since {over}, and nobody began its offboarding by {due}"));
        judged.item(Criterion::EndedOffboarded, self.agent, || self.id.to_string(), why);
        judged.ahead(due, self.now);
    }

    /// Why the approval of the version in force does not count, if it does not.
    fn unapproved(&self) -> Option<String> {
        let approval = self.known.reviews.approved().and_then(|id| self.state.approvals.get(id));
        let Some(approval) = approval else { return Some("no approval of it is on record".to_owned()) };
        if approval.subject != self.id.to_string() {
            return Some(format!("approval {} is of {}", approval.id, approval.subject));
        }
        let widened = || format!("the version in force gives more than approval {} did", approval.id);
        lacks(approval).or_else(|| self.widened.then(widened))
    }

    /// Who else is admitted by a proof of it, if anybody is.
    fn overlaps(&self) -> Option<String> {
        let others = self.state.in_force.overlapping(Holder::Integration(self.record));
        let first: &ClientId = others.first()?;
        Some(format!("a proof that admits it admits {first} too"))
    }

    /// Judges one environment. Returns whether it has access there.
    fn place(&self, environment: &EnvironmentName, access: &Access, judged: &mut Judged) -> bool {
        let mut life = Life::new();
        let has_access = standing(self.id, environment, self.state, self.now, &mut Trace::off(), &mut life).is_ok();
        let name = || format!("{}/{environment}", self.id);
        if has_access {
            judged.ahead(life.ends, self.now);
            let (starts, ends) = (self.record.contract.starts, self.record.ends_in(environment));
            let inside = starts <= self.now && self.now < ends;
            let why = (!inside).then(|| format!("there is access outside of {starts} to {ends}"));
            judged.item(Criterion::ContractInForce, self.agent, name, why);
            let due = self.state.review_due(self.id, environment);
            let why = due.filter(|due| *due <= self.now).map(|due| format!("a review was due {due}, and there is access"));
            judged.item(Criterion::ReviewsOnTime, self.agent, name, why);
        }
        if let Some(due) = self.state.review_due(self.id, environment) {
            judged.ahead(due, self.now);
        }
        for binding in &access.bindings {
            if let Admits::Jwt(rule) = &binding.admits {
                self.rule(rule, || format!("{}/{environment}/{}", self.id, binding.name), judged);
            }
        }
        for (api, scope) in access.all_scopes() {
            let unrated = api.as_str() != BUILT_IN_API && self.state.risk(api, scope).is_none();
            let why = unrated.then(|| "the catalogue does not have it".to_owned());
            judged.item(Criterion::ScopesRated, self.agent, || format!("{}/{environment} {api} {scope}", self.id), why);
        }
        for request in self.state.elevations.of(self.id, environment) {
            self.elevation(request, judged);
        }
        has_access
    }

    fn rule(&self, rule: &JwtRule, name: impl Fn() -> String, judged: &mut Judged) {
        let nameless = !names_its_caller(rule);
        let why = nameless.then(|| "it compares no claim that names the workload".to_owned());
        judged.item(Criterion::BindingsNameTheCaller, self.agent, &name, why);
        let of_people = self.people.contains(&rule.issuer);
        let why = of_people.then(|| format!("our people sign in at {}", rule.issuer));
        judged.item(Criterion::NoBindingOfPeople, self.agent, &name, why);
        let why = plain_source(&rule.keys).map(|url| format!("its keys are fetched from {url}"));
        judged.item(Criterion::KeysFetchedSafely, self.agent, &name, why);
    }

    fn elevation(&self, request: &Request, judged: &mut Judged) {
        let id = || request.elevation.id.to_string();
        if let Some((starts, ends)) = request.period() {
            judged.ahead(starts, self.now);
            judged.ahead(ends, self.now);
        }
        if request.elevation.break_glass {
            let why = request.is_overdue(self.now).then(|| format!("nobody reviewed it by {}", request.review_due()));
            judged.item(Criterion::BreakGlassReviewed, self.agent, id, why);
        } else if request.standing(self.now) == Standing::Active {
            judged.item(Criterion::ElevationsApproved, self.agent, id, unapproved_elevation(request));
        }
    }

    fn secrets(&self, has_access: bool, judged: &mut Judged) {
        for secret in &self.record.exceptions {
            let id = ExceptionId::of(self.id, &secret.what);
            if self.known.exceptions.is_closed(&id, secret) {
                continue;
            }
            let late = self.now >= secret.ends && has_access && secret.on_past_due == OnPastDue::Report;
            let why = late.then(|| format!("it should have ended {}, and tokens are issued all the same", secret.ends));
            judged.item(Criterion::StaticSecretsOnTime, self.agent, || id.to_string(), why);
            judged.ahead(secret.ends, self.now);
        }
    }

    fn unowned(&self) -> Option<String> {
        if let Some(end) = self.state.owner_end(self.id).filter(|end| end.at <= self.now) {
            return Some(format!("an owner left {}, and there is access after {}", end.left, end.at));
        }
        self.state.directory()?;
        let owners = self.known.owners.ids();
        if owners.is_one_person() {
            return Some("one person is both owners".to_owned());
        }
        (!owners.is_complete()).then(|| "the directory does not know both owners".to_owned())
    }

    fn unverified(&self) -> Option<String> {
        let Some(partner) = self.state.partners.get(&self.id.partner).filter(|partner| partner.current.is_some()) else {
            return Some("its partner was never verified".to_owned());
        };
        (!partner.is_verified(self.now)).then(|| "the verification of its partner has run out".to_owned())
    }
}

/// Whether a signal says that the reason for access is over.
const fn says_over(signal: SignalKind) -> bool {
    match signal {
        SignalKind::ContractEnded | SignalKind::UseCaseEnded => true,
        SignalKind::EnvironmentEnded | SignalKind::OwnerLeft | SignalKind::Compromised => false,
    }
}

/// What an approval of a record lacks. It is counted anew, by people: an entry may have been written by other means.
pub(super) fn lacks(approval: &Approval) -> Option<String> {
    let asker = approval.requested_by.person();
    let counts = |person: &Person| {
        !asker.is_some_and(|asker| asker.is(person)) && !approval.barred.iter().any(|barred| barred.is(person))
    };
    let voters = |role: Role| {
        let of = approval.reviews.iter().filter(move |one| one.verdict == Verdict::Approve && one.roles.contains(&role));
        of.map(|one| &one.by).filter(move |person| counts(person))
    };
    let two = voters(Role::Owner).any(|owner| voters(Role::Security).any(|other| !owner.is(other)));
    if !two {
        return Some(format!("approval {} lacks an owner and somebody of security who did not ask for it", approval.id));
    }
    (!approval.is_complete()).then(|| format!("approval {} was denied or withdrawn", approval.id))
}

/// What the approval of an elevation lacks.
fn unapproved_elevation(request: &Request) -> Option<String> {
    let rule = &request.elevation.rule;
    let open = rule.open(&request.reviews, request.asked).len();
    if open > 0 {
        return Some(format!("{open} of {} demands for people are open", rule.demands.len()));
    }
    let asker = request.elevation.requested_by.person();
    let own = request.reviews.iter().any(|one| asker.is_some_and(|asker| asker.is(&one.by)) || rule.is_barred(&one.by));
    own.then(|| "somebody approved it who may not".to_owned())
}

/// The address of keys that are fetched without TLS.
fn plain_source(keys: &KeySource) -> Option<&str> {
    let url = match keys {
        KeySource::Discovery(issuer) => issuer.as_str(),
        KeySource::JwksUri(url) | KeySource::BundleUrl(url) => url,
        KeySource::Inline(_) | KeySource::InlineBundle(_) => return None,
    };
    (!url.starts_with("https://")).then_some(url)
}
