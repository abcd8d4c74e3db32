//! `I/verify[/{path}]?api=…&scope=…`, any method: forward-auth for proxies.
//!
//! For nginx `auth_request`, Caddy `forward_auth`, Traefik `ForwardAuth` and Envoy `ext_authz`. Enter through [`verify`].
//!
//! The proxy asks with the headers of the request that it holds back: `Authorization`, `DPoP` and, set by the proxy itself,
//! `X-Forwarded-Proto`, `X-Forwarded-Host` and `Client-Cert` (RFC 9440). It is believed only if its address is in
//! `verify_callers`, or if it presents a proof of the API's `callers` in `X-Carnet-Caller`.
//!
//! A fact that two places state must be the same in both, since a client may have written one of them:
//! - Method and path: `X-Forwarded-Method` and `X-Forwarded-Uri`; or `X-Original-Method` and `X-Original-URL` (or `-URI`);
//!   or, if the proxy appends the path to `I/verify`, the method and path of its own request.
//! - API and scope: `api` and `scope` of the query. A proxy that appends the client's path and query to `I/verify` sends them in
//!   `X-Carnet-Api` and `X-Carnet-Scope` instead: the query then belongs to the client and its API, whatever it has.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::Here;
use super::held;
use crate::broker::failure::Denied;
use crate::broker::found_lately::Found;
use crate::broker::introspection::ClientCredential;
use crate::broker::verification::{Asked, HeldToken, Proxy};
use crate::domain::credential::resource::has_token;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Class, Reason};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ClientId};
use crate::domain::value::scope::ScopeSet;
use crate::http::authorization::Authorization;
use crate::http::error::{Slotted, challenge, no_store, refuse};
use crate::http::form::Form;
use crate::http::front::{client_cert, host_of};

const CALLER: HeaderName = HeaderName::from_static("x-carnet-caller");
const API: HeaderName = HeaderName::from_static("x-carnet-api");
const SCOPE: HeaderName = HeaderName::from_static("x-carnet-scope");
const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The request as the proxy sends it.
pub struct Question {
    /// The method of its request.
    pub method: Method,
    /// The target of its request.
    pub uri: Uri,
    /// The path after `I/verify`, with its slash, byte for byte as in the request line.
    pub appended: Option<String>,
    /// The headers of its request. Most of them are the client's.
    pub headers: HeaderMap,
}

/// The request that is held back, as the proxy describes it.
struct Told {
    method: String,
    /// The path as in the request line, without the query.
    ///
    /// It is compared, never normalised (ABUSE D-17).
    path: String,
    /// True if the query has a token.
    has_token: bool,
    /// `scheme://host`, if it came with the path.
    base: Option<String>,
}

/// Answers 200 with the facts of the token, or a challenge for the client.
pub async fn verify(here: Here, question: &Question) -> Response {
    let (api, scope) = match asked(question) {
        Ok(asked) => asked,
        Err(reason) => return refused(&here, &Refused::unknown(reason).into(), None),
    };
    let proxy = match proxy(&here, &question.headers) {
        Ok(proxy) => proxy,
        Err(reason) => return refused(&here, &Refused::unknown(reason).into(), None),
    };
    if let Err(denied) = here.broker.admit_proxy(&here.environment, &proxy, &api).await {
        // A caller that is not a proxy of this API learns only that, unless a store is busy or a bucket is empty.
        let later = matches!(denied.refused.reason.class, Class::Busy | Class::Quota);
        let denied = if later { denied } else { Refused::unknown(&reason::PROXY_UNKNOWN).into() };
        return refused(&here, &denied, None);
    }
    let needed = scope.to_string();
    let outcome = match request(&here, question, api, scope) {
        Ok(asked) => here.broker.verdict(&here.environment, asked).await,
        Err(reason) => Err(Refused::unknown(reason).into()),
    };
    match outcome {
        Ok(found) => admitted(&found),
        Err(denied) => refused(&here, &denied, Some(&needed)),
    }
}

