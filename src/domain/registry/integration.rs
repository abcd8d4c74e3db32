//! The record of an integration: what one partner's workload is for, who answers for it, until when, who it proves to be, and
//! what it may ask for in each environment.

use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::binding::Binding;
use super::managed::ManagedBy;
use super::workload::Workload;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName, IntegrationId};
use crate::domain::value::network::Cidr;
use crate::domain::value::scope::{Scope, ScopeSet};
use crate::domain::value::text::Text;
use crate::domain::value::window::Window;

/// `kind: Integration`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Integration {
    /// `metadata.partner` and `metadata.name`.
    pub id: IntegrationId,
    /// Its purpose, in a sentence.
    pub purpose: Text,
    /// Two different people on our side.
    pub owners: Owners,
    /// The contract that allows it, with its end.
    pub contract: Contract,
    /// Classes of data that it touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_classes: Vec<String>,
    /// The interval at which its rights are looked at again.
    pub review: Review,
    /// The interval at which the partner's keys are to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// The trigger of its end, and the contact to tell.
    pub offboarding: Offboarding,
    /// Its rights in each environment. An environment inherits nothing from another.
    pub environments: LiteMap<EnvironmentName, Access>,
    /// Static secrets that are still alive at the partner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<StaticSecret>,
    /// Examples that `validate` and `plan` check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<RecordTest>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Workload::is_default")]
    pub workload: Workload,
    /// `metadata.managedBy`: who applies it, if it is not left to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<ManagedBy>,
}

/// The people on our side. E-mails here are contacts and give no right.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owners {
    /// The person who answers for the business with the partner.
    pub business: Text,
    /// The person who answers for the application.
    pub application: Text,
}

/// The contract: no token outside it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The name of the contract in our files (`ref`).
    #[serde(rename = "ref")]
    pub reference: String,
    /// First second of the contract.
    pub starts: Timestamp,
    /// First second after it (a date in a record is inclusive: its whole day still counts).
    pub ends: Timestamp,
}

/// Recertification.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Review {
    /// The interval.
    pub every: Seconds,
    /// The consequence when nobody answers.
    pub on_silence: OnSilence,
}

/// The consequence of a review that nobody answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnSilence {
    /// Issuance ends until somebody answers.
    Suspend,
    /// Issuance goes on and the review stands overdue.
    Report,
}

/// Rotation cadences at the partner.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// The cadence of an issuer's or `key` binding's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_keys: Option<Seconds>,
    /// The cadence of the keys that certificates from our CA are for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Seconds>,
    /// The consequence for a key that is older.
    #[serde(default)]
    pub on_late: OnLate,
}

/// The consequence for a key that is older than its cadence.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLate {
    /// It is shown as late.
    #[default]
    Report,
    /// It admits no more, and no certificate is made for it.
    Refuse,
}

impl Rotation {
    /// When a key of an issuer is due that was first used at `since`, if it ever is.
    pub fn issuer_key_due(&self, since: Timestamp) -> Option<Timestamp> {
        Some(since.plus(self.issuer_keys?))
    }

    /// When the key of certificates since `since` is due, if it ever is.
    pub fn certificate_due(&self, since: Timestamp) -> Option<Timestamp> {
        Some(since.plus(self.certificate?))
    }

    /// Whether a late key is refused.
    pub fn refuses(&self) -> bool {
        self.on_late == OnLate::Refuse
    }
}

/// The end of an integration, planned from its first day.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offboarding {
    /// The trigger.
    pub trigger: Trigger,
    /// The contact to tell.
    pub contact: Text,
}

/// The trigger of an offboarding.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// The contract's last day.
    ContractEnd,
    /// Somebody's decision.
    Manual,
}

/// The rights of an integration in one environment.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Access {
    /// The proofs that admit.
    pub bindings: Vec<Binding>,
    /// Ceilings besides the API's and the environment's.
    #[serde(default)]
    pub limits: Limits,
    /// The proof that a caller must show besides one.
    #[serde(default, skip_serializing_if = "Require::is_nothing")]
    pub require: Require,
    /// The scopes that may be asked for at any time.
    pub scopes: LiteMap<ApiName, Vec<ScopeRule>>,
    /// The time-limited scopes, each of which somebody must approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elevation: Vec<Eligible>,
    /// First second after its end, if it ends before the contract does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
}

/// The proof that a caller must show besides one. Each asks for more than the one before.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// Nothing.
    #[default]
    Nothing,
    /// A key that the token is bound to: a certificate or a DPoP proof.
    Bound,
    /// Two proofs of the same integration: an assertion, and a certificate of ours.
    Dual,
}

impl Require {
    /// The word of a record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Bound => "bound",
            Self::Dual => "dual",
        }
    }

    fn is_nothing(&self) -> bool {
        *self == Self::Nothing
    }
}

/// Ceilings of one environment of one integration.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// The longest life of a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Seconds>,
    /// A bucket of this size, refilled evenly; 600 where the record says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanges_per_minute: Option<u32>,
    /// The networks that the workload calls from; empty means anywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_cidrs: Vec<Cidr>,
}

impl Limits {
    /// The quota of a record that names none (docs/reference/limits.md).
    pub const DEFAULT_EXCHANGES_PER_MINUTE: u32 = 600;

    /// Exchanges a minute.
    pub fn per_minute(&self) -> u32 {
        self.exchanges_per_minute.unwrap_or(Self::DEFAULT_EXCHANGES_PER_MINUTE)
    }
}

