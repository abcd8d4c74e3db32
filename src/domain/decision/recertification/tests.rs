//! What follows from time, from versions and from decisions, over the fixture's integration.

use proptest::prelude::*;

use super::*;
use crate::domain::fixture::{at, state};
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::people::actor::Actor;
use crate::domain::registry::integration::OnSilence;
use crate::domain::registry::recertification::ReviewCause;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::IntegrationId;

const DAY: i64 = 86_400;

fn id() -> IntegrationId {
    "globex/order-sync".parse().expect("an id")
}

fn production() -> EnvironmentName {
    "production".parse().expect("a name")
}

fn review(number: u32) -> ReviewId {
    ReviewId { integration: id(), environment: production(), number }
}

fn person(name: &str) -> Person {
    Person { iss: "https://idp.example".parse().expect("an issuer"), id: name.into(), name: None }
}

fn staff(name: &str, role: Role) -> Staff {
    Staff { person: person(name), roles: [role].into(), machine: false, fresh: true, until: Timestamp::MAX }
}

struct World {
    state: State,
    index: u64,
}

impl World {
    /// Reviews count from the second 0 on, so the first is due after 30 days or what is left of the interval.
    fn new() -> Self {
        let mut world = Self { state: state(), index: 100 };
        let mut configuration = world.state.configuration.clone().expect("configured");
        configuration.governance.reviews = true;
        world.say(0, &Actor::Operator, ConfigurationChange::Changed(configuration));
        world
    }

    fn say(&mut self, seconds: i64, by: &Actor, what: impl Into<Change>) {
        self.index += 1;
        self.state.apply(self.index, at(seconds), &what.into().by(by.clone()));
    }

    fn record(&self) -> Integration {
        self.state.integrations[&id()].current.as_ref().expect("in force").record.as_ref().clone()
    }

    fn narrow(&mut self, seconds: i64, change: impl FnOnce(&mut Integration)) {
        let mut record = self.record();
        change(&mut record);
        let by = Actor::Staff(person("ann"));
        self.say(seconds, &by, IntegrationChange::Narrowed { record: Box::new(record), reason: None });
    }

    fn end(&self) -> Timestamp {
        self.state.review_end(&id(), &production()).expect("silence refuses")
    }

    fn decide(&mut self, day: i64, by: &Staff, items: &[ItemDecision]) -> Result<Decided, Undecided> {
        let (known, place) = (&self.state.integrations[&id()], production());
        let (record, access) = known.access(&place).ok_or(Undecided::Refused(&reason::NOT_FOUND))?;
        let seen = version(&place, record, access, &self.state);
        let number = known.reviews.place(&place).expect("a place").number();
        let decided = decide(&review(number), by, (seen, items), &self.state, at(day * DAY))?;
        let change = RecertificationChange::Decided {
            review: review(number),
            word: decided.word,
            version: seen,
            seen,
            viewed: Some(at(day * DAY - 5)),
            items: items.to_vec(),
            reason: "looked".into(),
            record: decided.record.clone(),
            completes: decided.completes,
        };
        self.say(day * DAY, &Actor::Staff(by.person.clone()), change);
        if decided.completes {
            let version = Digest::of_json(&self.record());
            self.say(day * DAY, &Actor::Broker, RecertificationChange::Completed { review: review(number), version });
        }
        Ok(decided)
    }

    /// A decision on each scope of the record.
    fn all(&self, verdict: ItemVerdict) -> Vec<ItemDecision> {
        let record = self.record();
        let Some(access) = record.environments.get(&production()) else { return Vec::new() };
        let one = |(api, rule): (&ApiName, &ScopeRule)| ItemDecision {
            api: api.clone(),
            scope: rule.scope.clone(),
            decision: verdict,
            allow: Vec::new(),
            reason: Some("needed".into()),
        };
        access.standing().map(one).collect()
    }
}

