//! The steps, each as its operation takes it.

use serde_json::json;

use super::Who;
use crate::broker::exception::without_closed;
use crate::broker::guardrail::Hand;
use crate::broker::plan::Action;
use crate::broker::review::{ask, could_take_force};
use crate::broker::stored::{Stored, ensure_may_apply, is_turned_down};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::check::conflicts_in;
use crate::domain::decision::consequence::{next, next_judged};
use crate::domain::decision::{longest, stopped};
use crate::domain::fixture::{at, production, state};
use crate::domain::log::api::ApiChange;
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::people::actor::{
    Actor, Authorized, Close, CloseException, Contain, Permission, Person, Review, Role, Staff, Submit,
};
use crate::domain::record::{self, Record};
use crate::domain::registry::approval::{Approval, Kind, Verdict};
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::integration::{Integration, OnPastDue, OnSilence, StaticSecret};
use crate::domain::registry::recertification::ItemVerdict;
use crate::domain::registry::suspension::{SuspensionCause, version};
use crate::domain::state::closures::Closures;
use crate::domain::state::{Party, Phase, State, exceptions};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApprovalId, ExceptionId, IntegrationId, RevocationId};

/// A step.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Apply(Who, Doc),
    Submit(Who),
    Discard(Who),
    Review(Who, ApprovalId, Verdict),
    Suspend(Who, Subject),
    AskResume(Who, Subject),
    Revoke(Who),
    AskLift(Who),
    AskClose(Who),
    CloseException(Who),
    Enrol(Who),
    RemoveGuardrail(Who),
    Cut(Who, Who),
    /// A campaign of reviews of everything.
    StartReviews(Who, OnSilence),
    /// A word on the review of the integration in force: one decision on all its scopes.
    Decide(Who, ItemVerdict),
    Offboard(Who),
    AskAbort(Who),
    /// Everything of the case is over but people's words.
    Over,
    /// So long that nobody may answer any more what waits.
    Wait,
}

/// A record that somebody applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Doc {
    /// The integration in force, with a later end.
    Wider,
    /// The same with an earlier end.
    Narrower,
    /// The same as it was at the start.
    Base,
    /// A new integration of the second partner.
    Draft,
    /// The second partner.
    Partner,
    /// The API with one scope more.
    Api,
    /// A guardrail that counts.
    Shadow,
    /// The same guardrail, which refuses.
    Enforce,
}

/// Whom a suspension stops.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Subject {
    Integration,
    Partner,
}

/// What a step made.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    /// The approval that it opened.
    pub approval: Option<ApprovalId>,
}

#[derive(Clone)]
pub(super) struct World {
    pub state: State,
    pub now: i64,
    suspensions: usize,
    revocations: usize,
}

pub(super) fn person(who: Who) -> Person {
    let id = format!("{who:?}").to_lowercase();
    Person { iss: "https://idp.acme.example".parse().expect("an issuer"), id: id.into(), name: None }
}

fn staff(who: Who) -> Staff {
    let roles: &[Role] = match who {
        Who::Olga => &[Role::Owner],
        Who::Sven => &[Role::Security],
        Who::Bob => &[Role::Owner, Role::Security],
        Who::Adam => &[Role::Administrator],
        Who::Robot => &[Role::Owner, Role::Security, Role::Administrator],
    };
    let machine = who == Who::Robot;
    let roles = roles.iter().copied().collect();
    Staff { person: person(who), roles, machine, fresh: !machine, until: Timestamp::MAX }
}

pub(super) fn sync() -> IntegrationId {
    "globex/order-sync".parse().expect("an id")
}

pub(super) fn feed() -> IntegrationId {
    "initech/feed".parse().expect("an id")
}

/// The name of a version: SHA-256 of the record in it.
pub(super) fn version_of(record: &Record) -> Digest {
    match record {
        Record::Api(record) => Digest::of_json(record),
        Record::Guardrail(record) => Digest::of_json(record),
        Record::Integration(record) => Digest::of_json(record),
        Record::Partner(record) => Digest::of_json(record),
    }
}

impl Subject {
    pub(super) fn party(self) -> Party {
        match self {
            Self::Integration => Party::Integration(sync()),
            Self::Partner => Party::Partner("globex".parse().expect("a name")),
        }
    }
}

