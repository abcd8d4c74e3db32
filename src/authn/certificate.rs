//! Verifies client certificates: from DER to a leaf of our own authority.
//!
//! Enter through [`verify`]. TLS has proved that the peer has the key, and that some authority of ours signed the certificate. It
//! leaves gaps (ABUSE S9: no EKU, no SAN, a life of a century all pass), which are closed here: one of *this environment's*
//! authorities signed it, and its form is exactly that of the leaves that `issuance` makes. This is the home of x509-parser for
//! certificates that others present.
//!
//! Not here, because they change while a connection is open: validity, record, revocation (`domain::credential::certificate`).

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::domain::caller::proof::Verified;
use crate::domain::credential::certificate::{Authority, ClientCertificate, Leaf};
use crate::domain::credential::spiffe_id::SpiffeId;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::hex;
use crate::domain::value::names::TrustDomain;

/// The largest certificate that is parsed; ours have some 700 bytes (ABUSE M-19).
const LARGEST: usize = 8 * 1024;

/// The largest certificate of another authority that is parsed.
const LARGEST_OF_OTHERS: usize = 16 * 1024;

/// Tells whether these bytes are one X.509 certificate in DER, and nothing after it.
///
/// It does not tell whose certificate it is, or whether it counts.
pub fn is_certificate(der: &[u8]) -> bool {
    der.len() <= LARGEST_OF_OTHERS && X509Certificate::from_der(der).is_ok_and(|(rest, _)| rest.is_empty())
}

/// A fault of a certificate, for logs and tests. The caller is told that no certificate came.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotOurs {
    /// Not one DER certificate, or a large one.
    #[error("it is not a certificate")]
    Malformed,
    /// No authority of this environment signed it.
    #[error("no authority of this environment signed it")]
    Issuer,
    /// Its name is not exactly one SPIFFE ID of an integration in this environment.
    #[error("it does not name exactly one integration of this environment")]
    Name,
    /// It has usages, constraints or a serial number that our leaves do not have.
    #[error("it has not the form of a leaf: {0}")]
    Form(&'static str),
}

/// Verifies a leaf by the authorities of one environment, whose trust domain is given.
///
/// # Errors
/// It differs from the leaves that we make.
pub fn verify<'a>(
    der: &[u8],
    trust_domain: &TrustDomain,
    authorities: impl Iterator<Item = &'a Authority>,
) -> Result<Verified<ClientCertificate>, NotOurs> {
    if der.len() > LARGEST {
        return Err(NotOurs::Malformed);
    }
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| NotOurs::Malformed)?;
    if !rest.is_empty() || !is_framed(der, &certificate) {
        return Err(NotOurs::Malformed);
    }
    // The signature comes first: bytes that no authority of ours signed are not believed.
    let authority = signer(&certificate, authorities).ok_or(NotOurs::Issuer)?;
    let id = name(&certificate)?;
    if id.trust_domain != *trust_domain {
        return Err(NotOurs::Name);
    }
    form(&certificate)?;
    let leaf = Leaf {
        environment: authority.environment.clone(),
        integration: id.integration,
        serial: hex::encode(certificate.raw_serial()).parse().map_err(|_| NotOurs::Form("its serial number"))?,
        authority: authority.kid.clone(),
        key: Digest::of(certificate.public_key().raw),
        starts: time(certificate.validity().not_before.timestamp())?,
        ends: time(certificate.validity().not_after.timestamp())?,
    };
    Ok(Verified::assertion(ClientCertificate { leaf, fingerprint: Digest::of(der) }))
}

