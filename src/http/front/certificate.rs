//! The client certificate of a connection: as the handshake left it, put on each request by `server`; or as a trusted proxy that ended
//! TLS says it was (RFC 9440).

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::certificate::{ClientCertificate, Der};
use crate::domain::names::EnvironmentName;
use crate::domain::proof::Verified;

/// The leaf that the peer proved to have the key of, with what it sent to prove it, and what became of verifying it. Only ever the leaf
/// names anybody: who else's certificate was sent along says nothing (ABUSE M-07).
#[derive(Clone)]
pub struct PeerCertificate {
    /// Leaf first.
    chain: Arc<[Der]>,
    verified: Arc<OnceLock<Verified<ClientCertificate>>>,
}

impl PeerCertificate {
    /// The DER of a chain, leaf first. One without a leaf is nobody's.
    pub fn new<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self { chain: chain.into_iter().map(|der| Der(der.to_vec())).collect(), verified: Arc::default() }
    }

    /// The chain, leaf first.
    pub fn chain(&self) -> &[Der] {
        &self.chain
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
        let verified = verify(&self.chain.first()?.0)?;
        let _first = self.verified.set(verified.clone());
        Some(verified)
    }
}

/// The field in which a proxy that ended TLS hands the client's certificate on.
const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// The certificate that a trusted proxy names in `Client-Cert`: exactly one field, exactly one byte sequence (RFC 9440 section 2.2). From
/// anybody else the field says nothing, under whatever name (ABUSE M-16): whoever calls this knows whom it is from. One that cannot be
/// read is none.
pub(super) fn forwarded(headers: &HeaderMap) -> Option<PeerCertificate> {
    client_cert(headers).map(|leaf| PeerCertificate::new([leaf.as_slice()]))
}

/// The DER in `Client-Cert`. Only for whoever knows that it comes from a proxy that may say so.
pub fn client_cert(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut fields = headers.get_all(CLIENT_CERT).iter();
    let (Some(only), None) = (fields.next(), fields.next()) else { return None };
    let encoded = only.to_str().ok()?.trim().strip_prefix(':')?.strip_suffix(':')?;
    STANDARD.decode(encoded).ok()
}
