//! The environments and the issuers that a state knows.

use std::collections::BTreeSet;

use crate::domain::state::State;
use crate::domain::value::names::{EnvironmentName, Issuer};

/// The environments that are configured.
pub fn environments(state: &State) -> Vec<&EnvironmentName> {
    state.configuration.iter().flat_map(|configuration| configuration.environments.keys()).collect()
}

/// The issuers of bindings in force, and our own trust domains.
pub fn issuers(state: &State) -> BTreeSet<Issuer> {
    let configured = state.configuration.iter().flat_map(|configuration| configuration.environments.values());
    let own = configured.map(|environment| environment.trust_domain.issuer());
    state.candidates.all().map(|candidate| candidate.rule.issuer.clone()).chain(own).collect()
}
