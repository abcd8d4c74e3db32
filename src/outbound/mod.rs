//! The one client for outbound requests, with one set of rules.
//!
//! Enter through [`Outbound::may_fetch`] (checks a URL when a record is applied) and [`Outbound::fetch`] (fetches it for
//! `authn`). [`webhook`] has the same two for events, [`ticket`] for tickets, [`bucket`] keeps sealed files in a bucket, and [`mail`] sends mail. Every fetch obeys these rules:
//! - https to public addresses; anything else only for an exact origin that the operator listed (ABUSE K-02, K-03, K-11);
//! - GET; no redirect is followed, and no proxy, cookie, credential or retry is implicit (K-05, K-08, K-09); HTTP/1.1 only (K-13);
//! - one deadline of 3 s for name, connection, headers and body together; a body of at most 256 KiB, never decompressed (K-19);
//! - at most four at once to one origin, so that a slow issuer takes nothing from another (K-23).
//!
//! A return means that the whole body arrived. A late, lost or oversized answer is a [`FetchFault`]; the caller decides when
//! to retry (`authn` has a floor between attempts). A fault never has text that the other side sent (K-04).
//!
//! The meaning of a body, caches, and the TLS configuration (`authn::tls` builds it) are not here.

mod address;
pub mod bucket;
pub mod mail;
pub mod operator;
mod origin;
mod resolve;
mod sign_in;
pub mod ticket;
pub mod webhook;

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::Semaphore;

pub use origin::{FetchUrl, Forbidden, Origin};
use resolve::{System, Vetted};

use crate::domain::value::names::Issuer;

/// The deadline of a whole fetch: 3 seconds.
///
/// A longer one would let a slow issuer hold a request beyond its own time-out (K-19).
pub const TIMEOUT: Duration = Duration::from_secs(3);

/// The most that is read of a body: 256 KiB.
///
/// A larger one would let an issuer's key set fill our memory (K-19).
pub const MAX_BODY: usize = 256 * 1024;

/// The most fetches at once to one origin.
const PER_ORIGIN: usize = 4;

const USER_AGENT: &str = concat!("carnet/", env!("CARGO_PKG_VERSION"));

/// The destinations that the operator allows besides https to public addresses.
#[derive(Clone, Debug, Default)]
pub struct OutboundSettings {
    /// `[outbound] issuers`: exact origins that may be private or plain http.
    pub issuers: Vec<Origin>,
    /// `[outbound] events`: the same for receivers of events.
    pub events: Vec<Origin>,
    /// `[outbound] tickets`: the same for the ticket system.
    pub tickets: Vec<Origin>,
    /// `[outbound] issuer_origins`: by issuer, origins besides its own that its documents may name.
    pub issuer_origins: HashMap<Issuer, Vec<Origin>>,
}

/// The outbound client. Share it behind an `Arc`.
pub struct Outbound {
    issuers: Vec<Origin>,
    events: Vec<Origin>,
    tickets: Vec<Origin>,
    issuer_origins: HashMap<Issuer, Vec<Origin>>,
    /// The client for every other origin: it connects to public addresses only.
    public: reqwest::Client,
    /// The client for listed origins: it connects to any address.
    listed: reqwest::Client,
    per_origin: Mutex<HashMap<Origin, Arc<Semaphore>>>,
}

/// An answer that arrived completely.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The HTTP status; redirects arrive as they are.
    pub status: u16,
    /// The media type in lower case, without parameters.
    pub content_type: Option<String>,
    /// At most [`MAX_BODY`] bytes, not decoded in any way.
    pub body: Vec<u8>,
}

/// The reason why no usable answer arrived, in fixed texts without any of the other side's (K-04).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FetchFault {
    /// Too many fetches to the same origin are already in flight.
    #[error("too many requests to this origin at once")]
    Crowded,
    /// No connection: name, address, TCP or TLS. The other side saw no request.
    #[error("no connection could be made (name, address, TCP or TLS)")]
    Connect,
    /// The deadline passed.
    #[error("no complete answer within 3 seconds")]
    Timeout,
    /// The connection broke, or the answer is not HTTP.
    #[error("the answer broke off or is not HTTP")]
    Broken,
    /// The body is larger than [`MAX_BODY`].
    #[error("the answer is larger than 256 KiB")]
    TooLarge,
    /// A `Content-Encoding` other than `identity`, which we did not ask for.
    ///
    /// It could be a decompression bomb.
    #[error("the answer has a Content-Encoding, and none but identity is taken (Accept-Encoding: identity was sent)")]
    Encoded,
}

impl FetchFault {
    /// True if the other side may have seen a request.
    pub fn reached(self) -> bool {
        !matches!(self, Self::Crowded | Self::Connect)
    }
}

