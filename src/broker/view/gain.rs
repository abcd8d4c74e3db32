//! Who gains what by a difference that widens, as answers show it.

use serde::Serialize;
use utoipa::ToSchema;

/// Who gains what by a difference.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = Gain)]
pub struct Gain {
    /// The integrations that gain it, at most 20 of them; none if it is somebody else, or everybody.
    pub who: Vec<String>,
    /// The number of integrations that gain it.
    pub integrations: u64,
    /// Whether everybody may gain it: it stands in a guardrail.
    pub everybody: bool,
    /// What is gained.
    pub what: Gained,
    /// The same in a sentence.
    pub sentence: String,
}

/// What is gained.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = Gained)]
pub struct Gained {
    /// The environment; absent if it is all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub environment: Option<String>,
    /// The API.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub api: Option<String>,
    /// The scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub scope: Option<String>,
    /// The binding that takes more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub binding: Option<String>,
    /// The field that says so.
    pub field: String,
}
