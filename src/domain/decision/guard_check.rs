//! Finds what guardrails would refuse of what records allow, before anybody asks for it (`carnet guardrail check`).
//!
//! Enter through [`Enumeration::ask_all`]. It puts the questions of the decision to the same guard: each scope of each environment, by each
//! binding, as it stands or elevated, and for each thing that the token can be bound to. Values that change from request to request
//! are taken from the constants of the guardrails and one value on either side of each; of several that must hold together, each
//! is tried with each. So a condition that is computed from constants can be missed; the decision itself misses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::guard::{Asked, Guard, Source};
use super::standing::verified_until;
use super::target::BUILT_IN_API;
use super::way::Way;
use crate::domain::credential::possession::Possession;
use crate::domain::record::{Located, Record};
use crate::domain::registry::api::{Api, Risk};
use crate::domain::registry::integration::{Access, Integration};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, EnvironmentName, GuardrailName, IntegrationId};
use crate::domain::value::scope::Scope;
use crate::domain::value::zone::Local;

/// What guardrails read of the values that change from request to request, and the constants that they compare.
#[derive(Clone, Debug, Default)]
pub struct FreeValues {
    /// They read the address.
    pub reads_source: bool,
    /// They read the time.
    pub reads_time: bool,
    /// They read the day of the week.
    pub reads_weekday: bool,
    /// They read the minute of the day.
    pub reads_minute: bool,
    /// Addresses to try.
    pub sources: BTreeSet<IpAddr>,
    /// Times to try.
    pub times: BTreeSet<Timestamp>,
    /// Minutes to try.
    pub minutes: BTreeSet<u16>,
}

impl FreeValues {
    /// Adds those of another guardrail.
    pub fn join(&mut self, other: &Self) {
        let Self { reads_source, reads_time, reads_weekday, reads_minute, sources, times, minutes } = other;
        self.reads_source |= reads_source;
        self.reads_time |= reads_time;
        self.reads_weekday |= reads_weekday;
        self.reads_minute |= reads_minute;
        self.sources.extend(sources);
        self.times.extend(times);
        self.minutes.extend(minutes);
    }

    /// Whether they read time, weekday or minute.
    pub fn reads_clock(&self) -> bool {
        self.reads_time || self.reads_weekday || self.reads_minute
    }
}

/// The records around those that are checked.
pub struct Ground {
    /// APIs with their versions, by name.
    pub apis: BTreeMap<ApiName, (Digest, Arc<Api>)>,
    /// The time that guardrails see where they compare no other.
    pub now: Timestamp,
}

impl Ground {
    /// The APIs in force.
    pub fn of(state: &State, now: Timestamp) -> Self {
        let current = |(name, api): (&ApiName, &crate::domain::state::ApiState)| {
            let current = api.current.as_ref()?;
            Some((name.clone(), (current.version, Arc::clone(&current.record))))
        };
        Self { apis: state.apis.iter().filter_map(current).collect(), now }
    }

    /// The APIs of `records` in place of others of their names.
    #[must_use]
    pub fn with(mut self, records: &[Located]) -> Self {
        for located in records {
            if let Record::Api(api) = &located.record {
                self.apis.insert(api.name.clone(), (Digest::of_json(api), Arc::new(api.clone())));
            }
        }
        self
    }
}

/// An integration to be checked.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its record.
    pub record: Arc<Integration>,
    /// The version of it.
    pub version: Digest,
    /// Whether its partner is verified.
    pub verified: bool,
}

impl Subject {
    /// The integrations of `records`, each as if it were in force.
    pub fn of(records: &[Located], state: &State, now: Timestamp) -> Vec<Self> {
        let subject = |located: &Located| match &located.record {
            Record::Integration(record) => {
                let until = verified_until(state.partners.get(&record.id.partner));
                // Nothing comes into force before its partner is verified.
                let verified = until.is_none_or(|until| now < until);
                Some(Self { record: Arc::new(record.clone()), version: Digest::of_json(record), verified })
            }
            Record::Api(_) | Record::Guardrail(_) | Record::Partner(_) => None,
        };
        records.iter().filter_map(subject).collect()
    }

    /// The integrations in force.
    pub fn all(state: &State, now: Timestamp) -> Vec<Self> {
        let subject = |current: &crate::domain::state::Versioned<Integration>| {
            let until = verified_until(state.partners.get(&current.record.id.partner));
            let verified = until.is_some_and(|until| now < until);
            Self { record: Arc::clone(&current.record), version: current.version, verified }
        };
        state.integrations.values().filter_map(|one| one.current.as_ref().map(subject)).collect()
    }
}

