//! What a replay found: the tokens that guardrails would have refused.

use std::collections::BTreeMap;

use super::effect::Span;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, GuardrailName};

/// What guardrails would have done to the tokens of the last 30 days.
#[derive(Clone, Debug, Default)]
pub struct Replayed {
    /// Tokens that would have been refused.
    pub refuses: u64,
    /// Tokens of which the entries do not say enough.
    pub unknown: u64,
    /// The tokens that would have been refused, by guardrail, client and API: at most 100 rows.
    pub rows: Vec<Row>,
    /// Requests that the guardrails did refuse, by guardrail.
    pub refused: BTreeMap<GuardrailName, u64>,
    /// The tokens by guardrail.
    pub by: BTreeMap<GuardrailName, By>,
    /// The counts do not have all of that time.
    pub is_short: bool,
}

/// What one guardrail would have done to tokens.
#[derive(Clone, Debug, Default)]
pub struct By {
    /// Those that it would have refused.
    pub refused: Option<Span>,
    /// Those that it may have refused.
    pub unknown: Option<Span>,
}

/// The numbers of tokens that an apply of guardrails is told and says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Numbers {
    /// Tokens that would have been refused.
    pub refuses: u64,
    /// Tokens of which the entries do not say enough.
    pub unknown: u64,
}

impl Replayed {
    /// The numbers that an apply says.
    pub fn numbers(&self) -> Numbers {
        Numbers { refuses: self.refuses, unknown: self.unknown }
    }
}

/// Tokens of one client for one API that a guardrail would have refused.
#[derive(Clone, Debug)]
pub struct Row {
    /// The guardrail.
    pub guardrail: GuardrailName,
    /// The client.
    pub client: ClientId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The API.
    pub api: ApiName,
    /// The scopes of the token.
    pub scope: String,
    /// The number of tokens.
    pub tokens: u64,
    /// When the first was issued, and the last.
    pub between: (Timestamp, Timestamp),
}

/// The guardrails of a plan that would take something away, and what they would have refused.
#[derive(Debug)]
pub struct Taking {
    /// The digest of the guardrails.
    pub(super) about: Digest,
    /// What they would have refused.
    pub replayed: Replayed,
}