impl World {
    /// A partner with an integration in force and a static secret, another one of whom nothing is known, and an API.
    pub(super) fn start() -> Self {
        let mut world = Self { state: state(), now: 0, suspensions: 0, revocations: 0 };
        let mut record = world.integration();
        let ends = at(9_000_000);
        let secret = StaticSecret {
            what: "an SFTP key".into(),
            control: "a list".into(),
            owner: "raj".into(),
            ends,
            on_past_due: OnPastDue::Refuse,
        };
        record.exceptions = vec![secret];
        world.fold(Actor::Operator, IntegrationChange::Narrowed { record: Box::new(record), reason: None });
        world
    }

    fn integration(&self) -> Integration {
        self.state.integrations[&sync()].current.as_ref().expect("in force").record.as_ref().clone()
    }

    /// Folds a change. All have one index, so that two orders of the same steps meet in one state.
    pub(super) fn fold(&mut self, by: Actor, change: impl Into<Change>) {
        self.state.apply(100, at(self.now), &change.into().by(by));
    }

    pub(super) fn document(&self, doc: Doc) -> Record {
        let start = || {
            let mut record = self.integration();
            record.contract.ends = at(20_000_000);
            record.purpose = "Copies orders.".into();
            record
        };
        let guardrail = |mode| Guardrail {
            name: "none".parse().expect("a name"),
            meaning: "Nothing.".into(),
            managed_by: None,
            mode,
            cedar: "forbid (principal, action, resource) when { context.elevated };".into(),
        };
        match doc {
            Doc::Base => Record::Integration(start()),
            Doc::Wider => {
                let mut record = start();
                record.contract.ends = at(25_000_000);
                Record::Integration(record)
            }
            Doc::Narrower => {
                let mut record = start();
                record.contract.ends = at(10_000_000);
                Record::Integration(record)
            }
            Doc::Draft => {
                let mut record = Integration { id: feed(), exceptions: Vec::new(), ..start() };
                // A review may have taken the environment out of the record.
                if let Some(access) = record.environments.get_mut(&production()) {
                    access.bindings.clear();
                    access.bindings.push(crate::domain::registry::binding::Binding {
                        name: "cert".parse().expect("a name"),
                        admits: crate::domain::registry::binding::Admits::Certificate,
                    });
                }
                Record::Integration(record)
            }
            Doc::Partner => {
                let known = self.state.partners.values().next().and_then(|known| known.current.as_ref()).expect("verified");
                let mut record = known.record.as_ref().clone();
                record.name = "initech".parse().expect("a name");
                Record::Partner(record)
            }
            Doc::Api => {
                let known = self.state.apis.values().next().and_then(|api| api.current.as_ref()).expect("in force");
                let mut record = known.record.as_ref().clone();
                let entry = record.scopes.values().next().expect("a scope").clone();
                record.scopes.insert("orders:write".parse().expect("a scope"), entry);
                Record::Api(record)
            }
            Doc::Shadow => Record::Guardrail(guardrail(Mode::Shadow)),
            Doc::Enforce => Record::Guardrail(guardrail(Mode::Enforce)),
        }
    }

    /// Reviews that people may try: of everything that waits.
    pub(super) fn reviews(&self) -> Vec<Step> {
        let now = at(self.now);
        let waits = |approval: &&std::sync::Arc<Approval>| {
            approval.standing(now) == crate::domain::registry::approval::Standing::Pending
        };
        let waiting = self.state.approvals.values().filter(waits).map(|approval| approval.id.clone());
        let each = |id: ApprovalId| {
            let approve = super::EVERYBODY.map(|who| Step::Review(who, id.clone(), Verdict::Approve));
            approve.into_iter().chain([Step::Review(Who::Sven, id, Verdict::Deny)])
        };
        waiting.flat_map(each).collect()
    }

    /// The caller of an operation, if the permission lets them in and nobody cut them.
    pub(super) fn admitted<P: Permission>(&self, who: Who) -> Option<Staff> {
        let by = Authorized::<P>::assertion(staff(who)).ok()?;
        self.state.ensure_not_cut(&by.staff().person).ok()?;
        Some(by.staff().clone())
    }

    /// An approval's id by what it is about, so that two orders of the same steps meet.
    pub(super) fn fresh(&self, kind: &str, subject: &str) -> ApprovalId {
        let begin = format!("{kind}-{}-", subject.replace('/', "-"));
        let known = self.state.approvals.keys().filter(|id| id.as_str().starts_with(&begin)).count();
        format!("{begin}{known}").parse().expect("an id")
    }

