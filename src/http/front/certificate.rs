//! The client certificate of a connection: as the handshake left it, put on each request by `server`; or as a trusted proxy that ended
//! TLS says it was (RFC 9440).

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::certificate::ClientCertificate;
use crate::domain::names::EnvironmentName;
use crate::domain::network::Cidr;
use crate::domain::proof::Verified;

/// The leaf that the peer proved to have the key of, and what became of verifying it. Only ever the leaf: who else's certificate was
/// sent along says nothing (ABUSE M-07).
#[derive(Clone)]
pub struct PeerCertificate {
    leaf: Arc<[u8]>,
    verified: Arc<OnceLock<Verified<ClientCertificate>>>,
}

impl PeerCertificate {
    /// The leaf's DER.
    pub fn new(leaf: &[u8]) -> Self {
        Self { leaf: leaf.into(), verified: Arc::default() }
    }

    /// What it says, once `verify` has verified it in `environment`. The signature and the form are looked at once per connection;
    /// validity, record and revocation at every request, by the decision.
    pub fn verified(
        &self,
        environment: &EnvironmentName,
        verify: impl FnOnce(&[u8]) -> Option<Verified<ClientCertificate>>,
    ) -> Option<Verified<ClientCertificate>> {
        if let Some(known) = self.verified.get().filter(|known| known.leaf.environment == *environment) {
            return Some(known.clone());
        }
        let verified = verify(&self.leaf)?;
        let _first = self.verified.set(verified.clone());
        Some(verified)
    }
}

/// The field in which a proxy that ended TLS hands the client's certificate on.
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// The certificate that a trusted proxy names in `Client-Cert`: exactly one field, exactly one byte sequence (RFC 9440 section 2.2). From
/// anybody else the field says nothing, under whatever name (ABUSE M-16); one that cannot be read is none.
pub(super) fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Option<PeerCertificate> {
    if !trusted.iter().any(|network| network.contains(peer)) {
        return None;
    }
    client_cert(headers).map(|leaf| PeerCertificate::new(&leaf))
}

/// The DER in `Client-Cert`. Only for whoever knows that it comes from a proxy that may say so.
pub fn client_cert(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut fields = headers.get_all(CLIENT_CERT).iter();
    let (Some(only), None) = (fields.next(), fields.next()) else { return None };
    let encoded = only.to_str().ok()?.trim().strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(encoded).ok()
}
