//! Serves metadata (RFC 8414, OIDC Discovery), key sets (RFC 7517) and trust bundles from memory.
//!
//! They are served even if a store is down.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::Here;
use super::prepared::Prepared;
use super::token::GRANTS;
use crate::domain::credential::certificate::Der;
use crate::domain::credential::claims::DETAIL_TYPES;
use crate::domain::state::State;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::http::cached::{self, Kept};
use crate::issuance::authority::bundle;
use crate::issuance::{KeySet, document};

/// The two metadata documents of an environment.
///
/// RFC 8414 wants empty members left out; OIDC relying parties want theirs present
/// (docs/security/standards.md#empty-members-of-metadata).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flavour {
    /// `oauth-authorization-server`.
    OAuth,
    /// `openid-configuration`.
    OpenId,
}

/// Serves a metadata document.
pub fn metadata(here: &Here, flavour: Flavour, headers: &HeaderMap) -> Response {
    let prepared = match flavour {
        Flavour::OAuth => &here.documents.oauth,
        Flavour::OpenId => &here.documents.openid,
    };
    published(here, prepared, "application/json", headers, |state, _| compose(state, here, flavour))
}

/// Serves a key set.
pub fn jwks(here: &Here, set: KeySet, headers: &HeaderMap) -> Response {
    let prepared = match set {
        KeySet::Default => &here.documents.keys,
        KeySet::Edwards => &here.documents.edwards_keys,
    };
    published(here, prepared, "application/jwk-set+json", headers, |state, now| document(state, &here.environment, set, now))
}

/// Serves the environment's trust bundle, in which its certificates are X.509-SVIDs.
pub fn trust_bundle(here: &Here, headers: &HeaderMap) -> Response {
    published(here, &here.documents.bundle, "application/json", headers, |state, now| {
        let certificates = &state.certificates;
        let mut roots: Vec<&Der> = certificates.authorities(&here.environment, now).map(|authority| &authority.root).collect();
        roots.dedup();
        bundle(roots.into_iter(), certificates.authorities_sequence(&here.environment, now))
    })
}

/// A document that anybody may cache for five minutes, and any origin may read.
fn published(
    here: &Here,
    prepared: &Prepared,
    media: &'static str,
    headers: &HeaderMap,
    make: impl FnOnce(&State, Timestamp) -> Value,
) -> Response {
    let (view, now) = (here.broker.journal.view(), here.broker.now());
    let document = prepared.of(&view, now, || make(&view.state, now));
    let kept = Kept { media, control: "public, max-age=300" };
    let mut response = cached::tagged(headers, kept, &document.tag, document.body.clone());
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

fn compose(state: &State, here: &Here, flavour: Flavour) -> Value {
    let issuer = here.issuer.as_str();
    let auth_algs: Vec<&str> = Alg::WORKLOAD.iter().map(|alg| alg.name()).collect();
    let here_in_force = || {
        let apis = state.apis.values().filter_map(|api| api.current.as_ref());
        apis.filter(|api| api.record.audience.contains_key(&here.environment))
    };
    let mut scopes: Vec<&str> = here_in_force().flat_map(|api| api.record.scopes.keys()).map(|scope| scope.as_str()).collect();
    scopes.extend(crate::domain::decision::target::BUILT_IN_SCOPES);
    scopes.sort_unstable();
    scopes.dedup();
    let resources: Vec<&str> = here_in_force()
        .filter_map(|api| api.record.audience.get(&here.environment))
        .map(|audience| audience.as_str())
        .collect();
    let mut document = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks"),
        "grant_types_supported": GRANTS,
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"],
        "tls_client_certificate_bound_access_tokens": true,
        "token_endpoint_auth_signing_alg_values_supported": auth_algs,
        "dpop_signing_alg_values_supported": crate::authn::dpop::ALGORITHMS.map(Alg::name),
        "introspection_endpoint": format!("{issuer}/introspect"),
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"],
        "introspection_endpoint_auth_signing_alg_values_supported": auth_algs,
        "revocation_endpoint": format!("{issuer}/revoke"),
        "revocation_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"],
        "revocation_endpoint_auth_signing_alg_values_supported": auth_algs,
        "authorization_details_types_supported": DETAIL_TYPES,
        "scopes_supported": scopes,
        "spiffe_bundle_endpoint": format!("{issuer}/bundle"),
    });
    if let Some(base) = here.mtls_base() {
        // RFC 8705 section 5: the same endpoints, where a client can present a certificate.
        document["mtls_endpoint_aliases"] = json!({
            "token_endpoint": format!("{base}/token"),
            "introspection_endpoint": format!("{base}/introspect"),
            "revocation_endpoint": format!("{base}/revoke"),
        });
    }
    if !resources.is_empty() {
        document["protected_resources"] = json!(resources);
    }
    if flavour == Flavour::OpenId {
        let mut algs: Vec<&str> = here_in_force().map(|api| api.record.token.alg.name()).chain(["ES256"]).collect();
        algs.sort_unstable();
        algs.dedup();
        document["response_types_supported"] = json!(["id_token"]);
        document["subject_types_supported"] = json!(["public"]);
        document["id_token_signing_alg_values_supported"] = json!(algs);
    }
    document
}
