//! OCSP (RFC 6960): parses questions about our certificates, and signs the answers.
//!
//! Enter through [`Question::read`] and [`Responder::answer`], of a delegated responder. "Good" is only for a certificate
//! that is on record and not revoked; a certificate that is not on record is "unknown", whoever signed it. [`Question::about`] and
//! [`says_revoked`] are the other side: the broker asks its own responder as a relying party does.

use aws_lc_rs::digest::{self, Algorithm, Digest, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use time::OffsetDateTime;
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, BERReaderSeq, DERWriter, Tag};

use super::der::{date, is_framed, serial_number};
use super::{IssueFault, UnusableKey};
use crate::domain::credential::certificate::{Authority, Der};
use crate::domain::state::certificates::LeafEnd;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::hex;
use crate::domain::value::names::Serial;

/// The largest question, in bytes, and the most certificates that it may ask about.
pub const LARGEST: usize = 4 * 1024;
const MOST: usize = 16;

/// The longest nonce (RFC 9654 section 2.1).
const LONGEST_NONCE: usize = 128;

/// The time that an answer may be used.
pub const ANSWER_LIFE: Seconds = Seconds::minutes(10);

const OCSP_BASIC: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 1];
const OCSP_NONCE: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 2];
const ECDSA_WITH_SHA256: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];
const SHA_1: &[u64] = &[1, 3, 14, 3, 2, 26];
const SHA_256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];

/// ASN.1 NULL, in DER.
const NULL: [u8; 2] = [5, 0];

/// `certificateHold` (RFC 5280 section 5.3.1).
const ON_HOLD: i64 = 6;

/// The reason, as in the revocation list: `cessationOfOperation` or `certificateHold` (RFC 5280 section 5.3.1).
fn reason(end: LeafEnd) -> i64 {
    match end {
        LeafEnd::Revoked(_) => 5,
        LeafEnd::Held(_) => ON_HOLD,
    }
}

/// An answer without a signature (RFC 6960 section 4.2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsigned {
    /// The question cannot be parsed.
    Malformed = 1,
    /// The responder cannot answer now.
    TryLater = 3,
    /// None of the certificates is of an authority of this environment.
    Unauthorized = 6,
}

/// A question about certificates, with its nonce.
pub struct Question {
    ids: Vec<CertId>,
    nonce: Option<Vec<u8>>,
}

/// One certificate, as OCSP identifies it.
struct CertId {
    raw: Vec<u8>,
    algorithm: Vec<u64>,
    name: Vec<u8>,
    key: Vec<u8>,
    serial: Vec<u8>,
    /// The hash has no parameters, or NULL (RFC 5754 section 2).
    is_plain: bool,
}

/// The status of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It is on record and not revoked.
    Good,
    /// It does not count: it was revoked, or is on hold.
    Ended(LeafEnd),
    /// It is not on record.
    Unknown,
}

/// The signer of answers for one authority.
pub struct Responder {
    certificate: Der,
    key: KeyPair,
}

impl Unsigned {
    /// An OCSPResponse with a status alone.
    pub fn der(self) -> Vec<u8> {
        yasna::construct_der(|writer| writer.write_sequence(|writer| writer.next().write_enum(self as i64)))
    }
}

