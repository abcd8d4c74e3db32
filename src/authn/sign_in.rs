//! Signs staff in with a browser: OIDC code flow with PKCE (OpenID Connect Core 3.1, RFC 7636).
//!
//! Enter through [`Client::begin`], send the browser to the URL, and pass the browser's answer to [`Client::finish`]. openidconnect
//! implements the protocol. State, nonce and verifier are used once. An answer with another state or of another issuer is refused
//! (RFC 9207, RFC 9700 section 4.7).
//!
//! There are two clients. The command line is a public client (a person's machine cannot keep a secret) and listens on a loopback
//! address (RFC 8252 section 7.3). The console is the broker's own client: its requests leave by [`Outbound`] under its rules, and
//! neither code nor secret goes to an origin that is not the issuer's, unless the operator allowed it for this issuer (as
//! `jwks_uri`, ABUSE K-06).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use openidconnect::core::{CoreAuthPrompt, CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreProviderMetadata};
use openidconnect::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl,
    Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::staff::FRESH;
use super::tls;
use crate::domain::value::clock::Entropy;
use crate::domain::value::names::Issuer;
use crate::outbound::operator::{Call, OperatorClient};
use crate::outbound::{FetchUrl, Origin, Outbound};

/// How long the issuer's metadata is kept.
///
/// A stranger who opens the page again and again causes no request to the issuer.
const METADATA_LIFE: Duration = Duration::from_secs(300);

/// A client of an issuer, as registered there.
pub struct Client {
    issuer: IssuerUrl,
    id: ClientId,
    secret: Option<ClientSecret>,
    redirect: RedirectUrl,
    sender: Sender,
    metadata: Cache<(), CoreProviderMetadata>,
}

/// The HTTP client for its requests.
pub enum Way {
    /// The operator's client: the system's roots, no redirect, no proxy.
    Operator,
    /// The broker's own client, under the rules of `outbound`.
    Broker(Arc<Outbound>),
}

/// How recently the person must have signed in to the issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recency {
    /// At any time.
    Any,
    /// Within the time that a review allows, and the issuer says when.
    ///
    /// `max_age` obliges it to (OpenID Connect Core 1.0 section 3.1.2.1).
    ForReview,
    /// Now, even if the issuer knows the person already.
    Anew,
}

/// A sign-in that was begun: the values that its answer is checked against. Another process of ours may finish it.
#[derive(Deserialize, Serialize)]
pub struct SignIn {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

/// The parameters that the browser brings back.
#[derive(Debug, Default)]
pub struct Returned {
    /// `code`.
    pub code: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

/// The reason why a sign-in failed. It has no words of the issuer but the name of an error.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignInFault {
    /// A URL cannot be parsed.
    #[error("{0} is not a URL")]
    Url(&'static str),
    /// The issuer's metadata cannot be had, or is of another issuer.
    #[error("the issuer's metadata cannot be had, or is another's")]
    Metadata,
    /// The answer is to another sign-in.
    #[error("the answer is not to this sign-in")]
    NotOurs,
    /// The person or the issuer refused.
    #[error("the issuer answered {0}")]
    Denied(String),
    /// The code gave no token.
    #[error("the issuer gave no token for the code")]
    Code,
    /// The token is not for this sign-in, or not signed.
    #[error("the token is not for this sign-in, or nobody's signature is on it")]
    Token,
}

impl Client {
    /// Makes a client with this id; the browser comes back to `redirect`.
    ///
    /// # Errors
    /// A URL cannot be parsed.
    pub fn new(issuer: &str, id: &str, redirect: &str, way: Way) -> Result<Self, SignInFault> {
        let home = issuer.parse().map_err(|_| SignInFault::Url("the issuer"))?;
        Origin::of(issuer).map_err(|_| SignInFault::Url("the issuer"))?;
        Ok(Self {
            issuer: IssuerUrl::new(issuer.to_owned()).map_err(|_| SignInFault::Url("the issuer"))?,
            sender: Sender { way, home },
            id: ClientId::new(id.to_owned()),
            secret: None,
            redirect: RedirectUrl::new(redirect.to_owned()).map_err(|_| SignInFault::Url("the redirect"))?,
            metadata: Cache::builder().max_capacity(1).time_to_live(METADATA_LIFE).build(),
        })
    }

    /// Adds the secret that it shares with the issuer.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<&str>) -> Self {
        self.secret = secret.map(|secret| ClientSecret::new(secret.to_owned()));
        self
    }

