//! Numbers and times as SQL has them.
//!
//! A value that a database can hold and that our code never writes is a fault of the store.

use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::journal::fault::StoreFault;

/// A column of 32 bytes.
pub fn hash(bytes: &[u8]) -> Result<Digest, StoreFault> {
    bytes.try_into().map(Digest).map_err(|_| StoreFault::unreadable("a hash that is not of 32 bytes"))
}

/// A number that is never negative.
pub fn number(value: i64) -> Result<u64, StoreFault> {
    u64::try_from(value).map_err(|_| StoreFault::unreadable("a negative number"))
}

/// A time.
pub fn time(value: i64) -> Result<Timestamp, StoreFault> {
    Timestamp::from_seconds(value).ok_or_else(|| StoreFault::unreadable("a time outside the years 1970 to 9999"))
}

/// SQL has 63 bits; no log reaches them.
pub fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
