//! Causes of changes that are no person.

use crate::domain::people::actor::Actor;
use crate::domain::value::names::IntegrationId;

/// A cause of changes that is no person.
pub(super) enum Cause {
    /// A partner's workload.
    Workload(IntegrationId),
    /// The operator, by the configuration.
    Operator,
    /// The broker, as a consequence of other entries.
    Broker,
}

impl From<Cause> for Actor {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Workload(integration) => Self::Workload(integration),
            Cause::Operator => Self::Operator,
            Cause::Broker => Self::Broker,
        }
    }
}
