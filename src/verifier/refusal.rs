//! Why a request is not served, with the status and the challenges to answer.

use crate::domain::value::scope::ScopeSet;
use std::fmt::Write as _;

/// Why a request is not served. None of them holds anything of the token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No credential, or a scheme that is not taken.
    #[error("the request shows no token")]
    Missing,
    /// More than one credential, or one in the query.
    #[error("the request shows more than one credential, or one in its query")]
    Request,
    /// A token that does not count here.
    #[error("the token is not taken: {0}")]
    Token(&'static str),
    /// A proof of possession that does not hold.
    #[error("the DPoP proof is not taken: {0}")]
    Proof(&'static str),
    /// A good token that does not reach so far.
    #[error("the token does not reach this: {0}")]
    Access(&'static str, ScopeSet),
    /// Keys or revocations cannot be had: nobody can say.
    #[error("whether the token counts cannot be found out now")]
    Away,
}

impl Refusal {
    /// The status to answer with (docs/security/standards.md#challenges).
    pub fn status(&self) -> u16 {
        match self {
            Self::Request => 400,
            Self::Missing | Self::Token(_) | Self::Proof(_) => 401,
            Self::Access(..) => 403,
            Self::Away => 503,
        }
    }

    /// The values of `WWW-Authenticate`; none where it is not the credential's fault.
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

/// What challenges list.
pub(super) const ALGORITHMS: &str = "ES256 PS256 EdDSA Ed25519";
