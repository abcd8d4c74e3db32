//! Rules of reviews: who may decide, what a decision has to say, and the narrower record that it makes.
//!
//! Enter through [`decide`]. It is a function of the state, so it is asked on the state that its entry follows. A decision never widens:
//! what it makes is compared with the version in force before it is taken.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::people::actor::{Person, Role, Staff};
use crate::domain::reason::{self, Reason};
use crate::domain::record::{Record, Weight, compare, is_within};
use crate::domain::registry::api::Risk;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::{Access, Approvers, Eligible, Integration, Required, ScopeRule};
use crate::domain::registry::recertification::{ItemDecision, ItemVerdict, ReviewId, Word};
use crate::domain::state::State;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::recertification::{Opening, Place};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApiName, ApprovalId, EnvironmentName};
use crate::domain::value::scope::Scope;

/// The longest elevation of a scope that a review makes one.
const ELEVATION_MAX: Seconds = Seconds::hours(1);

/// A review that is open, or past its due date.
pub struct Open<'s> {
    /// The integration.
    pub known: &'s IntegrationState,
    /// The record in force.
    pub record: &'s Integration,
    /// What it is in the environment.
    pub access: &'s Access,
    /// The reviews there.
    pub place: &'s Place,
    /// What opened it.
    pub opening: Opening,
}

/// What a decision does.
#[derive(Clone, Debug)]
pub struct Decided {
    /// Whose word it is.
    pub word: Word,
    /// The narrower version, if something narrows.
    pub record: Option<Box<Integration>>,
    /// Whether nobody else has to decide.
    pub completes: bool,
    /// The approval of a waiting version that the narrower one withdraws.
    pub withdraws: Option<ApprovalId>,
}

/// Why nothing is decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Undecided {
    /// Who, when, or which version.
    Refused(&'static Reason),
    /// What is said.
    Unsound(Vec<Unsound>),
}

/// What is wrong with a decision, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unsound {
    /// The place in the body: `items`, or `items[0].allow`.
    pub at: String,
    /// The wanted and the seen value.
    pub message: String,
}

impl From<&'static Reason> for Undecided {
    fn from(reason: &'static Reason) -> Self {
        Self::Refused(reason)
    }
}

/// Finds a review to be decided on.
///
/// # Errors
/// There is no such place in a record in force, or the review is not open.
pub fn open<'s>(review: &ReviewId, state: &'s State, now: Timestamp) -> Result<Open<'s>, &'static Reason> {
    let known = state.integrations.get(&review.integration).ok_or(&reason::NOT_FOUND)?;
    let (record, access) = known.access(&review.environment).ok_or(&reason::NOT_FOUND)?;
    let place = known.reviews.place(&review.environment).ok_or(&reason::NOT_FOUND)?;
    let opening = known.opened(&review.environment, now).filter(|_| review.number == place.number());
    let opening = opening.ok_or(&reason::REVIEW_NOT_OPEN)?;
    Ok(Open { known, record, access, place, opening })
}

/// Names what a reviewer decides on: the environment of the record, and the risks of its scopes.
pub fn version(environment: &EnvironmentName, record: &Integration, access: &Access, state: &State) -> Digest {
    let risks: Vec<_> = access.standing().map(|(api, rule)| (api, &rule.scope, state.risk(api, &rule.scope))).collect();
    Digest::of_json(&(&record.id, environment, access, risks))
}

/// The high-risk ones among the scopes that may be asked for at any time. One that the catalogue does not have counts as high.
pub fn high_risk<'a>(access: &'a Access, state: &'a State) -> impl Iterator<Item = (&'a ApiName, &'a ScopeRule)> {
    access.standing().filter(|(api, rule)| state.risk(api, &rule.scope).is_none_or(|risk| risk == Risk::High))
}

/// The roles that have to decide still, in their order.
pub fn needs(open: &Open<'_>, state: &State) -> Vec<Role> {
    let second = high_risk(open.access, state).next().is_some().then_some(Role::Security);
    let first = open.place.word.is_none().then_some(Role::Owner);
    first.into_iter().chain(second).collect()
}

/// Whether somebody applied or approved the version in force, or the one that it was narrowed from.
pub fn had_a_hand(known: &IntegrationState, person: &Person, state: &State) -> bool {
    let applied = known.current.as_ref().and_then(|current| current.by.person());
    let approval = known.reviews.approved.as_ref().and_then(|id| state.approvals.get(id));
    let reviews = approval.iter().flat_map(|approval| &approval.reviews).filter(|one| one.verdict == Verdict::Approve);
    let mut people = applied.into_iter().chain(&known.reviews.replaced).chain(reviews.map(|one| &one.by));
    people.any(|one| one.is(person))
}

