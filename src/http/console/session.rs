//! Sessions of people who signed in in a browser.
//!
//! A session is a cookie of 128 unguessable bits; the server stores its digest alone. It ends with the person's [`SignedIn`]
//! (`[staff] max_age`), after [`IDLE`] without a request, at a sign-out, and at a cut. A new sign-in makes a new session and
//! ends the old one (ABUSE ).
//!
//! Over https the cookie is `__Host-`, so no sibling domain can set it. `SameSite=Lax`: a link in a mail opens the page, but
//! another site's form can do nothing.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, HeaderValue, header};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

use crate::authn::SignedIn;
use crate::authn::passkey::Registration;
use crate::domain::people::actor::Staff;
use crate::domain::value::clock::{Entropy, Seconds, Timestamp};
use crate::domain::value::digest::Digest;

/// The longest time without a request before a session ends.
pub const IDLE: Seconds = Seconds::minutes(30);

/// The most sessions at once, more than any staff needs. One more ends the one idle longest.
const MOST: usize = 10_000;

/// The person on a page, as of this request.
#[derive(Clone)]
pub struct Visitor {
    /// The person, with roles and freshness.
    pub staff: Staff,
    /// The token that every form of theirs has.
    pub token: String,
    key: Digest,
}

impl Visitor {
    /// True if a form's token is this session's.
    pub fn owns(&self, token: Option<&str>) -> bool {
        bool::from(token.unwrap_or_default().as_bytes().ct_eq(self.token.as_bytes()))
    }
}

struct Session {
    who: SignedIn,
    token: String,
    last: Timestamp,
    registration: Option<Arc<Registration>>,
}

/// The sessions of a node.
pub struct Sessions {
    cookie: Cookie,
    all: Mutex<HashMap<Digest, Session>>,
}

impl Sessions {
    /// Creates an empty store.
    pub fn new(is_secure: bool) -> Self {
        Self { cookie: Cookie::new("session", is_secure), all: Mutex::default() }
    }

    /// Opens a session and returns its `Set-Cookie`.
    pub fn open(&self, who: SignedIn, now: Timestamp, entropy: &(dyn Entropy + 'static)) -> Option<HeaderValue> {
        let (id, token) = (entropy.identifier(), entropy.identifier());
        let mut all = self.lock();
        all.retain(|_, session| counts(session, now));
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.last).map(|(key, _)| *key)
        {
            all.remove(&oldest);
        }
        all.insert(Digest::of(id.as_bytes()), Session { who, token, last: now, registration: None });
        self.cookie.set(&id)
    }

    /// The visitor whose session the cookie names, if it is valid at `now`.
    pub fn find(&self, headers: &HeaderMap, now: Timestamp) -> Option<Visitor> {
        let key = self.key(headers)?;
        let mut all = self.lock();
        let session = all.get_mut(&key)?;
        let staff = session.who.at(now).filter(|_| counts(session, now));
        let Some(staff) = staff else {
            all.remove(&key);
            return None;
        };
        session.last = now;
        Some(Visitor { staff, token: session.token.clone(), key })
    }

    /// Ends the session that the cookie names; returns the `Set-Cookie` that deletes the cookie.
    pub fn close(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(key) = self.key(headers) {
            self.lock().remove(&key);
        }
        self.cookie.forget()
    }

    /// Stores the challenge of a registration until its answer comes.
    pub fn begin(&self, visitor: &Visitor, registration: Arc<Registration>) {
        if let Some(session) = self.lock().get_mut(&visitor.key) {
            session.registration = Some(registration);
        }
    }

    /// Takes the registration, so that it can be answered once.
    pub fn begun(&self, visitor: &Visitor) -> Option<Arc<Registration>> {
        self.lock().get_mut(&visitor.key)?.registration.take()
    }

    fn key(&self, headers: &HeaderMap) -> Option<Digest> {
        self.cookie.of(headers).map(|id| Digest::of(id.as_bytes()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Session>> {
        // A poisoned lock is harmless: each entry is complete by itself.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counts(session: &Session, now: Timestamp) -> bool {
    now.since(session.last) < IDLE && session.who.at(now).is_some()
}

/// A cookie of ours.
pub struct Cookie {
    name: String,
    attributes: &'static str,
}

impl Cookie {
    /// The cookie of this name; on https with the prefix `__Host-` (RFC 6265bis section 4.1.3.2).
    pub fn new(name: &str, is_secure: bool) -> Self {
        if is_secure {
            Self { name: format!("__Host-carnet-{name}"), attributes: "; Path=/; HttpOnly; SameSite=Lax; Secure" }
        } else {
            Self { name: format!("carnet-{name}"), attributes: "; Path=/; HttpOnly; SameSite=Lax" }
        }
    }

    /// Its value in a request; `None` if it was not sent, or sent twice.
    pub fn of<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs.filter(|(name, _)| *name == self.name).map(|(_, value)| value);
        found.next().filter(|_| found.next().is_none())
    }

    /// The `Set-Cookie` that sets it.
    pub fn set(&self, value: &str) -> Option<HeaderValue> {
        HeaderValue::from_str(&format!("{}={value}{}", self.name, self.attributes)).ok()
    }

    /// The `Set-Cookie` that deletes it.
    pub fn forget(&self) -> HeaderValue {
        let text = format!("{}={}; Max-Age=0", self.name, self.attributes);
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
    }
}