impl Question {
    /// Parses an OCSPRequest. A signature on it is ignored: everybody may ask.
    ///
    /// # Errors
    /// It is not an OCSPRequest, or asks for too much.
    pub fn read(der: &[u8]) -> Result<Self, Unsigned> {
        if der.len() > LARGEST || !is_framed(der) {
            return Err(Unsigned::Malformed);
        }
        let read = yasna::parse_der(der, |reader| {
            reader.read_sequence(|reader| {
                let question = reader.next().read_sequence(Self::of)?;
                reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_der()))?;
                Ok(question)
            })
        });
        read.ok().filter(|question: &Self| (1..=MOST).contains(&question.ids.len())).ok_or(Unsigned::Malformed)
    }

    /// Parses a TBSRequest.
    fn of(reader: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Self> {
        reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_i64()))?;
        reader.read_optional(|reader| reader.read_tagged(Tag::context(1), |reader| reader.read_der()))?;
        let ids = reader.next().collect_sequence_of(|reader| {
            reader.read_sequence(|reader| {
                let raw = reader.next().read_der()?;
                reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_der()))?;
                CertId::of(raw)
            })
        })?;
        let extensions = reader.read_optional(|reader| {
            reader.read_tagged(Tag::context(2), |reader| {
                reader.collect_sequence_of(|reader| {
                    reader.read_sequence(|reader| {
                        let oid = reader.next().read_oid()?;
                        reader.read_optional(|reader| reader.read_bool())?;
                        Ok((oid, reader.next().read_bytes()?))
                    })
                })
            })
        })?;
        let nonce = extensions.into_iter().flatten().find(|(oid, _)| oid.components().as_slice() == OCSP_NONCE);
        let nonce = nonce.map(|(_, value)| value);
        if nonce.as_ref().is_some_and(|nonce| nonce.is_empty() || nonce.len() > LONGEST_NONCE + 3) {
            return Err(ASN1Error::new(ASN1ErrorKind::Invalid));
        }
        Ok(Self { ids, nonce })
    }

    /// Writes the question about one certificate, without a nonce.
    ///
    /// `None` if the authority's certificate cannot be read.
    pub fn about(authority: &Authority, serial: &Serial) -> Option<Vec<u8>> {
        let [name, key] = hashes(authority, &SHA256)?;
        Some(yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_sequence(|writer| {
                    writer.next().write_sequence_of(|writer| {
                        writer.next().write_sequence(|writer| {
                            writer.next().write_sequence(|writer| {
                                writer.next().write_sequence(|writer| {
                                    writer.next().write_oid(&ObjectIdentifier::from_slice(SHA_256));
                                    writer.next().write_null();
                                });
                                writer.next().write_bytes(name.as_ref());
                                writer.next().write_bytes(key.as_ref());
                                writer.next().write_bigint_bytes(serial_number(serial).as_ref(), true);
                            });
                        });
                    });
                });
            });
        }))
    }

    /// The id of the only certificate that it is about, as bytes, if nothing else of the question is in the answer.
    ///
    /// None with a nonce, for several certificates, or with parameters of the hash: there are any number of such questions about one
    /// certificate, so a memory by them would be filled by anybody.
    pub fn sole_id(&self) -> Option<&[u8]> {
        match self.ids.as_slice() {
            [id] if self.nonce.is_none() && id.is_plain => Some(&id.raw),
            _ => None,
        }
    }

    /// The first of these authorities that the question is about.
    pub fn authority<'a>(&self, mut authorities: impl Iterator<Item = &'a Authority>) -> Option<&'a Authority> {
        authorities.find(|authority| self.ids.iter().any(|id| id.is_of(authority)))
    }
}

impl CertId {
    fn of(raw: Vec<u8>) -> ASN1Result<Self> {
        let ((algorithm, is_plain), name, key, serial) = yasna::parse_der(&raw, |reader| {
            reader.read_sequence(|reader| {
                let algorithm = reader.next().read_sequence(|reader| {
                    let oid = reader.next().read_oid()?;
                    let parameters = reader.read_optional(|reader| reader.read_der())?;
                    let is_plain = parameters.is_none_or(|parameters| parameters == NULL);
                    Ok((oid.components().clone(), is_plain))
                })?;
                let (name, key) = (reader.next().read_bytes()?, reader.next().read_bytes()?);
                Ok((algorithm, name, key, reader.next().read_bigint_bytes()?.0))
            })
        })?;
        Ok(Self { raw, algorithm, name, key, serial, is_plain })
    }

