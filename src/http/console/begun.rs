//! Sign-ins that were begun in a browser: each has a cookie, is taken once, and lives for ten minutes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;

use super::session::Cookie;
use crate::authn::sign_in::SignIn;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// How long a person may take at the identity provider.
const PATIENCE: Seconds = Seconds::minutes(10);

/// More at once have the oldest forgotten: who begins and never comes back fills no memory.
const MOST: usize = 1000;

/// Sign-ins that were begun, by the digest of their cookie.
pub struct Begun {
    pub(super) cookie: Cookie,
    all: Mutex<HashMap<Digest, Pending>>,
}

/// A sign-in that was begun.
pub(super) struct Pending {
    /// The values that its answer is checked against.
    pub(super) sign_in: SignIn,
    /// The page to go on to.
    pub(super) to: String,
    /// When it was begun.
    pub(super) since: Timestamp,
}

impl Begun {
    /// None yet.
    pub fn new(is_secure: bool) -> Self {
        Self { cookie: Cookie::new("sign-in", is_secure), all: Mutex::default() }
    }

    /// Keeps one under the name in its cookie.
    pub(super) fn add(&self, id: &str, pending: Pending) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, one| pending.since.since(one.since) <= PATIENCE);
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, one)| one.since).map(|(key, _)| *key)
        {
            all.remove(&oldest);
        }
        all.insert(Digest::of(id.as_bytes()), pending);
    }

    /// Takes the one that the cookie names, once and in time.
    pub(super) fn take(&self, headers: &HeaderMap, now: Timestamp) -> Option<Pending> {
        let key = Digest::of(self.cookie.of(headers)?.as_bytes());
        let pending = self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)?;
        (now.since(pending.since) <= PATIENCE).then_some(pending)
    }
}