#[test]
fn a_shorter_interval_leaves_time_to_answer_and_never_moves_the_date_back() {
    let mut world = World::new();
    world.narrow(0, |record| record.review.every = Seconds::days(80));
    let first = world.end();
    // Attack: one person shortens the interval each day, so that a review is never due.
    let mut last = first;
    for day in 1..60u32 {
        world.narrow(i64::from(day) * DAY, |record| record.review.every = Seconds::days(80 - day));
        assert!(world.end() <= last && (world.end() >= at((i64::from(day) + 30) * DAY) || world.end() == last), "{day}");
        last = world.end();
    }
    assert!(last < first);
    // What is overdue stays so, whatever the record says.
    let late = last.as_seconds() - at(0).as_seconds() + 10;
    world.narrow(late, |record| record.review.every = Seconds::days(1));
    assert_eq!(world.end(), last);
    let owner = staff("omar", Role::Owner);
    let keep = world.all(ItemVerdict::Keep);
    assert!(world.decide(late / DAY + 1, &owner, &keep).expect("decided").completes);
    assert!(world.end() > last, "a completed review begins a new interval");
}

#[test]
fn silence_counts_where_the_record_or_production_says_so_and_a_campaign_weakens_nothing() {
    let mut world = World::new();
    let due = world.end();
    world.narrow(5, |record| record.review.on_silence = OnSilence::Report);
    assert_eq!(world.end(), due, "production");
    let mut configuration = world.state.configuration.clone().expect("configured");
    for environment in configuration.environments.values_mut() {
        environment.production = Some(false);
    }
    world.say(6, &Actor::Operator, ConfigurationChange::Changed(configuration.clone()));
    assert_eq!(world.state.review_end(&id(), &production()), None);
    // It becomes production after the due date: what was issued in the meantime is cut.
    for environment in configuration.environments.values_mut() {
        environment.production = Some(true);
    }
    let late = due.as_seconds() - at(0).as_seconds() + 100;
    world.say(late, &Actor::Operator, ConfigurationChange::Changed(configuration));
    assert_eq!(world.end(), due);
    assert_eq!(world.state.narrowings.since(world.index).count(), 1, "tokens that live past it");
}

#[test]
fn the_same_person_is_never_both_and_who_had_a_hand_in_the_version_is_neither() {
    let mut world = World::new();
    let risk = |world: &mut World| {
        let known = world.state.apis.values().next().and_then(|api| api.current.as_ref()).expect("in force");
        let mut record = known.record.as_ref().clone();
        record.scopes.iter_mut().for_each(|(_, entry)| entry.risk = Risk::High);
        let narrowed = crate::domain::log::api::ApiChange::Narrowed { record: Box::new(record), reason: None };
        world.say(7, &Actor::Operator, narrowed);
    };
    risk(&mut world);
    world.narrow(8, |record| record.data_classes.clear());
    let both = Staff { roles: [Role::Owner, Role::Security].into(), ..staff("omar", Role::Owner) };
    let keep = world.all(ItemVerdict::Keep);
    let day = 70;
    for (who, expected) in [
        (staff("ann", Role::Owner), &reason::REVIEW_OWN_VERSION),
        (staff("sven", Role::Security), &reason::REVIEW_ROLE),
        (staff("alan", Role::Auditor), &reason::REVIEW_ROLE),
    ] {
        assert_eq!(world.decide(day, &who, &keep).expect_err("refused"), Undecided::Refused(expected), "{}", who.person.id);
    }
    assert!(!world.decide(day, &both, &keep).expect("decided").completes);
    assert_eq!(world.decide(day, &both, &keep).expect_err("refused"), Undecided::Refused(&reason::REVIEW_SAME_PERSON));
    // Another version is in force: the first word was about the one before.
    world.narrow(day * DAY, |record| {
        let access = record.environments.get_mut(&production()).expect("production");
        access.limits.ttl = Some(Seconds(60));
    });
    let sven = staff("sven", Role::Security);
    assert_eq!(world.decide(day, &sven, &keep).expect_err("refused"), Undecided::Refused(&reason::REVIEW_ROLE));
    assert!(!world.decide(day, &both, &keep).expect("decided").completes);
    assert!(world.decide(day, &sven, &keep).expect("decided").completes);
}