    /// True if the question names this authority, by the hashes of its name and key.
    ///
    /// RFC 6960 section 4.1.1.
    fn is_of(&self, authority: &Authority) -> bool {
        let algorithm = match self.algorithm.as_slice() {
            SHA_1 => &SHA1_FOR_LEGACY_USE_ONLY,
            SHA_256 => &SHA256,
            _ => return false,
        };
        hashes(authority, algorithm).is_some_and(|[name, key]| name.as_ref() == self.name && key.as_ref() == self.key)
    }

    fn serial(&self) -> Option<Serial> {
        hex::encode(&self.serial).parse().ok()
    }
}

/// The hashes of an authority's name and key, by which a question names it.
fn hashes(authority: &Authority, algorithm: &'static Algorithm) -> Option<[Digest; 2]> {
    let (_, issuing) = x509_parser::parse_x509_certificate(&authority.issuing.0).ok()?;
    let hash = |bytes: &[u8]| digest::digest(algorithm, bytes);
    Some([hash(issuing.subject().as_raw()), hash(&issuing.public_key().subject_public_key.data)])
}

/// Reads of a signed answer whether this certificate, the only one in it, is revoked for good.
///
/// `None` if it is an answer without a signature, or about anything else. The signature is not checked.
pub fn says_revoked(answer: &[u8], serial: &Serial) -> Option<bool> {
    let basic = yasna::parse_der(answer, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_enum()?;
            reader.next().read_tagged(Tag::context(0), |reader| {
                reader.read_sequence(|reader| {
                    reader.next().read_oid()?;
                    reader.next().read_bytes()
                })
            })
        })
    });
    let data = yasna::parse_der(&basic.ok()?, |reader| {
        reader.read_sequence(|reader| {
            let data = reader.next().read_der()?;
            // The algorithm, the signature and the responder's certificate.
            for _ in 0..3 {
                reader.next().read_der()?;
            }
            Ok(data)
        })
    });
    let statuses = yasna::parse_der(&data.ok()?, |reader| {
        reader.read_sequence(|reader| {
            // The responder, and the time of the answer.
            for _ in 0..2 {
                reader.next().read_der()?;
            }
            reader.next().collect_sequence_of(read_status)
        })
    });
    match statuses.ok()?.as_slice() {
        [(id, revoked)] if id.serial().as_ref() == Some(serial) => Some(*revoked),
        _ => None,
    }
}

/// Parses a SingleResponse: the certificate, and whether it is revoked and not only on hold.
fn read_status(reader: BERReader<'_, '_>) -> ASN1Result<(CertId, bool)> {
    reader.read_sequence(|reader| {
        let id = CertId::of(reader.next().read_der()?)?;
        let status = reader.next().read_der()?;
        // The times of this answer and of the next one.
        for _ in 0..2 {
            reader.next().read_der()?;
        }
        let revoked = yasna::parse_der(&status, |reader| {
            reader.read_tagged_implicit(Tag::context(1), |reader| {
                reader.read_sequence(|reader| {
                    reader.next().read_der()?;
                    reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_enum()))
                })
            })
        });
        Ok((id, revoked.is_ok_and(|reason| reason != Some(ON_HOLD))))
    })
}

impl Responder {
    /// A responder with a certificate that `certify_own` made, and its key in PKCS #8.
    ///
    /// # Errors
    /// A key that cannot be parsed.
    pub fn new(certificate: Der, key: &[u8]) -> Result<Self, UnusableKey> {
        Ok(Self { certificate, key: KeyPair::try_from(key).map_err(|_| UnusableKey)? })
    }

