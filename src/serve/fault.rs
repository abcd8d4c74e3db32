//! The reasons for which the broker does not start.

use crate::config::ConfigFault;

/// The reason for which the broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// Files, addresses or stores that the configuration names cannot be used. It has every fault.
    #[error("{} faults of the configuration", .0.len())]
    Configuration(Vec<ConfigFault>),
    /// The journal does not open, or does not verify.
    #[error(transparent)]
    Journal(#[from] crate::journal::OpenFault),
    /// Another node has the id of this one, or the database does not say.
    #[error(transparent)]
    Join(#[from] crate::journal::JoinFault),
    /// The client for outbound requests could not be built.
    #[error(transparent)]
    Outbound(#[from] crate::outbound::Unbuildable),
    /// The configuration differs from the recorded one, and cannot be recorded.
    #[error("the configuration cannot be recorded: {0}")]
    Clock(crate::journal::ClockFault),
    /// The configuration ends an environment without closing it, or begins one again.
    #[error("{0}")]
    Misfit(crate::domain::state::closures::Misfit),
    /// The journal took no first changes, or a signing key does not open.
    #[error("the broker cannot be prepared: {0}")]
    Prepare(&'static str),
}

pub(super) fn at(field: &str, reason: String, fix: &str) -> ConfigFault {
    ConfigFault { field: field.to_owned(), line: None, reason, fix: fix.to_owned() }
}
