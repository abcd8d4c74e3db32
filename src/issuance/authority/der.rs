//! The DER that rcgen does not write: elements, and a PKCS #7 message with certificates alone.
//!
//! [`is_framed`] checks bytes before a parser reads them.

use rcgen::SerialNumber;
use time::OffsetDateTime;

use super::super::signer::UnusableKey;
use crate::domain::credential::certificate::Der;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::Serial;

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

/// The bit for a constructed element: the content is elements again.
const CONSTRUCTED: u8 = 0x20;
/// A tag of more than one byte. Nothing that we parse has one.
const LONG_TAG: u8 = 0x1f;
/// Twice the deepest nesting of what we parse.
const DEEPEST: u8 = 24;

/// True if `bytes` are elements of definite length in sequence, each inside the one around it.
///
/// X.690 section 8.1.3. The parser below adds lengths to positions without a check, and a length near 2^64 is a panic there
/// (yasna 0.6, `skip_general`; found by the fuzz target `question`). So it gets only bytes that pass this check.
pub fn is_framed(bytes: &[u8]) -> bool {
    fn frame(mut rest: &[u8], deeper: u8) -> bool {
        while !rest.is_empty() {
            let Some((tag, content, after)) = split(rest) else { return false };
            if tag & CONSTRUCTED != 0 && !(deeper > 0 && frame(content, deeper - 1)) {
                return false;
            }
            rest = after;
        }
        true
    }
    !bytes.is_empty() && frame(bytes, DEEPEST)
}

/// Tag, content, and the bytes after the element.
fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if tag & LONG_TAG == LONG_TAG {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

/// The certificates of a certs-only message, in its order; `None` if it is not one.
///
/// RFC 7030 section 4.1.3.
pub fn read_certificates_only(message: &[u8]) -> Option<Vec<Vec<u8>>> {
    if !is_framed(message) {
        return None;
    }
    // Servers write them leaf first, not in the order that DER requires of a set.
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

/// A certs-only message: signed data without a signature.
///
/// RFC 7030 section 4.1.3, RFC 2315 section 9. The set is in the order of DER, by the octets of its members (X.690 section
/// 11.6); strict parsers refuse any other.
pub fn certificates_only(certificates: &[Der]) -> Vec<u8> {
    let mut members: Vec<&[u8]> = certificates.iter().map(|der| der.0.as_slice()).collect();
    members.sort_unstable();
    let all = members.concat();
    let content =
        [&VERSION_1[..], &element(SET, &[]), &element(SEQUENCE, &DATA), &element(FIRST, &all), &element(SET, &[])].concat();
    let signed = element(FIRST, &element(SEQUENCE, &content));
    element(SEQUENCE, &[&SIGNED_DATA[..], &signed].concat())
}

pub(super) fn serial_number(serial: &Serial) -> SerialNumber {
    let digits = serial.as_str().as_bytes();
    let value = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit.wrapping_sub(b'a').wrapping_add(10) };
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect();
    SerialNumber::from_slice(&bytes)
}

pub(super) fn date(time: Timestamp) -> Result<OffsetDateTime, UnusableKey> {
    OffsetDateTime::from_unix_timestamp(time.as_seconds()).map_err(|_| UnusableKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_04_the_set_of_certificates_is_in_the_order_of_der() {
        let (one, two) =
            (Der(element(SEQUENCE, &element(0x04, b"one"))), Der(element(SEQUENCE, &element(0x04, b"a longer two"))));
        let message = certificates_only(&[two.clone(), one.clone()]);
        assert_eq!(message, certificates_only(&[one.clone(), two.clone()]));
        assert_eq!(read_certificates_only(&message), Some(vec![one.0, two.0]));
    }

    #[test]
    fn an_element_that_reaches_beyond_the_one_around_it_is_not_framed() {
        let inner = element(SEQUENCE, &element(0x04, b"four"));
        assert!(
            is_framed(&element(SEQUENCE, &inner))
                && is_framed(&element(SEQUENCE, &[]))
                && is_framed(&[inner, vec![5, 0]].concat())
        );
        for bad in [
            &[][..],
            &[0x30],
            &[0x30, 1],
            &[0x30, 2, 4, 1],
            &[0x30, 0x80, 0, 0],
            &[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x1f, 0x81, 1, 0],
            &[0x30, 3, 0xad, 0x82, 1],
        ] {
            assert!(!is_framed(bad), "{bad:x?}");
        }
        let deep = (0..30).fold(Vec::new(), |inner, _| element(SEQUENCE, &inner));
        assert!(!is_framed(&deep));
    }
}