    /// Signs the status of each certificate of `authority` in the question; any other is unknown.
    ///
    /// # Errors
    /// A time that cannot be written, or a failed signature.
    pub fn answer(
        &self,
        question: &Question,
        authority: &Authority,
        now: Timestamp,
        known: impl Fn(&Serial) -> Status,
    ) -> Result<Vec<u8>, IssueFault> {
        let (this, next) = (time(now)?, time(now.plus(ANSWER_LIFE))?);
        let mut statuses = Vec::new();
        for id in &question.ids {
            let status = id.serial().filter(|_| id.is_of(authority)).map_or(Status::Unknown, |serial| known(&serial));
            let revoked = match status {
                Status::Ended(LeafEnd::Revoked(at) | LeafEnd::Held(at)) => Some(time(at)?),
                Status::Good | Status::Unknown => None,
            };
            statuses.push((id, status, revoked));
        }
        let key = digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, self.key.der_bytes());
        let data = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_tagged(Tag::context(2), |writer| writer.write_bytes(key.as_ref()));
                writer.next().write_der(&this);
                writer.next().write_sequence_of(|writer| {
                    for (id, status, revoked) in &statuses {
                        writer.next().write_sequence(|writer| {
                            writer.next().write_der(&id.raw);
                            write_status(writer.next(), *status, revoked.as_deref());
                            writer.next().write_der(&this);
                            writer.next().write_tagged(Tag::context(0), |writer| writer.write_der(&next));
                        });
                    }
                });
                if let Some(nonce) = &question.nonce {
                    writer.next().write_tagged(Tag::context(1), |writer| {
                        writer.write_sequence_of(|writer| {
                            writer.next().write_sequence(|writer| {
                                writer.next().write_oid(&ObjectIdentifier::from_slice(OCSP_NONCE));
                                writer.next().write_bytes(nonce);
                            });
                        });
                    });
                }
            });
        });
        let signature = self.key.sign(&data).map_err(|_| IssueFault::Signing)?;
        Ok(self.signed(&data, &signature))
    }

    /// The OCSPResponse of a successful BasicOCSPResponse.
    fn signed(&self, data: &[u8], signature: &[u8]) -> Vec<u8> {
        let basic = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(data);
                writer.next().write_sequence(|writer| {
                    writer.next().write_oid(&ObjectIdentifier::from_slice(ECDSA_WITH_SHA256));
                });
                writer.next().write_bitvec_bytes(signature, signature.len() * 8);
                writer.next().write_tagged(Tag::context(0), |writer| {
                    writer.write_sequence_of(|writer| writer.next().write_der(&self.certificate.0));
                });
            });
        });
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_enum(0);
                writer.next().write_tagged(Tag::context(0), |writer| {
                    writer.write_sequence(|writer| {
                        writer.next().write_oid(&ObjectIdentifier::from_slice(OCSP_BASIC));
                        writer.next().write_bytes(&basic);
                    });
                });
            });
        })
    }
}

/// Writes CertStatus: a choice of implicitly tagged forms.
fn write_status(writer: DERWriter<'_>, status: Status, revoked: Option<&[u8]>) {
    match status {
        Status::Good => writer.write_tagged_implicit(Tag::context(0), |writer| writer.write_null()),
        Status::Unknown => writer.write_tagged_implicit(Tag::context(2), |writer| writer.write_null()),
        Status::Ended(end) => writer.write_tagged_implicit(Tag::context(1), |writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(revoked.unwrap_or_default());
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_enum(reason(end)));
            });
        }),
    }
}

