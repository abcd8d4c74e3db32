//! Certificates of our own sockets: recorded, then signed, like those of partners.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType,
};
use zeroize::Zeroizing;

use super::der::{date, serial_number};
use super::ocsp::Responder;
use super::{Issuance, IssueFault, UnusableKey};
use crate::domain::credential::certificate::{Der, Purpose, ServerLeaf};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::KeyId;
use crate::journal::Committed;

/// A key for a socket of ours.
///
/// It exists in this process alone and is made anew for each certificate.
pub struct ServerKey(KeyPair);

/// The certificate and key that a socket presents.
pub struct ServerIdentity {
    /// The chain, leaf first, without the root.
    pub chain: Vec<Der>,
    /// The private key, as PKCS #8.
    pub key: Zeroizing<Vec<u8>>,
}

impl ServerKey {
    /// Makes a key.
    ///
    /// # Errors
    /// The platform makes no keys.
    pub fn generate() -> Result<Self, UnusableKey> {
        KeyPair::generate().map(Self).map_err(|_| UnusableKey)
    }

    /// SHA-256 of the SubjectPublicKeyInfo.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0.subject_public_key_info())
    }
}

impl Issuance {
    /// Signs the certificate that `committed` recorded for this key.
    ///
    /// # Errors
    /// No such certificate on record, another key, or no issuing key.
    pub fn certify_server(
        &self,
        committed: &Committed,
        leaf: &ServerLeaf,
        key: &ServerKey,
    ) -> Result<ServerIdentity, IssueFault> {
        let certificates = &committed.view.state.certificates;
        let recorded = certificates.own(&leaf.environment, leaf.purpose).filter(|recorded| *recorded == leaf);
        let leaf = recorded.filter(|leaf| leaf.key == key.digest()).ok_or(IssueFault::ReadBack)?;
        let authority = certificates.all_authorities().find(|known| known.authority.kid == leaf.authority && !known.tainted);
        let authority = &authority.ok_or(IssueFault::NoKey)?.authority;
        let issuing = self.issuing_key(&authority.kid).ok_or(IssueFault::NoKey)?;
        let params = params(leaf).map_err(|_| IssueFault::Signing)?;
        let signed = params.signed_by(&key.0, &issuing.issuer).map_err(|_| IssueFault::Signing)?;
        Ok(ServerIdentity {
            chain: vec![Der(signed.der().to_vec()), authority.issuing.clone()],
            key: Zeroizing::new(key.0.serialize_der()),
        })
    }
}

impl Issuance {
    /// The responder of an authority, and the end of its certificate.
    pub fn responder(&self, authority: &KeyId) -> Option<(Timestamp, Arc<Responder>)> {
        self.responders.read().unwrap_or_else(PoisonError::into_inner).get(authority).cloned()
    }

    /// The time at which the making of each authority's responder last began.
    ///
    /// Only the holder of the lock makes one.
    pub fn begun_responders(&self) -> Arc<tokio::sync::Mutex<HashMap<KeyId, Timestamp>>> {
        Arc::clone(&self.begun)
    }

    /// Stores a responder for an authority.
    pub fn keep_responder(&self, authority: &KeyId, ends: Timestamp, responder: Arc<Responder>) {
        self.responders.write().unwrap_or_else(PoisonError::into_inner).insert(authority.clone(), (ends, responder));
    }
}

fn params(leaf: &ServerLeaf) -> Result<CertificateParams, UnusableKey> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let name = |name: &String| match name.parse::<IpAddr>() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) => name.clone().try_into().map(SanType::DnsName).map_err(|_| UnusableKey),
    };
    params.subject_alt_names = leaf.names.iter().map(name).collect::<Result<_, _>>()?;
    params.serial_number = Some(serial_number(&leaf.serial));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    match leaf.purpose {
        Purpose::Socket => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        Purpose::Responder => {
            params.distinguished_name.push(DnType::CommonName, format!("{} OCSP responder", leaf.environment));
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::OcspSigning];
            // id-pkix-ocsp-nocheck: it is valid for days only, and no other responder could answer about it (RFC 6960 section
            // 4.2.2.2.1).
            params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 48, 1, 5], vec![5, 0]));
        }
    }
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (date(leaf.starts)?, date(leaf.ends)?);
    Ok(params)
}
