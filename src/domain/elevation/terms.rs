//! The terms of an elevation: those requested, and those left after the reviews.

use crate::domain::value::clock::Seconds;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::scope::ScopeSet;
use serde::{Deserialize, Serialize};

/// The terms that an approver takes away. An approver cannot add anything.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Narrowing {
    /// Only these scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopeSet>,
    /// Only these endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Endpoint>>,
    /// At most this duration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
}

/// The terms of an elevation after all reviews.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Terms {
    /// The scopes.
    pub scopes: ScopeSet,
    /// Endpoint conditions; empty means those of the record.
    pub allow: Vec<Endpoint>,
    /// The duration.
    pub duration: Seconds,
}

impl Terms {
    /// The terms that are left after `narrowing`. There is never more.
    ///
    /// Endpoint conditions that have nothing in common leave no scope: an empty list would mean those of the record
    /// ([`can`](Self::can) accepts no such narrowing).
    #[must_use]
    pub(super) fn narrow(self, narrowing: &Narrowing) -> Self {
        let allow: Vec<Endpoint> = match &narrowing.allow {
            Some(allow) if self.allow.is_empty() => allow.clone(),
            Some(allow) => self.allow.iter().filter(|endpoint| allow.contains(endpoint)).cloned().collect(),
            None => self.allow.clone(),
        };
        let scopes = if allow.is_empty() && !self.allow.is_empty() {
            ScopeSet::default()
        } else {
            narrowing.scopes.as_ref().map_or_else(|| self.scopes.clone(), |scopes| self.scopes.narrow(scopes))
        };
        Self { scopes, allow, duration: narrowing.duration.map_or(self.duration, |duration| self.duration.min(duration)) }
    }

    /// Tells whether `narrowing` names only parts of these terms, and leaves something.
    pub(in crate::domain) fn can(&self, narrowing: &Narrowing) -> bool {
        let scopes = narrowing.scopes.as_ref().is_none_or(|scopes| !scopes.is_empty() && scopes.is_within(&self.scopes));
        let allow = narrowing.allow.as_ref().is_none_or(|allow| {
            !allow.is_empty() && (self.allow.is_empty() || allow.iter().all(|endpoint| self.allow.contains(endpoint)))
        });
        let duration = narrowing.duration.is_none_or(|duration| Seconds::minutes(1) <= duration && duration <= self.duration);
        scopes && allow && duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(all: &[&str]) -> Vec<Endpoint> {
        all.iter().map(|one| one.parse().expect("an endpoint")).collect()
    }

    /// An empty list of endpoints means those of the record, so a narrowing that leaves none must leave no scope.
    #[test]
    fn endpoints_that_have_nothing_in_common_leave_nothing() {
        let scopes = ScopeSet::parse("orders:write").expect("a scope");
        let terms = Terms { scopes, allow: endpoints(&["POST /orders/1"]), duration: Seconds::minutes(30) };
        for allow in [endpoints(&["POST /orders/2"]), Vec::new()] {
            let narrowing = Narrowing { allow: Some(allow), ..Narrowing::default() };
            assert!(!terms.can(&narrowing));
            assert!(terms.clone().narrow(&narrowing).scopes.is_empty(), "{narrowing:?}");
        }
        let narrowing = Narrowing { allow: Some(endpoints(&["POST /orders/1"])), ..Narrowing::default() };
        assert_eq!(terms.clone().narrow(&narrowing), terms);
    }
}