/// A GeneralizedTime, to the second.
fn time(at: Timestamp) -> Result<Vec<u8>, IssueFault> {
    let at: OffsetDateTime = date(at).map_err(|_| IssueFault::Signing)?;
    let (hour, minute, second) = at.to_hms();
    let text = format!("{:04}{:02}{:02}{hour:02}{minute:02}{second:02}Z", at.year(), u8::from(at.month()), at.day());
    Ok(super::der::element(super::der::GENERALIZED_TIME, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question about certificates whose hash has these parameters, if any.
    fn question(parameters: &[Option<&[u8]>], nonce: bool) -> Question {
        let der = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                writer.next().write_sequence(|writer| {
                    writer.next().write_sequence_of(|writer| {
                        for parameters in parameters {
                            writer.next().write_sequence(|writer| write_id(writer.next(), *parameters));
                        }
                    });
                    if nonce {
                        writer.next().write_tagged(Tag::context(2), |writer| {
                            writer.write_sequence_of(|writer| {
                                writer.next().write_sequence(|writer| {
                                    writer.next().write_oid(&ObjectIdentifier::from_slice(OCSP_NONCE));
                                    writer.next().write_bytes(&[4, 1, 7]);
                                });
                            });
                        });
                    }
                });
            });
        });
        Question::read(&der).unwrap_or_else(|fault| panic!("{fault:?}"))
    }

    fn write_id(writer: DERWriter<'_>, parameters: Option<&[u8]>) {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&ObjectIdentifier::from_slice(SHA_1));
                if let Some(parameters) = parameters {
                    writer.next().write_der(parameters);
                }
            });
            writer.next().write_bytes(&[1; 20]);
            writer.next().write_bytes(&[2; 20]);
            writer.next().write_u8(7);
        });
    }

    /// Our own question names the authority and the certificate, and our own answer is read as it was meant.
    #[test]
    fn a_certificate_is_revoked_where_the_answer_says_so_for_good_of_it_alone() {
        let (serial, other): (Serial, Serial) = ("4".repeat(32).parse().expect("one"), "5".repeat(32).parse().expect("one"));
        let (authority, key) = authority();
        let asked =
            Question::read(&Question::about(&authority, &serial).expect("a question")).unwrap_or_else(|_| panic!("read"));
        assert!(asked.sole_id().is_some() && asked.authority([&authority].into_iter()).is_some());
        let responder = Responder::new(authority.issuing.clone(), &key.serialize_der()).unwrap_or_else(|_| panic!("a key"));
        let now = Timestamp::from_seconds(1_700_000_000).expect("a time");
        let says = |status: Status| {
            let known = |asked: &Serial| if *asked == serial { status } else { Status::Good };
            responder.answer(&asked, &authority, now, known).unwrap_or_else(|_| panic!("an answer"))
        };
        let revoked = says(Status::Ended(LeafEnd::Revoked(now)));
        assert_eq!((says_revoked(&revoked, &serial), says_revoked(&revoked, &other)), (Some(true), None));
        for status in [Status::Good, Status::Unknown, Status::Ended(LeafEnd::Held(now))] {
            assert_eq!(says_revoked(&says(status), &serial), Some(false), "{status:?}");
        }
        for unsigned in [Unsigned::Malformed, Unsigned::TryLater, Unsigned::Unauthorized] {
            assert_eq!(says_revoked(&unsigned.der(), &serial), None);
        }
    }

    /// An authority whose issuing certificate signed itself, and its key.
    fn authority() -> (Authority, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let made = rcgen::CertificateParams::new(vec!["issuing.example".to_owned()]).expect("a name").self_signed(&key);
        let issuing = Der(made.expect("signed").der().to_vec());
        let ends = Timestamp::from_seconds(1_800_000_000).expect("a time");
        let (environment, kid) = ("production".parse().expect("a name"), "k".parse().expect("a key"));
        let sealed = crate::domain::value::digest::Digest::of(b"");
        (Authority { environment, kid, root: issuing.clone(), issuing, ends, sealed, sealed_root: sealed }, key)
    }

    /// Nobody can ask about one certificate in so many ways that its answers fill a memory.
    #[test]
    fn a_sole_id_is_of_one_certificate_in_its_plain_form() {
        let (null, odd) = (Some(&NULL[..]), Some(&[4, 1, 9][..]));
        let (plain, absent) = (question(&[null], false), question(&[None], false));
        assert!(plain.sole_id().is_some() && absent.sole_id().is_some());
        for other in [question(&[odd], false), question(&[null, null], false), question(&[null], true)] {
            assert_eq!(other.sole_id(), None);
        }
    }
}
