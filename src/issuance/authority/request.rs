//! Certification requests (PKCS #10): a key and nothing else is taken from them.
//!
//! Enter through [`RequestedKey::read`]. Names and usages come from the record; a request that names somebody else is refused, other
//! wishes are ignored and the profile applied (RFC 7030 section 4.2; ABUSE A-20).

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_EC_P256, OID_NIST_EC_P384, OID_SIG_ED25519};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::domain::certificate::SpiffeId;
use crate::domain::digest::Digest;
use crate::domain::reason::{self, Reason};

/// The largest request that is read: RSA-4096 with its signature has some 1 700 bytes.
pub const LARGEST: usize = 8 * 1024;

/// A public key whose holder proved to have the private half, of a kind and size that is taken.
#[derive(Clone, Debug)]
pub struct RequestedKey {
    info: Vec<u8>,
}

impl RequestedKey {
    /// Reads the DER of a request from whoever enrols as `id`.
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
        // The kind first: a signature of RSA-16384 would cost more than it proves (ABUSE M-20).
        if !is_taken(key) {
            return Err(&reason::ENROLMENT_KEY);
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

    /// SHA-256 of it, as the journal has it.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.info)
    }
}

/// P-256, P-384, Ed25519, and RSA of 2048 to 4096 bits.
fn is_taken(key: &SubjectPublicKeyInfo<'_>) -> bool {
    match key.parsed() {
        Ok(PublicKey::RSA(rsa)) => (2048..=4096).contains(&rsa.key_size()),
        Ok(PublicKey::EC(_)) => {
            let curve = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
            curve.is_some_and(|curve| curve == OID_EC_P256 || curve == OID_NIST_EC_P384)
        }
        Ok(PublicKey::Unknown(bytes)) => key.algorithm.algorithm == OID_SIG_ED25519 && bytes.len() == 32,
        _ => false,
    }
}

/// Names nothing, or exactly whom it may: as the one URI, and as a common name for tools that must have a subject.
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
