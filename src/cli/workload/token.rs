//! `carnet token`: exchanges a proof for a token, and prints the bare token on stdout.

use std::path::PathBuf;

use serde_json::Value;

use super::assertion::{self, Wanted};
use super::proof::{self, Surroundings};
use crate::cli::shell::answer::{Answer, Failure, again};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Places, Reach, client, given, unanswered};
use crate::cli::shell::steady::{self, For};
use crate::cli::shell::url;
use crate::domain::reason::Reason;
use crate::domain::value::clock::Clock as _;
use crate::domain::value::names::{EnvironmentName, IntegrationId};
use crate::outbound::operator::{Call, CallFault, OperatorClient, Reply};
use crate::server::SystemClock;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Token {
    /// Integration that requests the token; may be left out if the proof names one
    #[arg(short, long, value_name = "PARTNER/INTEGRATION")]
    pub(super) integration: Option<IntegrationId>,
    /// Environment
    #[arg(long, value_name = "ENV")]
    pub(super) env: EnvironmentName,
    /// API that the token is for, by name
    #[arg(long, value_name = "API", required_unless_present = "resource", conflicts_with = "resource")]
    pub(super) api: Option<String>,
    /// API that the token is for, by its audience
    #[arg(long, value_name = "URI")]
    pub(super) resource: Option<String>,
    /// Scope; may be repeated
    #[arg(long, value_name = "SCOPE", required = true)]
    pub(super) scope: Vec<String>,
    /// File with the workload's JWT; - for stdin
    #[arg(long, env = "CARNET_ASSERTION_FILE", hide_env_values = true, value_name = "FILE|-")]
    pub(super) assertion_file: Option<String>,
    /// Audience of the workload's JWT, if the binding names another than the issuer
    #[arg(long, env = "CARNET_ASSERTION_AUDIENCE", hide_env_values = true, value_name = "AUDIENCE")]
    pub(super) audience: Option<String>,
    /// Grant to present the proof with; a JWT of a `key` binding needs client-credentials
    #[arg(long, value_enum, default_value_t)]
    pub(super) grant: Grant,
    /// Issuer of the environment, if it is not PUBLIC-SERVER/ENV
    #[arg(long, env = "CARNET_ISSUER", hide_env_values = true, value_name = "URL")]
    pub(super) issuer: Option<String>,
}

/// The grants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Grant {
    /// Token exchange (RFC 8693)
    #[default]
    TokenExchange,
    /// JWT bearer grant (RFC 7523 section 2.1)
    JwtBearer,
    /// Client credentials with a JWT assertion (RFC 7523 section 2.2)
    ClientCredentials,
}

/// A token that was issued.
pub struct Minted {
    /// The bare token.
    pub token: String,
    /// Its life, in seconds.
    pub expires_in: u32,
    /// The whole answer.
    pub answer: Value,
    /// The request's id, for `carnet explain` and the security team.
    pub request: Option<String>,
}

/// Runs it.
pub async fn run(token: Token, reach: &Reach) -> Result<Answer, Failure> {
    let minted = mint(&token, &reach.places()?).await?;
    Ok(Answer::of(minted.answer, minted.token))
}

/// Requests a token by the workload's assertion.
pub async fn mint(token: &Token, places: &Places) -> Result<Minted, Failure> {
    let issuer = issuer(token, places)?;
    let source = source(token, places, &issuer)?;
    let metadata = metadata(&issuer).await?;
    let endpoint = own_endpoint(&metadata, &issuer)?;
    let proof = source.read().await?;
    let audience = given(&token.audience);
    assertion::look(&proof, &Wanted { issuer: &issuer, audience: audience.as_deref(), now: SystemClock.now() })?;
    let (base, path) = url::split(&endpoint).ok_or_else(|| bad_metadata(&issuer, "its token_endpoint is not a URL"))?;
    ask(&client(base)?, path, form(token, &proof)).await
}

