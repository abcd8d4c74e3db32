//! The authority of an environment: a root, an issuing key under it, and the certificates it signs.
//!
//! Enter through [`Issuance::create_authority`] and [`Issuance::certify`]. A leaf is signed only if it is on record:
//! `certify` takes the commit that recorded it. The content of a certificate comes from that record; only the public key
//! comes from the request ([`request`]). Every certificate is parsed again, as a stranger would, before it is released. This
//! folder is the home of rcgen.
//!
//! The root's key signs issuing certificates and nothing else. Both private keys are sealed in the journal's keyring; a node
//! keeps the issuing key unsealed in memory, and unseals the root's only for a rotation.

mod bundle;
mod der;
pub mod issuing_key;
mod list;
pub mod ocsp;
pub mod request;
mod server;

use std::sync::{Arc, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SubjectPublicKeyInfo,
};
use zeroize::Zeroizing;

use super::Issuance;
use super::fault::IssueFault;
use super::signer::UnusableKey;
use crate::domain::credential::certificate::{Authority, Der, Leaf};
use crate::domain::credential::spiffe_id::SpiffeId;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::hex;
use crate::domain::value::names::{EnvironmentName, KeyId, Serial, TrustDomain};
use crate::journal::{BlobName, Committed, Journal, SealedBlob};
use der::{date, serial_number};
use issuing_key::IssuingKey;
use request::RequestedKey;

pub use bundle::bundle;
pub use der::{certificates_only, read_certificates_only};
pub use list::{LIST_LIFE, Revoked, revoked_in};
pub use server::{ServerIdentity, ServerKey};

/// The life of a root, and of an issuing certificate under it.
const ROOT_LIFE: Seconds = Seconds::days(3650);
const ISSUING_LIFE: Seconds = Seconds::days(365);

/// The time by which our own certificates are backdated.
const BACKDATED: Seconds = Seconds::minutes(5);

const ROOT: &str = "authority-root";
const ISSUING: &str = "authority";

/// An authority that was made and is not in the journal yet.
pub struct NewAuthority {
    /// The record for the change.
    pub record: Authority,
    /// The blobs for the keyring, in the same transaction: the issuing key's, and a new root's.
    pub sealed: Vec<SealedBlob>,
}

/// A signed certificate with its chain, leaf first, root last.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The leaf.
    pub leaf: Der,
    /// The issuing certificate.
    pub issuing: Der,
    /// The root.
    pub root: Der,
}

/// The addresses at which relying parties check a certificate.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// The URL of the revocation list.
    pub list: String,
    /// The URL of the OCSP responder, if there is one.
    pub responder: Option<String>,
}

impl Issuance {
    /// Makes an authority: an issuing key under a new root, or under that of an earlier authority.
    ///
    /// # Errors
    /// A key that cannot be made, or a root that does not unseal.
    pub async fn create_authority(
        &self,
        journal: &Journal,
        environment: &EnvironmentName,
        earlier: Option<&Authority>,
        now: Timestamp,
    ) -> Result<NewAuthority, UnusableKey> {
        let (root, root_key, sealed_root, mut sealed) = match earlier {
            Some(authority) => {
                let key = self.root_key(journal, authority).await?;
                (authority.root.clone(), key, authority.sealed_root, Vec::new())
            }
            None => self.new_root(environment, now)?,
        };
        let issuing_key = KeyPair::generate().map_err(|_| UnusableKey)?;
        let kid = kid(&issuing_key)?;
        let mut params = self.authority_params(environment, "issuing", &kid);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.use_authority_key_identifier_extension = true;
        let ends = now.plus(ISSUING_LIFE);
        (params.not_before, params.not_after) = (date(now.minus(BACKDATED))?, date(ends)?);
        let root_issuer = Issuer::from_ca_cert_der(&root.0.as_slice().into(), root_key).map_err(|_| UnusableKey)?;
        let issuing = params.signed_by(&issuing_key, &root_issuer).map_err(|_| UnusableKey)?;
        let private = Zeroizing::new(issuing_key.serialize_der());
        let blob = self.kek.seal(BlobName::new(environment, ISSUING, &kid), &private, self.entropy.as_ref());
        let record = Authority {
            environment: environment.clone(),
            kid,
            root,
            issuing: Der(issuing.der().to_vec()),
            ends,
            sealed: blob.digest(),
            sealed_root,
        };
        sealed.push(blob);
        Ok(NewAuthority { record, sealed })
    }

