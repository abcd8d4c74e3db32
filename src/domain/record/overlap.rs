//! Overlap: could one proof be admitted by two bindings that mean different clients or environments?
//!
//! A proof has one `iss`, one set of claims and one audience. Two bindings can take the same one only if all of these hold:
//! - **issuer**: the same text. So `key` bindings of different clients never overlap (their `iss` is the client id).
//! - **audience**: each environment takes its own issuer URL, which no other environment has; so across environments two
//!   bindings share an audience only if an `audience:` value of one is also taken by the other. Those values are refused by
//!   [`check`](super::check) (`record.audience-taken`), and here they count all the same.
//! - **claims**: no claim on which their conditions are disjoint. A claim that only one of them conditions separates nothing,
//!   since the other admits any value of it. Algorithms, `typ`, key sources, life and networks separate nothing either
//!   (CONTRACT.md section 3: "they must differ on a claim by disjoint matchers").

use super::claims::steps;
use crate::domain::binding::{Admits, Binding, ExtraAudience, JwtRule};
use crate::domain::names::{ClientId, EnvironmentName};

/// A rule on JWTs and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Claimed<'a> {
    pub client: ClientId,
    pub environment: &'a EnvironmentName,
    pub binding: &'a Binding,
    pub rule: &'a JwtRule,
    /// The path of the binding in its record.
    pub at: String,
}

impl<'a> Claimed<'a> {
    /// The rules on JWTs of a list of bindings. Certificates name their integration and environment themselves.
    pub fn all(client: &ClientId, environment: &'a EnvironmentName, bindings: &'a [Binding], at: &str) -> Vec<Self> {
        let claimed = |(i, binding): (usize, &'a Binding)| match &binding.admits {
            Admits::Jwt(rule) => Some(Self { client: client.clone(), environment, binding, rule, at: format!("{at}[{i}]") }),
            Admits::Certificate => None,
        };
        bindings.iter().enumerate().filter_map(claimed).collect()
    }

    /// Whether one proof could be admitted by both, as two different clients or in two environments.
    pub fn overlaps(&self, other: &Self) -> bool {
        let same_rights = self.client == other.client && self.environment == other.environment;
        !same_rights && self.rule.issuer == other.rule.issuer && self.shares_audience(other) && !disjoint(self.rule, other.rule)
    }

    /// The extra audience, where it is a value of its own.
    pub fn extra(&self) -> Option<&str> {
        match &self.rule.audience {
            Some(ExtraAudience::Value(audience)) => Some(audience.as_str()),
            Some(ExtraAudience::TokenEndpoint) | None => None,
        }
    }

    fn shares_audience(&self, other: &Self) -> bool {
        self.environment == other.environment || self.extra().is_some_and(|extra| other.extra() == Some(extra))
    }
}

/// Whether no claims meet the conditions of both rules.
pub(super) fn disjoint(a: &JwtRule, b: &JwtRule) -> bool {
    a.matchers.iter().any(|a| {
        let steps_of_a = steps(&a.claim);
        b.matchers.iter().any(|b| steps(&b.claim) == steps_of_a && a.condition.is_disjoint(&b.condition))
    })
}
