//! Offboarding: the end of a partner or an integration, and what shows that it is over (docs/how-to/govern/offboard.md).
//!
//! An offboarding is a case. It begins with an entry that freezes everything of its subject, and from then on nothing is to be had. What
//! remains is to find out that it is really over: the APIs that were called say that they removed what they had ([`Dependency`]), and the
//! broker tries what should not work any more ([`Test`]). Two people sign the case off, and it is closed for good.

use serde::{Deserialize, Serialize};

use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, EnvironmentName, OffboardingId};

/// The end of a partner or an integration.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Ending {
    /// The case.
    pub offboarding: OffboardingId,
    /// When it began.
    pub since: Timestamp,
    /// When it was closed; `None` while it can be given up.
    pub over: Option<Timestamp>,
}

/// An API that a subject had tokens for in an environment, or that somebody registered.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The API.
    pub api: ApiName,
    /// The environment.
    pub environment: EnvironmentName,
}

/// The tokens that a subject had for an API in an environment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// The API and the environment.
    pub on: Dependency,
    /// How many tokens were ever issued.
    pub tokens: u64,
    /// When the last one was.
    pub last: Timestamp,
}

/// What a test of an offboarding tries.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestName {
    /// An exchange through each binding that was ever in force.
    Exchange,
    /// What each of these bindings admitted, at the bindings of everybody else in force.
    OtherBindings,
    /// Each living token, by its entry: inactive, and in the live index.
    Tokens,
    /// Each certificate: in the revocation list, and revoked in the answer of the responder.
    Certificates,
    /// Each enrolment token that was not used.
    Enrolment,
    /// The renewal of each certificate.
    Renewal,
    /// A request for each elevation that the record allows.
    Elevation,
    /// Each elevation that a workload polls for: none counts.
    Poll,
}

/// A test of an offboarding, and its outcome.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What it tries.
    pub name: TestName,
    /// Where.
    pub environment: EnvironmentName,
    /// How often it was tried: once for each binding, token, certificate or request. Zero where there is nothing to try.
    pub tried: u64,
    /// The outcome that passes, such as `integration.offboarding`.
    pub expected: String,
    /// The outcome: the expected one, or the first that is another.
    pub seen: String,
    /// What had another outcome first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// When the tests of an offboarding are run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Run {
    /// When every API has acknowledged.
    First,
    /// When the last token is over.
    Again,
}

impl Ending {
    /// Whether the case is closed.
    pub fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Why an integration is refused.
    pub fn of_integration(&self) -> &'static Reason {
        if self.is_over() { &reason::INTEGRATION_ENDED } else { &reason::INTEGRATION_OFFBOARDING }
    }

    /// Why all integrations of a partner are refused.
    pub fn of_partner(&self) -> &'static Reason {
        if self.is_over() { &reason::PARTNER_ENDED } else { &reason::PARTNER_OFFBOARDING }
    }

    /// In words.
    pub fn told(&self) -> String {
        match self.over {
            Some(over) => format!("offboarded since {over} ({})", self.offboarding),
            None => format!("being offboarded since {} ({})", self.since, self.offboarding),
        }
    }
}

impl TestName {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 8] = [
        Self::Exchange,
        Self::OtherBindings,
        Self::Tokens,
        Self::Certificates,
        Self::Enrolment,
        Self::Renewal,
        Self::Elevation,
        Self::Poll,
    ];
}

impl Test {
    /// Whether everything that was tried had the expected outcome.
    pub fn passed(&self) -> bool {
        self.seen == self.expected
    }
}
