//! Loads the keys of a source: its discovery document and key set. One attempt, no memory.
//!
//! Enter through [`load`]. `keys` decides when an attempt is made, and keeps its outcome.

use serde_json::Value;

use super::jwks::{KeySet, ProbedKey, SetFault};
use crate::domain::registry::binding::KeySource;
use crate::domain::value::names::Issuer;
use crate::domain::value::strict_json;
use crate::outbound::{FetchFault, FetchUrl, Fetched, Forbidden, Outbound};

/// The reason why a source gave no keys.
///
/// Its texts are fixed: they contain nothing that the issuer sent (ABUSE K-04).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeysFault {
    /// The rules do not let the URL be fetched.
    #[error("{0}")]
    Forbidden(#[from] Forbidden),
    /// Nothing usable arrived.
    #[error("{0}")]
    Fetch(#[from] FetchFault),
    /// A status other than 200; a redirect is one (ABUSE K-05, K-08).
    #[error("the issuer answered with status {0} instead of 200 (redirects are not followed)")]
    Status(u16),
    /// A media type other than JSON (ABUSE K-19).
    #[error("the issuer answered with something that is not declared as JSON")]
    ContentType,
    /// The discovery document lacks `issuer` or `jwks_uri`.
    #[error("the discovery document is not JSON with issuer and jwks_uri")]
    Document,
    /// The document is of another issuer (ABUSE K-07).
    #[error("the discovery document names another issuer, byte for byte")]
    OtherIssuer,
    /// `jwks_uri` is on another origin (ABUSE K-06).
    #[error(
        "jwks_uri is on another origin than the issuer: name it as jwksUri in the record, or allow that origin for this issuer in \
         [outbound] issuer_origins"
    )]
    OtherOrigin,
    /// The key set is faulty.
    #[error("{0}")]
    Set(#[from] SetFault),
    /// The attempt ended without an outcome.
    #[error("the attempt to fetch the keys was cut off")]
    Aborted,
}

/// The outcome of one attempt, and how far it got.
pub(super) struct Attempt {
    pub(super) outcome: Result<KeySet, KeysFault>,
    /// True if the issuer may have seen a request for its key set.
    ///
    /// The floor of 30 s counts such requests (ABUSE K-20, I-13).
    pub(super) asked_for_keys: bool,
    /// The body of the key set, if it is one.
    pub(super) body: Option<Vec<u8>>,
}

/// The keys of an issuer that somebody probed on purpose.
#[derive(Clone, Debug)]
pub struct Probed {
    /// The URL of its key set.
    pub jwks_uri: String,
    /// The usable keys.
    pub keys: Vec<ProbedKey>,
    /// The number of entries that are no usable key.
    pub ignored: usize,
    /// Notes on what is odd about the set, key by key.
    pub notes: Vec<String>,
}

/// Fetches the discovery document and keys of `issuer` once, for a person. Nothing is kept.
pub(super) async fn probe(outbound: &Outbound, issuer: &Issuer) -> Result<Probed, KeysFault> {
    let url = jwks_uri(outbound, issuer).await?;
    let set = key_set(outbound, &url, KeySet::parse).await.outcome?;
    Ok(Probed { jwks_uri: url.as_str().to_owned(), keys: set.probed(), ignored: set.ignored, notes: set.notes() })
}

/// Fetches (or parses) the keys of `source` once.
pub(super) async fn load(outbound: &Outbound, source: &KeySource) -> Attempt {
    let url = match source {
        KeySource::Inline(set) => {
            let outcome = KeySet::parse(set.as_bytes()).map_err(KeysFault::from);
            return Attempt { outcome, asked_for_keys: false, body: None };
        }
        KeySource::InlineBundle(bundle) => {
            let outcome = KeySet::bundle(bundle.as_bytes()).map_err(KeysFault::from);
            return Attempt { outcome, asked_for_keys: false, body: None };
        }
        KeySource::JwksUri(url) => outbound.may_fetch_keys(url).map_err(KeysFault::from),
        KeySource::BundleUrl(url) => outbound.may_fetch(url).map_err(KeysFault::from),
        KeySource::Discovery(issuer) => jwks_uri(outbound, issuer).await,
    };
    match url {
        Ok(url) => key_set(outbound, &url, reader(source)).await,
        Err(fault) => Attempt { outcome: Err(fault), asked_for_keys: false, body: None },
    }
}

/// Reads what another node of ours was told by `source`, as if it had been told here.
pub(super) fn read(source: &KeySource, body: &str) -> Result<KeySet, KeysFault> {
    Ok(reader(source)(body.as_bytes())?)
}

fn reader(source: &KeySource) -> fn(&[u8]) -> Result<KeySet, SetFault> {
    if source.is_bundle() { KeySet::bundle } else { KeySet::parse }
}

async fn key_set(outbound: &Outbound, url: &FetchUrl, read: fn(&[u8]) -> Result<KeySet, SetFault>) -> Attempt {
    let (fetched, asked_for_keys) = match outbound.fetch(url).await {
        Ok(fetched) => (Ok(fetched), true),
        Err(fault) => (Err(KeysFault::from(fault)), fault.reached()),
    };
    let read = fetched.and_then(json_body).and_then(|body| Ok((read(&body)?, body)));
    let (outcome, body) = match read {
        Ok((set, body)) => (Ok(set), Some(body)),
        Err(fault) => (Err(fault), None),
    };
    Attempt { outcome, asked_for_keys, body }
}

/// Fetches the discovery document of `issuer` and returns its `jwks_uri`.
///
/// OpenID Connect Discovery 1.0 section 4.
async fn jwks_uri(outbound: &Outbound, issuer: &Issuer) -> Result<FetchUrl, KeysFault> {
    let body = document(outbound, issuer).await?;
    let url = outbound.may_fetch_keys(&jwks_uri_of(&body, issuer)?)?;
    // An issuer that could point anywhere could make us take somebody else's keys for its own (K-06).
    if outbound.is_of_issuer(&url, issuer) { Ok(url) } else { Err(KeysFault::OtherOrigin) }
}

/// Fetches the bytes of the discovery document.
pub(super) async fn document(outbound: &Outbound, issuer: &Issuer) -> Result<Vec<u8>, KeysFault> {
    // A terminating slash goes before the path is appended (section 4.1).
    let base = issuer.as_str().strip_suffix('/').unwrap_or(issuer.as_str());
    let url = outbound.may_fetch(&format!("{base}/.well-known/openid-configuration"))?;
    json_body(outbound.fetch(&url).await?)
}

/// Reads `issuer` and `jwks_uri` from the document, and ignores the rest.
///
/// openidconnect's type refuses a document without `authorization_endpoint`, and Kubernetes and GitHub have none
/// (docs/security/stack.md#openidconnect).
fn jwks_uri_of(body: &[u8], issuer: &Issuer) -> Result<String, KeysFault> {
    let document = strict_json::parse(body, 10_000).ok_or(KeysFault::Document)?;
    let member = |name| document.get(name).and_then(Value::as_str).ok_or(KeysFault::Document);
    if member("issuer")? != issuer.as_str() {
        return Err(KeysFault::OtherIssuer);
    }
    Ok(member("jwks_uri")?.to_owned())
}

fn json_body(fetched: Fetched) -> Result<Vec<u8>, KeysFault> {
    if fetched.status != 200 {
        return Err(KeysFault::Status(fetched.status));
    }
    let is_json = |media: &str| media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"));
    if !fetched.content_type.as_deref().is_some_and(is_json) {
        return Err(KeysFault::ContentType);
    }
    Ok(fetched.body)
}
