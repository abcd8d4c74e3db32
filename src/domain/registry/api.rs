//! The record of an API: its scopes with their risks, the form of its tokens, and its callers.

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::binding::Binding;
use super::managed::ManagedBy;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ApiName, Audience, EnvironmentName};
use crate::domain::value::scope::Scope;
use crate::domain::value::text::Text;

/// `kind: Api`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Api {
    /// `metadata.name`.
    pub name: ApiName,
    /// A team or person that answers for it, as written (`team:orders-platform`).
    pub owner: Text,
    /// One audience in each of its environments. An audience belongs to one API in one of them.
    pub audience: LiteMap<EnvironmentName, Audience>,
    /// The form of its tokens.
    pub token: TokenForm,
    /// Every scope there is, with its meaning.
    pub scopes: LiteMap<Scope, ScopeEntry>,
    /// The API's own workloads, which may introspect and revoke tokens of its audience.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub callers: LiteMap<EnvironmentName, Vec<Binding>>,
    /// Whether an elevation's verdict needs the approver's passkey.
    #[serde(default)]
    pub approval: Approval,
    /// `metadata.managedBy`: who applies it, if it is not left to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<ManagedBy>,
}

/// The form and the longest life of an API's tokens.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenForm {
    /// RFC 9068, or plain JWT for verifiers that refuse `at+jwt`.
    pub profile: Profile,
    /// ES256 unless the API asked for another.
    pub alg: Alg,
    /// The longest life; the environment's `max_ttl` caps it.
    pub ttl: Seconds,
    /// Whether a token for it must be bound to a key of the caller's (`require: bound`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_bound: bool,
}

/// The token profile of an API.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// `typ: JWT`, for verifiers such as Spring's default that refuse `at+jwt`.
    Compat,
    /// `typ: at+jwt`.
    #[default]
    Rfc9068,
}

impl Api {
    /// The texts that people may ask us to forget, in an order that never changes. New ones go to the end.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let Self { name: _, owner, audience: _, token: _, scopes: _, callers: _, approval: _, managed_by: _ } = self;
        vec![owner]
    }
}

impl TokenForm {
    /// The form where nobody asked for another: RFC 9068 and ES256, for five minutes (docs/explanation/why-at-jwt.md).
    pub const DEFAULT: Self =
        Self { profile: Profile::Rfc9068, alg: Alg::Es256, ttl: Seconds::minutes(5), require_bound: false };
}

impl Profile {
    /// The `typ` header of its tokens.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Compat => "JWT",
            Self::Rfc9068 => "at+jwt",
        }
    }
}

/// The meaning and the risk of a scope.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeEntry {
    /// In plain words, for approvers and reviewers.
    pub meaning: String,
    /// The damage that a misuse would do.
    pub risk: Risk,
}

/// The damage that a misuse of a scope would do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
}

/// The proof that a verdict on an elevation for this API must carry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// The approver's sign-in.
    #[default]
    Plain,
    /// The approver's passkey over the exact elevation.
    Signed,
}
