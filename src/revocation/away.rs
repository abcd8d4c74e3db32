//! The failures of a store, and the longest time that it may take to answer.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

/// The store did not answer in time or as expected, or it refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Away {
    /// No answer in time, or no connection.
    #[error("Redis does not answer in time; start it, or correct [redis] url")]
    Silent,
    /// `OOM`.
    #[error("Redis refuses writes: its memory is full; raise maxmemory, or free some")]
    Full,
    /// `READONLY`.
    #[error("Redis refuses writes: it is a read-only replica; name the primary in [redis] url, or promote this one")]
    ReadOnly,
    /// `MISCONF`, `NOREPLICAS`.
    #[error("Redis refuses writes: it can keep none durably; look at its disk, its log and its replicas")]
    NotDurable,
    /// `LOADING`, `MASTERDOWN`, `BUSY` and their like.
    #[error("Redis is not ready to answer; look at its log")]
    NotYet,
    /// `NOAUTH`, `WRONGPASS`, `NOPERM`.
    #[error("Redis does not let this user do it; correct user and password in [redis] url, or its ACL")]
    Unauthorised,
    /// Any other error, or an answer of another form.
    #[error("Redis gives an answer that is not expected; look at its version and its log")]
    Unexpected,
}

/// The store cannot be used as configured.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub &'static str);

pub(super) const RESPONSE_TIME: Duration = Duration::from_millis(500);

pub(super) const CONNECTION_TIME: Duration = Duration::from_secs(1);

/// The failure that an error of Redis means, by its code.
pub(super) fn away(fault: &RedisError) -> Away {
    match fault.code() {
        Some("OOM") => Away::Full,
        Some("READONLY") => Away::ReadOnly,
        Some("MISCONF" | "NOREPLICAS") => Away::NotDurable,
        Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" | "TRYAGAIN") => Away::NotYet,
        Some("NOAUTH" | "NOPERM" | "WRONGPASS") => Away::Unauthorised,
        _ if fault.kind() == ErrorKind::AuthenticationFailed => Away::Unauthorised,
        Some(_) => Away::Unexpected,
        None => Away::Silent,
    }
}
