//! What a caller asks for, and what its request brings besides the proof.

use super::peer::Peer;
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::value::names::{RequestId, TokenId};
use std::net::IpAddr;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The API; nothing where the request named none, or more than one.
    pub target: Option<Target>,
    /// The `scope` parameter. It is judged after proof and target, as the examples D2 and D3 of tests/broker/fixtures/standards have it.
    pub scope: Option<String>,
    /// The `client_id` of the request, if it named one.
    pub client: Option<String>,
}

/// How a request names the API.
#[derive(Clone, Debug)]
pub enum Target {
    /// By its audience URI (`resource`, RFC 8707).
    Resource(String),
    /// By its name (`audience`, RFC 8693).
    Name(String),
}

/// What the request brings besides its proof, and the names that the token will have.
#[derive(Clone, Debug)]
pub struct Context {
    /// The request.
    pub request: RequestId,
    /// The token's `jti`.
    pub token: TokenId,
    /// Where the request comes from.
    pub source: Option<IpAddr>,
    /// The client certificate of the connection; the token is bound to it, where no proof of another key is shown.
    pub certificate: Option<Peer>,
    /// The key of a DPoP proof; the token is bound to it.
    pub possession: Option<Verified<Possession>>,
}
