//! The few DER structures that rcgen does not write: elements, and a PKCS #7 message that holds certificates alone.

use crate::domain::certificate::Der;

/// The tag of a SEQUENCE.
pub const SEQUENCE: u8 = 0x30;

/// One DER element: tag, length in the shortest form (X.690 section 10.1), content.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut bytes = vec![tag];
    if let Ok(short) = u8::try_from(length)
        && short < 0x80
    {
        bytes.push(short);
    } else {
        let long: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        // Invariant: a length has at most eight bytes.
        bytes.push(0x80 | u8::try_from(long.len()).unwrap_or(8));
        bytes.extend(long);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// The tag of a GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;

const SET: u8 = 0x31;
/// Context-specific, constructed, number 0.
const FIRST: u8 = 0xa0;
/// 1.2.840.113549.1.7.2 and .1.
const SIGNED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// INTEGER 1.
const VERSION_1: [u8; 3] = [0x02, 0x01, 0x01];

/// The certificates of a certs-only message, as they come; nothing where it is none (RFC 7030 section 4.1.3).
pub fn read_certificates_only(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    // Servers write them leaf first and not in the order that DER wants of a set.
    let certificates = yasna::parse_ber(message, |reader| {
        reader.read_sequence(|reader| {
            let signed = reader.next().read_oid()?;
            if signed != yasna::models::ObjectIdentifier::from_slice(&[1, 2, 840, 113_549, 1, 7, 2]) {
                return Err(yasna::ASN1Error::new(yasna::ASN1ErrorKind::Invalid));
            }
            reader.next().read_tagged(yasna::Tag::context(0), |reader| {
                reader.read_sequence(|reader| {
                    reader.next().read_u8()?;
                    reader.next().read_set_of(|reader| reader.read_der().map(drop))?;
                    reader.next().read_der()?;
                    let mut found = Vec::new();
                    reader.next().read_tagged_implicit(yasna::Tag::context(0), |reader| {
                        reader.read_set_of(|reader| {
                            found.push(reader.read_der()?);
                            Ok(())
                        })
                    })?;
                    reader.next().read_set_of(|reader| reader.read_der().map(drop))?;
                    Ok(found)
                })
            })
        })
    });
    certificates.ok()
}

/// A certs-only message: signed data that nobody signed (RFC 7030 section 4.1.3, RFC 2315 section 9).
pub fn certificates_only(certificates: &[Der]) -> Vec<u8> {
    let all: Vec<u8> = certificates.iter().flat_map(|der| der.0.iter().copied()).collect();
    let content =
        [&VERSION_1[..], &element(SET, &[]), &element(SEQUENCE, &DATA), &element(FIRST, &all), &element(SET, &[])].concat();
    let signed = element(FIRST, &element(SEQUENCE, &content));
    element(SEQUENCE, &[&SIGNED_DATA[..], &signed].concat())
}
