//! What an integration may do in each environment: bindings, limits, scopes, elevations.

use std::collections::BTreeMap;

use super::api::{LONGEST_TTL, SHORTEST_TTL, environment};
use super::binding::{Bindings, Ground};
use super::integration::every;
use super::keys;
use super::place::{Fields, Place};
use crate::domain::elevation::PATIENCE;
use crate::domain::people::actor::Role;
use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::registry::integration::{Access, Approvers, Eligible, Fallback, Limits, Require, Required, ScopeRule};
use crate::domain::value::clock::Seconds;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, IntegrationId};
use crate::domain::value::scope::Scope;

/// The environment in which a reusable proof must be bounded.
pub(in crate::domain::record) const PRODUCTION: &str = "production";

/// The longest elevation: a working day, not a standing right.
const LONGEST_ELEVATION: Seconds = Seconds::hours(24);
/// Administrators and auditors approve nothing (docs/explanation/four-eyes.md).
const APPROVING: [(&str, Role); 2] = [("security", Role::Security), ("owner", Role::Owner)];
/// A bucket beyond this bounds nothing.
const MOST_EXCHANGES: u32 = 1_000_000;

pub(in crate::domain::record) fn environments(
    place: &Place<'_>,
    id: Option<&IntegrationId>,
    faults: &mut Faults,
) -> Option<BTreeMap<EnvironmentName, Access>> {
    let client = id.cloned().map(ClientId::Integration);
    let mut environments = BTreeMap::new();
    let mut whole = true;
    for (key, place) in place.entries(faults)? {
        let environment = environment(key, &place, faults);
        match environment.zip(access(&place, client.as_ref(), key == PRODUCTION, faults)) {
            Some((environment, access)) => whole &= environments.insert(environment, access).is_none(),
            None => whole = false,
        }
    }
    if environments.is_empty() && whole {
        place.refuse("expected at least one environment", faults);
        return None;
    }
    whole.then_some(environments)
}

fn access(place: &Place<'_>, client: Option<&ClientId>, production: bool, faults: &mut Faults) -> Option<Access> {
    let fields = place.fields(&keys::ACCESS, faults)?;
    let limits = fields.get("limits").map_or_else(|| Some(Limits::default()), |place| limits(place, faults));
    let words = [("bound", Require::Bound), ("dual", Require::Dual)];
    let require = fields.get("require").map_or(Some(Require::default()), |place| place.word(&words, faults));
    // Where either was refused the record is refused anyway: a second fault would only mislead.
    let bounded = require != Some(Require::Nothing) || limits.as_ref().is_none_or(|limits| !limits.source_cidrs.is_empty());
    let ground = Ground { client, production, bounded };
    let bindings = fields.get("bindings").and_then(|place| Bindings { ground }.read(place, faults));
    let scopes = fields.get("scopes").map_or_else(|| Some(BTreeMap::new()), |place| scopes(place, faults));
    let elevation = fields.get("elevation").map_or(Some(Vec::new()), |place| elevation(place, faults));
    Some(Access { bindings: bindings?, limits: limits?, require: require?, scopes: scopes?, elevation: elevation? })
}

fn limits(place: &Place<'_>, faults: &mut Faults) -> Option<Limits> {
    let fields = place.fields(&keys::LIMITS, faults)?;
    let ttl = optional(&fields, "ttl", |place| place.duration(SHORTEST_TTL, LONGEST_TTL, faults));
    let quota = optional(&fields, "exchangesPerMinute", |place| place.number(1, MOST_EXCHANGES, faults));
    let networks = optional(&fields, "sourceCidrs", |place| {
        let networks = place.list(faults)?;
        if networks.is_empty() {
            // An empty list would mean "anywhere" to the record's types and "nowhere" to its reader.
            place.refuse("expected at least one network; leave the key out for no condition", faults);
            return None;
        }
        Some(networks)
    });
    Some(Limits { ttl: ttl?, exchanges_per_minute: quota?, source_cidrs: networks?.unwrap_or_default() })
}

/// `Some(None)` where the key is not there, `None` where its value was refused.
fn optional<'a, T>(fields: &Fields<'a>, key: &str, read: impl FnOnce(&Place<'a>) -> Option<T>) -> Option<Option<T>> {
    match fields.get(key) {
        Some(place) => read(place).map(Some),
        None => Some(None),
    }
}

fn scopes(place: &Place<'_>, faults: &mut Faults) -> Option<BTreeMap<ApiName, Vec<ScopeRule>>> {
    let mut scopes = BTreeMap::new();
    let mut whole = true;
    for (key, place) in place.entries(faults)? {
        let api: Option<ApiName> =
            key.parse().map_err(|expected| place.refuse(&format!("the name of an API: {expected}"), faults)).ok();
        let rules = every(&place, scope_rule, faults);
        if let Some(rules) = &rules {
            whole &= once(&place, rules, |rule| (&rule.scope, ()), faults);
        }
        match api.zip(rules) {
            Some((api, rules)) => whole &= scopes.insert(api, rules).is_none(),
            None => whole = false,
        }
    }
    whole.then_some(scopes)
}

