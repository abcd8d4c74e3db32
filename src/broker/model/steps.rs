//! The steps, the world that they are taken in, and what follows from them.
//!
//! Enter through [`World::take`]. What each step does stands with its family: [`records`](super::records), [`stops`](super::stops),
//! [`others`](super::others), [`reviews`](super::reviews), [`ends`](super::ends).

use super::Who;
use crate::broker::review::could_take_force;
use crate::domain::decision::consequence::{next, next_judged};
use crate::domain::fixture::{at, state};
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::change::Change;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::people::actor::{Actor, Authorized, Contain, Permission, Person, Review, Role, Staff};
use crate::domain::record::Record;
use crate::domain::registry::approval::{Approval, Verdict};
use crate::domain::registry::integration::{OnPastDue, OnSilence, StaticSecret};
use crate::domain::registry::recertification::ItemVerdict;
use crate::domain::state::{Party, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApprovalId, IntegrationId};

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
    pub(super) suspensions: usize,
    pub(super) revocations: usize,
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

    /// Folds a change. All have one index, so that two orders of the same steps meet in one state.
    pub(super) fn fold(&mut self, by: Actor, change: impl Into<Change>) {
        self.state.apply(100, at(self.now), &change.into().by(by));
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
}