/// A scope that may be asked for, with the endpoints that it is good for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRule {
    /// The scope, which the API's catalogue has.
    pub scope: Scope,
    /// Endpoint conditions that travel in the token; empty means the whole API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Endpoint>,
}

/// A scope that takes an approval each time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Eligible {
    /// The scope.
    pub scope: Scope,
    /// Its API.
    pub api: ApiName,
    /// Endpoint conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Endpoint>,
    /// The longest elevation.
    pub max: Seconds,
    /// The window in which an elevation may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The people who approve.
    pub approvers: Approvers,
    /// The facts that a request must name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Required>,
    /// A person may start it at once, for an hour at most. Security reviews it afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

/// The approvers of an elevation: a role or named people, and their number.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvers {
    /// `security` or `owner`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<crate::domain::people::actor::Role>,
    /// People by their staff id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub people: Vec<String>,
    /// The number of different people.
    pub count: u8,
    /// The people who stand in when they do not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// The people who may approve besides, after a while.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// After how long.
    pub after: Seconds,
    /// `security` or `owner`.
    pub role: crate::domain::people::actor::Role,
}

/// A fact that an elevation request must name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Required {
    /// Why.
    Reason,
    /// The ticket.
    Ticket,
    /// The ticket, and that it is open for as long as the elevation runs.
    #[serde(rename = "open-ticket")]
    OpenTicket,
}

/// A static secret that is still alive at the partner: named, owned, ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StaticSecret {
    /// Its description.
    pub what: String,
    /// The control that limits it meanwhile.
    pub control: String,
    /// The person who answers for its end.
    pub owner: Text,
    /// First second after its end.
    pub ends: Timestamp,
    /// The consequence when it is still open after its end.
    #[serde(default, skip_serializing_if = "OnPastDue::is_default")]
    pub on_past_due: OnPastDue,
}

/// The consequence of a static secret that is still open after its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPastDue {
    /// No token of the integration, until it is closed or extended.
    #[default]
    Refuse,
    /// It is shown as past due.
    Report,
}

impl OnPastDue {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// An example of a record: these claims, this outcome.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordTest {
    /// The claims of an assertion.
    pub claims: serde_json::Map<String, serde_json::Value>,
    /// The outcome that they must have.
    pub expect: Expectation,
}

/// The outcome that a record's test expects.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// In this environment.
    pub environment: EnvironmentName,
    /// Admitted by this binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<BindingName>,
    /// Refused for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny: Option<String>,
}

impl Integration {
    /// The texts that people may ask us to forget, in an order that never changes. New ones go to the end.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let Self {
            id: _,
            purpose,
            owners,
            contract: Contract { reference: _, starts: _, ends: _ },
            data_classes: _,
            review: Review { every: _, on_silence: _ },
            rotation: _,
            offboarding,
            environments: _,
            exceptions,
            tests: _,
            workload: _,
            managed_by: _,
        } = self;
        let Owners { business, application } = owners;
        let Offboarding { trigger: _, contact } = offboarding;
        let mut texts = vec![purpose, business, application, contact];
        for StaticSecret { what: _, control: _, owner, ends: _, on_past_due: _ } in exceptions {
            texts.push(owner);
        }
        texts
    }
}

impl Integration {
    /// The open static secret that ends first among those that refuse after their end.
    pub fn first_due(&self) -> Option<&StaticSecret> {
        self.exceptions.iter().filter(|one| one.on_past_due == OnPastDue::Refuse).min_by_key(|one| one.ends)
    }

    /// The time from which on its own dates refuse every token in an environment: of contract, environment and static secrets.
    pub fn ends_in(&self, environment: &EnvironmentName) -> Timestamp {
        let access = self.environments.get(environment).and_then(|access| access.ends);
        let secret = self.first_due().map(|secret| secret.ends);
        access.into_iter().chain(secret).fold(self.contract.ends, Timestamp::min)
    }
}

impl Integration {
    /// Whether it has something of an API in some environment.
    pub fn names(&self, api: &ApiName) -> bool {
        let of = |access: &Access| access.scopes.contains_key(api) || access.elevation.iter().any(|one| one.api == *api);
        self.environments.values().any(of)
    }
}

impl Approvers {
    /// One person of a role, and nobody in their place.
    pub const fn one_of(role: crate::domain::people::actor::Role) -> Self {
        Self { role: Some(role), people: Vec::new(), count: 1, fallback: None }
    }
}

impl Access {
    /// The scopes that may be asked for at any time, each with its API.
    pub fn standing(&self) -> impl Iterator<Item = (&ApiName, &ScopeRule)> {
        self.scopes.iter().flat_map(|(api, rules)| rules.iter().map(move |rule| (api, rule)))
    }

    /// All scopes, each with its API: those that may be asked for at any time, and those that take an approval.
    pub fn all_scopes(&self) -> impl Iterator<Item = (&ApiName, &Scope)> {
        let eligible = self.elevation.iter().map(|one| (&one.api, &one.scope));
        self.standing().map(|(api, rule)| (api, &rule.scope)).chain(eligible)
    }

    /// The scopes of `api` that take an approval.
    pub fn eligible(&self, api: &ApiName) -> ScopeSet {
        self.elevation.iter().filter(|eligible| eligible.api == *api).map(|eligible| eligible.scope.clone()).collect()
    }
}
