//! Judges a token at a protected resource, with the facts of the request that presents it.
//!
//! `I/verify`, our own endpoints and the verifier that APIs embed all judge alike by it. Enter through [`is_held`].

use super::confirmation::Confirmation;
use crate::domain::value::digest::Digest;
use crate::domain::value::percent::decoded;

/// The facts that come with a token.
#[derive(Clone, Copy, Debug)]
pub struct Beside {
    /// True if the scheme is `DPoP`, and not `Bearer`.
    pub as_dpop: bool,
    /// SHA-256 of the client certificate of the connection.
    pub certificate: Option<Digest>,
    /// Thumbprint of the key of the DPoP proof.
    pub proof_key: Option<Digest>,
}

/// Tells whether a token that is bound to `bound` may be used with the facts beside it.
///
/// A bound token counts only beside its key, and never as a bearer token. A bearer token with a DPoP proof does not count
/// (RFC 8705 section 3, RFC 9449 section 7.2).
pub fn is_held(bound: Option<Confirmation>, beside: &Beside) -> bool {
    let by_proof = matches!(bound, Some(Confirmation::ProofKey(_)));
    let met = bound.is_none_or(|bound| bound.is_met(beside.certificate, beside.proof_key));
    met && by_proof == beside.as_dpop && by_proof == beside.proof_key.is_some()
}

/// Normalises a URL for the comparison of `htu` (RFC 9449 section 4.3, RFC 3986 section 6.2).
///
/// It has scheme and host in lower case, no default port, no query and no fragment. The path stays as it is.
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

/// Tells whether a query has a token (RFC 6750 section 2.3).
///
/// Such a token ends in logs (ABUSE A-15), and might be the one that the API accepts.
pub fn has_token(query: &str) -> bool {
    names(query, &["access_token"])
}

/// Tells whether a query names one of these parameters, with or without escapes.
///
/// `;` separates parameters too, because some servers read it so.
pub fn names(query: &str, parameters: &[&str]) -> bool {
    let mut named = query.split(['&', ';']).map(|pair| decoded(pair.split('=').next().unwrap_or_default()));
    named.any(|name| parameters.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_15_a_token_in_a_query_is_found_however_its_name_is_written() {
        for query in [
            "access_token=x",
            "access_token",
            "a=b&access_token=",
            "a=b;access_token=x",
            "acc%65ss_token=x",
            "a&%61%63%63%65%73%73%5f%74%6f%6b%65%6e=x",
            "access%5Ftoken=x&a=b",
        ] {
            assert!(has_token(query), "{query}");
        }
        for query in ["", "a=access_token", "access_tokens=x", "xaccess_token=x", "access%255Ftoken=x", "%zz&%&%ff=1"] {
            assert!(!has_token(query), "{query}");
        }
        assert!(names("i%64_token=x", &["access_token", "id_token"]) && !has_token("id_token=x"));
    }
}
