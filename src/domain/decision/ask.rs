//! A caller's request: the parameters, and the facts that come with it besides the proof.

use super::peer::Peer;
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::value::names::{RequestId, TokenId};
use std::net::IpAddr;

/// The parameters of a request for a token.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The API; `None` if the request named none, or more than one.
    pub target: Option<Target>,
    /// The `scope` parameter.
    ///
    /// It is judged after proof and target, as in the examples D2 and D3 of tests/broker/fixtures/standards.
    pub scope: Option<String>,
    /// The `client_id` of the request, if it has one.
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

/// The facts that come with a request besides its proof, and the ids of the token.
#[derive(Clone, Debug)]
pub struct Context {
    /// The id of the request.
    pub request: RequestId,
    /// The token's `jti`.
    pub token: TokenId,
    /// The address that the request comes from.
    pub source: Option<IpAddr>,
    /// The client certificate of the connection.
    ///
    /// The token is bound to it, unless the request proves another key.
    pub certificate: Option<Peer>,
    /// The key of a DPoP proof, to which the token is bound.
    pub possession: Option<Verified<Possession>>,
}
