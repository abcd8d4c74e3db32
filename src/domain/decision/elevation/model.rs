//! An exhaustive model of elevations: every order of steps within a bound, against the real code.
//!
//! The steps are those of a requester, two approvers, a bystander, time and a changing record. ABUSE I-11 and I-12 are checked in
//! every state that can be reached. On every step, an elevation that is over must stay over.
//!
//! The rules under test are those of this folder, unchanged. The model only drives [`ask`], [`Request::review`] and
//! [`State::apply`], and keeps its own account of who did what when, against which [`live`] is checked.

use std::collections::{HashSet, VecDeque};

use super::*;
use crate::domain::elevation::*;
use crate::domain::fixture::{NOON, at, production};
use crate::domain::log::change::Change;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::people::actor::{Actor, Person, Role, Staff};
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::{Approvers, Eligible, Integration};
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ElevationId, IntegrationId};

const DURATION: u32 = 1800;
const MAX: u32 = 3600;

/// The number of steps from the start.
///
/// Six reach two requests, both approvers, a change of the record and the end of an elevation.
const DEPTH: usize = 6;

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Who {
    /// An owner who asks.
    Requester,
    /// A person with the role `security`.
    First,
    /// Another person with the role `security`.
    Second,
    /// An auditor.
    Bystander,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Ask(Who),
    /// Reviews the last request, as it is seen now, or as it was seen when it was made.
    Review(Who, Verdict, Seen, bool),
    /// Takes the role away at the identity provider: the next token lacks it.
    LoseRole(Who),
    /// Ends a person's access.
    Cut(Who),
    End,
    /// Changes the record: another number of approvers, or the scope is listed no more.
    Record(Option<u8>),
    Wait(i64),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Seen {
    Now,
    AtFirst,
}

/// The model's own account of an accepted approval.
#[derive(Clone, Debug)]
struct Word {
    who: Who,
    at: i64,
    had_role: bool,
    saw_current: bool,
}

#[derive(Clone)]
struct World {
    state: State,
    now: i64,
    index: u64,
    /// The requests, in order, with the model's own account of each.
    requests: Vec<Asked>,
    without_role: Vec<Who>,
}

#[derive(Clone, Debug)]
struct Asked {
    id: ElevationId,
    by: Who,
    at: i64,
    first_seen: Digest,
    needed: usize,
    words: Vec<Word>,
    over: bool,
    shortest: u32,
}

fn person(who: Who) -> Person {
    let id = format!("{who:?}").to_lowercase();
    Person { iss: "https://idp.acme.example".parse().expect("an issuer"), id: id.into(), name: None }
}

fn integration() -> IntegrationId {
    "globex/order-sync".parse().expect("a name")
}

fn scope() -> crate::domain::value::scope::Scope {
    "orders:read".parse().expect("a scope")
}

/// The fixture's record, with its scope open to elevation by so many people of security.
fn record(state: &State, count: Option<u8>) -> Integration {
    let mut record = state.integrations[&integration()].current.as_ref().expect("a record").record.as_ref().clone();
    let access = record.environments.get_mut(&production()).expect("production");
    access.scopes.clear();
    access.elevation = count
        .map(|count| Eligible {
            scope: scope(),
            api: "orders-api".parse().expect("a name"),
            max: Seconds(MAX),
            approvers: Approvers { count, ..Approvers::one_of(Role::Security) },
            ..crate::domain::examples::small_eligible()
        })
        .into_iter()
        .collect();
    record
}

impl World {
    fn start(count: u8) -> Self {
        let state = crate::domain::fixture::state();
        let mut world = Self { state, now: 0, index: 100, requests: Vec::new(), without_role: Vec::new() };
        world.apply(
            Actor::Operator,
            IntegrationChange::Narrowed { record: Box::new(record(&world.state, Some(count))), reason: None },
        );
        world
    }

    fn apply(&mut self, by: Actor, change: impl Into<Change>) {
        self.index += 1;
        self.state.apply(self.index, at(self.now), &change.into().by(by));
    }

    fn staff(&self, who: Who) -> Staff {
        let role = match who {
            Who::Requester => Role::Owner,
            Who::First | Who::Second => Role::Security,
            Who::Bystander => Role::Auditor,
        };
        let roles = if self.without_role.contains(&who) { Vec::new() } else { vec![role] };
        Staff { person: person(who), roles: roles.into_iter().collect(), machine: false, fresh: true, until: Timestamp::MAX }
    }

    fn needed(&self) -> Option<usize> {
        let access =
            &self.state.integrations[&integration()].current.as_ref().expect("a record").record.environments[&production()];
        access.elevation.first().map(|eligible| usize::from(eligible.approvers.count))
    }

    /// Takes a step, if it can be taken. Returns whether it was.
    fn step(&mut self, step: Step) -> bool {
        match step {
            Step::Wait(seconds) => self.now += seconds,
            Step::LoseRole(who) => {
                if self.without_role.contains(&who) {
                    return false;
                }
                self.without_role.push(who);
            }
            Step::Cut(who) => self.apply(Actor::Operator, StaffChange::Cut { person: person(who), reason: "x".into() }),
            Step::Record(count) => {
                let record = record(&self.state, count);
                self.apply(Actor::Operator, IntegrationChange::Narrowed { record: Box::new(record), reason: None });
            }
            Step::End => {
                let Some(last) = self.requests.last_mut() else { return false };
                last.over = true;
                let what = ElevationChange::Ended { elevation: last.id.clone(), reason: "x".into() };
                let request = self.state.elevations.find(&last.id).expect("a request");
                if request.is_closed(at(self.now)) {
                    return false;
                }
                self.apply(Actor::Staff(person(Who::Second)), what);
            }
            Step::Ask(who) => return self.ask(who),
            Step::Review(who, verdict, seen, shorter) => return self.review(who, verdict, seen, shorter),
        }
        true
    }

    fn ask(&mut self, who: Who) -> bool {
        if self.requests.len() == 2 || self.state.ensure_not_cut(&person(who)).is_err() {
            return false;
        }
        let id: ElevationId = format!("e{}", self.requests.len()).parse().expect("an id");
        let wanted = NewElevation {
            id: id.clone(),
            integration: integration(),
            environment: production(),
            request: ElevationRequest {
                api: "orders-api".parse().expect("a name"),
                scopes: [scope()].into_iter().collect(),
                allow: Vec::new(),
                duration: Seconds(DURATION),
                reason: "x".to_owned(),
                ticket: None,
                starts: None,
                break_glass: false,
            },
            by: Actor::Staff(person(who)),
            binding: None,
            poll: None,
        };
        let Ok(elevation) = ask(wanted, &self.state, at(self.now)) else { return false };
        let needed = self.needed().expect("what is asked for is eligible");
        self.apply(Actor::Staff(person(who)), ElevationChange::Asked { elevation: Box::new(elevation) });
        let first_seen = self.state.elevations.find(&id).expect("a request").version(&self.state);
        self.requests.push(Asked {
            id,
            by: who,
            at: self.now,
            first_seen,
            needed,
            words: Vec::new(),
            over: false,
            shortest: DURATION,
        });
        true
    }

    fn review(&mut self, who: Who, verdict: Verdict, seen: Seen, shorter: bool) -> bool {
        let Some(last) = self.requests.last().cloned() else { return false };
        // The broker makes the same check of the state at the same moment (`ensure_not_cut`).
        if self.state.ensure_not_cut(&person(who)).is_err() {
            return false;
        }
        let staff = self.staff(who);
        let request = self.state.elevations.find(&last.id).expect("a request");
        let current = request.version(&self.state);
        let version = if seen == Seen::Now { current } else { last.first_seen };
        let narrowing = Narrowing { duration: shorter.then_some(Seconds(DURATION / 2)), ..Narrowing::default() };
        let vote = Vote { verdict, seen: version, narrowing: &narrowing, signature: None };
        let Ok(roles) = request.review(&staff, vote, &self.state, at(self.now)) else { return false };
        let what =
            ElevationChange::Reviewed { elevation: last.id, verdict, reason: "x".into(), roles, narrowing, signature: None };
        self.apply(Actor::Staff(person(who)), what);
        let word = Word { who, at: self.now, had_role: staff.roles.contains(&Role::Security), saw_current: version == current };
        let last = self.requests.last_mut().expect("a request");
        match verdict {
            Verdict::Approve => last.words.push(word),
            Verdict::Deny => last.over = true,
        }
        if shorter {
            last.shortest = DURATION / 2;
        }
        true
    }

    /// Checks I-11 and I-12, by the model's own account.
    fn check(&self, path: &dyn Fn() -> String) {
        let environment = production();
        let api = "orders-api".parse().expect("a name");
        let Some(live) = live(&self.state, &integration(), &environment, &api, &scope(), at(self.now)) else { return };
        let asked = self.requests.iter().find(|asked| asked.id == *live.id).expect("what is live was asked for");
        let mut people: Vec<Who> = Vec::new();
        for word in &asked.words {
            assert!(word.had_role && word.saw_current, "I-11: {}", path());
            assert!(word.who != asked.by && word.at < asked.at + i64::from(PATIENCE.0), "I-11: {}", path());
            assert!(!people.contains(&word.who), "I-11, twice: {}", path());
            people.push(word.who);
        }
        assert!(people.len() >= asked.needed, "I-11, too few when asked: {}", path());
        assert!(self.needed().is_some_and(|needed| people.len() >= needed), "I-11, too few now: {}", path());
        assert!(!asked.over, "I-9: {}", path());
        let approved = asked.words.iter().map(|word| word.at).max().expect("somebody agreed");
        let end = approved + i64::from(asked.shortest);
        assert!(approved <= self.now && self.now < end, "I-12: {}", path());
        assert_eq!(live.ends.as_seconds(), NOON + end, "I-12: {}", path());
        assert!(self.state.ensure_not_cut(&person(asked.by)).is_ok(), "who asked is gone: {}", path());
    }

    /// Everything that can matter in a state of the model.
    fn key(&self) -> String {
        let standing: Vec<_> =
            self.state.elevations.all().map(|one| (one.standing(at(self.now)), one.terms().duration)).collect();
        let cuts: Vec<_> = self.state.staff_cuts.iter().map(|(person, _)| &person.id).collect();
        format!("{} {:?} {:?} {:?} {:?} {:?}", self.now, self.requests, standing, self.without_role, cuts, self.needed())
    }
}

fn steps() -> Vec<Step> {
    let mut steps = vec![Step::Ask(Who::Requester), Step::Ask(Who::First), Step::End];
    for who in [Who::Requester, Who::First, Who::Second, Who::Bystander] {
        steps.push(Step::Review(who, Verdict::Approve, Seen::Now, false));
    }
    steps.extend([
        Step::Review(Who::Second, Verdict::Approve, Seen::AtFirst, false),
        Step::Review(Who::First, Verdict::Approve, Seen::Now, true),
        Step::Review(Who::Second, Verdict::Deny, Seen::Now, false),
        Step::LoseRole(Who::Second),
        Step::Cut(Who::Requester),
        Step::Cut(Who::First),
        Step::Record(None),
        Step::Record(Some(1)),
        Step::Record(Some(2)),
        Step::Wait(i64::from(DURATION / 2)),
        Step::Wait(i64::from(PATIENCE.0)),
    ]);
    steps
}

/// Visits every state within [`DEPTH`] steps. Returns their number, and how many are elevated.
fn explore(count: u8) -> (usize, usize) {
    let (mut seen, mut elevated) = (HashSet::new(), 0);
    let mut queue = VecDeque::from([(World::start(count), Vec::<Step>::new())]);
    while let Some((world, path)) = queue.pop_front() {
        if path.len() == DEPTH {
            continue;
        }
        for step in steps() {
            let mut next = world.clone();
            if !next.step(step) || !seen.insert(next.key()) {
                continue;
            }
            let mut path = path.clone();
            path.push(step);
            next.check(&|| format!("{path:?}"));
            // I-9: an elevation that is over stays over, and nothing is taken back.
            for before in world.state.elevations.all() {
                let after = next.state.elevations.find(&before.elevation.id).expect("nothing is forgotten");
                let (was, is) = (before.standing(at(world.now)), after.standing(at(next.now)));
                let over = matches!(was, Standing::Denied | Standing::Ended | Standing::Expired | Standing::Withdrawn);
                assert!(!over || was == is, "I-9: {was:?} became {is:?}: {path:?}");
                assert!(after.terms().duration <= before.terms().duration, "I-12, longer: {path:?}");
            }
            let active = next.state.elevations.all().any(|one| one.standing(at(next.now)) == Standing::Active);
            elevated += usize::from(active);
            queue.push_back((next, path));
        }
    }
    (seen.len(), elevated)
}

#[test]
fn i_11_i_12_hold_in_every_state_that_can_be_reached() {
    for count in [1, 2] {
        let (states, elevated) = explore(count);
        println!("{count}: {states} states, {elevated} of them elevated");
        // Figures of the bound above. A model that reaches nothing would prove nothing.
        assert!(states > 20_000 && elevated > 500, "{states} states, {elevated} of them elevated");
    }
}
