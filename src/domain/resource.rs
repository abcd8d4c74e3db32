//! What a request to a protected resource shows of its token, judged alike by `I/verify`, by our own endpoints and by the verifier that APIs
//! embed.

use super::confirmation::Confirmation;
use super::digest::Digest;

/// What comes with a token.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// Whether the scheme is `DPoP`, and not `Bearer`.
    pub as_dpop: bool,
    /// SHA-256 of the client certificate of the connection.
    pub certificate: Option<Digest>,
    /// Thumbprint of the key of the DPoP proof.
    pub proof_key: Option<Digest>,
}

/// Whether a token that is `bound` so may be used with what comes beside it. A bound token counts only beside its key and never as a bearer
/// token, and a bearer token with a proof is neither (RFC 8705 section 3, RFC 9449 section 7.2).
pub fn is_held(bound: Option<Confirmation>, beside: &Beside) -> bool {
    let by_proof = matches!(bound, Some(Confirmation::ProofKey(_)));
    let met = bound.is_none_or(|bound| bound.is_met(beside.certificate, beside.proof_key));
    met && by_proof == beside.as_dpop && by_proof == beside.proof_key.is_some()
}

/// A URL as `htu` is compared (RFC 9449 section 4.3, RFC 3986 section 6.2): scheme and host in lower case, no default port, no query and no
/// fragment. The path is compared as it stands.
pub fn normalised(url: &str) -> Option<(String, String, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let scheme = scheme.to_ascii_lowercase();
    let authority = authority.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let host = authority.strip_suffix(default).unwrap_or(&authority).to_owned();
    (!host.is_empty() && !host.contains('@')).then(|| (scheme, host, path.to_owned()))
}

/// Whether a query holds a token (RFC 6750 section 2.3): it ends in logs (ABUSE A-15), and might be the one that the API takes.
pub fn has_token(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("access_token"))
}
