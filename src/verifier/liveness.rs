//! Whether a token still counts: by the broker's live index in Redis, or by asking the broker.
//!
//! | way | knows | costs | when it is away |
//! |---|---|---|---|
//! | [`ByIndex`] | revocations up to a second ago | one pipeline to Redis per request | 503 |
//! | [`ByIntrospection`] | revocations up to [`ByIntrospection::KEPT`] ago, and that the token is on record | a request to the broker per token and two seconds | 503 |
//!
//! The index alone does not say that a token is on record: whoever stole a signing key makes tokens that it has no line for, until the
//! key is tainted. Introspection does.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Access;
use super::keys::Answer;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ClientId;
use crate::domain::value::names::{EnvironmentName, TokenId};

/// What is known of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It counts.
    Active,
    /// It was revoked, or nobody knows it. That never changes.
    Ended,
    /// Nobody can say now.
    Unknown,
}

/// Says whether tokens count.
pub trait Liveness: Send + Sync {
    /// Of a token that is otherwise good.
    fn standing<'a>(&'a self, access: &'a Access, token: &'a str, now: Timestamp) -> Answer<'a, Standing>;
}

/// What the index holds of one token, read in one transaction.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// `HGET carnet:{ENV}:complete time`.
    pub complete: Option<i64>,
    /// Whether `ZSCORE carnet:{ENV}:revoked JTI` is there.
    pub revoked: bool,
    /// `ZMSCORE carnet:{ENV}:before MEMBER…`, those that are there.
    pub before: Vec<u64>,
}

/// Reads the index in Redis (docs/how-to/verify/redis-index.md). `None` is "not now". With redis-rs:
///
/// ```text
/// let (complete, revoked, before): (Option<i64>, Option<f64>, Vec<Option<f64>>) = redis::pipe().atomic()
///     .hget(format!("carnet:{{{environment}}}:complete"), "time")
///     .zscore(format!("carnet:{{{environment}}}:revoked"), id)
///     .zscore_multiple(format!("carnet:{{{environment}}}:before"), members)
///     .query_async(&mut connection).await.ok()?;
/// ```
pub trait Index: Send + Sync {
    /// The lines of one token.
    fn lines<'a>(
        &'a self,
        environment: &'a EnvironmentName,
        id: &'a TokenId,
        members: Vec<String>,
    ) -> Answer<'a, Option<Lines>>;
}

/// By the index.
pub struct ByIndex<I>(pub I);

/// An index whose marker is older says nothing (docs/reference/redis-keys.md).
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
            let fresh = lines.complete.and_then(Timestamp::from_seconds).is_some_and(|time| now.since(time) <= STALE_AFTER);
            if fresh { Standing::Active } else { Standing::Unknown }
        })
    }
}

/// Asks `ISSUER/introspect` with a proof of the API's own (RFC 7662). `None` is "not now": anything but status 200.
pub trait Introspect: Send + Sync {
    /// The `active` member of the answer.
    fn is_active<'a>(&'a self, token: &'a str) -> Answer<'a, Option<bool>>;
}

/// By introspection, with a cache.
pub struct ByIntrospection<I> {
    broker: I,
    known: Mutex<HashMap<Digest, (bool, Timestamp)>>,
}

impl<I: Introspect> ByIntrospection<I> {
    /// How long an answer "active" is believed: this is how late a revocation may arrive.
    pub const KEPT: Seconds = Seconds(2);

    /// Answers that are kept.
    const MOST: usize = 50_000;

    /// Asks by `broker`.
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
                    // What has ended never comes back; what is active is asked again soon. Neither outlives the token.
                    let until = if active { now.plus(Self::KEPT).min(access.expires) } else { access.expires };
                    self.keep(name, active, until, now);
                    active
                }
            };
            if active { Standing::Active } else { Standing::Ended }
        })
    }
}

/// The keys of revocations that cut a token, as far as its claims tell.
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
