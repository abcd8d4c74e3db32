//! The longest terms with which a record may be approved (docs/reference/limits.md).
//!
//! They hold for versions that are to come into force: a partner or a change when it is applied, an integration when it is submitted.
//! A version that is in force from before meets them with its next approval; until then they are warnings.

use crate::domain::registry::api::Risk;
use crate::domain::registry::integration::{Access, Integration};
use crate::domain::registry::partner::Partner;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ApiName, EnvironmentName};
use crate::domain::value::scope::Scope;

/// From the day of a partner's verification to its end.
pub const VERIFICATION: u32 = 400;
/// From today to the end of a contract: five years.
pub const CONTRACT: u32 = 1827;
/// From today to the end of a static secret.
pub const EXCEPTION: u32 = 366;
/// Between two reviews of an integration that has a high-risk scope in production.
pub const HIGH_RISK_REVIEW: u32 = 90;

/// A term that is too long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TooLong {
    /// The place in the record.
    pub at: String,
    /// The wanted and the seen value.
    pub message: String,
}

/// What the terms of an integration are held against.
pub struct Measure<'a> {
    /// The present time. Without it, terms that count from today are not judged.
    pub now: Option<Timestamp>,
    /// Whether an environment counts as production.
    pub is_production: &'a dyn Fn(&EnvironmentName) -> bool,
    /// The highest risk of a scope among the versions of its API that may count.
    pub risk: &'a dyn Fn(&ApiName, &Scope) -> Option<Risk>,
}

/// The terms of a partner that are too long.
pub fn of_partner(partner: &Partner) -> Vec<TooLong> {
    let (on, expires) = (partner.verification.on, partner.verification.expires);
    let message = || {
        let (on, expires) = (on.first_day(), expires.last_day());
        format!("expected a day at most {VERIFICATION} days after the verification on {on}, not {expires}")
    };
    let too_long = expires > last(on, VERIFICATION);
    too_long.then(|| TooLong { at: "verification.expires".to_owned(), message: message() }).into_iter().collect()
}

/// The terms of an integration that are too long.
pub fn of_integration(integration: &Integration, measure: &Measure<'_>) -> Vec<TooLong> {
    let mut found = Vec::new();
    let mut tell = |at: String, message: String| found.push(TooLong { at, message });
    let contract = integration.contract.ends;
    let beyond = |ends: Timestamp, days: u32| measure.now.is_some_and(|now| ends > last(now, days));
    if beyond(contract, CONTRACT) {
        tell("contract.ends".to_owned(), format!("expected a day within five years from today, not {}", contract.last_day()));
    }
    for (environment, access) in &integration.environments {
        if let Some(ends) = access.ends.filter(|ends| *ends > contract) {
            tell(format!("environments.{environment}.ends"), past_contract(ends, contract));
        }
    }
    for (i, secret) in integration.exceptions.iter().enumerate() {
        let at = format!("exceptions[{i}].ends");
        if secret.ends > contract {
            tell(at, past_contract(secret.ends, contract));
        } else if beyond(secret.ends, EXCEPTION) {
            tell(at, format!("expected a day within {EXCEPTION} days from today, not {}", secret.ends.last_day()));
        }
    }
    let every = integration.review.every;
    if every > Seconds::days(HIGH_RISK_REVIEW) {
        let high = integration.environments.iter().find_map(|(environment, access)| {
            let counts = (measure.is_production)(environment);
            high_risk(access, measure).filter(|_| counts).map(|(api, scope)| format!("{scope} of {api} in {environment}"))
        });
        if let Some(high) = high {
            let message = format!("expected at most {HIGH_RISK_REVIEW}d, because {high} has a high risk, not {every}");
            tell("review.every".to_owned(), message);
        }
    }
    found
}

/// The terms of an integration that are too long, by the catalogue and the configuration in `state`.
pub fn in_state(integration: &Integration, state: &State, now: Timestamp) -> Vec<TooLong> {
    let risk = |api: &ApiName, scope: &Scope| {
        let known = state.apis.get(api)?;
        let versions = known.current.iter().chain(known.held.iter().map(|held| &held.version));
        versions.filter_map(|version| Some(version.record.scopes.get(scope)?.risk)).max()
    };
    let is_production = |environment: &EnvironmentName| state.is_production(environment);
    of_integration(integration, &Measure { now: Some(now), is_production: &is_production, risk: &risk })
}

/// The end of the last day that is so many days after `from`.
fn last(from: Timestamp, days: u32) -> Timestamp {
    from.plus(Seconds::days(days + 1))
}

fn past_contract(ends: Timestamp, contract: Timestamp) -> String {
    format!("expected a day within the contract, which ends at {}, not {}", contract.last_day(), ends.last_day())
}

/// A scope with a high risk, whether it may be asked for at any time or with an approval.
fn high_risk<'a>(access: &'a Access, measure: &Measure<'_>) -> Option<(&'a ApiName, &'a Scope)> {
    access.all_scopes().find(|(api, scope)| (measure.risk)(api, scope) == Some(Risk::High))
}