/// The client could not be built from its TLS configuration.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the outbound client cannot be built from this TLS configuration")]
pub struct Unbuildable;

impl Outbound {
    /// Builds the client from the TLS configuration that `authn::tls` makes.
    ///
    /// Any other type is refused. The type is not named here, because only `authn::tls` uses the TLS library.
    pub fn new<T: Any + Clone>(settings: OutboundSettings, tls: &T) -> Result<Self, Unbuildable> {
        Ok(Self {
            public: client(Vetted::new(System), tls.clone())?,
            listed: client(System, tls.clone())?,
            issuers: settings.issuers,
            events: settings.events,
            tickets: settings.tickets,
            issuer_origins: settings.issuer_origins,
            per_origin: Mutex::default(),
        })
    }

    /// Checks that the rules let `url` be fetched, without fetching it (ABUSE K-02, K-03).
    pub fn may_fetch(&self, url: &str) -> Result<FetchUrl, Forbidden> {
        FetchUrl::judge(url, &self.issuers)
    }

    /// The same for the URL of a key set, which may have a query.
    pub fn may_fetch_keys(&self, url: &str) -> Result<FetchUrl, Forbidden> {
        FetchUrl::judge_with_query(url, &self.issuers)
    }

    /// True if documents of `issuer` may name `url`.
    ///
    /// The URL must be on the issuer's own origin, or on one that the operator allowed for this issuer. An origin listed for
    /// another purpose does not count: otherwise an issuer could have us fetch keys, or send a code, anywhere in the list
    /// (ABUSE K-06).
    pub fn is_of_issuer(&self, url: &FetchUrl, issuer: &Issuer) -> bool {
        let own = Origin::of(issuer.as_str()).is_ok_and(|origin| origin == url.origin);
        own || self.issuer_origins.get(issuer).is_some_and(|origins| origins.contains(&url.origin))
    }

    /// GETs `url`. Every status is an answer; only a failed transport is a fault.
    pub async fn fetch(&self, url: &FetchUrl) -> Result<Fetched, FetchFault> {
        let permits = self.per_origin(&url.origin);
        let _turn = permits.try_acquire().map_err(|_| FetchFault::Crowded)?;
        let client = if url.listed { &self.listed } else { &self.public };
        // The client's own time-out covers the same, except the name look-up; this one covers that too.
        tokio::time::timeout(TIMEOUT, read(client.get(url.url.clone()))).await.map_err(|_| FetchFault::Timeout)?
    }

    fn per_origin(&self, origin: &Origin) -> Arc<Semaphore> {
        // A poisoned lock is harmless: each change of the map is complete.
        let mut per_origin = self.per_origin.lock().unwrap_or_else(PoisonError::into_inner);
        if per_origin.len() >= MOST_ORIGINS {
            // Only the map has a reference: nobody uses it.
            per_origin.retain(|_, permits| Arc::strong_count(permits) > 1);
        }
        per_origin.entry(origin.clone()).or_insert_with(|| Arc::new(Semaphore::new(PER_ORIGIN))).clone()
    }
}

/// The number of origins at which unused semaphores are dropped.
///
/// A person who may probe issuers can name any number of origins.
const MOST_ORIGINS: usize = 1024;

/// Sends a request and returns its complete answer.
async fn read(request: reqwest::RequestBuilder) -> Result<Fetched, FetchFault> {
    let mut response = request.send().await.map_err(fault)?;
    let mut codings = response.headers().get_all(CONTENT_ENCODING).iter();
    if !codings.all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(FetchFault::Encoded);
    }
    if response.content_length().is_some_and(|length| length > MAX_BODY as u64) {
        return Err(FetchFault::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(fault)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchFault::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status: response.status().as_u16(), content_type: media_type(response.headers()), body })
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next()?.trim().to_ascii_lowercase())
}

fn fault(error: reqwest::Error) -> FetchFault {
    if error.is_timeout() {
        FetchFault::Timeout
    } else if error.is_connect() {
        FetchFault::Connect
    } else {
        FetchFault::Broken
    }
}

fn client(resolver: impl reqwest::dns::Resolve + 'static, tls: impl Any) -> Result<reqwest::Client, Unbuildable> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    // A request without this header accepts every coding (RFC 9110 section 12.5.3), and nothing here decodes any.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    #[expect(clippy::disallowed_methods, reason = "this is the one place where a client is built")]
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::new(resolver))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .http1_only()
        .pool_max_idle_per_host(0)
        .user_agent(USER_AGENT)
        .default_headers(headers)
        .connect_timeout(TIMEOUT)
        .timeout(TIMEOUT)
        .build()
        .map_err(|_| Unbuildable)
}
