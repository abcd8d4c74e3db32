//! The keys that an integration authenticates with, their age, and when they are due to change.

use super::rotation::{issuer_key_due, rotation_due};
use crate::domain::registry::binding::Admits;
use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{BindingName, EnvironmentName, Issuer, Serial};

/// A key in use.
#[derive(Clone, Debug)]
pub struct KeyInUse {
    /// The environment.
    pub environment: EnvironmentName,
    /// The key.
    pub key: InUse,
    /// When it became known.
    pub since: Option<Timestamp>,
    /// When it is due to change; `None` if no cadence asks for it.
    pub due: Option<Timestamp>,
    /// True if that time is past.
    pub is_late: bool,
}

/// The use of a key.
#[derive(Clone, Debug)]
pub enum InUse {
    /// A live certificate.
    Certificate {
        /// Its serial number.
        serial: Serial,
        /// Its end.
        ends: Timestamp,
    },
    /// The newest key of an issuer, which is in use until there is a newer one.
    Issuer {
        /// The binding that trusts the issuer.
        binding: BindingName,
        /// The issuer.
        issuer: Issuer,
        /// The key's thumbprint.
        key: crate::domain::value::digest::Digest,
    },
}

/// Lists the keys of live certificates, then those of issuers.
pub fn keys_in_use(state: &State, record: &Integration, now: Timestamp) -> Vec<KeyInUse> {
    let is_late = |due: Option<Timestamp>| due.is_some_and(|due| now >= due);
    let live = state.certificates.leaves().filter(|leaf| leaf.integration == record.id && now < leaf.ends);
    let certificates = live.map(|leaf| {
        let since = state.certificates.key_since(&leaf.environment, leaf.key);
        let due = rotation_due(record, since).map(|due| due.at);
        let key = InUse::Certificate { serial: leaf.serial.clone(), ends: leaf.ends };
        KeyInUse { environment: leaf.environment.clone(), key, since, due, is_late: is_late(due) }
    });
    let bindings = record.environments.iter().flat_map(|(environment, access)| {
        access.bindings.iter().filter_map(move |binding| match &binding.admits {
            Admits::Jwt(rule) => Some((environment, &binding.name, &rule.issuer)),
            Admits::Certificate => None,
        })
    });
    let issuers = bindings.filter_map(|(environment, binding, issuer)| {
        let (key, since) = state.issuer_keys.newest(issuer)?;
        let due = issuer_key_due(record, Some(since)).map(|due| due.at);
        let key = InUse::Issuer { binding: binding.clone(), issuer: issuer.clone(), key };
        Some(KeyInUse { environment: environment.clone(), key, since: Some(since), due, is_late: is_late(due) })
    });
    certificates.chain(issuers).collect()
}