    /// Takes a step; nothing if it is refused or changes nothing.
    pub(super) fn take(&mut self, step: &Step) -> Option<Taken> {
        match step {
            Step::Apply(who, doc) => self.apply(*who, self.document(*doc)),
            Step::Submit(who) => self.submit(*who),
            Step::Discard(who) => self.discard(*who),
            Step::Review(who, id, verdict) => self.review(*who, id, *verdict),
            Step::Suspend(who, subject) => self.suspend(*who, *subject),
            Step::AskResume(who, subject) => self.ask_resume(*who, *subject),
            Step::Revoke(who) => self.revoke(*who),
            Step::AskLift(who) => self.ask_lift(*who),
            Step::AskClose(who) => self.ask_close(*who),
            Step::CloseException(who) => self.close_exception(*who),
            Step::Enrol(who) => self.enrol(*who),
            Step::RemoveGuardrail(who) => self.remove_guardrail(*who),
            Step::Cut(who, whom) => {
                let by = self.admitted::<Contain>(*who)?;
                let cut = StaffChange::Cut { person: person(*whom), reason: "left".into() };
                self.fold(by.actor(), cut);
                Some(Taken::default())
            }
            Step::StartReviews(who, on_silence) => self.start_reviews(*who, *on_silence),
            Step::Decide(who, verdict) => self.decide(*who, *verdict),
            Step::Offboard(who) => self.offboard(*who),
            Step::AskAbort(who) => self.ask_abort(*who),
            Step::Over => self.over(),
            Step::Wait => {
                self.now += 31 * 86_400;
                (self.now < 100 * 86_400).then(Taken::default)
            }
        }
    }

