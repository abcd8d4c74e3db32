//! Why the broker does not start.

use crate::config::ConfigFault;

/// Why the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// What the configuration names cannot be had: files, addresses, stores. All of it.
    #[error("{} faults of the configuration", .0.len())]
    Configuration(Vec<ConfigFault>),
    /// The journal does not open, or does not hold.
    #[error(transparent)]
    Journal(#[from] crate::journal::OpenFault),
    /// The client for what leaves the house could not be made.
    #[error(transparent)]
    Outbound(#[from] crate::outbound::Unbuildable),
    /// The configuration differs from the recorded one, and cannot be recorded.
    #[error("the configuration cannot be recorded: {0}")]
    Clock(crate::journal::ClockFault),
    /// The journal took no first changes, or a signing key does not open.
    #[error("the broker cannot be prepared: {0}")]
    Prepare(&'static str),
}

pub(super) fn at(field: &str, reason: String, fix: &str) -> ConfigFault {
    ConfigFault { field: field.to_owned(), line: None, reason, fix: fix.to_owned() }
}