/// Judges a person's decision on a review. `seen` is the version that they saw.
///
/// # Errors
/// It is not theirs to decide now, they saw another version, or the decision is not sound.
pub fn decide(
    review: &ReviewId,
    staff: &Staff,
    (seen, items): (Digest, &[ItemDecision]),
    state: &State,
    now: Timestamp,
) -> Result<Decided, Undecided> {
    let open = open(review, state, now)?;
    let word = if open.place.word.is_none() { Word::First } else { Word::Second };
    may_decide(word, staff, &open, state)?;
    if seen != version(&review.environment, open.record, open.access, state) {
        return Err((&reason::REVIEW_STALE).into());
    }
    let high: BTreeSet<(&ApiName, &Scope)> = high_risk(open.access, state).map(|(api, rule)| (api, &rule.scope)).collect();
    let expected: Vec<(&ApiName, &ScopeRule)> = match word {
        Word::First => open.access.standing().collect(),
        Word::Second => high_risk(open.access, state).collect(),
    };
    let unsound = unsound(items, &expected, &high);
    if !unsound.is_empty() {
        return Err(Undecided::Unsound(unsound));
    }
    let record = narrowed(open.record, &review.environment, items);
    let record = (record != *open.record).then(|| Box::new(record));
    if let Some(record) = &record {
        ensure_narrower(open.record, record, &review.environment, items)?;
    }
    let stays = items.iter().any(|item| item.decision.is_standing() && high.contains(&item.key()));
    let withdraws = open.known.held.as_ref().filter(|_| record.is_some()).and_then(|held| held.approval.clone());
    Ok(Decided { word, record, completes: word == Word::Second || !stays, withdraws })
}

fn may_decide(word: Word, staff: &Staff, open: &Open<'_>, state: &State) -> Result<(), &'static Reason> {
    let role = match word {
        Word::First => Role::Owner,
        Word::Second => Role::Security,
    };
    if !staff.roles.contains(&role) {
        return Err(&reason::REVIEW_ROLE);
    }
    match &open.place.word {
        None => {
            if had_a_hand(open.known, &staff.person, state) {
                return Err(&reason::REVIEW_OWN_VERSION);
            }
            let last = open.place.done.last().and_then(|done| done.by.as_ref());
            let flagged = state.recertification.reviewer(&staff.person).is_some_and(|known| known.is_flagged());
            if flagged && last.is_some_and(|last| last.is(&staff.person)) {
                return Err(&reason::REVIEW_ANOTHER_REVIEWER);
            }
            Ok(())
        }
        Some(given) if given.by.person().is_some_and(|first| first.is(&staff.person)) => Err(&reason::REVIEW_SAME_PERSON),
        Some(_) => Ok(()),
    }
}

/// What is wrong with the decisions on these scopes: each once, none left out, and none that is not asked for.
fn unsound(items: &[ItemDecision], expected: &[(&ApiName, &ScopeRule)], high: &BTreeSet<(&ApiName, &Scope)>) -> Vec<Unsound> {
    let mut found = Vec::new();
    let mut tell = |at: String, message: String| found.push(Unsound { at, message });
    let rules: BTreeMap<(&ApiName, &Scope), &ScopeRule> =
        expected.iter().map(|(api, rule)| ((*api, &rule.scope), *rule)).collect();
    let mut seen = BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        let (api, scope) = item.key();
        let Some(rule) = rules.get(&(api, scope)) else {
            tell(format!("items[{i}]"), format!("expected a scope of this review, not {scope} of {api}"));
            continue;
        };
        if !seen.insert((api, scope)) {
            tell(format!("items[{i}]"), format!("expected one decision on {scope} of {api}, not two"));
        }
        match item.decision {
            ItemVerdict::Narrow if item.allow.is_empty() => {
                tell(format!("items[{i}].allow"), "expected the endpoints that are left".to_owned());
            }
            ItemVerdict::Narrow if !is_within(&rule.allow, &item.allow) || is_within(&item.allow, &rule.allow) => {
                let message = "expected some of the endpoints that are allowed now, and not all of them".to_owned();
                tell(format!("items[{i}].allow"), message);
            }
            ItemVerdict::Keep | ItemVerdict::Elevation | ItemVerdict::Remove if !item.allow.is_empty() => {
                tell(
                    format!("items[{i}].allow"),
                    format!("expected none, because it is no narrow but {}", item.decision.name()),
                );
            }
            ItemVerdict::Keep | ItemVerdict::Narrow | ItemVerdict::Elevation | ItemVerdict::Remove => {}
        }
        let says = item.reason.as_ref().is_some_and(|reason| reason.plain().is_none_or(|text| !text.trim().is_empty()));
        if item.decision.is_standing() && high.contains(&(api, scope)) && !says {
            let message = format!("expected a reason, because {scope} of {api} has a high risk and stays");
            tell(format!("items[{i}].reason"), message);
        }
    }
    for (api, rule) in expected.iter().filter(|(api, rule)| !seen.contains(&(*api, &rule.scope))) {
        tell("items".to_owned(), format!("expected a decision on {} of {api}", rule.scope));
    }
    found
}

