//! `GET|POST I/verify?api=…&scope=…`: forward-auth for proxies (nginx `auth_request`, Caddy `forward_auth`, Traefik `ForwardAuth`).
//!
//! The proxy asks with the headers of the request that it holds back: `Authorization`, `DPoP`, and, set by the proxy itself,
//! `X-Forwarded-Method`, `X-Forwarded-Uri`, `X-Forwarded-Proto`, `X-Forwarded-Host` and `Client-Cert` (RFC 9440). It is believed only if it
//! comes from `trusted_proxies`, or shows a proof of the API's `callers` in `X-Carnet-Caller`. One family of headers and no other: a
//! second one would be one that some proxy lets a client set.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::Here;
use super::held;
use crate::broker::exchange::Denied;
use crate::broker::introspection::{Credential, Found};
use crate::broker::verification::{Asked, HeldToken, Proxy};
use crate::domain::decision::Refused;
use crate::domain::digest::Digest;
use crate::domain::names::{ApiName, ClientId};
use crate::domain::reason::{self, Class, Reason};
use crate::domain::resource::has_token;
use crate::domain::scope::ScopeSet;
use crate::http::authorization::Authorization;
use crate::http::error::{Slotted, challenge, no_store, refuse};
use crate::http::form::Form;
use crate::http::front::client_cert;

const CALLER: HeaderName = HeaderName::from_static("x-carnet-caller");
const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A request as the proxy tells of it.
struct Forwarded {
    method: String,
    /// Without the query.
    path: String,
    /// `scheme://host`, where the proxy named both.
    base: Option<String>,
}

/// Answers 200 with what the token says, or a challenge for the client.
pub async fn verify(here: Here, query: Option<&str>, headers: HeaderMap) -> Response {
    let (api, scope) = match asked(query) {
        Ok(asked) => asked,
        Err(reason) => return refused(&here, &Refused::unknown(reason).into(), None),
    };
    let proxy = match proxy(&here, &headers) {
        Ok(proxy) => proxy,
        Err(reason) => return refused(&here, &Refused::unknown(reason).into(), None),
    };
    if let Err(denied) = here.broker.admit_proxy(&here.environment, &proxy, &api).await {
        // Whoever is no proxy of this API learns that and nothing else, a busy store apart.
        let busy = denied.refused.reason.class == Class::Busy;
        let denied = if busy { denied } else { Refused::unknown(&reason::PROXY_UNKNOWN).into() };
        return refused(&here, &denied, None);
    }
    let needed = scope.to_string();
    let outcome = match request(&here, &headers, api, scope) {
        Ok(asked) => here.broker.verdict(&here.environment, asked).await,
        Err(reason) => Err(Refused::unknown(reason).into()),
    };
    match outcome {
        Ok(found) => admitted(&found),
        Err(denied) => refused(&here, &denied, Some(&needed)),
    }
}

/// API and scope, each once; both are said, so that a forgotten one admits nobody.
fn asked(query: Option<&str>) -> Result<(ApiName, ScopeSet), &'static Reason> {
    let fault = |_| &reason::PROXY_REQUEST;
    let form = Form::parse(query.unwrap_or_default()).map_err(fault)?;
    let (api, scope) = (form.get("api"), form.get("scope"));
    let api = api.and_then(|api| api.parse().ok()).ok_or(&reason::PROXY_REQUEST)?;
    let scope = scope.and_then(|scope| ScopeSet::parse(scope).ok()).filter(|scope| !scope.is_empty());
    Ok((api, scope.ok_or(&reason::PROXY_REQUEST)?))
}

/// A caller's proof decides where there is one; else the address.
fn proxy(here: &Here, headers: &HeaderMap) -> Result<Proxy, &'static Reason> {
    match only(headers, &CALLER)? {
        None if here.by_trusted_proxy => Ok(Proxy::Trusted),
        None => Err(&reason::PROXY_UNKNOWN),
        Some(text) => Ok(Proxy::Caller(Credential::Assertion { text: text.to_owned(), client: None })),
    }
}

