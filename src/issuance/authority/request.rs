//! Certification requests (PKCS #10): only the public key is taken from them.
//!
//! Enter through [`RequestedKey::read`]. Names and usages come from the record. A request that names somebody else is
//! refused; other requested extensions are ignored and the profile applied (RFC 7030 section 4.2; ABUSE A-20).

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKCS1_SHA1WITHRSA;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::{PublicKey, RSAPublicKey};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::domain::credential::spiffe_id::SpiffeId;
use crate::domain::reason::{self, Reason};
use crate::domain::value::digest::Digest;

/// The largest request, in bytes: RSA-4096 with its signature has some 1 700.
pub const LARGEST: usize = 8 * 1024;

/// A public key of an accepted kind and size, whose holder proved possession of the private key.
#[derive(Clone, Debug)]
pub struct RequestedKey {
    info: Vec<u8>,
}

impl RequestedKey {
    /// Parses the DER of a request by the client that enrols as `id`.
    ///
    /// # Errors
    /// A request that is malformed or not signed by its own key, a weak key, or a foreign name.
    pub fn read(der: &[u8], id: &SpiffeId) -> Result<Self, &'static Reason> {
        if der.len() > LARGEST {
            return Err(&reason::ENROLMENT_REQUEST);
        }
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| &reason::ENROLMENT_REQUEST)?;
        if !rest.is_empty() {
            return Err(&reason::ENROLMENT_REQUEST);
        }
        let key = &request.certification_request_info.subject_pki;
        // The kind is checked first: verifying a signature of RSA-16384 would cost more than it proves (ABUSE M-20).
        if !is_taken(key) {
            return Err(&reason::ENROLMENT_KEY);
        }
        if request.signature_algorithm.algorithm == OID_PKCS1_SHA1WITHRSA {
            return Err(&reason::ENROLMENT_REQUEST);
        }
        request.verify_signature().map_err(|_| &reason::ENROLMENT_REQUEST)?;
        if !names_only(&request, id) {
            return Err(&reason::ENROLMENT_NAMES);
        }
        Ok(Self { info: key.raw.to_vec() })
    }

    /// The SubjectPublicKeyInfo.
    pub fn info(&self) -> &[u8] {
        &self.info
    }

    /// SHA-256 of the SubjectPublicKeyInfo, as in the journal.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.info)
    }
}

/// True for an accepted kind of key, in the one encoding that its standard gives it.
///
/// P-256, P-384, Ed25519, and RSA of 2048 to 4096 bits with the usual exponent (RFC 5480 section 2, RFC 8410 section 4, RFC
/// 3279 section 2.3.1). The cryptography underneath accepts more: compressed points, a whole SubjectPublicKeyInfo in place of
/// a point, other parameters. A key with two encodings has two digests, and a revoked key would come back in the other one.
fn is_taken(key: &SubjectPublicKeyInfo<'_>) -> bool {
    const ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    const P256: &[u8] = &[
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    const P384: &[u8] = &[
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22,
        0x03, 0x62, 0x00, 0x04,
    ];
    let is = |head: &[u8], size: usize| key.raw.strip_prefix(head).is_some_and(|point| point.len() == size);
    is(P256, 64) || is(P384, 96) || is(ED25519, 32) || matches!(key.parsed(), Ok(PublicKey::RSA(rsa)) if is_rsa(&rsa, key.raw))
}

/// True if `raw` is the one encoding of `key`, and `key` is neither small nor slow.
fn is_rsa(key: &RSAPublicKey<'_>, raw: &[u8]) -> bool {
    const ENCRYPTION: &[u64] = &[1, 2, 840, 113_549, 1, 1, 1];
    let numbers = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_bigint_bytes(key.modulus, true);
            writer.next().write_u32(65_537);
        });
    });
    let only = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&yasna::models::ObjectIdentifier::from_slice(ENCRYPTION));
                writer.next().write_null();
            });
            writer.next().write_bitvec_bytes(&numbers, numbers.len() * 8);
        });
    });
    (2048..=4096).contains(&key.key_size()) && only == raw
}

/// True if the request names nothing, or exactly the client.
///
/// The name may be the one URI, and a common name for tools that require a subject.
fn names_only(request: &X509CertificationRequest<'_>, id: &SpiffeId) -> bool {
    let (id, integration) = (id.to_string(), id.integration.to_string());
    let subject = &request.certification_request_info.subject;
    let common: Vec<_> = subject.iter_common_name().collect();
    let subject_holds = common.len() == subject.iter_attributes().count()
        && common.iter().all(|name| name.as_str().is_ok_and(|name| name == id || name == integration));
    let extensions = request.requested_extensions();
    let names = extensions.into_iter().flatten().filter_map(|extension| match extension {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    subject_holds && names.flatten().all(|name| matches!(name, GeneralName::URI(uri) if *uri == id))
}
