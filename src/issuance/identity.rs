//! The workload's side of an enrolment: a key that stays on its machine, a request, and the answer.
//!
//! Enter through [`Pending::generate`]; [`Identity::parse`] reads what was written before. `carnet agent` uses it; the broker
//! does not.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData as _};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer as _;
use zeroize::Zeroizing;

use super::authority::read_certificates_only;
use crate::domain::value::clock::Timestamp;

/// A key for which a certificate is requested.
pub struct Pending {
    key: KeyPair,
    /// The certification request, in DER.
    pub request: Vec<u8>,
}

/// A key with its certificate in one text, so that a reader always gets a matching pair.
pub struct Identity {
    /// PEM: private key, leaf, and the certificates up to the root, without the root.
    pub pem: Zeroizing<String>,
    /// The leaf's `notBefore`.
    pub starts: Timestamp,
    /// The leaf's `notAfter`.
    pub ends: Timestamp,
}

/// The answer has no certificate for the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(&'static str);

impl Pending {
    /// Makes a P-256 key and a request without names: names come from the record.
    ///
    /// # Errors
    /// No key could be made.
    pub fn generate() -> Result<Self, Unusable> {
        let fault = |_| Unusable("no key could be made");
        let key = KeyPair::generate().map_err(fault)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key).map_err(fault)?.der().to_vec();
        Ok(Self { key, request })
    }

    /// The identity from an EST answer: key, certificate, and the issuers among `authorities`.
    ///
    /// Both are certs-only messages in DER, of `simpleenroll` and of `cacerts` (RFC 7030 sections 4.2.3 and 4.1.3).
    ///
    /// # Errors
    /// An answer without a certificate for exactly this key.
    pub fn complete(self, answer: &[u8], authorities: &[u8]) -> Result<Identity, Unusable> {
        let certificates = read_certificates_only(answer).ok_or(Unusable("the answer is no certs-only message"))?;
        let authorities = read_certificates_only(authorities).ok_or(Unusable("the authorities are no certs-only message"))?;
        let mut own = None;
        for der in &certificates {
            let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Unusable("the answer holds something else"))?;
            if certificate.public_key().raw == self.key.subject_public_key_info() {
                own = Some((der, certificate));
            }
        }
        let (der, leaf) = own.ok_or(Unusable("the answer holds no certificate for the key"))?;
        let (starts, ends) = validity(&leaf).ok_or(Unusable("its validity cannot be read"))?;
        let mut pem = Zeroizing::new(encoded("PRIVATE KEY", &Zeroizing::new(self.key.serialize_der())));
        *pem += &encoded("CERTIFICATE", der);
        for issuing in authorities.iter().filter(|issuing| is_issued_by(&leaf, issuing)) {
            *pem += &encoded("CERTIFICATE", issuing);
        }
        Ok(Identity { pem, starts, ends })
    }
}

/// True if `issuing` is not a root and its key signed the leaf.
///
/// Names do not decide: two authorities may share one.
fn is_issued_by(leaf: &X509Certificate<'_>, issuing: &[u8]) -> bool {
    X509Certificate::from_der(issuing).is_ok_and(|(_, issuing)| {
        issuing.subject() != issuing.issuer() && leaf.verify_signature(Some(issuing.public_key())).is_ok()
    })
}

impl Identity {
    /// Parses a text that was written before; `None` if it is not one.
    pub fn parse(pem: &str) -> Option<Self> {
        let mut blocks = Pem::iter_from_buffer(pem.as_bytes());
        let leaf = blocks.find_map(|block| block.ok().filter(|block| block.label == "CERTIFICATE"))?;
        let (starts, ends) = validity(&leaf.parse_x509().ok()?)?;
        pem.contains("PRIVATE KEY").then(|| Self { pem: Zeroizing::new(pem.to_owned()), starts, ends })
    }
}

fn validity(certificate: &X509Certificate<'_>) -> Option<(Timestamp, Timestamp)> {
    let validity = certificate.validity();
    Timestamp::from_seconds(validity.not_before.timestamp()).zip(Timestamp::from_seconds(validity.not_after.timestamp()))
}

/// Encodes DER as PEM (RFC 7468 section 2).
fn encoded(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity(until {})", self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::credential::certificate::Der;
    use crate::issuance::authority::certificates_only;

    #[test]
    fn a_key_and_its_certificate_are_written_together_and_read_again() {
        let signer = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority");
        let root = params.self_signed(&signer).expect("signed");
        let issuer = rcgen::Issuer::new(params, signer);
        let leaf = |key: &KeyPair| {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            Der(params.signed_by(key, &issuer).expect("signed").der().to_vec())
        };
        let pending = Pending::generate().expect("a key");
        let own = leaf(&pending.key);
        let other = leaf(&KeyPair::generate().expect("a key"));
        let identity = {
            let authorities = certificates_only(&[Der(root.der().to_vec())]);
            pending.complete(&certificates_only(&[own]), &authorities).expect("an identity")
        };
        assert_eq!(identity.pem.matches("BEGIN CERTIFICATE").count(), 1, "the root is not sent along");
        let again = Identity::parse(&identity.pem).expect("readable");
        assert_eq!((again.starts, again.ends), (identity.starts, identity.ends));
        assert!(Identity::parse("").is_none() && Identity::parse("-----BEGIN CERTIFICATE-----").is_none());

        for bad in [certificates_only(&[other]), certificates_only(&[]), b"x".to_vec(), vec![]] {
            assert!(Pending::generate().expect("a key").complete(&bad, &certificates_only(&[])).is_err());
        }
    }
}