    fn new_root(
        &self,
        environment: &EnvironmentName,
        now: Timestamp,
    ) -> Result<(Der, KeyPair, Digest, Vec<SealedBlob>), UnusableKey> {
        let key = KeyPair::generate().map_err(|_| UnusableKey)?;
        let kid = kid(&key)?;
        let mut params = self.authority_params(environment, "root", &kid);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        (params.not_before, params.not_after) = (date(now.minus(BACKDATED))?, date(now.plus(ROOT_LIFE))?);
        let certificate = params.self_signed(&key).map_err(|_| UnusableKey)?;
        let root = Der(certificate.der().to_vec());
        let private = Zeroizing::new(key.serialize_der());
        let blob = self.kek.seal(root_blob(environment, &root)?, &private, self.entropy.as_ref());
        Ok((root, key, blob.digest(), vec![blob]))
    }

    async fn root_key(&self, journal: &Journal, authority: &Authority) -> Result<KeyPair, UnusableKey> {
        let name = root_blob(&authority.environment, &authority.root)?;
        let blob = journal.blob(&name).await.map_err(|_| UnusableKey)?.ok_or(UnusableKey)?;
        if blob.digest() != authority.sealed_root {
            return Err(UnusableKey);
        }
        let der = self.kek.open(&blob).map_err(|_| UnusableKey)?;
        KeyPair::try_from(der.as_slice()).map_err(|_| UnusableKey)
    }

    fn authority_params(&self, environment: &EnvironmentName, what: &str, kid: &KeyId) -> CertificateParams {
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        // The key's name makes the subject unique, so a path builder that compares names finds one authority, not two.
        let short = kid.as_str().get(..8).unwrap_or_default();
        name.push(DnType::OrganizationName, "Carnet");
        name.push(DnType::CommonName, format!("{environment} {what} {short}"));
        params.distinguished_name = name;
        params.serial_number = Some(serial_number(&self.serial()));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }

    /// A serial number: 123 random bits, positive, of a fixed length (RFC 5280 section 4.1.2.2).
    pub fn serial(&self) -> Serial {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes[0] = bytes[0] & 0x3f | 0x40;
        // Invariant: 32 digits of which the first is 4 to 7.
        hex::encode(&bytes).parse().expect("sixteen bytes are a serial number")
    }

    /// Unseals the issuing keys of all authorities that are not tainted, and drops the others.
    ///
    /// # Errors
    /// A blob that is missing or does not unseal. The rest of the ring is loaded all the same.
    pub async fn load_authorities(&self, journal: &Journal, state: &State) -> Result<(), UnusableKey> {
        let mut ring = std::collections::HashMap::new();
        let mut outcome = Ok(());
        for known in state.certificates.all_authorities().filter(|known| !known.tainted) {
            let authority = &known.authority;
            let held = self.issuing_key(&authority.kid);
            let key = match held {
                Some(held) => Ok(held),
                None => self.unseal_authority(journal, authority).await.map(Arc::new),
            };
            match key {
                Ok(key) => drop(ring.insert(authority.kid.clone(), key)),
                Err(fault) => outcome = Err(fault),
            }
        }
        *self.authorities.write().unwrap_or_else(PoisonError::into_inner) = ring;
        outcome
    }

    async fn unseal_authority(&self, journal: &Journal, authority: &Authority) -> Result<IssuingKey, UnusableKey> {
        let name = BlobName::new(&authority.environment, ISSUING, &authority.kid);
        let blob = journal.blob(&name).await.map_err(|_| UnusableKey)?.ok_or(UnusableKey)?;
        if blob.digest() != authority.sealed {
            return Err(UnusableKey);
        }
        let der = self.kek.open(&blob).map_err(|_| UnusableKey)?;
        let key = KeyPair::try_from(der.as_slice()).map_err(|_| UnusableKey)?;
        if kid(&key)? != authority.kid {
            return Err(UnusableKey);
        }
        let issuer = Issuer::from_ca_cert_der(&authority.issuing.0.as_slice().into(), key).map_err(|_| UnusableKey)?;
        Ok(IssuingKey { issuer })
    }

    fn issuing_key(&self, kid: &KeyId) -> Option<Arc<IssuingKey>> {
        self.authorities.read().unwrap_or_else(PoisonError::into_inner).get(kid).cloned()
    }

