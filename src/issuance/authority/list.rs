//! The revocation list of an authority (RFC 5280 section 5): signs it, and reads it as a relying party does.

use std::collections::BTreeSet;

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::{CertificateRevocationList, RevokedCertificate};
use x509_parser::x509::ReasonCode;

use super::der::{date, serial_number};
use super::{Issuance, IssueFault};
use crate::domain::credential::certificate::{Authority, Der};
use crate::domain::state::certificates::LeafEnd;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::hex;
use crate::domain::value::names::Serial;

/// The time that a list may be used.
///
/// A reader with an older one must not call any certificate good (ABUSE M-13).
pub const LIST_LIFE: Seconds = Seconds::hours(24);

/// A revoked certificate on the list.
#[derive(Clone, Debug)]
pub struct Revoked {
    /// Its serial number.
    pub serial: Serial,
    /// Why it does not count.
    pub end: LeafEnd,
}

impl Issuance {
    /// Signs the list of one authority.
    ///
    /// `number` must only grow: the index of the newest journal entry is one (RFC 5280 section 5.2.3).
    ///
    /// # Errors
    /// The issuing key is not in this node's ring, or signing failed.
    pub fn revocation_list(
        &self,
        authority: &Authority,
        number: u64,
        revoked: &[Revoked],
        now: Timestamp,
    ) -> Result<Der, IssueFault> {
        let key = self.issuing_key(&authority.kid).ok_or(IssueFault::NoKey)?;
        let one = |revoked: &Revoked| {
            // The journal has the reason. The public list says only that nothing is known of a compromise.
            let (at, reason) = match revoked.end {
                LeafEnd::Revoked(at) => (at, RevocationReason::CessationOfOperation),
                LeafEnd::Held(at) => (at, RevocationReason::CertificateHold),
            };
            Some(RevokedCertParams {
                serial_number: serial_number(&revoked.serial),
                revocation_time: date(at).ok()?,
                reason_code: Some(reason),
                invalidity_date: None,
            })
        };
        let revoked_certs: Option<Vec<_>> = revoked.iter().map(one).collect();
        let params = CertificateRevocationListParams {
            this_update: date(now).map_err(|_| IssueFault::Signing)?,
            next_update: date(now.plus(LIST_LIFE)).map_err(|_| IssueFault::Signing)?,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.ok_or(IssueFault::Signing)?,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&key.issuer).map_err(|_| IssueFault::Signing)?;
        Ok(Der(list.der().to_vec()))
    }
}

/// The certificates that a list says are revoked for good: not those on hold. `None` if it is no list. The signature is not checked.
pub fn revoked_in(list: &Der) -> Option<BTreeSet<Serial>> {
    let (_, read) = CertificateRevocationList::from_der(&list.0).ok().filter(|(rest, _)| rest.is_empty())?;
    let is_final =
        |one: &&RevokedCertificate<'_>| one.reason_code().is_none_or(|(_, reason)| reason != ReasonCode::CertificateHold);
    let revoked = read.iter_revoked_certificates().filter(is_final);
    Some(revoked.filter_map(|one| hex::encode(one.raw_serial()).parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, Issuer, KeyPair, KeyUsagePurpose};

    use super::*;

    /// A list of certificates by the bytes of their serial numbers, each with whether it is on hold.
    fn list(entries: &[(&[u8], bool)]) -> Der {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
        let day = |day: i64| date(Timestamp::from_seconds(1_700_000_000 + day * 86_400).expect("a time"));
        let day = |number| day(number).unwrap_or_else(|_| panic!("a time"));
        let entry = |(serial, held): &(&[u8], bool)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: day(0),
            reason_code: held.then_some(RevocationReason::CertificateHold),
            invalidity_date: None,
        };
        let params_of_list = CertificateRevocationListParams {
            this_update: day(0),
            next_update: day(1),
            crl_number: SerialNumber::from(7),
            issuing_distribution_point: None,
            revoked_certs: entries.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = params_of_list.signed_by(&Issuer::from_params(&params, &key)).expect("signed");
        Der(signed.der().to_vec())
    }

    /// A number that ends or begins with another one is another certificate.
    #[test]
    fn a_certificate_is_on_the_list_by_its_whole_number_and_not_on_hold() {
        let (own, held) = ([0x41; 16], [0x42; 16]);
        let serial = |bytes: &[u8]| hex::encode(bytes).parse::<Serial>().expect("a number");
        let longer = [&[0x11][..], &own].concat();
        assert_eq!(revoked_in(&list(&[(&longer, false), (&held, true)])), Some(BTreeSet::new()));
        let all = list(&[(&longer, false), (&held, true), (&own, false)]);
        assert_eq!(revoked_in(&all), Some(BTreeSet::from([serial(&own)])));
        assert_eq!(revoked_in(&list(&[])), Some(BTreeSet::new()));
        assert_eq!(revoked_in(&Der([all.0.as_slice(), &[0]].concat())), None);
    }
}
