//! The issuer's keys: fetched when first needed, cached, refreshed ahead, at most twice a minute.
//!
//! | what | how long |
//! |---|---|
//! | keys | fetched again after 5 min, while the old ones still serve; not used later than 1 h after they arrived |
//! | an unknown `kid` | one fetch in 30 s, however many are invented |
//!
//! One fetch runs at a time. Meanwhile the old keys serve every request that they can; a request for another key waits. A bad
//! answer never replaces good keys.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Turn;

use super::jws::Compact;
use super::refusal::Refusal;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::jwk::Jwk;
use crate::domain::value::jwk_set::JwkSet;

/// A boxed future, for traits that are used as objects.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Fetches `ISSUER/jwks`, with the API's own HTTP client.
///
/// An implementation must use TLS, follow no redirects, have a time limit and read at most 64 KiB.
pub trait Fetch: Send + Sync {
    /// The bytes of the key set (RFC 7517); `None` if they cannot be fetched now.
    fn fetch(&self) -> Answer<'_, Option<Vec<u8>>>;
}

const REFRESH: Seconds = Seconds::minutes(5);
const MAX_STALE: Seconds = Seconds::hours(1);
const FLOOR: Seconds = Seconds(30);

/// The keys of one issuer.
pub struct Keys {
    source: Box<dyn Fetch>,
    held: Mutex<Held>,
    turn: Turn<()>,
}

#[derive(Default)]
struct Held {
    keys: Option<Arc<JwkSet>>,
    fetched: Option<Timestamp>,
    tried: Option<Timestamp>,
}

impl Keys {
    /// Creates an empty cache, which fetches by `source`.
    pub fn new(source: impl Fetch + 'static) -> Self {
        Self { source: Box::new(source), held: Mutex::default(), turn: Turn::new(()) }
    }

    /// The key that the token's `kid` names.
    ///
    /// Without a `kid` there is no key: keys are never tried in turn.
    pub(super) async fn find(&self, token: &Compact<'_>, now: Timestamp) -> Result<Arc<Jwk>, Refusal> {
        let kid = token.header.kid.as_deref().ok_or(Refusal::Token("it names no key"))?;
        let alg: Alg = token.header.alg.parse().map_err(|_| Refusal::Token("its alg is not one that is taken"))?;
        if let Some(key) = self.known((kid, alg), now, REFRESH) {
            return Ok(key);
        }
        // One request fetches. Meanwhile the old keys serve all others that they can.
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => match self.known((kid, alg), now, MAX_STALE) {
                Some(key) => return Ok(key),
                None => self.turn.lock().await,
            },
        };
        // The request before may have fetched the key.
        if let Some(key) = self.known((kid, alg), now, REFRESH) {
            return Ok(key);
        }
        if self.may_try(now)
            && let Some(keys) = self.source.fetch().await.as_deref().and_then(read)
        {
            let mut held = self.held();
            held.keys = Some(keys);
            held.fetched = Some(now);
        }
        if let Some(key) = self.known((kid, alg), now, MAX_STALE) {
            return Ok(key);
        }
        let any = self.held().fetched.is_some_and(|fetched| now < fetched.plus(MAX_STALE));
        Err(if any { Refusal::Token("no key of the issuer has its kid") } else { Refusal::Away })
    }

    /// A poisoned lock is harmless: every change is a plain assignment.
    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self, (kid, alg): (&str, Alg), now: Timestamp, age: Seconds) -> Option<Arc<Jwk>> {
        let held = self.held();
        let fresh = held.fetched.is_some_and(|fetched| now < fetched.plus(age));
        held.keys.as_ref().filter(|_| fresh)?.select(Some(kid), alg).cloned()
    }

    fn may_try(&self, now: Timestamp) -> bool {
        let mut held = self.held();
        let rests = held.tried.is_some_and(|tried| now < tried.plus(FLOOR));
        if !rests {
            held.tried = Some(now);
        }
        !rests
    }
}

fn read(bytes: &[u8]) -> Option<Arc<JwkSet>> {
    let set = JwkSet::parse(bytes).ok()?;
    let any = set.usable().next().is_some();
    any.then(|| Arc::new(set))
}
