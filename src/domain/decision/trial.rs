//! The tests of an offboarding: what should not work any more is tried, by the code that decides.
//!
//! Enter through [`Trial::of`]. It keeps no credential of the partner: a binding is tried with a supposed proof, a certificate and a token by
//! its entry. Tokens in the live index and signed lists of certificates are read by the broker, which adds them with [`Trial::saw`].

use std::collections::BTreeMap;

use super::ask::Ask;
use super::grant::{Beside, suppose};
use super::guard::Guarded;
use super::stopped;
use crate::domain::decision::admission::Principal;
use crate::domain::elevation::Standing;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::offboarding::{Ending, Test, TestName};
use crate::domain::registry::suspension::Party;
use crate::domain::state::State;
use crate::domain::state::offboarding::Case;
use crate::domain::state::taken::Holder;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ClientId, EnvironmentName, IntegrationId};

/// What a refused attempt is told apart from the reasons: nobody else takes the proof.
const NOBODY: &str = "nobody";

/// What a request for an enrolment, a renewal or an elevation is expected to be told.
const ENDED: &str = "ended";

/// A token or certificate that does not count any more.
const REVOKED: &str = "revoked";

/// Tests that are being made.
pub struct Trial<'a> {
    case: &'a Case,
    made: BTreeMap<(EnvironmentName, TestName), Test>,
}

impl<'a> Trial<'a> {
    /// Tries all that needs no store. `on` is the state of now.
    pub fn of(case: &'a Case, on: Guarded<'_>, now: Timestamp) -> Self {
        let mut trial = Self { case, made: BTreeMap::new() };
        let configured = on.state.configuration.iter().flat_map(|configuration| configuration.environments.keys());
        for environment in configured {
            for name in TestName::ALL {
                trial.expect(name, environment);
            }
        }
        for integration in &case.integrations {
            trial.bindings(integration, on, now);
            trial.elsewhere(integration, on.state);
            trial.enrolments(integration, on.state);
            trial.elevations(integration, on.state, now);
        }
        trial
    }

    /// The tests, by name and environment.
    pub fn into_tests(self) -> Vec<Test> {
        let mut tests: Vec<Test> = self.made.into_values().collect();
        tests.sort_by(|one, other| (one.name, &one.environment).cmp(&(other.name, &other.environment)));
        tests
    }

    /// Notes a token or certificate that was looked up outside, and whether it counts for nothing everywhere.
    pub fn saw(&mut self, name: TestName, environment: &EnvironmentName, what: &str, seen: Result<(), &str>) {
        self.note(name, environment, what, seen.map_or_else(|seen| seen, |()| REVOKED));
    }

    /// The outcome that passes.
    fn expected(&self, name: TestName) -> &'static str {
        match name {
            TestName::Exchange => {
                let told = match &self.case.about {
                    Party::Partner(_) => Ending::of_partner,
                    Party::Integration(_) => Ending::of_integration,
                };
                let ending = Ending { offboarding: self.case.id.clone(), since: self.case.at, over: None };
                told(&ending).code
            }
            TestName::OtherBindings => NOBODY,
            TestName::Tokens | TestName::Certificates => REVOKED,
            TestName::Enrolment | TestName::Renewal | TestName::Elevation | TestName::Poll => ENDED,
        }
    }

    fn expect(&mut self, name: TestName, environment: &EnvironmentName) -> &mut Test {
        let expected = self.expected(name);
        self.made.entry((environment.clone(), name)).or_insert_with(|| Test {
            name,
            environment: environment.clone(),
            tried: 0,
            expected: expected.to_owned(),
            seen: expected.to_owned(),
            failed: None,
        })
    }

    fn note(&mut self, name: TestName, environment: &EnvironmentName, what: &str, seen: &str) {
        let test = self.expect(name, environment);
        test.tried += 1;
        if test.failed.is_none() && seen != test.expected {
            test.failed = Some(what.to_owned());
            test.seen = seen.to_owned();
        }
    }

    /// An exchange through each binding that was ever in force.
    fn bindings(&mut self, integration: &IntegrationId, on: Guarded<'_>, now: Timestamp) {
        let client = ClientId::Integration(integration.clone());
        let ask = Ask { target: None, scope: None, client: None };
        for (environment, binding) in on.state.history.admitted_by(&client) {
            let Some(principal) = Principal::supposed(integration, &environment, &binding, on.state) else { continue };
            let (refused, _) = suppose(&principal, &ask, Beside::Supposed, on, now, Trace::off());
            let what = format!("{integration}/{}", binding.name);
            self.note(TestName::Exchange, &environment, &what, refused.map_or("granted", |reason| reason.code));
        }
    }

    /// What the bindings of an integration admitted, at the bindings of everybody else.
    fn elsewhere(&mut self, integration: &IntegrationId, state: &State) {
        let Some(admitted) = state.ever_admitted(integration) else { return };
        let others = state.in_force.overlapping(Holder::Integration(&admitted));
        let client = ClientId::Integration(integration.clone());
        for (environment, binding) in state.history.admitted_by(&client) {
            let what = format!("{integration}/{}", binding.name);
            let seen = others.first().map_or_else(|| NOBODY.to_owned(), ToString::to_string);
            self.note(TestName::OtherBindings, &environment, &what, &seen);
        }
    }

    fn enrolments(&mut self, integration: &IntegrationId, state: &State) {
        for enrolment in state.certificates.enrolments().filter(|one| one.integration == *integration && !one.used) {
            let complete = state.approvals.get(&enrolment.approval).is_some_and(|approval| approval.is_complete());
            let seen = told(stopped::enrolment(integration, &enrolment.environment, state), complete);
            self.note(TestName::Enrolment, &enrolment.environment, &integration.to_string(), seen);
        }
        for leaf in state.certificates.leaves().filter(|leaf| leaf.integration == *integration) {
            let counts = state.leaf_end(leaf).is_none();
            let seen = told(stopped::enrolment(integration, &leaf.environment, state), counts);
            self.note(TestName::Renewal, &leaf.environment, leaf.serial.as_str(), seen);
        }
    }

    fn elevations(&mut self, integration: &IntegrationId, state: &State, now: Timestamp) {
        let current = state.integrations.get(integration).and_then(|known| known.current.as_ref());
        for (environment, access) in current.iter().flat_map(|current| &current.record.environments) {
            for eligible in &access.elevation {
                let seen = told(stopped::environment(integration, environment, state), false);
                self.note(TestName::Elevation, environment, &format!("{integration}: {}", eligible.scope), seen);
            }
            for request in state.elevations.of(integration, environment) {
                let counts = match request.standing(now) {
                    Standing::Active | Standing::Approved | Standing::Pending => "active",
                    Standing::Denied | Standing::Ended | Standing::Expired | Standing::Withdrawn => ENDED,
                };
                self.note(TestName::Poll, environment, request.elevation.id.as_str(), counts);
            }
        }
    }
}