/// Tells whether the parts that no signature covers are exactly as `issuance` writes them.
///
/// They are one SEQUENCE, the signed part, the algorithm, and a BIT STRING of whole bytes. The parser takes other tags, another
/// algorithm and a bit less there, and one certificate would have many fingerprints (RFC 5280 section 4.1.1.2). The two numbers of
/// the signature still have a twin (r, n − s). A fingerprint only binds a token to the certificate that its holder presented, so
/// that does no harm; record and revocation go by the serial number.
fn is_framed(der: &[u8], certificate: &X509Certificate<'_>) -> bool {
    const BIT_STRING: u8 = 0x03;
    /// ecdsa-with-SHA256 (RFC 5758 section 3.2): every authority of ours is P-256.
    const ALGORITHM: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let signed = certificate.tbs_certificate.as_ref();
    // A sequence of 256 to 65535 bytes: tag, two bytes of length behind 0x82.
    let after = der.strip_prefix(&[0x30, 0x82]).and_then(|rest| rest.get(2..)).and_then(|rest| rest.strip_prefix(signed));
    let signature = after.and_then(|rest| rest.strip_prefix(&ALGORITHM));
    // The length of a P-256 signature is one byte, and it has no unused bits in its last byte.
    signature.is_some_and(|signature| matches!(signature, [BIT_STRING, length, 0, ..] if *length < 0x80))
}

/// Finds the authority that signed: by its signature, never by its name (ABUSE M-03).
fn signer<'a>(
    certificate: &X509Certificate<'_>,
    mut authorities: impl Iterator<Item = &'a Authority>,
) -> Option<&'a Authority> {
    authorities.find(|authority| {
        let issuing = X509Certificate::from_der(&authority.issuing.0).ok();
        issuing.is_some_and(|(_, issuing)| {
            let key: &SubjectPublicKeyInfo<'_> = issuing.public_key();
            issuing.subject() == certificate.issuer() && certificate.verify_signature(Some(key)).is_ok()
        })
    })
}

/// Reads the only name, which must be a URI (X509-SVID section 2; ABUSE M-06, M-10).
fn name(certificate: &X509Certificate<'_>) -> Result<SpiffeId, NotOurs> {
    let san = certificate.subject_alternative_name().map_err(|_| NotOurs::Name)?.ok_or(NotOurs::Name)?;
    let [GeneralName::URI(uri)] = san.value.general_names.as_slice() else { return Err(NotOurs::Name) };
    if certificate.subject().iter().next().is_some() {
        return Err(NotOurs::Name);
    }
    uri.parse().map_err(|_| NotOurs::Name)
}

/// Checks usages and constraints against those of our leaves.
///
/// X509-SVID section 4; RFC 5280 section 4.2.1; ABUSE M-04, M-05.
fn form(certificate: &X509Certificate<'_>) -> Result<(), NotOurs> {
    let wrong = NotOurs::Form;
    let constraints = certificate.basic_constraints().map_err(|_| wrong("basicConstraints"))?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(wrong("it is an authority"));
    }
    let usage = certificate.key_usage().map_err(|_| wrong("keyUsage"))?.ok_or(wrong("no keyUsage"))?;
    let signs = usage.value.digital_signature() && !usage.value.key_cert_sign() && !usage.value.crl_sign();
    if !usage.critical || !signs {
        return Err(wrong("keyUsage"));
    }
    let extended = certificate.extended_key_usage().map_err(|_| wrong("extendedKeyUsage"))?;
    let extended = extended.ok_or(wrong("no extendedKeyUsage"))?.value;
    if !extended.client_auth || extended.any || extended.ocsp_signing || extended.code_signing {
        return Err(wrong("extendedKeyUsage"));
    }
    // A critical extension that is not understood here must be refused (RFC 5280 section 4.2).
    let understood = |extension: &x509_parser::extensions::X509Extension<'_>| {
        matches!(
            extension.parsed_extension(),
            ParsedExtension::BasicConstraints(_)
                | ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::SubjectAlternativeName(_)
        )
    };
    if certificate.extensions().iter().any(|extension| extension.critical && !understood(extension)) {
        return Err(wrong("a critical extension"));
    }
    Ok(())
}

fn time(seconds: i64) -> Result<Timestamp, NotOurs> {
    Timestamp::from_seconds(seconds).ok_or(NotOurs::Form("its validity"))
}