/// API and scope, each once, both in headers or both in the query.
///
/// If one is missing, nobody is admitted.
fn asked(question: &Question) -> Result<(ApiName, ScopeSet), &'static Reason> {
    let query = question.uri.query().unwrap_or_default();
    // Only a proxy that appends the client's query must send them in headers. For any other proxy such headers may be a client's.
    let headers = match &question.appended {
        Some(_) => (only(&question.headers, &API)?, only(&question.headers, &SCOPE)?),
        None => (None, None),
    };
    let (api, scope) = match headers {
        // The query is the client's: an API may have its own `api` and `scope` there.
        (Some(api), Some(scope)) => (api.to_owned(), scope.to_owned()),
        (None, None) => {
            let mut form = Form::parse(query).map_err(|_| &reason::PROXY_REQUEST)?;
            (form.take("api").ok_or(&reason::PROXY_REQUEST)?, form.take("scope").ok_or(&reason::PROXY_REQUEST)?)
        }
        _ => return Err(&reason::PROXY_REQUEST),
    };
    let scope = ScopeSet::parse(&scope).ok().filter(|scope| !scope.is_empty());
    Ok((api.parse().map_err(|_| &reason::PROXY_REQUEST)?, scope.ok_or(&reason::PROXY_REQUEST)?))
}

/// A caller's proof decides if there is one, otherwise the address.
fn proxy(here: &Here, headers: &HeaderMap) -> Result<Proxy, &'static Reason> {
    match only(headers, &CALLER)? {
        None if here.may_verify => Ok(Proxy::Listed),
        None => Err(&reason::PROXY_UNKNOWN),
        Some(text) => Ok(Proxy::Caller(ClientCredential::Assertion { text: text.to_owned(), client: None })),
    }
}

/// The request that is held back, with its token.
fn request(here: &Here, question: &Question, api: ApiName, scope: ScopeSet) -> Result<Asked, &'static Reason> {
    let headers = &question.headers;
    let told = told(question)?;
    if told.as_ref().is_some_and(|told| told.has_token) {
        return Err(&reason::TOKEN_INACTIVE);
    }
    let (text, as_dpop) = token(headers)?;
    // A DPoP proof is for a method and URL, and only the proxy knows them.
    let base = told.as_ref().map(|told| base(question, told)).transpose()?.flatten();
    let expected = || {
        let (told, base) = told.as_ref().zip(base).ok_or(&reason::DPOP_MISMATCH)?;
        Ok((told.method.clone(), vec![format!("{base}{}", told.path)]))
    };
    let possession = held::proof(here, headers, expected, Some(&text))?;
    let certificate = client_cert(headers).map_err(|_| &reason::PROXY_REQUEST)?.map(|der| Digest::of(&der.0));
    let request = told.map(|told| (told.method, told.path));
    Ok(Asked { api, scope, request, token: HeldToken { text, as_dpop, certificate, possession } })
}

/// Method and path from every place that names them; `None` if no place does.
///
/// One place must name both, and all must agree. If two differ, one of them is a client's, and the request is refused as one
/// that the token does not admit.
fn told(question: &Question) -> Result<Option<Told>, &'static Reason> {
    let headers = &question.headers;
    let original = match (only(headers, &ORIGINAL_URL)?, only(headers, &ORIGINAL_URI)?) {
        (Some(_), Some(_)) => return Err(&reason::PROXY_REQUEST),
        (Some(url), None) => Some(Target::of_url(url)?),
        (None, target) => target.map(Target::of).transpose()?,
    };
    let appended = question.appended.as_deref().map(Target::of).transpose()?;
    let places = [
        (appended.as_ref().map(|_| question.method.as_str()), appended),
        (only(headers, &METHOD)?, only(headers, &URI)?.map(Target::of).transpose()?),
        (only(headers, &ORIGINAL_METHOD)?, original),
    ];
    let Some((method, target)) = places.iter().find_map(|(method, target)| (*method).zip(target.as_ref())) else {
        let is_silent = places.iter().all(|(method, target)| method.is_none() && target.is_none());
        return if is_silent { Ok(None) } else { Err(&reason::PROXY_REQUEST) };
    };
    let agrees = |(other, path): &(Option<&str>, Option<Target>)| {
        other.is_none_or(|other| other == method) && path.as_ref().is_none_or(|path| path.path == target.path)
    };
    if !places.iter().all(agrees) {
        return Err(&reason::ACCESS_ENDPOINT);
    }
    let targets = || places.iter().filter_map(|(_, target)| target.as_ref());
    Ok(Some(Told {
        method: method.to_owned(),
        path: target.path.to_owned(),
        // The query of a proxy that appends the path is the client's.
        has_token: targets().map(|target| target.query).chain(question.uri.query()).any(has_token),
        base: targets().find_map(|target| target.base.clone()),
    }))
}

