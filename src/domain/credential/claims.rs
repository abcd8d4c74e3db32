//! The claims of our tokens, and the exact bytes that are signed.
//!
//! The bytes are a function of grant and journal index. The entry has their SHA-256, so a token that verifies but was not recorded
//! does not count (docs/explanation/journal.md).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::confirmation::Confirmation;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{Audience, BindingName, ClientId, ElevationId, EnvironmentName, Issuer, Ticket, TokenId};
use crate::domain::value::scope::ScopeSet;

/// The longest life of a token that a configuration can allow.
pub const LONGEST_LIFE: Seconds = Seconds::hours(1);

/// How far `iat` and `nbf` of our tokens are set back, for verifiers whose clocks are slow.
pub const BACKDATED: Seconds = Seconds(2);

/// The claims of an access token (RFC 9068 section 2.2), without `entry`.
///
/// The journal gives `entry`. See docs/reference/claims.md.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Issuer,
    /// `aud`, one string.
    pub audience: Audience,
    /// `sub` and `client_id`.
    pub client: ClientId,
    /// `exp`.
    pub expires: Timestamp,
    /// `iat` and `nbf`.
    pub issued: Timestamp,
    /// `jti`.
    pub id: TokenId,
    /// `scope`.
    pub scope: ScopeSet,
    /// `env`.
    pub environment: EnvironmentName,
    /// `binding`.
    pub binding: BindingName,
    /// `authorization_details` (RFC 9396): endpoint conditions, elevations.
    pub details: Arc<[Detail]>,
    /// `cnf`: the key that the token is bound to.
    pub confirmation: Option<Confirmation>,
}

/// The types of `authorization_details` that metadata lists.
pub const DETAIL_TYPES: [&str; 2] = ["endpoints", "jit_elevation"];

/// The claims on the wire, in their order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// Our issuer in the environment.
    pub iss: Issuer,
    /// The API.
    pub aud: Audience,
    /// The client.
    pub sub: ClientId,
    /// The client again (RFC 9068 section 2.2).
    pub client_id: ClientId,
    /// End of life.
    pub exp: Timestamp,
    /// When it was issued, two seconds back.
    pub iat: Timestamp,
    /// The same.
    pub nbf: Timestamp,
    /// The token's id.
    pub jti: TokenId,
    /// Scopes apart by a space.
    #[serde(with = "crate::domain::value::scope::parameter")]
    pub scope: ScopeSet,
    /// The environment.
    pub env: EnvironmentName,
    /// The journal index.
    pub entry: u64,
    /// The binding that admitted.
    pub binding: BindingName,
    /// The key that the token is bound to (RFC 7800).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// Endpoint conditions and elevations (RFC 9396).
    #[serde(default, skip_serializing_if = "<[Detail]>::is_empty")]
    pub authorization_details: Arc<[Detail]>,
}

/// One authorization detail (RFC 9396 section 2), as token, response and introspection have it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detail {
    /// Endpoint conditions: `{"type":"endpoints","locations":[AUD],"actions":["GET /v1/orders"]}`.
    Endpoints {
        /// The API's audience.
        locations: [Audience; 1],
        /// Methods and path templates.
        actions: Vec<Endpoint>,
    },
    /// An elevation that the token rests on, so that an API's logs match the approval.
    ///
    /// `{"type":"jit_elevation","id","scopes","ends","ticket"?}`.
    JitElevation {
        /// The id of the elevation.
        id: ElevationId,
        /// The scopes that the token has through it.
        scopes: ScopeSet,
        /// Its end.
        ends: Timestamp,
        /// The ticket that it names.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ticket: Option<Ticket>,
    },
}

impl Detail {
    /// Tells whether the endpoint conditions of a token admit a request.
    ///
    /// If a token has any, one of them must. A scope without conditions beside them is narrowed too, because nothing in a token
    /// says which scope a condition came from (docs/reference/claims.md).
    pub fn admit(details: &[Self], method: &str, path: &str) -> bool {
        let conditions = details.iter().filter_map(|detail| match detail {
            Self::Endpoints { actions, .. } => Some(actions),
            Self::JitElevation { .. } => None,
        });
        let mut conditions = conditions.peekable();
        conditions.peek().is_none() || conditions.flatten().any(|endpoint| endpoint.admits(method, path))
    }
}

impl Claims {
    /// Adds the journal index, as the claims are signed.
    pub fn payload(&self, entry: u64) -> Payload {
        Payload {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: self.client.clone(),
            client_id: self.client.clone(),
            exp: self.expires,
            iat: self.issued,
            nbf: self.issued,
            jti: self.id.clone(),
            scope: self.scope.clone(),
            env: self.environment.clone(),
            entry,
            binding: self.binding.clone(),
            cnf: self.confirmation,
            authorization_details: Arc::clone(&self.details),
        }
    }
}

impl Payload {
    /// The bytes that are signed.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(768);
        // Invariant: every member serialises; there is no map and no float.
        serde_json::to_writer(&mut bytes, self).expect("claims are JSON");
        bytes
    }
}
