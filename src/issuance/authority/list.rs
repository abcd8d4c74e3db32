//! The revocation list of an authority (RFC 5280 section 5).

use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber};

use super::der::{date, serial_number};
use super::{Issuance, IssueFault};
use crate::domain::credential::certificate::{Authority, Der};
use crate::domain::state::certificates::LeafEnd;
use crate::domain::value::clock::{Seconds, Timestamp};
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
