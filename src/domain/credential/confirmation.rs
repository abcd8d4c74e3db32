//! The binding of a token to a key: the `cnf` claim (RFC 7800).
//!
//! A bearer token works for everybody who has it. A bound token works only beside a proof of the key that it names: the client
//! certificate of the connection (RFC 8705 section 3.1) or a DPoP proof (RFC 9449 section 6.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::domain::value::digest::Digest;

/// The key that a token is bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Members", into = "Members")]
pub enum Confirmation {
    /// SHA-256 of the DER of the client certificate: `x5t#S256`.
    Certificate(Digest),
    /// RFC 7638 thumbprint (SHA-256) of the key of the DPoP proofs: `jkt`.
    ProofKey(Digest),
}

impl Confirmation {
    /// Tells whether a request proves the key that the token is bound to.
    pub fn is_met(&self, certificate: Option<Digest>, proof_key: Option<Digest>) -> bool {
        match self {
            Self::Certificate(wanted) => certificate == Some(*wanted),
            Self::ProofKey(wanted) => proof_key == Some(*wanted),
        }
    }
}

/// The members on the wire, exactly one of which is there.
///
/// A verifier that meets another one, or two, cannot know what to check.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    #[serde(rename = "x5t#S256", default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(rename = "jkt", default, skip_serializing_if = "Option::is_none")]
    proof_key: Option<String>,
}

impl From<Confirmation> for Members {
    fn from(confirmation: Confirmation) -> Self {
        match confirmation {
            Confirmation::Certificate(digest) => Self { certificate: Some(URL_SAFE_NO_PAD.encode(digest.0)), proof_key: None },
            Confirmation::ProofKey(digest) => Self { certificate: None, proof_key: Some(URL_SAFE_NO_PAD.encode(digest.0)) },
        }
    }
}

impl TryFrom<Members> for Confirmation {
    type Error = &'static str;

    fn try_from(members: Members) -> Result<Self, Self::Error> {
        let digest = |text: &str| -> Result<Digest, Self::Error> {
            let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| "expected base64url of a SHA-256 value")?;
            Ok(Digest(bytes.try_into().map_err(|_| "expected base64url of a SHA-256 value")?))
        };
        match (members.certificate.as_deref(), members.proof_key.as_deref()) {
            (Some(text), None) => Ok(Self::Certificate(digest(text)?)),
            (None, Some(text)) => Ok(Self::ProofKey(digest(text)?)),
            _ => Err("expected exactly one of x5t#S256 and jkt"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_on_the_wire_as_the_standards_have_it() {
        let certificate = Confirmation::Certificate(Digest::of(b"certificate"));
        let text = serde_json::to_string(&certificate).expect("JSON");
        assert_eq!(text, r#"{"x5t#S256":"A9Zt0Ig1wco_EozOrNHzGslBYwlrIPRFroQoW8CDLXI"}"#);
        assert_eq!(serde_json::from_str::<Confirmation>(&text).expect("reads back"), certificate);
    }

    #[test]
    fn takes_neither_two_nor_none_nor_another_member() {
        let jkt = r#""jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I""#;
        assert!(serde_json::from_str::<Confirmation>(&format!("{{{jkt}}}")).is_ok());
        for bad in [
            "{}".to_owned(),
            format!(r#"{{{jkt},"x5t#S256":"x"}}"#),
            format!(r#"{{{jkt},"kid":"k"}}"#),
            r#"{"jkt":"AA"}"#.into(),
        ] {
            assert!(serde_json::from_str::<Confirmation>(&bad).is_err(), "{bad}");
        }
    }
}
