//! The client certificate of a connection, as the handshake left it. Put on each request by `server`.

use std::sync::{Arc, OnceLock};

use crate::domain::certificate::ClientCertificate;
use crate::domain::names::EnvironmentName;
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
