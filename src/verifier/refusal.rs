//! The reasons why a request is refused, with the status and the challenges of the answer.

use crate::domain::value::scope::ScopeSet;
use std::fmt::Write as _;

/// The reason why a request is refused. It never has text of the token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No credential, or one of another scheme: 401.
    #[error("the request shows no token")]
    Missing,
    /// More than one credential, or one in the query: 400.
    #[error("the request shows more than one credential, or one in its query")]
    Request,
    /// A token that is not accepted here: 401.
    #[error("the token is not taken: {0}")]
    Token(&'static str),
    /// A DPoP proof that is not accepted: 401.
    #[error("the DPoP proof is not taken: {0}")]
    Proof(&'static str),
    /// A valid token without the needed scope, or whose conditions do not admit the request: 403.
    ///
    /// It has the scope that the request needs.
    #[error("the token does not reach this: {0}")]
    Access(&'static str, ScopeSet),
    /// Keys or revocations cannot be looked up now: 503.
    #[error("whether the token counts cannot be found out now")]
    Away,
}

impl Refusal {
    /// The HTTP status of the answer (docs/security/standards.md#challenges).
    pub fn status(&self) -> u16 {
        match self {
            Self::Request => 400,
            Self::Missing | Self::Token(_) | Self::Proof(_) => 401,
            Self::Access(..) => 403,
            Self::Away => 503,
        }
    }

    /// The values of `WWW-Authenticate`, one header each; empty if the credential is not at fault.
    pub fn challenges(&self) -> Vec<String> {
        let error = match self {
            Self::Away => return Vec::new(),
            Self::Missing => "",
            Self::Request => " error=\"invalid_request\",",
            Self::Token(_) => " error=\"invalid_token\",",
            Self::Proof(_) => " error=\"invalid_dpop_proof\",",
            Self::Access(..) => " error=\"insufficient_scope\",",
        };
        let mut parameters = error.to_owned();
        if let Self::Access(_, scope) = self {
            // Scopes have no quotes. Writing to a String cannot fail.
            let _ = write!(parameters, " scope=\"{scope}\",");
        }
        let bearer = format!("Bearer{}", parameters.trim_end_matches(','));
        let dpop = format!("DPoP{parameters} algs=\"{}\"", ALGORITHMS);
        if matches!(self, Self::Proof(_)) { vec![dpop] } else { vec![bearer, dpop] }
    }
}

/// The algorithms that challenges list.
pub(super) const ALGORITHMS: &str = "ES256 PS256 EdDSA Ed25519";
