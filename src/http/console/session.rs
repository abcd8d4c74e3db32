//! Sessions of people who signed in in a browser.
//!
//! A session is a cookie of 128 unguessable bits; the server stores its digest alone, where all nodes see it (`broker::shelf`). It ends with
//! the person's [`SignedIn`] (`[staff] max_age`), after [`IDLE`] without a request, at a sign-out, and at a cut, at every node. A new sign-in
//! makes a new session and ends the old one (ABUSE ). While Redis is away nobody is signed in, and nothing is signed out.
//!
//! Over https the cookie is `__Host-`, so no sibling domain can set it. `SameSite=Lax`: a link in a mail opens the page, but
//! another site's form can do nothing.

use axum::http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::bound::Bound;
use crate::authn::SignedIn;
use crate::authn::passkey::Registration;
use crate::broker::shelf::Shelf;
use crate::domain::people::actor::Staff;
use crate::domain::value::clock::{Entropy, Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::revocation::{Away, Kind, Name, Where};

/// The longest time without a request before a session ends.
pub const IDLE: Seconds = Seconds::minutes(30);

/// How long a record may lie there: a little longer, since what it says decides.
const LIES: Seconds = Seconds::minutes(31);

/// The most sessions at once that a node opened, more than any staff needs. One more ends the one idle longest.
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

/// In place of a [`Visitor`] where a session was named and nobody can say whose it is.
#[derive(Clone, Copy)]
pub struct Unread;

impl Visitor {
    /// True if a form's token is this session's.
    pub fn owns(&self, token: Option<&str>) -> bool {
        bool::from(token.unwrap_or_default().as_bytes().ct_eq(self.token.as_bytes()))
    }
}

#[derive(Deserialize, Serialize)]
struct Session {
    who: SignedIn,
    token: String,
    last: Timestamp,
}

/// A registration of a passkey that was begun on a page of a session.
#[derive(Deserialize, Serialize)]
struct Begun {
    registration: Registration,
    since: Timestamp,
}

/// The sessions of all nodes.
pub struct Sessions {
    cookie: Cookie,
    bound: Bound,
}

impl Sessions {
    /// Creates it for a console on https, or on http alone.
    pub fn new(is_secure: bool) -> Self {
        Self { cookie: Cookie::new("session", is_secure), bound: Bound::new(MOST, IDLE) }
    }

    /// Opens a session and returns its `Set-Cookie`.
    pub async fn open(
        &self,
        shelf: &Shelf,
        who: SignedIn,
        now: Timestamp,
        entropy: &(dyn Entropy + 'static),
    ) -> Result<Option<HeaderValue>, Away> {
        let (id, token) = (entropy.identifier(), entropy.identifier());
        let key = Digest::of(id.as_bytes());
        if let Some(oldest) = self.bound.add(key, now) {
            remove(shelf, oldest).await?;
        }
        shelf.put(&session(key), &Session { who, token, last: now }, (Where::Any, LIES)).await?;
        Ok(self.cookie.set(&id))
    }

    /// The visitor whose session the cookie names, if it is valid at `now`.
    pub async fn find(&self, shelf: &Shelf, headers: &HeaderMap, now: Timestamp) -> Result<Option<Visitor>, Away> {
        let Some(key) = self.key(headers) else { return Ok(None) };
        let Some(mut found): Option<Session> = shelf.find(&session(key)).await? else { return Ok(None) };
        let staff = found.who.at(now).filter(|_| now.since(found.last) < IDLE);
        let Some(staff) = staff else {
            remove(shelf, key).await?;
            self.bound.gone(&key);
            return Ok(None);
        };
        if found.last < now {
            found.last = now;
            // A session that was ended at another node meanwhile does not come back.
            if !shelf.put(&session(key), &found, (Where::There, LIES)).await? {
                return Ok(None);
            }
            self.bound.used(&key, now);
        }
        Ok(Some(Visitor { staff, token: found.token, key }))
    }

    /// Ends the session that the cookie names; returns the `Set-Cookie` that deletes the cookie.
    pub async fn close(&self, shelf: &Shelf, headers: &HeaderMap) -> Result<HeaderValue, Away> {
        if let Some(key) = self.key(headers) {
            remove(shelf, key).await?;
            self.bound.gone(&key);
        }
        Ok(self.cookie.forget())
    }

    /// Stores the challenge of a registration until its answer comes.
    pub async fn begin(
        &self,
        shelf: &Shelf,
        visitor: &Visitor,
        registration: Registration,
        now: Timestamp,
    ) -> Result<(), Away> {
        let begun = Begun { registration, since: now };
        shelf.put(&passkey(visitor.key), &begun, (Where::Any, LIES)).await.map(drop)
    }

    /// Takes the registration, so that it can be answered once.
    pub async fn begun(&self, shelf: &Shelf, visitor: &Visitor, now: Timestamp) -> Result<Option<Registration>, Away> {
        let begun: Option<Begun> = shelf.take_out(&passkey(visitor.key)).await?;
        Ok(begun.filter(|begun| now.since(begun.since) < IDLE).map(|begun| begun.registration))
    }

    fn key(&self, headers: &HeaderMap) -> Option<Digest> {
        self.cookie.of(headers).map(|id| Digest::of(id.as_bytes()))
    }
}

/// Removes a session and what was begun in it.
async fn remove(shelf: &Shelf, key: Digest) -> Result<(), Away> {
    shelf.remove(&session(key)).await?;
    shelf.remove(&passkey(key)).await
}

fn session(of: Digest) -> Name {
    Name { kind: Kind::Session, of }
}

fn passkey(of: Digest) -> Name {
    Name { kind: Kind::Passkey, of }
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
