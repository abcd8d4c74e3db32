//! The credentials of a request, as they came.

use crate::domain::value::digest::Digest;

/// The parts of a request that a check needs.
///
/// Pass all values of a header, unchanged: a header that repeats must be seen to repeat.
#[derive(Clone, Debug, Default)]
pub struct Shown<'a> {
    /// The method.
    pub method: &'a str,
    /// The path as in the request line, without the query.
    pub path: &'a str,
    /// The query, if there is one.
    pub query: Option<&'a str>,
    /// `scheme://host` of the API as clients write it. Without it no DPoP proof is accepted.
    pub origin: Option<&'a str>,
    /// Every value of `Authorization`.
    pub authorization: Vec<&'a str>,
    /// Every value of `DPoP`.
    pub proofs: Vec<&'a str>,
    /// SHA-256 of the DER of the connection's client certificate.
    ///
    /// It comes from the TLS stack, never from a header.
    pub certificate: Option<Digest>,
}