/// The target of a request, from one of the places that name it.
struct Target<'q> {
    path: &'q str,
    query: &'q str,
    base: Option<String>,
}

impl<'q> Target<'q> {
    /// Splits a path with its query.
    fn of(target: &'q str) -> Result<Self, &'static Reason> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if !path.starts_with('/') || path.contains('#') {
            return Err(&reason::PROXY_REQUEST);
        }
        Ok(Self { path, query, base: None })
    }

    /// Splits a URL, which the nginx controller for Kubernetes sends.
    fn of_url(url: &'q str) -> Result<Self, &'static Reason> {
        let (scheme, rest) = url.split_once("://").ok_or(&reason::PROXY_REQUEST)?;
        let (host, target) = rest.find('/').map(|at| rest.split_at(at)).ok_or(&reason::PROXY_REQUEST)?;
        if !matches!(scheme, "http" | "https") || host.is_empty() {
            return Err(&reason::PROXY_REQUEST);
        }
        Ok(Self { base: Some(format!("{scheme}://{host}")), ..Self::of(target)? })
    }
}

/// `scheme://host` of the request, if a place names it.
///
/// It comes with the path; or from `X-Forwarded-Proto` with `X-Forwarded-Host`, or with the host that an `ext_authz` filter
/// passes on.
fn base(question: &Question, told: &Told) -> Result<Option<String>, &'static Reason> {
    let headers = &question.headers;
    let (proto, host) = (only(headers, &PROTO)?, only(headers, &HOST)?);
    let host = host.or_else(|| question.appended.as_ref().and_then(|_| host_of(&question.uri, headers)));
    let forwarded = proto.zip(host).map(|(proto, host)| format!("{proto}://{host}"));
    Ok(told.base.clone().or(forwarded))
}

/// The one credential of the request, and `true` if its scheme is `DPoP`. Two are always refused.
fn token(headers: &HeaderMap) -> Result<(String, bool), &'static Reason> {
    match Authorization::of(headers) {
        Authorization::Token { text, as_dpop } => Ok((text, as_dpop)),
        Authorization::Absent | Authorization::Other => Err(&reason::TOKEN_MISSING),
        Authorization::Several => Err(&reason::TOKEN_INACTIVE),
    }
}

/// A header that must not repeat.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, &'static Reason> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| &reason::PROXY_REQUEST),
        (Some(_), Some(_)) => Err(&reason::PROXY_REQUEST),
    }
}

/// Answers 200. Every good verdict has all these headers.
///
/// If one were missing, a proxy that copies them might keep the one that the client sent.
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
        // Invariant: our names, scopes and identifiers are visible ASCII.
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// Challenges the client if the verdict is against it.
///
/// A fault of the proxy, or of ours, is an error for the proxy.
fn refused(here: &Here, denied: &Denied, scope: Option<&str>) -> Response {
    let reason = denied.refused.reason;
    here.metrics.refused(reason);
    match reason.class {
        Class::Token | Class::Access | Class::Possession => challenge(reason, scope, &here.request),
        _ => refuse(denied, Slotted::Endpoint, &here.request),
    }
}
