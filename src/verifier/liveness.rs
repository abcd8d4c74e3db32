//! Checks that a token is not revoked: by the broker's live index in Redis, or by introspection.
//!
//! | way | knows | costs | when it is away |
//! |---|---|---|---|
//! | [`ByIndex`] | revocations up to a second ago | one pipeline to Redis per request | 503 |
//! | [`ByIntrospection`] | revocations up to [`ByIntrospection::KEPT`] ago, and the record | one request per token and 2 s | 503 |
//!
//! The index does not say that a token is on record: with a stolen signing key an attacker makes tokens that no line cuts,
//! until the key is tainted. Introspection refuses them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Access;
use super::keys::Answer;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ClientId;
use crate::domain::value::names::{EnvironmentName, TokenId};

/// The state of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It is valid.
    Active,
    /// It was revoked, or is not on record. This state is final.
    Ended,
    /// The state cannot be found out now; the request is refused with 503.
    Unknown,
}

/// Checks if a token is revoked.
pub trait Liveness: Send + Sync {
    /// The state of a token that every other check accepted.
    fn standing<'a>(&'a self, access: &'a Access, token: &'a str, now: Timestamp) -> Answer<'a, Standing>;
}

/// The index's facts about one token, read in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// The marker's time in seconds since 1970: `HGET carnet:{ENV}:complete time`.
    pub complete: Option<i64>,
    /// True if `ZSCORE carnet:{ENV}:revoked JTI` has a value.
    pub revoked: bool,
    /// The values of `ZMSCORE carnet:{ENV}:before MEMBER…` that exist. Each is an entry's index.
    pub before: Vec<u64>,
}

/// Reads the index in Redis, with the API's own client (docs/how-to/verify/redis-index.md).
///
/// With redis-rs:
///
/// ```text
/// let (complete, revoked, before): (Option<i64>, Option<f64>, Vec<Option<f64>>) = redis::pipe().atomic()
///     .hget(format!("carnet:{{{environment}}}:complete"), "time")
///     .zscore(format!("carnet:{{{environment}}}:revoked"), id)
///     .zscore_multiple(format!("carnet:{{{environment}}}:before"), members)
///     .query_async(&mut connection).await.ok()?;
/// ```
pub trait Index: Send + Sync {
    /// The facts about the token `id`; `None` if they cannot be read now.
    fn lines<'a>(
        &'a self,
        environment: &'a EnvironmentName,
        id: &'a TokenId,
        members: Vec<String>,
    ) -> Answer<'a, Option<Lines>>;
}

/// Checks tokens against the index.
pub struct ByIndex<I>(pub I);

/// The most that a marker's time may differ from the API's clock (docs/reference/redis-keys.md). Beyond it the index says nothing.
const STALE_AFTER: Seconds = Seconds(5);

impl<I: Index> Liveness for ByIndex<I> {
    fn standing<'a>(&'a self, access: &'a Access, _token: &'a str, now: Timestamp) -> Answer<'a, Standing> {
        Box::pin(async move {
            let members = revocation_keys(access).into_iter().map(String::from).collect();
            let lines = self.0.lines(&access.environment, &access.id, members).await;
            let Some(lines) = lines else { return Standing::Unknown };
            if lines.revoked || lines.before.iter().any(|line| access.entry < *line) {
                return Standing::Ended;
            }
            // A marker from the future is no newer one: it would stay fresh however long the broker is away.
            let is_fresh = |time: Timestamp| now.since(time) <= STALE_AFTER && time.since(now) <= STALE_AFTER;
            let fresh = lines.complete.and_then(Timestamp::from_seconds).is_some_and(is_fresh);
            if fresh { Standing::Active } else { Standing::Unknown }
        })
    }
}

/// Introspects tokens at `ISSUER/introspect` with the API's own proof (RFC 7662).
pub trait Introspect: Send + Sync {
    /// The `active` member of the answer; `None` for any status but 200, or no answer.
    fn is_active<'a>(&'a self, token: &'a str) -> Answer<'a, Option<bool>>;
}

/// Checks tokens by introspection, with a cache.
pub struct ByIntrospection<I> {
    broker: I,
    known: Mutex<HashMap<Digest, (bool, Timestamp)>>,
}

impl<I: Introspect> ByIntrospection<I> {
    /// The time that an answer "active" is cached, and so the longest delay of a revocation.
    pub const KEPT: Seconds = Seconds(2);

    /// The most answers that are cached.
    const MOST: usize = 50_000;

    /// A check that introspects by `broker`.
    pub fn new(broker: I) -> Self {
        Self { broker, known: Mutex::default() }
    }

    fn known(&self, token: Digest, now: Timestamp) -> Option<bool> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&token).filter(|(_, until)| now < *until).map(|(active, _)| *active)
    }

    fn keep(&self, token: Digest, active: bool, until: Timestamp, now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= Self::MOST {
            known.retain(|_, (_, until)| now < *until);
        }
        if known.len() < Self::MOST {
            known.insert(token, (active, until));
        }
    }
}

impl<I: Introspect> Liveness for ByIntrospection<I> {
    fn standing<'a>(&'a self, access: &'a Access, token: &'a str, now: Timestamp) -> Answer<'a, Standing> {
        Box::pin(async move {
            let name = Digest::of(token.as_bytes());
            let active = match self.known(name, now) {
                Some(active) => active,
                None => {
                    let Some(active) = self.broker.is_active(token).await else { return Standing::Unknown };
                    // A token that ended never becomes active again; an active one is introspected again soon. No answer
                    // outlives its token.
                    let until = if active { now.plus(Self::KEPT).min(access.expires) } else { access.expires };
                    self.keep(name, active, until, now);
                    active
                }
            };
            if active { Standing::Active } else { Standing::Ended }
        })
    }
}

/// The keys of all revocations that would cut a token, as far as its claims say.
pub(super) fn revocation_keys(access: &Access) -> Vec<RevocationKey> {
    let environment = &access.environment;
    let mut keys = vec![
        RevocationKey::binding(&access.client, environment, &access.binding),
        RevocationKey::environment(environment),
        RevocationKey::key(environment, &access.kid),
        RevocationKey::api(&access.api),
    ];
    if let ClientId::Integration(id) = &access.client {
        keys.extend(RevocationKey::of_integration(id, environment));
    }
    keys.extend(access.elevations.iter().map(|elevation| RevocationKey::elevation(&elevation.id)));
    keys
}
