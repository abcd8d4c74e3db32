//! What the operator configured: the environments, each with its issuer and trust domain.

use super::signal::{SignalKind, SubjectPattern};
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, Issuer, TrustDomain};
use crate::domain::value::zone::Zone;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the operator configured that decisions rest on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// The environments.
    pub environments: BTreeMap<EnvironmentName, Environment>,
    /// Digest of the staff section.
    pub staff: Digest,
    /// The sections `signals`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<Sender>,
    /// The section `directory`; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Source>,
    /// The section `governance`; absent where it says nothing.
    #[serde(default, skip_serializing_if = "Governance::is_default")]
    pub governance: Governance,
}

/// A machine that may say that a partner's access has lost its reason.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sender {
    /// The value of its person claim.
    pub caller: String,
    /// What it may say.
    pub kinds: BTreeSet<SignalKind>,
    /// Whom it may speak of.
    pub subjects: Vec<SubjectPattern>,
    /// The signals in an hour that act before a person is asked.
    pub per_hour: u32,
}

/// What the operator configured for the life of records.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Governance {
    /// The zone of day and hour in guardrails.
    #[serde(default, skip_serializing_if = "Zone::is_utc")]
    pub zone: Zone,
    /// People are told of what nobody used for so long; absent where nothing is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_warn: Option<Seconds>,
    /// What nobody used for so long is suspended or retired; absent where nothing is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unused_suspend: Option<Seconds>,
    /// How long an integration lasts without its owner.
    #[serde(default = "Governance::default_owner_grace", skip_serializing_if = "Governance::is_default_owner_grace")]
    pub owner_grace: Seconds,
    /// Whether reviews count. A program that knew of none said nothing about them; they count from the first entry that does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reviews: bool,
    /// Whether an offboarding opens by itself where a record wants it. It counts from the first entry that says so, as reviews do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offboarding: bool,
}

/// The source of the people directory, without its tokens.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// The address that it calls.
    pub listen: String,
    /// Whether TLS ends here.
    pub tls: bool,
    /// How long it may say nothing.
    pub silent_after: Seconds,
}

/// A setting of the configuration that lets something last longer than before.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lengthened {
    /// The setting, such as `governance.owner_grace`.
    pub setting: String,
    /// The length before.
    pub from: Seconds,
    /// The length from now on.
    pub to: Seconds,
}

impl Configuration {
    /// The settings that let something last longer than in `old`.
    pub fn lengthened(&self, old: &Self) -> Vec<Lengthened> {
        let silence = |one: &Self| one.directory.as_ref().map(|source| source.silent_after);
        let warned = |one: &Self| Some(one.governance.unused_warn.unwrap_or(UNUSED_WARN));
        let unused = |one: &Self| Some(one.governance.unused_suspend.unwrap_or(UNUSED_SUSPEND));
        let settings = [
            ("governance.unused_warn", warned(old), warned(self)),
            ("governance.unused_suspend", unused(old), unused(self)),
            ("governance.owner_grace", Some(old.governance.owner_grace), Some(self.governance.owner_grace)),
            ("directory.silent_after", silence(old), silence(self)),
        ];
        let longer = settings.into_iter().filter_map(|(setting, from, to)| Some((setting, from?, to?)));
        let longer = longer.filter(|(_, from, to)| to > from);
        longer.map(|(setting, from, to)| Lengthened { setting: setting.to_owned(), from, to }).collect()
    }
}

impl Default for Governance {
    fn default() -> Self {
        Self {
            zone: Zone::default(),
            unused_warn: None,
            unused_suspend: None,
            owner_grace: Self::OWNER_GRACE,
            reviews: false,
            offboarding: false,
        }
    }
}

/// The time after which people are told of what nobody used, where nothing is configured.
pub const UNUSED_WARN: Seconds = Seconds::days(30);

/// The time after which what nobody used is suspended or retired, where nothing is configured.
pub const UNUSED_SUSPEND: Seconds = Seconds::days(90);

/// The longest of these times. Counts of uses are kept for longer.
pub const LONGEST_UNUSED: Seconds = Seconds::days(366);

impl Governance {
    /// The grace where the configuration names none.
    pub const OWNER_GRACE: Seconds = Seconds::days(14);

    fn default_owner_grace() -> Seconds {
        Self::OWNER_GRACE
    }

    fn is_default_owner_grace(grace: &Seconds) -> bool {
        *grace == Self::OWNER_GRACE
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// One environment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Environment {
    /// Our issuer there.
    pub issuer: Issuer,
    /// The longest life of a token there.
    pub max_ttl: Seconds,
    /// The trust domain of its SPIFFE IDs.
    pub trust_domain: TrustDomain,
    /// Whether it counts as production; by its name, where the configuration says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<bool>,
}

/// Whether an environment counts as production. Where the configuration says nothing, the one of that name does.
pub fn is_production(environment: &EnvironmentName, configured: Option<bool>) -> bool {
    configured.unwrap_or(environment.as_str() == "production")
}

/// Whether `audience` is one of our issuers or lies below it, such as a token endpoint: what is made for it is made for us. Byte for byte,
/// as every audience is compared.
pub fn is_own_audience<'a>(mut environments: impl Iterator<Item = &'a Environment>, audience: &str) -> bool {
    environments.any(|environment| {
        audience.strip_prefix(environment.issuer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}
