//! The credentials of a request, as they came.

use crate::domain::value::digest::Digest;

/// What a request shows. Headers are passed as they came, all values of a name, so that two are seen as two.
#[derive(Clone, Debug, Default)]
pub struct Shown<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as it stands in the request line, without the query.
    pub path: &'a str,
    /// The query, if there is one.
    pub query: Option<&'a str>,
    /// `scheme://host` as the client wrote it; without it no DPoP proof holds.
    pub origin: Option<&'a str>,
    /// Every value of `Authorization`.
    pub authorization: Vec<&'a str>,
    /// Every value of `DPoP`.
    pub proofs: Vec<&'a str>,
    /// SHA-256 of the DER of the connection's client certificate: from the TLS stack, never from a header.
    pub certificate: Option<Digest>,
}