/// Tells each scope that stands in a list twice: which of the two conditions should hold would be a guess.
fn once<'r, T, K: PartialEq>(
    place: &Place<'_>,
    rules: &'r [T],
    key: impl Fn(&'r T) -> (&'r Scope, K),
    faults: &mut Faults,
) -> bool {
    let mut fine = true;
    for (i, rule) in rules.iter().enumerate() {
        if rules.iter().take(i).any(|other| key(other) == key(rule)) {
            let message = format!("the scope {} stands here twice", key(rule).0);
            faults.error(&format!("{}[{i}]", place.at), &reason::RECORD_VALUE, message);
            fine = false;
        }
    }
    fine
}

/// `orders:read`, or `{scope: orders:read, allow: […]}`.
fn scope_rule(place: &Place<'_>, faults: &mut Faults) -> Option<ScopeRule> {
    if matches!(place.node.value, super::tree::Value::Scalar { .. }) {
        return Some(ScopeRule { scope: place.parse(faults)?, allow: Vec::new() });
    }
    let fields = place.fields(&keys::SCOPE_RULE, faults)?;
    let scope = fields.get("scope").and_then(|place| place.parse(faults));
    let allow = fields.get("allow").map_or(Some(Vec::new()), |place| allow(place, faults));
    Some(ScopeRule { scope: scope?, allow: allow? })
}

fn allow(place: &Place<'_>, faults: &mut Faults) -> Option<Vec<Endpoint>> {
    let endpoints = place.list::<Endpoint>(faults)?;
    if endpoints.is_empty() {
        place.refuse("expected at least one endpoint; leave the key out for the whole API", faults);
        return None;
    }
    Some(endpoints)
}

fn elevation(place: &Place<'_>, faults: &mut Faults) -> Option<Vec<Eligible>> {
    let list = every(place, eligible, faults)?;
    once(place, &list, |eligible| (&eligible.scope, &eligible.api), faults).then_some(list)
}

fn eligible(place: &Place<'_>, faults: &mut Faults) -> Option<Eligible> {
    let fields = place.fields(&keys::ELIGIBLE, faults)?;
    let scope = fields.get("scope").and_then(|place| place.parse(faults));
    let api = fields.get("api").and_then(|place| place.parse(faults));
    let allow = fields.get("allow").map_or(Some(Vec::new()), |place| allow(place, faults));
    let max = fields.get("max").and_then(|place| place.duration(Seconds::minutes(1), LONGEST_ELEVATION, faults));
    let window = optional(&fields, "window", |place| place.parse(faults));
    let approvers = fields.get("approvers").and_then(|place| approvers(place, faults));
    let require = fields.get("require").map_or(Some(Vec::new()), |place| {
        let word = |place: &Place<'_>, faults: &mut Faults| {
            place.word(
                &[("reason", Required::Reason), ("ticket", Required::Ticket), ("open-ticket", Required::OpenTicket)],
                faults,
            )
        };
        every(place, word, faults)
    });
    let break_glass = fields.get("breakGlass").map_or(Some(false), |place| place.flag(faults));
    Some(Eligible {
        scope: scope?,
        api: api?,
        allow: allow?,
        max: max?,
        window: window?,
        approvers: approvers?,
        require: require?,
        break_glass: break_glass?,
    })
}

fn approvers(place: &Place<'_>, faults: &mut Faults) -> Option<Approvers> {
    let fields = place.fields(&keys::APPROVERS, faults)?;
    let count = fields.get("count").and_then(|place| place.number(1, 10, faults));
    let role = optional(&fields, "role", |place| place.word(&APPROVING, faults));
    let people = fields.get("people").map_or(Some(Vec::new()), |place| place.list::<String>(faults));
    let fallback = optional(&fields, "fallback", |place| fallback(place, faults));
    let (count, role, people) = (u8::try_from(count?).ok()?, role?, people?);
    if role.is_none() && people.is_empty() {
        faults.warning(&place.at, &reason::LINT_APPROVERS, "neither a role nor people are named: nobody could approve");
    } else if role.is_none() && people.len() < usize::from(count) {
        let message = format!("{count} approvals are wanted of {} people: nobody could approve", people.len());
        faults.warning(&place.at, &reason::LINT_APPROVERS, message);
    }
    Some(Approvers { role, people, count, fallback: fallback? })
}

fn fallback(place: &Place<'_>, faults: &mut Faults) -> Option<Fallback> {
    let fields = place.fields(&keys::FALLBACK, faults)?;
    let after = fields.get("after").and_then(|place| place.duration(Seconds::minutes(1), PATIENCE, faults));
    let role = fields.get("role").and_then(|place| place.word(&APPROVING, faults));
    Some(Fallback { after: after?, role: role? })
}
