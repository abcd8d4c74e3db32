//! Finds the revocation target that a name stands for.
//!
//! Everything that a token may have been issued under can be revoked, whether or not a record still names it
//! ([`History`](crate::domain::state::history::History)). A name that was never in force is refused: a typing error
//! must not look like a revocation.

use super::target::BUILT_IN_API;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::state::State;
use crate::domain::value::names::{ClientId, EnvironmentName, IntegrationId};

/// The kinds of targets that a name stands for.
///
/// Single tokens are not among them: only the journal knows them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Thing {
    /// `orders-api`, or `carnet`, the built-in one.
    Api,
    /// `globex/order-sync/production/ci-main`, or `api/orders-api/production/gateway`.
    ///
    /// The second form is a caller of an API.
    Binding,
    /// `production/SERIAL`.
    Certificate,
    /// Its id.
    Elevation,
    /// `production`, or one integration's: `globex/order-sync/production`.
    Environment,
    /// `globex/order-sync`.
    Integration,
    /// Its URL, or a trust domain: `spiffe://mesh.globex.example`, also one of ours.
    Issuer,
    /// `production/KID`.
    Key,
    /// `globex`.
    Partner,
}

/// Finds the target with this name, if it is or was in force.
pub fn find(thing: Thing, name: &str, state: &State) -> Option<RevocationTarget> {
    let parts: Vec<&str> = name.split('/').collect();
    match thing {
        Thing::Api => {
            let api = name.parse().ok()?;
            (state.apis.contains_key(&api) || name == BUILT_IN_API).then_some(RevocationTarget::Api { api })
        }
        Thing::Binding => {
            let [partner, integration, environment, binding] = parts.as_slice() else { return None };
            let client: ClientId = format!("{partner}/{integration}").parse().ok()?;
            let subject =
                RevocationTarget::Binding { client, environment: environment.parse().ok()?, binding: binding.parse().ok()? };
            state.history.binding(&subject).is_some().then_some(subject)
        }
        Thing::Certificate => {
            let (environment, serial) = name.split_once('/')?;
            let (environment, serial) = (environment.parse().ok()?, serial.parse().ok()?);
            state
                .certificates
                .leaf(&environment, &serial)
                .is_some()
                .then_some(RevocationTarget::Certificate { environment, serial })
        }
        Thing::Elevation => {
            let elevation = &state.elevations.find(&name.parse().ok()?)?.elevation;
            Some(RevocationTarget::Elevation { environment: elevation.environment.clone(), elevation: elevation.id.clone() })
        }
        Thing::Environment => match parts.as_slice() {
            [environment] => {
                let environment: EnvironmentName = environment.parse().ok()?;
                state.history.knows_environment(&environment).then_some(RevocationTarget::Environment { environment })
            }
            [partner, integration, environment] => {
                let integration: IntegrationId = format!("{partner}/{integration}").parse().ok()?;
                let environment: EnvironmentName = environment.parse().ok()?;
                let known = state.integrations.contains_key(&integration) && state.history.knows_environment(&environment);
                known.then_some(RevocationTarget::IntegrationEnvironment { integration, environment })
            }
            _ => None,
        },
        Thing::Integration => {
            let integration = name.parse().ok()?;
            state.integrations.contains_key(&integration).then_some(RevocationTarget::Integration { integration })
        }
        Thing::Issuer => {
            let issuer = name.parse().ok()?;
            state.history.knows_issuer(&issuer).then_some(RevocationTarget::Issuer { issuer })
        }
        Thing::Key => {
            let (environment, kid) = name.split_once('/')?;
            let (environment, kid) = (environment.parse().ok()?, kid.parse().ok()?);
            state.keys.find(&environment, &kid).is_some().then_some(RevocationTarget::Key { environment, kid })
        }
        Thing::Partner => {
            let partner = name.parse().ok()?;
            state.partners.contains_key(&partner).then_some(RevocationTarget::Partner { partner })
        }
    }
}
