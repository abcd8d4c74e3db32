//! Causes of changes that no person made.

use crate::domain::people::actor::Actor;
use crate::domain::value::names::{ApiName, IntegrationId};

/// The cause of a change that no person made.
pub(super) enum Cause {
    /// A partner's workload.
    Workload(IntegrationId),
    /// The workload of an API.
    Api(ApiName),
    /// The operator, by the configuration.
    Operator,
    /// The broker, as a consequence of other entries.
    Broker,
    /// The people directory, by a word of its source.
    Directory,
}

impl From<Cause> for Actor {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Workload(integration) => Self::Workload(integration),
            Cause::Api(api) => Self::Api(api),
            Cause::Operator => Self::Operator,
            Cause::Broker => Self::Broker,
            Cause::Directory => Self::Directory,
        }
    }
}
