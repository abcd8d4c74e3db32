//! Finds the API that a request names, among those of the record.

use super::admission::Principal;
use super::ask::{Ask, Target};
use crate::domain::reason::decision::{Step, Trace};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::api::Api;
use crate::domain::registry::api::TokenForm;
use crate::domain::registry::environment::is_own_audience;
use crate::domain::registry::integration::{Access, ScopeRule};
use crate::domain::state::State;
use crate::domain::value::names::{ApiName, Audience};
use crate::domain::value::scope::Scope;
use std::collections::BTreeSet;

/// The built-in API: its audience is the environment's issuer.
pub const BUILT_IN_API: &str = "carnet";

/// The scopes of the built-in API.
pub const BUILT_IN_SCOPES: [&str; 1] = ["carnet:introspect"];

/// An API that a token can be for.
pub(in crate::domain) struct Chosen<'a> {
    pub(in crate::domain) api: ApiName,
    pub(in crate::domain) audience: Audience,
    pub(in crate::domain) form: TokenForm,
    pub(in crate::domain) rules: &'a [ScopeRule],
    pub(in crate::domain) catalogue: Catalogue<'a>,
}

pub(in crate::domain) fn target<'a>(
    principal: &Principal,
    ask: &Ask,
    access: &'a Access,
    state: &'a State,
    trace: &mut Trace,
) -> Result<Chosen<'a>, &'static Reason> {
    let wanted = ask.target.as_ref();
    let asked = || match wanted {
        Some(Target::Resource(uri)) => format!("{RESOURCE}{uri}"),
        Some(Target::Name(name)) => format!("{AUDIENCE}{name}"),
        None => "none, or several".to_owned(),
    };
    trace.check("target.named", wanted.is_some(), || ("one resource or one audience".into(), asked()));
    let wanted = wanted.ok_or(&reason::TARGET_MISSING)?;
    // Only APIs of the record are searched. So an API that exists and one that does not are refused alike, and the refusal tells
    // only the caller's own contract.
    let named: BTreeSet<&ApiName> = access.scopes.keys().chain(access.elevation.iter().map(|eligible| &eligible.api)).collect();
    let all = || named.iter().filter_map(|api| chosen(api, principal, access, state));
    let chosen = all().find(|chosen| match wanted {
        Target::Resource(uri) => chosen.audience.as_str() == uri,
        Target::Name(name) => chosen.api.as_str() == name,
    });
    trace.check("target", chosen.is_some(), || {
        let contracted = all().map(|chosen| format!("{} ({})", chosen.api, chosen.audience)).collect::<Vec<_>>().join(", ");
        let none = || format!("an API of the record, and it has none in {}", principal.environment());
        (if contracted.is_empty() { none() } else { format!("an API of the record: {contracted}") }, asked())
    });
    chosen.ok_or(&reason::TARGET_UNKNOWN)
}

/// The words before a target in the tree, by the parameter that named it.
const RESOURCE: &str = "resource ";
const AUDIENCE: &str = "audience ";

/// The target that a request named, by the step that judged it; `None` of another step.
pub(in crate::domain) fn asked_of(step: &Step) -> Option<Target> {
    let resource = || Some(Target::Resource(step.seen.strip_prefix(RESOURCE)?.to_owned()));
    let audience = || Some(Target::Name(step.seen.strip_prefix(AUDIENCE)?.to_owned()));
    if step.check == "target" { resource().or_else(audience) } else { None }
}

fn chosen<'a>(api: &ApiName, principal: &Principal, access: &'a Access, state: &'a State) -> Option<Chosen<'a>> {
    let rules = access.scopes.get(api).map_or(&[][..], Vec::as_slice);
    if api.as_str() == BUILT_IN_API {
        let environment = state.environment(principal.environment())?;
        let audience = environment.issuer.as_str().parse().ok()?;
        return Some(Chosen { api: api.clone(), audience, form: TokenForm::DEFAULT, rules, catalogue: Catalogue::BuiltIn });
    }
    let record = &state.apis.get(api)?.current.as_ref()?.record;
    let audience = record.audience.get(principal.environment())?.clone();
    // A newer environment has the same audience: a token for it would be presented to us.
    if is_own_audience(
        state.configuration.iter().flat_map(|configuration| configuration.environments.values()),
        audience.as_str(),
    ) {
        return None;
    }
    Some(Chosen { api: api.clone(), audience, form: record.token.clone(), rules, catalogue: Catalogue::Record(record) })
}

/// The scopes of an API.
#[derive(Clone, Copy)]
pub(in crate::domain) enum Catalogue<'a> {
    /// The scopes of a record.
    Record(&'a Api),
    /// The scopes of the built-in API.
    BuiltIn,
}

impl Catalogue<'_> {
    /// Tells whether the API has this scope.
    pub(in crate::domain) fn holds(&self, scope: &Scope) -> bool {
        match self {
            Self::Record(api) => api.scopes.contains_key(scope),
            Self::BuiltIn => BUILT_IN_SCOPES.contains(&scope.as_str()),
        }
    }
}