    /// Its id, which is the audience of its ID tokens.
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The issuer's metadata and keys, which are those of the issuer that this client is for.
    async fn metadata(&self) -> Result<CoreProviderMetadata, SignInFault> {
        let discovered = self.metadata.try_get_with((), async {
            CoreProviderMetadata::discover_async(self.issuer.clone(), &self.sender).await.map_err(drop)
        });
        discovered.await.map_err(|_| SignInFault::Metadata)
    }

    /// Begins a sign-in: loads the issuer's metadata, and makes the URL for the browser.
    ///
    /// # Errors
    /// The metadata cannot be had, or is of another issuer.
    pub async fn begin(&self, recency: Recency, entropy: &(dyn Entropy + 'static)) -> Result<(SignIn, String), SignInFault> {
        let metadata = self.metadata().await?;
        // A desktop opens every URL that it is given, so the metadata must name a web page.
        if !matches!(metadata.authorization_endpoint().url().scheme(), "https" | "http") {
            return Err(SignInFault::Metadata);
        }
        // Two identifiers have 44 characters; RFC 7636 section 4.1 asks for 43 to 128.
        let verifier = PkceCodeVerifier::new(entropy.identifier() + &entropy.identifier());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let (state, nonce) = (CsrfToken::new(entropy.identifier()), Nonce::new(entropy.identifier()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let client = CoreClient::from_provider_metadata(metadata.clone(), self.id.clone(), None);
        let client = client.set_redirect_uri(self.redirect.clone());
        let mut request = client
            .authorize_url(flow, || state, || nonce)
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge);
        request = match recency {
            Recency::Any => request,
            Recency::ForReview => request.set_max_age(Duration::from_secs(FRESH.0.into())),
            Recency::Anew => request.add_prompt(CoreAuthPrompt::Login).set_max_age(Duration::ZERO),
        };
        let (url, state, nonce) = request.url();
        Ok((SignIn { state, nonce, verifier }, url.to_string()))
    }

    /// Finishes a sign-in, and returns the verified ID token.
    ///
    /// # Errors
    /// The answer is to another sign-in, or the sign-in failed.
    pub async fn finish(&self, sign_in: SignIn, returned: Returned) -> Result<Zeroizing<String>, SignInFault> {
        use subtle::ConstantTimeEq as _;
        let state = returned.state.as_deref().unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(sign_in.state.secret().as_bytes())) {
            return Err(SignInFault::NotOurs);
        }
        if returned.issuer.as_ref().is_some_and(|issuer| issuer != self.issuer.as_str()) {
            return Err(SignInFault::NotOurs);
        }
        if let Some(error) = returned.error {
            let name: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
            return Err(SignInFault::Denied(name));
        }
        let code = AuthorizationCode::new(returned.code.ok_or(SignInFault::Code)?);
        let metadata = self.metadata().await?;
        let auth = how(&metadata);
        let client = CoreClient::from_provider_metadata(metadata, self.id.clone(), self.secret.clone())
            .set_redirect_uri(self.redirect.clone())
            .set_auth_type(auth);
        let request = client.exchange_code(code).map_err(|_| SignInFault::Code)?.set_pkce_verifier(sign_in.verifier);
        let answer = request.request_async(&self.sender).await.map_err(|_| SignInFault::Code)?;
        let token = answer.id_token().ok_or(SignInFault::Token)?;
        let verifier = client.id_token_verifier();
        let claims = token.claims(&verifier, &sign_in.nonce).map_err(|_| SignInFault::Token)?;
        // If the token has a hash of the access token, it must be of this one (OpenID Connect Core 3.1.3.8).
        if let Some(expected) = claims.access_token_hash() {
            let alg = token.signing_alg().map_err(|_| SignInFault::Token)?;
            let key = token.signing_key(&verifier).map_err(|_| SignInFault::Token)?;
            let actual = openidconnect::AccessTokenHash::from_token(answer.access_token(), alg, key);
            if actual.map_err(|_| SignInFault::Token)? != *expected {
                return Err(SignInFault::Token);
            }
        }
        Ok(Zeroizing::new(token.to_string()))
    }
}

/// Sends the library's requests.
struct Sender {
    way: Way,
    /// The issuer whose documents name the URLs.
    home: Issuer,
}

impl<'c> AsyncHttpClient<'c> for Sender {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + Sync + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        match &self.way {
            Way::Operator => Box::pin(by_operator(request)),
            Way::Broker(outbound) => Box::pin(by_broker(outbound, &self.home, request)),
        }
    }
}

/// Chooses how a client sends its secret: by the standard's default, or in the body.
///
/// The body is chosen if the issuer lists that method and not the default.
fn how(metadata: &CoreProviderMetadata) -> AuthType {
    let methods = metadata.token_endpoint_auth_methods_supported();
    let has = |wanted: CoreClientAuthMethod| methods.is_some_and(|methods| methods.contains(&wanted));
    if has(CoreClientAuthMethod::ClientSecretPost) && !has(CoreClientAuthMethod::ClientSecretBasic) {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    }
}

/// The headers of the library's requests that are passed on to an issuer.
const HEADERS: [&str; 3] = ["accept", "authorization", "content-type"];

/// Allows a URL to get a code or the client's secret.
///
/// It must be on the issuer's own origin, or on one that the operator allowed for this issuer.
fn may_send(outbound: &Outbound, home: &Issuer, url: &str) -> Option<FetchUrl> {
    outbound.may_fetch_keys(url).ok().filter(|url| outbound.is_of_issuer(url, home))
}

/// Sends a request by the broker's own client.
async fn by_broker(outbound: &Outbound, home: &Issuer, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
    let (parts, body) = request.into_parts();
    let url = may_send(outbound, home, &parts.uri.to_string()).ok_or(Unanswered)?;
    let headers = HEADERS.into_iter().filter_map(|name| Some((name, parts.headers.get(name)?.to_str().ok()?)));
    let fetched = if body.is_empty() {
        outbound.fetch(&url).await
    } else {
        outbound.post_form(&url, &headers.collect::<Vec<_>>(), body).await
    };
    let fetched = fetched.map_err(|_| Unanswered)?;
    let mut response = http::Response::builder().status(fetched.status);
    if let Some(media) = fetched.content_type {
        response = response.header("content-type", media);
    }
    response.body(fetched.body).map_err(|_| Unanswered)
}

#[derive(Debug)]
struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for Unanswered {}

/// Sends a request by the operator's client: no redirect, no proxy, the system's roots.
async fn by_operator(request: HttpRequest) -> Result<HttpResponse, Unanswered> {
    let (parts, body) = request.into_parts();
    let (scheme, authority) = (parts.uri.scheme_str(), parts.uri.authority());
    let base = format!("{}://{}", scheme.ok_or(Unanswered)?, authority.ok_or(Unanswered)?);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let tls = tls::client().map_err(|_| Unanswered)?;
    let client = OperatorClient::new(&base, &tls).map_err(|_| Unanswered)?;
    let body = (!body.is_empty()).then_some(("application/x-www-form-urlencoded", body));
    let call = Call { method: parts.method.as_str(), path: &path, body, ..Call::default() };
    let reply = client.call(call).await.map_err(|_| Unanswered)?;
    let mut response = http::Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(name, value);
    }
    response.body(reply.body).map_err(|_| Unanswered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::OutboundSettings;

    /// K-06, for code and secret: a token endpoint on another origin gets neither.
    #[test]
    fn k_06_codes_and_secrets_go_to_the_issuer_alone() {
        let origin = |text: &str| text.parse::<Origin>().expect("an origin");
        let home: Issuer = "https://idp.acme.example/tenant".parse().expect("an issuer");
        let another: Issuer = "https://idp.acme.example/other".parse().expect("an issuer");
        let settings = OutboundSettings {
            issuers: vec![origin("https://listed.acme.example"), origin("http://10.0.0.1")],
            issuer_origins: [
                (home.clone(), vec![origin("https://login.acme.example")]),
                (another, vec![origin("https://others.acme.example")]),
            ]
            .into(),
            ..OutboundSettings::default()
        };
        let outbound = tls::outbound(settings, &[]).expect("a client");
        for good in ["https://idp.acme.example/token", "https://idp.acme.example/", "https://login.acme.example/t"] {
            assert!(may_send(&outbound, &home, good).is_some(), "{good}");
        }
        for bad in [
            "https://evil.example/token",
            // Listed for some other use, and allowed for another issuer: neither allows it for this one.
            "https://listed.acme.example/token",
            "http://10.0.0.1/token",
            "https://others.acme.example/token",
            "https://idp.acme.example.evil.example/token",
            "https://idp.acme.example:8443/token",
            // One origin has one spelling: `url`, which the library uses, leaves out a scheme's default port.
            "https://idp.acme.example:443/token",
            "http://idp.acme.example/token",
            "https://login.acme.example:8443/t",
        ] {
            assert!(may_send(&outbound, &home, bad).is_none(), "{bad}");
        }
    }
}
