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
    /// `READONLY`, or a role other than that of a master.
    #[error("Redis refuses writes: it is a read-only replica; name the primary in [redis] url, or promote this one")]
    ReadOnly,
    /// `MISCONF`, `NOREPLICAS`.
    #[error("Redis refuses writes: it can keep none durably; look at its disk, its log and its replicas")]
    NotDurable,
    /// A certificate that no trusted root signed or that is of another name, or no TLS at all.
    #[error("Redis' certificate cannot be verified; name its roots in [redis] ca_file, and in the URL a host that it is of")]
    Untrusted,
    /// `LOADING`, `MASTERDOWN`, `BUSY` and their like.
    #[error("Redis is not ready to answer; look at its log")]
    NotYet,
    /// `NOAUTH`, `WRONGPASS`, `NOPERM`.
    #[error(
        "Redis does not let this user do it; correct the user in [redis] url, [redis] password_file, or its ACL (`carnet doctor --redis-acl`)"
    )]
    Unauthorised,
    /// An eviction policy other than `noeviction`, which drops revocations (ABUSE S12).
    #[error(
        "Redis' maxmemory-policy is not noeviction: it may drop revocations; redis-cli CONFIG SET maxmemory-policy noeviction, and the same \
         in its redis.conf"
    )]
    Evicts,
    /// Any other error, or an answer of another form.
    #[error("Redis gives an answer that is not expected; look at its version and its log")]
    Unexpected,
}

/// The longest that an answer may take.
pub(super) const RESPONSE_TIME: Duration = Duration::from_millis(250);

/// The longest that a connection may take: address, handshakes, sign-in and role.
pub(super) const CONNECTION_TIME: Duration = Duration::from_millis(500);

/// The codes of errors after which the server is looked for anew: it is no master now, or it takes no writes.
const LEAVE: [&str; 10] =
    ["ASK", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "MOVED", "NOREPLICAS", "OOM", "READONLY", "TRYAGAIN"];

/// Whether a connection that gave this error is of no more use.
pub(super) fn leaves(fault: &RedisError) -> bool {
    fault.code().is_none_or(|code| LEAVE.contains(&code))
}

/// The failure that an error of Redis means, by its code.
pub(super) fn away(fault: &RedisError) -> Away {
    match fault.code() {
        Some("OOM") => Away::Full,
        Some("READONLY") => Away::ReadOnly,
        Some("MISCONF" | "NOREPLICAS") => Away::NotDurable,
        Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" | "TRYAGAIN" | "MOVED" | "ASK") => Away::NotYet,
        Some("NOAUTH" | "NOPERM" | "WRONGPASS") => Away::Unauthorised,
        _ if fault.kind() == ErrorKind::AuthenticationFailed => Away::Unauthorised,
        Some(_) => Away::Unexpected,
        None => Away::Silent,
    }
}