    /// Signs the leaf that `committed` recorded, for the requested key, and reads it back.
    ///
    /// # Errors
    /// No such leaf on record, a key that is not the recorded one, no issuing key, or a certificate that reads back as
    /// something else.
    pub fn certify(
        &self,
        committed: &Committed,
        leaf: &Leaf,
        key: &RequestedKey,
        addresses: &Addresses,
    ) -> Result<Chain, IssueFault> {
        let state = &committed.view.state;
        let recorded = state.certificates.leaf(&leaf.environment, &leaf.serial).filter(|recorded| *recorded == leaf);
        let leaf = recorded.filter(|leaf| leaf.key == key.digest()).ok_or(IssueFault::ReadBack)?;
        let trust_domain = &state.environment(&leaf.environment).ok_or(IssueFault::NoKey)?.trust_domain;
        let authority =
            state.certificates.all_authorities().find(|known| known.authority.kid == leaf.authority && !known.tainted);
        let authority = &authority.ok_or(IssueFault::NoKey)?.authority;
        let issuing = self.issuing_key(&authority.kid).ok_or(IssueFault::NoKey)?;
        let params = leaf_params(leaf, trust_domain, addresses).map_err(|_| IssueFault::Signing)?;
        let public = SubjectPublicKeyInfo::from_der(key.info()).map_err(|_| IssueFault::Signing)?;
        let signed = params.signed_by(&public, &issuing.issuer).map_err(|_| IssueFault::Signing)?;
        let der = Der(signed.der().to_vec());
        read_back(&der, leaf, key).ok_or(IssueFault::ReadBack)?;
        Ok(Chain { leaf: der, issuing: authority.issuing.clone(), root: authority.root.clone() })
    }
}

/// The profile of a leaf (X509-SVID sections 3 and 4, RFC 5280).
///
/// One name, no power to sign certificates, both ends of a TLS connection.
fn leaf_params(leaf: &Leaf, trust_domain: &TrustDomain, addresses: &Addresses) -> Result<CertificateParams, UnusableKey> {
    let mut params = CertificateParams::default();
    // Empty, so that the URI is the only name; rcgen then marks subjectAltName as critical (RFC 5280 section 4.2.1.6).
    params.distinguished_name = DistinguishedName::new();
    let id = SpiffeId::of(trust_domain, &leaf.integration).to_string();
    params.subject_alt_names = vec![SanType::URI(id.try_into().map_err(|_| UnusableKey)?)];
    params.serial_number = Some(serial_number(&leaf.serial));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![addresses.list.clone()] }];
    if let Some(responder) = &addresses.responder {
        params.custom_extensions.push(information_access(responder));
    }
    (params.not_before, params.not_after) = (date(leaf.starts)?, date(leaf.ends)?);
    Ok(params)
}

/// Authority Information Access with one OCSP responder (RFC 5280 section 4.2.2.1).
fn information_access(responder: &str) -> CustomExtension {
    const AIA: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 1];
    /// 1.3.6.1.5.5.7.48.1, encoded.
    const OCSP: [u8; 10] = [0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
    /// Context-specific tag 6: uniformResourceIdentifier.
    const URI: u8 = 0x86;
    let method = [&OCSP[..], &der::element(URI, responder.as_bytes())].concat();
    let content = der::element(der::SEQUENCE, &der::element(der::SEQUENCE, &method));
    CustomExtension::from_oid_content(&AIA, content)
}

/// Parses a new leaf as a stranger would, and checks that it has what is on record.
fn read_back(der: &Der, leaf: &Leaf, key: &RequestedKey) -> Option<()> {
    let (rest, read) = x509_parser::parse_x509_certificate(&der.0).ok()?;
    let validity = read.validity();
    let same = rest.is_empty()
        && hex::encode(read.raw_serial()) == leaf.serial.as_str()
        && read.public_key().raw == key.info()
        && validity.not_before.timestamp() == leaf.starts.as_seconds()
        && validity.not_after.timestamp() == leaf.ends.as_seconds()
        && !read.is_ca();
    same.then_some(())
}

/// base64url of the SHA-256 of the SubjectPublicKeyInfo.
fn kid(key: &KeyPair) -> Result<KeyId, UnusableKey> {
    name_of(&key.subject_public_key_info())
}

fn name_of(info: &[u8]) -> Result<KeyId, UnusableKey> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Digest::of(info).0).parse().map_err(|_| UnusableKey)
}

/// The keyring's name for a root's key, made from its certificate.
fn root_blob(environment: &EnvironmentName, root: &Der) -> Result<BlobName, UnusableKey> {
    Ok(BlobName::new(environment, ROOT, &name_of(&root.0)?))
}