/// Requests a token by the certificate of the connection (RFC 8705).
///
/// `reached` connects to the mTLS address that the metadata names.
pub async fn mint_by_certificate(
    token: &Token,
    places: &Places,
    reached: impl FnOnce(&str) -> Result<OperatorClient, Failure>,
) -> Result<Minted, Failure> {
    let issuer = issuer(token, places)?;
    let metadata = metadata(&issuer).await?;
    let alias = metadata.pointer("/mtls_endpoint_aliases/token_endpoint").and_then(Value::as_str);
    let alias = alias.ok_or_else(|| bad_metadata(&issuer, "it names no mtls_endpoint_aliases"))?;
    let (base, path) = url::split(alias).ok_or_else(|| bad_metadata(&issuer, "its mTLS token_endpoint is not a URL"))?;
    let scope = token.scope.join(" ");
    let client = token.integration.as_ref().map(ToString::to_string);
    let mut pairs = vec![("grant_type", "client_credentials"), ("scope", scope.as_str())];
    pairs.extend(client.as_deref().map(|client| ("client_id", client)));
    pairs.extend(token.api.as_deref().map(|api| ("audience", api)));
    ask(&reached(base)?, path, url::form(&pairs)).await
}

/// The source of the proof.
fn source(token: &Token, places: &Places, issuer: &str) -> Result<proof::Source, Failure> {
    let variable = |name: &str| std::env::var(name).ok();
    let around = Surroundings { variable: &variable, exists: &|path| path.is_file() };
    let file = given(&token.assertion_file).map(PathBuf::from);
    proof::find(file.as_deref(), places.assertion_url.as_deref(), issuer, &around)
}

fn issuer(token: &Token, places: &Places) -> Result<String, Failure> {
    match given(&token.issuer) {
        Some(issuer) => Ok(issuer),
        None => places.issuer(token.env.as_str()),
    }
}

/// The fix if it is unknown whether a token was recorded.
const FRESH: &str = "a token may be on record, and the proof spent: ask for a fresh proof, and run it again with that";

async fn ask(client: &OperatorClient, path: &str, form: String) -> Result<Minted, Failure> {
    let body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
    // A refusal or a 503 spends no proof (docs/reference/http.md), so it may be sent again. Without an answer the proof may
    // be spent.
    let reply = steady::ask(client, Call { method: "POST", path, body, ..Call::default() }, For::Job).await;
    let reply = reply.map_err(|fault| match fault {
        CallFault::Late(_) | CallFault::Broken => unanswered(&fault).fix(FRESH),
        CallFault::Address(_) | CallFault::Unavailable(_) => unanswered(&fault),
    })?;
    if reply.status != 200 {
        return Err(refusal(&reply));
    }
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    let expires_in = answer.get("expires_in").and_then(Value::as_u64).and_then(|life| u32::try_from(life).ok()).unwrap_or(0);
    match answer.get("access_token").and_then(Value::as_str) {
        Some(bare) => {
            let request = reply.header("x-request-id").map(str::to_owned);
            Ok(Minted { token: bare.to_owned(), expires_in, request, answer: answer.clone() })
        }
        None => Err(Failure::new(Exit::Failure, "the answer holds no token")),
    }
}

fn form(token: &Token, proof: &str) -> String {
    let scope = token.scope.join(" ");
    let client = token.integration.as_ref().map(ToString::to_string);
    let mut pairs = match token.grant {
        Grant::TokenExchange => vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("subject_token", proof),
        ],
        Grant::JwtBearer => vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", proof)],
        Grant::ClientCredentials => vec![
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", proof),
        ],
    };
    pairs.extend(client.as_deref().map(|client| ("client_id", client)));
    pairs.extend(token.api.as_deref().map(|api| ("audience", api)));
    pairs.extend(token.resource.as_deref().map(|resource| ("resource", resource)));
    pairs.push(("scope", &scope));
    url::form(&pairs)
}

/// The issuer's own metadata (RFC 8414 section 3), which must name exactly this issuer.
async fn metadata(issuer: &str) -> Result<Value, Failure> {
    let (base, path) = url::split(issuer).ok_or_else(|| Failure::usage("the issuer is not a URL"))?;
    let path = format!("{}/.well-known/openid-configuration", path.trim_end_matches('/'));
    let call = Call { method: "GET", path: &path, ..Call::default() };
    let reply = steady::ask(&client(base)?, call, For::Job).await.map_err(|fault| unanswered(&fault))?;
    if matches!(reply.status, 404 | 421) {
        return Err(Failure::new(Exit::Missing, format!("{issuer} is no environment of this broker"))
            .fix("check --env, --public-server and --issuer"));
    }
    if steady::is_away(reply.status) {
        return Err(Failure::new(Exit::Unavailable, format!("the metadata of {issuer} is away (status {})", reply.status)));
    }
    let metadata: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    if metadata.get("issuer").and_then(Value::as_str) == Some(issuer) {
        Ok(metadata)
    } else {
        Err(bad_metadata(issuer, "it names another issuer, or none"))
    }
}