/// The outcome of a request that is refused because its subject ends, unless something `counts` all the same.
fn told(refused: Result<(), &'static Reason>, counts: bool) -> &'static str {
    let ends = [
        &reason::INTEGRATION_OFFBOARDING,
        &reason::INTEGRATION_ENDED,
        &reason::PARTNER_OFFBOARDING,
        &reason::PARTNER_ENDED,
        &reason::ENVIRONMENT_CLOSED,
    ];
    match refused {
        Err(reason) if ends.contains(&reason) && !counts => ENDED,
        Err(reason) => reason.code,
        Ok(()) => "granted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, state};
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::log::offboarding::OffboardingChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::registry::integration::Integration;

    fn start(state: &mut State) -> Case {
        let (offboarding, about) =
            ("case".parse().expect("an id"), Party::Integration("globex/order-sync".parse().expect("an id")));
        let change = OffboardingChange::Started { offboarding, about, reason: "over".into() };
        state.apply(100, at(0), &change.by(Actor::Operator));
        state.offboardings.find("case").expect("a case").clone()
    }

    fn failed(case: &Case, state: &State) -> Vec<(TestName, String)> {
        let tests = Trial::of(case, Guarded::without(state), at(1)).into_tests();
        assert!(tests.iter().any(|test| test.name == TestName::Exchange && test.tried > 0), "{tests:?}");
        tests.into_iter().filter(|test| !test.passed()).map(|test| (test.name, test.seen)).collect()
    }

    #[test]
    fn a_request_passes_where_it_is_refused_because_its_subject_ends_and_nothing_counts() {
        for ends in [&reason::INTEGRATION_OFFBOARDING, &reason::INTEGRATION_ENDED, &reason::PARTNER_ENDED] {
            assert_eq!((told(Err(ends), false), told(Err(ends), true)), (ENDED, ends.code));
        }
        assert_eq!(told(Err(&reason::INTEGRATION_SUSPENDED), false), reason::INTEGRATION_SUSPENDED.code);
        assert_eq!(told(Ok(()), false), "granted");
    }

    /// What still works fails its test: an integration that is not frozen, and another one that takes the same proofs.
    #[test]
    fn a_test_fails_where_what_it_tries_still_works() {
        let mut frozen = state();
        let open = frozen.clone();
        let case = start(&mut frozen);
        assert_eq!(failed(&case, &frozen), []);
        let names: Vec<TestName> = failed(&case, &open).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [TestName::Exchange]);
        let record = open.integrations.values().next().and_then(|known| known.current.as_ref()).expect("in force");
        let other = Integration { id: "globex/other".parse().expect("an id"), ..record.record.as_ref().clone() };
        let narrowed = IntegrationChange::Narrowed { record: Box::new(other), reason: None };
        frozen.apply(101, at(0), &narrowed.by(Actor::Operator));
        assert_eq!(failed(&case, &frozen), [(TestName::OtherBindings, "globex/other".to_owned())]);
    }
}
