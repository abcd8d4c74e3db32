//! Sign-in of staff in a browser, for a program on the person's own machine: OIDC code flow with PKCE (OpenID Connect Core 3.1, RFC 7636)
//! on a loopback address (RFC 8252 section 7.3).
//!
//! Enter through [`SignIn::begin`], send the browser to its URL, and give what the browser brings back to [`SignIn::finish`]. State, nonce and
//! verifier are of one use; an answer with another state or of another issuer is nobody's (RFC 9207, RFC 9700 section 4.7). The
//! client is public: it has no secret that a person's machine could keep.

use std::fmt;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse as _,
};
use zeroize::Zeroizing;

use super::tls;
use crate::domain::clock::Entropy;
use crate::outbound::operator::{Call, OperatorClient};

/// A sign-in that was begun.
pub struct SignIn {
    metadata: CoreProviderMetadata,
    client: ClientId,
    redirect: RedirectUrl,
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// Where the browser is sent.
    pub url: String,
}

/// What the browser brought back.
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

/// Why there is no sign-in. Nothing of the other side's words is in it but the name of an error.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignInFault {
    /// A URL that is none.
    #[error("{0} is not a URL")]
    Url(&'static str),
    /// The issuer's metadata.
    #[error("the issuer's metadata cannot be had, or is another's")]
    Metadata,
    /// The answer of somebody else.
    #[error("the answer is not to this sign-in")]
    NotOurs,
    /// The person, or the issuer, said no.
    #[error("the issuer answered {0}")]
    Denied(String),
    /// The code gave no token.
    #[error("the issuer gave no token for the code")]
    Code,
    /// The token is not what it should be.
    #[error("the token is not for this sign-in, or nobody's signature is on it")]
    Token,
}

impl SignIn {
    /// Begins: metadata of `issuer`, and where to send the browser. `redirect` is a loopback address of this machine.
    ///
    /// # Errors
    /// A URL that is none, or metadata that cannot be had.
    pub async fn begin(
        issuer: &str,
        client: &str,
        redirect: &str,
        entropy: &(dyn Entropy + 'static),
    ) -> Result<Self, SignInFault> {
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|_| SignInFault::Url("the issuer"))?;
        let redirect = RedirectUrl::new(redirect.to_owned()).map_err(|_| SignInFault::Url("the redirect"))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &send).await.map_err(|_| SignInFault::Metadata)?;
        // A desktop opens whatever it is given: what metadata names must be a web page.
        if !matches!(metadata.authorization_endpoint().url().scheme(), "https" | "http") {
            return Err(SignInFault::Metadata);
        }
        let client = ClientId::new(client.to_owned());
        // Two identifiers are 44 characters, of 43 to 128 that RFC 7636 section 4.1 asks for.
        let verifier = PkceCodeVerifier::new(entropy.identifier() + &entropy.identifier());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let (state, nonce) = (CsrfToken::new(entropy.identifier()), Nonce::new(entropy.identifier()));
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) = CoreClient::from_provider_metadata(metadata.clone(), client.clone(), None)
            .set_redirect_uri(redirect.clone())
            .authorize_url(flow, || state, || nonce)
            .add_scope(Scope::new("profile".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Self { metadata, client, redirect, state, nonce, verifier, url: url.to_string() })
    }

    /// Takes what the browser brought: the ID token, verified.
    ///
    /// # Errors
    /// It is not to this sign-in, or it came to nothing.
    pub async fn finish(self, returned: Returned) -> Result<Zeroizing<String>, SignInFault> {
        use subtle::ConstantTimeEq as _;
        let state = returned.state.as_deref().unwrap_or_default();
        if !bool::from(state.as_bytes().ct_eq(self.state.secret().as_bytes())) {
            return Err(SignInFault::NotOurs);
        }
        if returned.issuer.as_ref().is_some_and(|issuer| issuer != self.metadata.issuer().as_str()) {
            return Err(SignInFault::NotOurs);
        }
        if let Some(error) = returned.error {
            let name: String = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(64).collect();
            return Err(SignInFault::Denied(name));
        }
        let code = AuthorizationCode::new(returned.code.ok_or(SignInFault::Code)?);
        let client = CoreClient::from_provider_metadata(self.metadata, self.client, None).set_redirect_uri(self.redirect);
        let request = client.exchange_code(code).map_err(|_| SignInFault::Code)?.set_pkce_verifier(self.verifier);
        let answer = request.request_async(&send).await.map_err(|_| SignInFault::Code)?;
        let token = answer.id_token().ok_or(SignInFault::Token)?;
        let verifier = client.id_token_verifier();
        let claims = token.claims(&verifier, &self.nonce).map_err(|_| SignInFault::Token)?;
        // OpenID Connect Core 3.1.3.8: where the token speaks of the access token, it must be this one.
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

#[derive(Debug)]
struct Unanswered;

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for Unanswered {}

/// One request of the library, by the operator's client: no redirect, no proxy, the system's roots.
async fn send(request: HttpRequest) -> Result<HttpResponse, Unanswered> {
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
