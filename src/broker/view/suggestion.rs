//! A narrower record, as answers propose it.

use serde::Serialize;
use utoipa::ToSchema;

use super::record::DifferenceView;
use crate::domain::decision::suggestion::{Part, What};
use crate::domain::record::Difference;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName, IntegrationId};
use crate::domain::value::scope::Scope;

/// A narrower record of an integration, from what was issued in 90 days. Nothing is changed by it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Suggestion)]
pub struct SuggestionView {
    integration: IntegrationId,
    /// The version in force that it narrows.
    version: Digest,
    /// The record as YAML; null if nothing would be left of it: then the integration can be offboarded.
    #[schema(required)]
    pub record: Option<String>,
    /// True if the record can be applied as it is: no text of it was erased.
    pub applies: bool,
    /// What it takes away.
    differences: Vec<DifferenceView>,
    /// What it says of each part of the record in force.
    parts: Vec<PartView>,
}

/// A part of a record.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SuggestedPart)]
pub struct PartView {
    environment: EnvironmentName,
    /// `environment`, `api`, `scope` or `binding`.
    what: &'static str,
    #[schema(required)]
    api: Option<ApiName>,
    #[schema(required)]
    scope: Option<Scope>,
    #[schema(required)]
    binding: Option<BindingName>,
    /// `keep` or `remove`; `unknown` of a scope whose client asks for everything each time: it stays, and nobody knows if it is needed.
    suggestion: &'static str,
    because: String,
    /// Tokens of the last 90 days that needed it, in whole days of UTC. Without it they would have been refused.
    issued90d: u64,
    /// Tokens from before, within 400 days.
    issued_before: u64,
    #[schema(required)]
    last_issued: Option<Timestamp>,
    /// True if each token of 90 days had every one of several scopes of the API.
    everything: bool,
}

impl SuggestionView {
    /// What is said of each part. The caller adds the record.
    pub fn of(integration: &IntegrationId, version: Digest, parts: &[Part]) -> Self {
        let parts = parts.iter().map(PartView::of).collect();
        Self { integration: integration.clone(), version, record: None, applies: false, differences: Vec::new(), parts }
    }

    /// Adds the differences between both versions, as they are told at `now`.
    pub fn add(&mut self, differences: &[Difference], now: Timestamp) {
        self.differences = differences.iter().map(|difference| DifferenceView::of(difference, None, now)).collect();
    }
}

impl PartView {
    fn of(part: &Part) -> Self {
        let (what, api, scope, binding) = match &part.what {
            What::Environment => ("environment", None, None, None),
            What::Api(api) => ("api", Some(api.clone()), None, None),
            What::Scope(api, scope) => ("scope", Some(api.clone()), Some(scope.clone()), None),
            What::Binding(binding) => ("binding", None, None, Some(binding.clone())),
        };
        let everything = part.figures.everything;
        let suggestion = match (part.stays, everything && scope.is_some()) {
            (false, _) => "remove",
            (true, true) => "unknown",
            (true, false) => "keep",
        };
        Self {
            environment: part.environment.clone(),
            what,
            api,
            scope,
            binding,
            suggestion,
            because: part.because.clone(),
            issued90d: part.figures.lately,
            issued_before: part.figures.before,
            last_issued: part.figures.last,
            everything,
        }
    }
}
