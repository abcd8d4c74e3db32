//! Sign-ins that were begun in a browser.
//!
//! Each has a cookie, can be taken once, and expires after ten minutes.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::HeaderMap;

use super::session::Cookie;
use crate::authn::sign_in::SignIn;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// The longest time between the beginning and the answer of the identity provider.
const PATIENCE: Seconds = Seconds::minutes(10);

/// The most sign-ins at once. One more drops the oldest, so that abandoned ones fill no memory.
const MOST: usize = 1000;

/// Sign-ins that were begun, by the digest of their cookie.
pub struct Begun {
    pub(super) cookie: Cookie,
    all: Mutex<HashMap<Digest, Pending>>,
}

/// A sign-in that was begun.
pub(super) struct Pending {
    /// The values that the answer is checked against.
    pub(super) sign_in: SignIn,
    /// The page to redirect to afterwards.
    pub(super) to: String,
    /// The time at which it was begun.
    pub(super) since: Timestamp,
}

impl Begun {
    /// Creates an empty store.
    pub fn new(is_secure: bool) -> Self {
        Self { cookie: Cookie::new("sign-in", is_secure), all: Mutex::default() }
    }

    /// Stores a sign-in under the value of its cookie.
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

    /// Takes the sign-in that the cookie names, once and in time.
    pub(super) fn take(&self, headers: &HeaderMap, now: Timestamp) -> Option<Pending> {
        let key = Digest::of(self.cookie.of(headers)?.as_bytes());
        let pending = self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&key)?;
        (now.since(pending.since) <= PATIENCE).then_some(pending)
    }
}