/// The request that is held back, as the proxy tells of it.
fn request(here: &Here, headers: &HeaderMap, api: ApiName, scope: ScopeSet) -> Result<Asked, &'static Reason> {
    let forwarded = forwarded(headers)?;
    let (text, as_dpop) = token(headers)?;
    // What a proof is for must be known, and only the proxy knows.
    let expected = || {
        let forwarded = forwarded.as_ref().ok_or(&reason::DPOP_MISMATCH)?;
        let base = forwarded.base.as_ref().ok_or(&reason::DPOP_MISMATCH)?;
        Ok((forwarded.method.clone(), vec![format!("{base}{}", forwarded.path)]))
    };
    let possession = held::proof(here, headers, expected, Some(&text))?;
    let certificate = client_cert(headers).map(|der| Digest::of(&der));
    let request = forwarded.map(|forwarded| (forwarded.method, forwarded.path));
    Ok(Asked { api, scope, request, token: HeldToken { text, as_dpop, certificate, possession } })
}

fn forwarded(headers: &HeaderMap) -> Result<Option<Forwarded>, &'static Reason> {
    let (method, uri) = match (only(headers, &METHOD)?, only(headers, &URI)?) {
        (None, None) => return Ok(None),
        (Some(method), Some(uri)) => (method, uri),
        _ => return Err(&reason::PROXY_REQUEST),
    };
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    if !path.starts_with('/') || path.contains('#') {
        return Err(&reason::PROXY_REQUEST);
    }
    if has_token(query) {
        return Err(&reason::TOKEN_INACTIVE);
    }
    let base = only(headers, &PROTO)?.zip(only(headers, &HOST)?).map(|(proto, host)| format!("{proto}://{host}"));
    Ok(Some(Forwarded { method: method.to_owned(), path: path.to_owned(), base }))
}

/// The one credential of the request and whether its scheme is `DPoP`; two are refused, whatever they are.
fn token(headers: &HeaderMap) -> Result<(String, bool), &'static Reason> {
    match Authorization::of(headers) {
        Authorization::Token { text, as_dpop } => Ok((text, as_dpop)),
        Authorization::Absent | Authorization::Other => Err(&reason::TOKEN_MISSING),
        Authorization::Several => Err(&reason::TOKEN_INACTIVE),
    }
}

/// A header that must not stand twice.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static Reason> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| &reason::PROXY_REQUEST),
        (Some(_), Some(_)) => Err(&reason::PROXY_REQUEST),
    }
}

/// All of them on every good verdict: a proxy that copies one that is missing may leave what the client sent.
fn admitted(found: &Found) -> Response {
    let claims = &found.claims;
    let (partner, integration) = match &claims.client_id {
        ClientId::Integration(id) => (id.partner.to_string(), id.name.to_string()),
        ClientId::Api(name) => ("api".to_owned(), name.to_string()),
    };
    let fields = [
        ("x-carnet-client", claims.client_id.to_string()),
        ("x-carnet-partner", partner),
        ("x-carnet-integration", integration),
        ("x-carnet-environment", claims.env.to_string()),
        ("x-carnet-api", found.entry.api.to_string()),
        ("x-carnet-binding", claims.binding.to_string()),
        ("x-carnet-scope", claims.scope.to_string()),
        ("x-carnet-token", claims.jti.to_string()),
        ("x-carnet-entry", claims.entry.to_string()),
        ("x-carnet-expires", claims.exp.as_seconds().to_string()),
    ];
    let mut response = StatusCode::OK.into_response();
    no_store(response.headers_mut());
    for (name, text) in fields {
        // Invariant: names, scopes and identifiers of ours are visible ASCII.
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// A verdict against the client is a challenge; what is wrong with the proxy, or with us, is an error for the proxy.
fn refused(here: &Here, denied: &Denied, scope: Option<&str>) -> Response {
    let reason = denied.refused.reason;
    here.metrics.refused(reason);
    match reason.class {
        Class::Token | Class::Access | Class::Possession => challenge(reason, scope, &here.request),
        _ => refuse(denied, Slotted::Endpoint, &here.request),
    }
}