/// The record after these decisions. An environment that is left without scopes leaves it.
fn narrowed(record: &Integration, environment: &EnvironmentName, items: &[ItemDecision]) -> Integration {
    let mut new = record.clone();
    let Some(access) = new.environments.get_mut(environment) else { return new };
    let items: BTreeMap<(&ApiName, &Scope), &ItemDecision> = items.iter().map(|item| (item.key(), item)).collect();
    let of = |api: &ApiName, scope: &Scope| items.get(&(api, scope)).copied();
    let mut elevated = Vec::new();
    for (api, rules) in access.scopes.iter_mut() {
        rules.retain_mut(|rule| match of(api, &rule.scope).map(|item| (item.decision, &item.allow)) {
            None | Some((ItemVerdict::Keep, _)) => true,
            Some((ItemVerdict::Narrow, allow)) => {
                rule.allow.clone_from(allow);
                true
            }
            Some((ItemVerdict::Elevation, _)) => {
                elevated.push((api.clone(), rule.clone()));
                false
            }
            Some((ItemVerdict::Remove, _)) => false,
        });
    }
    access.scopes.retain(|_, rules| !rules.is_empty());
    let removed = |one: &Eligible| of(&one.api, &one.scope).is_some_and(|item| item.decision == ItemVerdict::Remove);
    access.elevation.retain(|one| !removed(one));
    for (api, rule) in elevated {
        // A scope that stands is never elevated, so an elevation that the record has already was approved, and its endpoints count anew.
        match access.elevation.iter_mut().find(|one| one.api == api && one.scope == rule.scope) {
            Some(known) => known.allow = rule.allow,
            None => access.elevation.push(elevation(api, rule)),
        }
    }
    if access.scopes.is_empty() && access.elevation.is_empty() {
        new.environments.remove(environment);
        new.tests.retain(|test| test.expect.environment != *environment);
    }
    new
}

/// The elevation that takes the place of a standing scope: the same endpoints, one of security, an hour at most, and a reason.
fn elevation(api: ApiName, ScopeRule { scope, allow }: ScopeRule) -> Eligible {
    Eligible {
        scope,
        api,
        allow,
        max: ELEVATION_MAX,
        window: None,
        approvers: Approvers::one_of(Role::Security),
        require: vec![Required::Reason],
        break_glass: false,
    }
}

/// Refuses a record that is wider than the one before in anything but the elevations that take the place of standing scopes.
fn ensure_narrower(
    old: &Integration,
    new: &Integration,
    environment: &EnvironmentName,
    items: &[ItemDecision],
) -> Result<(), Undecided> {
    let [before, after] = [old, new].map(|record| Record::Integration(record.clone()));
    let differences = compare(Some(&before), &after, &mut Effort::default()).map_err(|_| &reason::RECORDS_BUSY)?;
    let elevated = items.iter().filter(|item| item.decision == ItemVerdict::Elevation);
    let meant: Vec<String> =
        elevated.map(|item| format!("environments.{environment}.elevation.{}.{}", item.api, item.scope)).collect();
    let of_meant =
        |at: &str| meant.iter().any(|one| at.strip_prefix(one).is_some_and(|rest| rest.is_empty() || rest == ".allow"));
    let wider = differences.iter().find(|one| one.weight == Weight::Widens && !of_meant(&one.at));
    match wider {
        None => Ok(()),
        Some(one) => {
            let message = format!("this would widen {}; change it by a version of the record", one.at);
            Err(Undecided::Unsound(vec![Unsound { at: "items".to_owned(), message }]))
        }
    }
}

#[cfg(test)]
mod tests;