/// Somebody who never looks does not review the same place twice in a row. Somebody else may.
#[test]
fn a_flagged_reviewer_is_followed_by_somebody_else() {
    let mut world = World::new();
    let omar = staff("omar", Role::Owner);
    let mut day = 0;
    for round in 0..10 {
        day += 400;
        world.say(day * DAY - 20 * DAY, &Actor::Broker, unused());
        let keep = world.all(ItemVerdict::Keep);
        let decided = world.decide(day, &omar, &keep);
        assert!(decided.is_ok(), "{round}: {decided:?}");
    }
    world.say(day * DAY + 10 * DAY, &Actor::Broker, unused());
    let keep = world.all(ItemVerdict::Keep);
    let refused = world.decide(day + 11, &omar, &keep).expect_err("refused");
    assert_eq!(refused, Undecided::Refused(&reason::REVIEW_ANOTHER_REVIEWER));
    assert!(world.decide(day + 11, &staff("otto", Role::Owner), &keep).is_ok());
    world.say((day + 12) * DAY, &Actor::Broker, unused());
    assert!(world.decide(day + 13, &omar, &keep).is_ok(), "the last one was somebody else's");
}

fn unused() -> IntegrationChange {
    IntegrationChange::Unused { integration: id(), environment: production(), binding: None, last: None }
}

#[test]
fn a_review_is_the_cause_that_is_due_first_and_answers_all() {
    let mut world = World::new();
    world.narrow(0, |record| record.review.every = Seconds::days(366));
    let opened = |world: &World, day: i64| world.state.integrations[&id()].opened(&production(), at(day * DAY));
    assert_eq!(opened(&world, 1), None);
    world.say(2 * DAY, &Actor::Broker, unused());
    let one = opened(&world, 3).expect("open");
    assert_eq!((one.cause, one.opens, one.due), (ReviewCause::Unused, at(2 * DAY), at(32 * DAY)));
    assert_eq!(world.end(), at(32 * DAY));
    let keep = world.all(ItemVerdict::Keep);
    world.decide(4, &staff("omar", Role::Owner), &keep).expect("decided");
    assert_eq!((opened(&world, 5), world.end()), (None, at(4 * DAY).plus(Seconds::days(366))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// I-1: whatever is decided, no scope stands that did not, and none has an endpoint that it did not have.
    #[test]
    fn i_1_a_decision_never_widens(verdicts in proptest::collection::vec((0usize..4, 0usize..6, 0usize..6), 0..4), strange: bool) {
        let mut world = World::new();
        let endpoints: Vec<Endpoint> =
            ["GET /v1/orders", "GET /v1/orders/{id}", "POST /v1/orders", "DELETE /v1/orders/{id}", "GET /v1/lines", "GET /v1/x"]
                .iter().map(|text| text.parse().expect("an endpoint")).collect();
        let mut items = world.all(ItemVerdict::Keep);
        for (item, (verdict, from, to)) in items.iter_mut().zip(&verdicts) {
            item.decision = [ItemVerdict::Keep, ItemVerdict::Narrow, ItemVerdict::Elevation, ItemVerdict::Remove][*verdict];
            if item.decision == ItemVerdict::Narrow || strange {
                item.allow = endpoints[*from.min(to)..*from.max(to)].to_vec();
            }
        }
        let before = world.record();
        let Ok(decided) = world.decide(70, &staff("omar", Role::Owner), &items) else { return Ok(()) };
        let after = decided.record.map_or(before.clone(), |record| *record);
        let old = &before.environments[&production()];
        if let Some(new) = after.environments.get(&production()) {
            for (api, rule) in new.standing() {
                let was = old.standing().find(|(name, was)| *name == api && was.scope == rule.scope);
                let (_, was) = was.expect("it stood before");
                prop_assert!(was.allow == rule.allow || is_within(&was.allow, &rule.allow));
            }
            prop_assert_eq!(&new.bindings, &old.bindings);
        }
        prop_assert_eq!(after.contract, before.contract);
    }
}