/// The token endpoint, which must be on the issuer's host: a proof is sent nowhere else.
fn own_endpoint(metadata: &Value, issuer: &str) -> Result<String, Failure> {
    let base = url::split(issuer).map(|(base, _)| base);
    match metadata.get("token_endpoint").and_then(Value::as_str) {
        Some(endpoint) if url::split(endpoint).map(|(host, _)| host) == base => Ok(endpoint.to_owned()),
        _ => Err(bad_metadata(issuer, "its token_endpoint is on another host, or missing")),
    }
}

fn bad_metadata(issuer: &str, why: &str) -> Failure {
    Failure::new(Exit::Failure, format!("the metadata of {issuer} cannot be used")).why(why)
}

/// The failure of a refusal by the token endpoint (RFC 6749 section 5.2).
fn refusal(reply: &Reply) -> Failure {
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let request = text("request_id").or_else(|| reply.header("x-request-id").map(str::to_owned));
    if matches!(reply.status, 408 | 429 | 500..) {
        let wait = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
        let mut failure = Failure::new(Exit::Unavailable, "the broker cannot answer now");
        failure.reason = text("reason");
        failure.why = text("error_description").or_else(|| text("error"));
        failure.fix = Some(match wait {
            _ if !steady::is_undone(reply.status) => FRESH.to_owned(),
            None => "try again; the proof is not spent".to_owned(),
            Some(wait) => again(wait, SystemClock.now()),
        });
        failure.wait = wait;
        failure.place = request.map(|request| format!("request {request}"));
        return failure;
    }
    let reason = text("reason");
    let page = reason.as_deref().and_then(Reason::find);
    let error = text("error").unwrap_or_else(|| format!("status {}", reply.status));
    let mut failure =
        Failure::new(Exit::Denied, page.map_or_else(|| format!("no token: {error}"), |page| page.what.to_owned()));
    failure.why = text("error_description").or_else(|| page.map(|page| page.why.to_owned()));
    failure.fix = page.map(|page| page.fix.to_owned()).or_else(|| {
        let ask = request.as_ref().map(|request| format!(": carnet explain {request}")).unwrap_or_default();
        Some(format!("the broker tells its reasons only to callers that it knows; its staff can see them{ask}"))
    });
    failure.reason = reason;
    failure.place = request.map(|request| format!("request {request}"));
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let headers = vec![("x-request-id".to_owned(), "r1".to_owned()), ("retry-after".to_owned(), "3".to_owned())];
        Reply { status, headers, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn a_refusal_tells_its_reason_and_a_stranger_whom_to_ask() {
        let known = r#"{"error":"invalid_grant","error_description":"ref: wanted a, seen b","reason":"binding.no-match"}"#;
        let failure = refusal(&reply(400, known));
        assert_eq!(failure.exit, Exit::Denied);
        assert_eq!(failure.reason.as_deref(), Some("binding.no-match"));
        assert_eq!(failure.why.as_deref(), Some("ref: wanted a, seen b"));
        let stranger = refusal(&reply(400, r#"{"error":"invalid_request"}"#));
        assert_eq!(stranger.exit, Exit::Denied);
        assert!(stranger.fix.expect("a fix").ends_with("carnet explain r1"));
    }

    #[test]
    fn what_passes_by_itself_is_not_a_denial() {
        for status in [429, 503] {
            let failure = refusal(&reply(status, r#"{"error":"temporarily_unavailable"}"#));
            assert_eq!(failure.exit, Exit::Unavailable, "{status}");
            assert!(failure.fix.expect("a fix").contains("3 s"));
        }
        for status in [500, 502, 504] {
            let failure = refusal(&reply(status, ""));
            assert_eq!(failure.exit, Exit::Unavailable, "{status}");
            assert!(failure.fix.expect("a fix").contains("fresh proof"), "{status}");
        }
    }
}