    /// As `Broker::apply` and `item` weigh a document and store it.
    fn apply(&mut self, who: Who, new: Record) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let (state, now, hand) = (&self.state, at(self.now), Hand::of(&by));
        ensure_may_apply(&by, &new, state, now).ok()?;
        let Stored { newest, in_force } = Stored::of(&new, state);
        let against = in_force.as_ref().or(newest.as_ref()).map(|against| without_closed(against, state));
        let compared = without_closed(&new, state);
        let differences = record::compare(against.as_ref(), &compared, &mut Effort::default()).ok()?;
        let is = |one: &Record, other: &Record| Digest::of_json(one) == Digest::of_json(other);
        let unchanged = newest.as_ref().is_some_and(|newest| is(newest, &new)) && !is_turned_down(&new, state, now);
        let as_in_force = in_force.as_ref().is_some_and(|current| is(&without_closed(current, state), &compared));
        let narrows = in_force.is_some() && (as_in_force || record::is_provably_narrowing(&differences));
        let action = match &new {
            Record::Guardrail(guardrail) => match hand.action(guardrail, state, now) {
                Action::Hold if unchanged => Action::Unchanged,
                Action::Narrow if unchanged && as_in_force => Action::Unchanged,
                action => action,
            },
            _ if unchanged => Action::Unchanged,
            Record::Integration(_) if in_force.is_none() => Action::Draft,
            Record::Api(_) | Record::Integration(_) if narrows => Action::Narrow,
            Record::Api(_) | Record::Integration(_) | Record::Partner(_) => Action::Hold,
        };
        if action == Action::Unchanged {
            return None;
        }
        let holder = new.holder().filter(|_| !narrows);
        if holder.is_some_and(|holder| !conflicts_in(holder, state, now, &mut Effort::default()).is_empty()) {
            return None;
        }
        if let Record::Guardrail(guardrail) = &new {
            hand.ensure_may_replace(&guardrail.name, state, now).ok()?;
        }
        let (_, subject) = new.name();
        let open = |kind: Kind, version: Digest| {
            let id = self.fresh("version", &subject);
            ask(&id, kind, subject.clone(), version, &by.actor(), Vec::new(), now)
        };
        let (refuses, unknown, reason) = (0, 0, None);
        let (change, approval): (Change, Option<Approval>) = match (new, action) {
            (Record::Api(record), Action::Narrow) => (ApiChange::Narrowed { record: Box::new(record), reason }.into(), None),
            (Record::Guardrail(record), Action::Narrow | Action::PutBack) => {
                (GuardrailChange::Applied { record: Box::new(record), refuses, unknown, reason }.into(), None)
            }
            (Record::Guardrail(record), _) => {
                let approval = open(Kind::Guardrail, Digest::of_json(&record));
                let (asked, record) = (approval.clone(), Box::new(record));
                (GuardrailChange::Submitted { approval, record, refuses, unknown }.into(), Some(asked))
            }
            (Record::Api(record), _) => {
                let approval = open(Kind::Api, Digest::of_json(&record));
                (ApiChange::Submitted { approval: approval.clone(), record: Box::new(record) }.into(), Some(approval))
            }
            (Record::Partner(record), _) => {
                let approval = open(Kind::Partner, Digest::of_json(&record));
                (PartnerChange::Submitted { approval: approval.clone(), record: Box::new(record) }.into(), Some(approval))
            }
            (Record::Integration(record), Action::Narrow) => {
                (IntegrationChange::Narrowed { record: Box::new(record), reason }.into(), None)
            }
            (Record::Integration(record), Action::Hold) => {
                let approval = open(Kind::Change, Digest::of_json(&record));
                let (asked, record) = (approval.clone(), Box::new(record));
                (IntegrationChange::ChangeHeld { approval, record, owners: None }.into(), Some(asked))
            }
            (Record::Integration(record), _) => (IntegrationChange::Drafted { record: Box::new(record), reason }.into(), None),
        };
        self.fold(by.actor(), change);
        Some(Taken { approval: approval.map(|approval| approval.id) })
    }

    /// As `Broker::submit`.
    fn submit(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let (id, now) = (feed(), at(self.now));
        let known = self.state.integrations.get(&id)?;
        let held = known.held.as_ref().filter(|_| known.phase() == Phase::Draft)?;
        let is_free = known.suspensions.first_of_all().is_none()
            && longest::in_state(&held.version.record, &self.state, now).is_empty()
            && conflicts_in(
                Record::Integration(held.version.record.as_ref().clone()).holder()?,
                &self.state,
                now,
                &mut Effort::default(),
            )
            .is_empty();
        let barred = held.version.by.person().cloned().into_iter().collect();
        let asked = self.fresh("submit", &id.to_string());
        let approval = ask(&asked, Kind::Integration, id.to_string(), held.version.version, &by.actor(), barred, now);
        is_free.then(|| self.fold(by.actor(), IntegrationChange::Submitted { integration: id, approval, owners: None }))?;
        Some(Taken { approval: Some(asked) })
    }

    fn discard(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let version = self.state.integrations.get(&feed())?.discardable().ok()?.version;
        let (integration, reason) = (feed(), "odd".into());
        self.fold(by.actor(), IntegrationChange::Discarded { integration, version, reason });
        Some(Taken::default())
    }

    /// As `Broker::review`.
    fn review(&mut self, who: Who, id: &ApprovalId, verdict: Verdict) -> Option<Taken> {
        let by = self.admitted::<Review>(who)?;
        let (state, now) = (&self.state, at(self.now));
        let approval = state.approvals.get(id)?;
        let roles = approval.review(&by, approval.version, now).ok()?;
        if !approval.is_current(state) {
            return None;
        }
        if verdict == Verdict::Approve {
            could_take_force(approval, state, now, &mut Effort::default()).ok()?;
        }
        self.fold(by.actor(), ApprovalChange::Reviewed { approval: id.clone(), verdict, reason: "seen".into(), roles });
        Some(Taken::default())
    }

    fn suspend(&mut self, who: Who, subject: Subject) -> Option<Taken> {
        let by = self.admitted::<Contain>(who)?;
        if self.suspensions == 2 {
            return None;
        }
        self.suspensions += 1;
        let id = Some(format!("suspension-{}", self.suspensions).parse().expect("an id"));
        let (reason, environments) = ("odd".into(), std::collections::BTreeSet::new());
        let change: Change = match subject.party() {
            Party::Partner(partner) => PartnerChange::Suspended { partner, reason, id, environments }.into(),
            Party::Integration(integration) => {
                let cause = SuspensionCause::Decision;
                IntegrationChange::Suspended { integration, reason, id, environments, cause }.into()
            }
        };
        self.fold(by.actor(), change);
        Some(Taken::default())
    }

    /// As `Broker::ask_resume`, of all suspensions in force.
    fn ask_resume(&mut self, who: Who, subject: Subject) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let party = subject.party();
        let known = self.state.suspensions(&party).filter(|known| !known.is_empty())?;
        let lifts = known.named(&[]);
        stopped::resume(&party, &lifts, &self.state).ok()?;
        let mut authors: Vec<Person> = Vec::new();
        for author in lifts.iter().filter_map(|one| one.by.person()) {
            if !authors.iter().any(|known| known.is(author)) {
                authors.push(author.clone());
            }
        }
        let (text, now) = (party.to_string(), at(self.now));
        let asked = self.fresh("resume", &text);
        let approval = ask(&asked, Kind::Resume, text.clone(), version(&text, &lifts), &by.actor(), authors, now);
        let (reason, suspensions) = ("over".into(), lifts.iter().map(|one| one.id.clone()).collect());
        let change: Change = match party {
            Party::Partner(partner) => PartnerChange::ResumeAsked { partner, reason, approval, suspensions }.into(),
            Party::Integration(integration) => {
                IntegrationChange::ResumeAsked { integration, reason, approval, suspensions }.into()
            }
        };
        self.fold(by.actor(), change);
        Some(Taken { approval: Some(asked) })
    }

    fn revoke(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Contain>(who)?;
        if self.revocations == 1 {
            return None;
        }
        self.revocations += 1;
        let (id, reason) = ("revocation-1".parse().expect("an id"), "stolen".into());
        let target = RevocationTarget::Integration { integration: sync() };
        self.fold(by.actor(), RevocationChange::Added { id, target, tokens_only: false, reason, client: None });
        Some(Taken::default())
    }

    /// As `Broker::ask_lift`.
    fn ask_lift(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Contain>(who)?;
        let id: RevocationId = "revocation-1".parse().expect("an id");
        let known = self.state.revocations.get(&id).filter(|known| known.target.can_be_lifted() && !known.lifted)?;
        let barred = known.by.person().cloned().into_iter().collect();
        let asked = self.fresh("lift", id.as_str());
        let approval = ask(&asked, Kind::Lift, id.to_string(), known.version(), &by.actor(), barred, at(self.now));
        self.fold(by.actor(), RevocationChange::LiftAsked { id, reason: "over".into(), approval });
        Some(Taken { approval: Some(asked) })
    }

    /// As `Broker::close_environment`.
    fn ask_close(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Close>(who)?;
        let environment = production();
        let known = self.state.environment(&environment).filter(|_| self.state.closures.of(&environment).is_none())?;
        let version = Closures::version(&environment, known);
        let asked = self.fresh("close", environment.as_str());
        let approval = ask(&asked, Kind::Environment, environment.to_string(), version, &by.actor(), Vec::new(), at(self.now));
        let (reason, approval) = ("over".into(), Box::new(approval));
        self.fold(by.actor(), EnvironmentChange::CloseAsked { environment, reason, approval });
        Some(Taken { approval: Some(asked) })
    }

    /// As `Broker::close_exception`.
    fn close_exception(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<CloseException>(who)?;
        let exception = ExceptionId::of(&sync(), "an SFTP key");
        let (integration, secret) = self.state.exception(&exception)?;
        let known = self.state.integrations.get(integration)?;
        known.open_exceptions().find(|(open, _)| *open == exception)?;
        let (integration, version) = (integration.clone(), exceptions::version(&exception, secret));
        let asked = self.fresh("exception", &integration.to_string());
        let approval = ask(&asked, Kind::Exception, integration.to_string(), version, &by.actor(), Vec::new(), at(self.now));
        let (evidence, approval) = ("deleted".into(), Box::new(approval));
        self.fold(by.actor(), ExceptionChange::CloseAsked { exception, integration, evidence, approval });
        Some(Taken { approval: Some(asked) })
    }

    /// As `Broker::ask_enrolment`.
    fn enrol(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        stopped::enrolment(&sync(), &production(), &self.state).ok()?;
        let subject = format!("{}/{}", sync(), production());
        let asked = self.fresh("enrolment", &subject);
        let secret = Digest::of(asked.as_str().as_bytes());
        let approval = ask(&asked, Kind::Enrolment, subject, secret, &by.actor(), Vec::new(), at(self.now));
        let (integration, environment, reason) = (sync(), production(), "a machine".into());
        let id = asked.as_str().parse().expect("an id");
        self.fold(by.actor(), CertificateChange::EnrolmentAsked { id, integration, environment, secret, reason, approval });
        Some(Taken { approval: Some(asked) })
    }

    /// As `Broker::remove_guardrail`.
    fn remove_guardrail(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let (name, now) = ("none".parse().expect("a name"), at(self.now));
        let known = self.state.guardrails.get("none")?;
        Hand::of(&by).ensure_may_replace(&name, &self.state, now).ok()?;
        let version = known.removal_version()?;
        let asked = self.fresh("removal", name.as_str());
        let approval = ask(&asked, Kind::Guardrail, name.to_string(), version, &by.actor(), Vec::new(), now);
        self.fold(by.actor(), GuardrailChange::RemovalAsked { guardrail: name, reason: "odd".into(), approval });
        Some(Taken { approval: Some(asked) })
    }

    /// Takes each step that follows from the state, as `Broker::settle`.
    pub(super) fn settle(&mut self) {
        let due = |world: &Self| {
            let now = at(world.now);
            next(&world.state, now).or_else(|| next_judged(&world.state, now))
        };
        for _ in 0..20 {
            let Some(change) = due(self) else { return self.close_signed() };
            self.fold(Actor::Broker, change);
        }
        panic!("consequences without end");
    }

    /// What tells this state from others, without its entries and their order.
    pub(super) fn summary(&self) -> Vec<u8> {
        let state = &self.state;
        let approvals: Vec<_> = state
            .approvals
            .values()
            .filter(|one| one.requested_by.person().is_some() || one.kind == Kind::Offboarding)
            .collect();
        let cases: Vec<_> = state
            .offboardings
            .all()
            .map(|(id, case)| {
                (id, &case.by, case.found.is_some(), &case.sign_off, case.abort.as_ref().map(|one| &one.0), case.manifest())
            })
            .collect();
        let integrations: Vec<_> = state
            .integrations
            .iter()
            .map(|(id, known)| {
                let versions = (
                    known.current.as_ref().map(|current| current.version),
                    known.held.as_ref().map(|held| (held.version.version, &held.version.by, &held.approval)),
                );
                let suspensions: Vec<_> = known.suspensions.iter().map(|one| (&one.id, &one.by)).collect();
                let exceptions: Vec<_> = known.open_exceptions().map(|(id, _)| id).collect();
                let places = known.reviews.places().map(|(name, place)| {
                    let word = place.word.as_ref().map(|word| (&word.by, word.second.is_some()));
                    json!([name, place.number(), place.due, place.asked.len(), word])
                });
                let reviews: Vec<_> = places.collect();
                json!([id, versions, suspensions, known.suspensions.resume(), exceptions, reviews])
            })
            .collect();
        let partners: Vec<_> = state
            .partners
            .iter()
            .map(|(name, known)| {
                let held = known.held.as_ref().map(|held| (held.version.version, &held.approval));
                let suspensions: Vec<_> = known.suspensions.iter().map(|one| (&one.id, &one.by)).collect();
                json!([
                    name,
                    known.current.as_ref().map(|current| current.version),
                    held,
                    suspensions,
                    known.suspensions.resume()
                ])
            })
            .collect();
        let apis: Vec<_> = state
            .apis
            .iter()
            .map(|(name, api)| {
                json!([name, api.current.as_ref().map(|one| one.version), api.held.as_ref().map(|one| &one.approval)])
            })
            .collect();
        let guardrails: Vec<_> = state
            .guardrails
            .all()
            .map(|(name, one)| {
                let versions = (one.current.as_ref().map(|one| one.version), one.held.as_ref().map(|one| &one.approval));
                json!([name, versions, one.removal, one.enforced, one.begun])
            })
            .collect();
        let stops: Vec<_> = state.revocations.values().map(|one| json!([one.id, one.by, one.lifted, one.lift])).collect();
        let closed: Vec<_> = state.closures.iter().map(|(name, _)| name).collect();
        let cuts: Vec<_> = state.staff_cuts.iter().map(|(person, _)| &person.id).collect();
        let all = json!([self.now, approvals, integrations, partners, apis, guardrails, stops, closed, cuts]);
        let campaigns: Vec<_> =
            state.recertification.campaigns.iter().map(|(id, one)| json!([id, one.by, one.approval, one.started])).collect();
        let counts = json!([self.suspensions, self.revocations, campaigns, cases]);
        Digest::of_json(&(all, counts)).0.to_vec()
    }
}
