//! Sign-ins that were begun in a browser.
//!
//! Each has a cookie, can be taken once, whichever node takes it, and expires after ten minutes.

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::session::Cookie;
use crate::authn::sign_in::SignIn;
use crate::broker::shelf::Shelf;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::revocation::{Away, Kind, Name, Where};

/// The longest time between the beginning and the answer of the identity provider.
const PATIENCE: Seconds = Seconds::minutes(10);

/// How long a record may lie there: a little longer, since what it says decides.
const LIES: Seconds = Seconds::minutes(11);

/// The most sign-ins at once that a node begins. One more drops the oldest, so that abandoned ones fill no memory.
const MOST: usize = 1000;

/// Sign-ins that were begun, by the digest of their cookie.
pub struct Begun {
    pub(super) cookie: Cookie,
    bound: Bound,
}

/// A sign-in that was begun.
#[derive(Deserialize, Serialize)]
pub(super) struct Pending {
    /// The values that the answer is checked against.
    pub(super) sign_in: SignIn,
    /// The page to redirect to afterwards.
    pub(super) to: String,
    /// The time at which it was begun.
    pub(super) since: Timestamp,
}

impl Begun {
    /// Creates it for a console on https, or on http alone.
    pub fn new(is_secure: bool) -> Self {
        Self { cookie: Cookie::new("sign-in", is_secure), bound: Bound::new(MOST, PATIENCE) }
    }

    /// Stores a sign-in under the value of its cookie.
    pub(super) async fn add(&self, shelf: &Shelf, id: &str, pending: &Pending) -> Result<(), Away> {
        let of = Digest::of(id.as_bytes());
        if let Some(oldest) = self.bound.add(of, pending.since) {
            shelf.remove(&name(oldest)).await?;
        }
        shelf.put(&name(of), pending, (Where::Any, LIES)).await.map(drop)
    }

    /// Takes the sign-in that the cookie names, once and in time.
    pub(super) async fn take(&self, shelf: &Shelf, headers: &HeaderMap, now: Timestamp) -> Result<Option<Pending>, Away> {
        let Some(id) = self.cookie.of(headers) else { return Ok(None) };
        let of = Digest::of(id.as_bytes());
        let pending: Option<Pending> = shelf.take_out(&name(of)).await?;
        self.bound.gone(&of);
        Ok(pending.filter(|pending| now.since(pending.since) <= PATIENCE))
    }
}

fn name(of: Digest) -> Name {
    Name { kind: Kind::SignIn, of }
}