/// A guardrail that refuses something that a record allows.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Finding {
    /// The guardrail.
    pub guardrail: GuardrailName,
    /// Whether it is in shadow.
    pub shadow: bool,
    /// The integration.
    pub integration: IntegrationId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The API.
    pub api: ApiName,
    /// The scope.
    pub scope: Scope,
    /// What the scope rests on.
    pub way: Way,
    /// Conditions under which it refuses; empty if it always does.
    pub when: Vec<String>,
}

impl Finding {
    /// `always` or `sometimes`. A guardrail that never refuses is no finding.
    pub fn verdict(&self) -> &'static str {
        if self.when.is_empty() { "always" } else { "sometimes" }
    }
}

/// The questions to a guard, and what was found.
pub struct Enumeration<'a> {
    guard: &'a dyn Guard,
    free: &'a FreeValues,
    ground: &'a Ground,
    left: u64,
    /// The number of questions that were asked.
    pub asked: u64,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// There were more questions than may be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooMany;

/// Values of one question that change from request to request.
#[derive(Clone, Copy)]
struct Moment {
    source: Source,
    time: Timestamp,
    local: Local,
}

/// Where a guardrail refuses a pair of integration and scope.
#[derive(Default)]
struct Tally {
    refused: u64,
    shadow: bool,
    bindings: BTreeSet<String>,
    possessions: BTreeSet<&'static str>,
    sources: BTreeSet<String>,
    times: BTreeSet<Timestamp>,
    weekdays: BTreeSet<u8>,
    minutes: BTreeSet<u16>,
}

impl<'a> Enumeration<'a> {
    /// An enumeration of at most `most` questions.
    pub fn new(guard: &'a dyn Guard, free: &'a FreeValues, ground: &'a Ground, most: u64) -> Self {
        Self { guard, free, ground, left: most, asked: 0, findings: Vec::new() }
    }

    /// Asks about everything that the integrations allow.
    ///
    /// # Errors
    /// There are more questions than may be asked. What was found until then stands.
    pub fn ask_all<'s>(&mut self, subjects: impl IntoIterator<Item = &'s Subject>) -> Result<(), TooMany> {
        if self.guard.digest().is_none() {
            return Ok(());
        }
        for subject in subjects {
            for (environment, access) in &subject.record.environments {
                for (api, scope, way) in allowed(access) {
                    self.pair(subject, (environment, access), (&api, &scope), way)?;
                }
            }
        }
        self.findings.sort();
        Ok(())
    }

    /// Asks about one scope in one environment.
    fn pair(
        &mut self,
        subject: &Subject,
        (environment, access): (&EnvironmentName, &Access),
        (api, scope): (&ApiName, &Scope),
        way: Way,
    ) -> Result<(), TooMany> {
        let known = self.ground.apis.get(api);
        // A record may name an API whose record is not known here: its scopes then count as those of the highest risk.
        let entry = known.and_then(|(_, record)| record.scopes.get(scope));
        let risk = if api.as_str() == BUILT_IN_API { Risk::Low } else { entry.map_or(Risk::High, |entry| entry.risk) };
        let bound = known.is_some_and(|(_, record)| record.token.require_bound);
        let moments = self.moments(access)?;
        let (mut all, mut tallies) = (Tally::default(), BTreeMap::<GuardrailName, Tally>::new());
        for binding in &access.bindings {
            for possession in Possession::possible(access.require, bound, binding) {
                for moment in &moments {
                    self.left = self.left.checked_sub(1).ok_or(TooMany)?;
                    self.asked += 1;
                    let judgement = self.guard.judge(&Asked {
                        integration: &subject.record,
                        version: subject.version,
                        verified: subject.verified,
                        environment,
                        binding,
                        api,
                        api_version: known.map(|(version, _)| *version),
                        scope,
                        risk,
                        way,
                        possession,
                        source: moment.source,
                        time: moment.time,
                        local: Some(moment.local),
                    });
                    let add = |tally: &mut Tally| tally.add(binding.name.to_string(), possession, moment);
                    add(&mut all);
                    let enforced = judgement.forbidden.iter().flat_map(|by| by.by().map(|one| (one.guardrail.clone(), false)));
                    for (guardrail, shadow) in enforced.chain(judgement.shadow.iter().map(|name| (name.clone(), true))) {
                        let tally = tallies.entry(guardrail).or_default();
                        tally.shadow = shadow;
                        add(tally);
                    }
                }
            }
        }
        self.findings.extend(tallies.into_iter().map(|(guardrail, tally)| Finding {
            guardrail,
            shadow: tally.shadow,
            integration: subject.record.id.clone(),
            environment: environment.clone(),
            api: api.clone(),
            scope: scope.clone(),
            way,
            when: tally.when(&all),
        }));
        Ok(())
    }

    /// The values to try in one environment.
    ///
    /// Attack: the constants of one short text, each with each, are more values than a machine can hold. They are counted first.
    fn moments(&self, access: &Access) -> Result<Vec<Moment>, TooMany> {
        let free = self.free;
        let networks = &access.limits.source_cidrs;
        let inside = |address: &IpAddr| networks.is_empty() || networks.iter().any(|network| network.contains(*address));
        let own = networks.iter().map(|network| network.bounds().0);
        let mut sources: Vec<Source> = vec![Source::Supposed];
        if free.reads_source {
            let all: BTreeSet<IpAddr> = free.sources.iter().copied().filter(inside).chain(own).collect();
            sources = all.into_iter().map(Source::Known).collect();
        }
        fn values<T: Copy + Ord>(read: bool, known: &BTreeSet<T>, otherwise: T) -> Vec<T> {
            let all: BTreeSet<T> = known.iter().copied().filter(|_| read).chain([otherwise]).collect();
            all.into_iter().collect()
        }
        let times = values(free.reads_time, &free.times, self.ground.now);
        let weekdays = values(free.reads_weekday, &(1..=7).collect(), 1);
        let minutes = values(free.reads_minute, &free.minutes, 0);
        let numbers = [sources.len(), times.len(), weekdays.len(), minutes.len()];
        let all = numbers.into_iter().try_fold(1_u64, |all, number| all.checked_mul(u64::try_from(number).ok()?));
        if all.is_none_or(|all| all > self.left) {
            return Err(TooMany);
        }
        let mut moments = Vec::new();
        for source in sources {
            for time in &times {
                for weekday in &weekdays {
                    let local = minutes.iter().map(|minute| Local { weekday: *weekday, minute: *minute });
                    moments.extend(local.map(|local| Moment { source, time: *time, local }));
                }
            }
        }
        Ok(moments)
    }
}

