//! Quotas: how often a known caller may do what, and with that how much one caller can leave behind.
//!
//! Enter through [`Operation::allowance`]: every operation of a caller whose proof was verified takes from a bucket of its own class, one for
//! each client and environment. Used-up exchanges do not stop a client from revoking its tokens, and looking at tokens uses up nothing of the
//! exchanges. Strangers have no bucket: they cost one verification each, and are counted.
//!
//! # The bound
//!
//! A bucket holds its size and refills evenly, so in any hour a client does at most `size + size × hour / period` of one operation. With the
//! `exchangesPerMinute` of the record as `n` (600 where it names none), in one environment and one hour that is at the most:
//!
//! | operation | times | leaves in the journal | leaves in Redis, each until its proof has expired |
//! |---|---|---|---|
//! | exchange | 61 n | a token's entry | one key for the assertion, one for a DPoP proof |
//! | introspection, and verdicts that it asks for | 122 n; of an API 366 000 | nothing | the same |
//! | revocation of a token | 61 n; of an API 36 600 | one entry for each living token | the same |
//! | request for an elevation | 120 | one entry | the same |
//! | word that it is compromised | 120 | one entry at the first | the same |
//! | question after offboardings, acknowledgement of one | 240 | one entry for each acknowledgement that says something else | the same |
//! | poll of an elevation | 36 600 | nothing | nothing |
//! | first enrolment, re-enrolment | 120 | one entry | nothing |
//! | DPoP proof that a proxy shows for it | 366 000 | nothing | one key for a DPoP proof |
//!
//! Besides, 60 refusals a minute have an entry of their own, of them one for a bucket that is empty (`journal::refusals`), and each bucket is
//! one key.

use super::clock::Seconds;
use super::names::{ClientId, EnvironmentName};

/// What a known caller does. Each has its own bucket.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Operation {
    /// Exchanges a proof for a token.
    Exchange,
    /// Asks about a token, or for a verdict about a request.
    Introspection,
    /// Revokes a token.
    Revocation,
    /// Enrols or re-enrols for a certificate.
    Enrolment,
    /// Asks for an elevation.
    ElevationRequest,
    /// Says that it is compromised.
    Signal,
    /// Asks which offboardings wait for it, or acknowledges one.
    Offboarding,
    /// Asks how an elevation stands.
    ElevationPoll,
    /// Shows a DPoP proof to a proxy that asks for a verdict.
    Possession,
}

/// The size of a bucket, and in which time an empty one is full again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowance {
    /// How many at once.
    pub size: u32,
    /// The time in which so many come back, evenly.
    pub period: Seconds,
}

/// A caller's bucket for one operation.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    /// Where.
    pub environment: &'a EnvironmentName,
    /// Whose.
    pub caller: &'a ClientId,
    /// For what.
    pub operation: Operation,
    /// How large it is.
    pub allowance: Allowance,
}

/// A hundred a second: an API that looks at every request has caches and several workloads; what it asks beyond that stops it before us.
const OF_AN_API: u32 = 6000;

/// An API revokes what it sees abused, and never as often as it looks.
const REVOCATIONS_OF_AN_API: u32 = 600;

/// So many machines of one integration may renew at once, and one a minute after that. A certificate is valid for a day and each is an entry for
/// ever.
const ENROLMENTS_AN_HOUR: u32 = 60;

/// Three times the elevations that may be open at once.
const ELEVATIONS_AN_HOUR: u32 = 60;

/// All but the first say the same again.
const SIGNALS_AN_HOUR: u32 = 60;

/// An API looks once a minute, and acknowledges what it finds. Each word is an entry for ever.
const OFFBOARDINGS_AN_HOUR: u32 = 120;

/// Twenty open elevations, each asked about every two seconds as the answer says.
const POLLS: u32 = 600;

impl Operation {
    /// The bucket of `caller`, whose record allows so many exchanges a minute.
    pub fn allowance(self, caller: &ClientId, exchanges: u32) -> Allowance {
        let per_minute = |size: u32| Allowance { size: size.max(1), period: Seconds(60) };
        let per_hour = |size| Allowance { size, period: Seconds(3600) };
        let is_api = match caller {
            ClientId::Api(_) => true,
            ClientId::Integration(_) => false,
        };
        match self {
            Self::Exchange => per_minute(exchanges),
            Self::Introspection if is_api => per_minute(OF_AN_API),
            // Once as it gets a token, once before it uses it again.
            Self::Introspection => per_minute(exchanges.saturating_mul(2)),
            Self::Revocation if is_api => per_minute(REVOCATIONS_OF_AN_API),
            // Nobody has more tokens to revoke than it was given.
            Self::Revocation => per_minute(exchanges),
            Self::Enrolment => per_hour(ENROLMENTS_AN_HOUR),
            Self::Signal => per_hour(SIGNALS_AN_HOUR),
            Self::Offboarding => per_hour(OFFBOARDINGS_AN_HOUR),
            Self::ElevationRequest => per_hour(ELEVATIONS_AN_HOUR),
            Self::ElevationPoll => per_minute(POLLS),
            Self::Possession => per_minute(OF_AN_API),
        }
    }

    /// Its word in the name of a bucket.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Introspection => "introspection",
            Self::Revocation => "revocation",
            Self::Enrolment => "enrolment",
            Self::ElevationRequest => "elevation",
            Self::Signal => "signal",
            Self::Offboarding => "offboarding",
            Self::ElevationPoll => "poll",
            Self::Possession => "possession",
        }
    }
}

impl Allowance {
    /// Microseconds in which one comes back: in milliseconds nobody would be held to more than 60 000 a minute, whatever their record says.
    pub fn every(&self) -> i64 {
        self.whole() / i64::from(self.size.max(1))
    }

    /// Microseconds in which an empty bucket is full again.
    pub fn whole(&self) -> i64 {
        i64::from(self.period.0) * 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_09_every_operation_has_a_bucket_that_is_no_larger_than_it_must_be() {
        let client: ClientId = "globex/order-sync".parse().expect("a client");
        let api: ClientId = "api/orders-api".parse().expect("a client");
        let size = |operation: Operation, caller: &ClientId, exchanges| operation.allowance(caller, exchanges).size;
        assert_eq!(size(Operation::Exchange, &client, 60), 60);
        assert_eq!(size(Operation::Introspection, &client, 60), 120);
        assert_eq!(size(Operation::Introspection, &client, u32::MAX), u32::MAX);
        assert_eq!(size(Operation::Introspection, &api, 600), 6000);
        assert_eq!(size(Operation::Revocation, &client, 0), 1);
        assert_eq!(size(Operation::Possession, &client, 60), 6000);
        assert_eq!(Operation::Enrolment.allowance(&client, 1_000_000), Allowance { size: 60, period: Seconds(3600) });
        assert_eq!(Operation::Enrolment.allowance(&client, 1).every(), 60_000_000);
        assert_eq!(Operation::Exchange.allowance(&client, 100_000).every(), 600);
    }
}