/// Each scope of an environment, and what it can rest on.
fn allowed(access: &Access) -> Vec<(ApiName, Scope, Way)> {
    let standing: BTreeSet<(ApiName, Scope)> = access.standing().map(|(api, rule)| (api.clone(), rule.scope.clone())).collect();
    let mut allowed: BTreeSet<(ApiName, Scope, Way)> =
        standing.iter().map(|(api, scope)| (api.clone(), scope.clone(), Way::Standing)).collect();
    for eligible in &access.elevation {
        // A scope that stands is never elevated.
        if standing.contains(&(eligible.api.clone(), eligible.scope.clone())) {
            continue;
        }
        allowed.insert((eligible.api.clone(), eligible.scope.clone(), Way::Elevated));
        if eligible.break_glass {
            allowed.insert((eligible.api.clone(), eligible.scope.clone(), Way::BreakGlass));
        }
    }
    allowed.into_iter().collect()
}

impl Tally {
    fn add(&mut self, binding: String, possession: Possession, moment: &Moment) {
        self.refused += 1;
        self.bindings.insert(binding);
        self.possessions.insert(possession.name());
        if let Source::Known(address) = moment.source {
            self.sources.insert(address.to_string());
        }
        self.times.insert(moment.time);
        self.weekdays.insert(moment.local.weekday);
        self.minutes.insert(moment.local.minute);
    }

    /// The conditions under which a guardrail refuses, of `all` questions; empty if it always does.
    fn when(&self, all: &Self) -> Vec<String> {
        if self.refused == all.refused {
            return Vec::new();
        }
        fn part<T: Ord + ToString>(name: &str, own: &BTreeSet<T>, all: &BTreeSet<T>) -> Option<String> {
            let values: Vec<String> = own.iter().map(ToString::to_string).collect();
            (own.len() < all.len()).then(|| format!("{name} in {}", values.join(", ")))
        }
        let parts = [
            part("binding", &self.bindings, &all.bindings),
            part("token", &self.possessions, &all.possessions),
            part("source", &self.sources, &all.sources),
            part("time", &self.times, &all.times),
            part("weekday", &self.weekdays, &all.weekdays),
            part("minute", &self.minutes, &all.minutes),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { vec!["some of these values together".to_owned()] } else { parts }
    }
}
