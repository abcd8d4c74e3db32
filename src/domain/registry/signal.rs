//! Signals: somebody outside says that a partner's access has lost its reason, and it ends at once.
//!
//! A person of security is believed. A machine is believed within the bounds that the operator gave it; beyond them its signal is kept
//! and waits for a person. A workload may say of itself that it is compromised.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::reason::{self, Reason};
use crate::domain::value::names::{EnvironmentName, IntegrationId, PartnerName};

/// What is said.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignalKind {
    /// The contract ended.
    ContractEnded,
    /// What it was for is over.
    UseCaseEnded,
    /// The environment at the partner is gone.
    EnvironmentEnded,
    /// An owner left, and nobody says which.
    OwnerLeft,
    /// Somebody else may act as the workload.
    Compromised,
}

/// Whom it is said of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum SignalSubject {
    /// A partner, with everything that belongs to it: `globex`.
    Partner(PartnerName),
    /// An integration: `globex/order-sync`.
    Integration(IntegrationId),
    /// An integration in one environment: `globex/order-sync/production`.
    Environment(IntegrationId, EnvironmentName),
}

/// The subjects that a machine may speak of: all, those of one partner, or one.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct SubjectPattern(String);

impl SignalKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::ContractEnded, Self::UseCaseEnded, Self::EnvironmentEnded, Self::OwnerLeft, Self::Compromised];

    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContractEnded => "contract-ended",
            Self::UseCaseEnded => "use-case-ended",
            Self::EnvironmentEnded => "environment-ended",
            Self::OwnerLeft => "owner-left",
            Self::Compromised => "compromised",
        }
    }

    /// Whether it suspends its subject. Without an owner an integration lasts for the grace.
    pub const fn suspends(self) -> bool {
        match self {
            Self::OwnerLeft => false,
            Self::ContractEnded | Self::UseCaseEnded | Self::EnvironmentEnded | Self::Compromised => true,
        }
    }

    /// The reason that an exchange is told.
    pub fn reason(self) -> &'static Reason {
        match self {
            Self::ContractEnded => &reason::SIGNAL_CONTRACT_ENDED,
            Self::UseCaseEnded => &reason::SIGNAL_USE_CASE_ENDED,
            Self::EnvironmentEnded => &reason::SIGNAL_ENVIRONMENT_ENDED,
            Self::OwnerLeft => &reason::OWNER_GONE,
            Self::Compromised => &reason::SIGNAL_COMPROMISED,
        }
    }
}

impl FromStr for SignalKind {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or("expected contract-ended, use-case-ended, environment-ended, owner-left or compromised")
    }
}

impl SignalSubject {
    /// Whether it is about an integration.
    pub fn covers(&self, integration: &IntegrationId) -> bool {
        match self {
            Self::Partner(partner) => integration.partner == *partner,
            Self::Integration(id) | Self::Environment(id, _) => id == integration,
        }
    }
}

impl FromStr for SignalSubject {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected PARTNER, PARTNER/INTEGRATION or PARTNER/INTEGRATION/ENVIRONMENT";
        let parsed = match text.matches('/').count() {
            0 => text.parse().ok().map(Self::Partner),
            1 => text.parse().ok().map(Self::Integration),
            _ => text
                .rsplit_once('/')
                .and_then(|(id, environment)| Some(Self::Environment(id.parse().ok()?, environment.parse().ok()?))),
        };
        parsed.ok_or(EXPECTED)
    }
}

impl TryFrom<String> for SignalSubject {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SignalSubject> for String {
    fn from(subject: SignalSubject) -> Self {
        subject.to_string()
    }
}

impl fmt::Display for SignalSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner(partner) => partner.fmt(f),
            Self::Integration(id) => id.fmt(f),
            Self::Environment(id, environment) => write!(f, "{id}/{environment}"),
        }
    }
}

impl SubjectPattern {
    /// Whether a machine with this pattern may speak of `subject`.
    ///
    /// `globex/*` is everything below `globex`, and not the partner itself.
    pub fn takes(&self, subject: &SignalSubject) -> bool {
        let text = subject.to_string();
        match self.0.strip_suffix('*') {
            Some("") => true,
            Some(below) => text.starts_with(below),
            None => text == self.0,
        }
    }
}

impl FromStr for SubjectPattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected *, a partner, integration or environment such as globex/order-sync, or what is below one such as globex/*";
        let named = text.strip_suffix("/*").unwrap_or(text);
        let sound = text == "*" || named.parse::<SignalSubject>().is_ok();
        if sound { Ok(Self(text.to_owned())) } else { Err(EXPECTED) }
    }
}

impl TryFrom<String> for SubjectPattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<SubjectPattern> for String {
    fn from(pattern: SubjectPattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_and_patterns_read_as_they_are_written() {
        for text in ["globex", "globex/order-sync", "globex/order-sync/production"] {
            assert_eq!(text.parse::<SignalSubject>().expect("a subject").to_string(), text);
        }
        for text in ["", "/", "globex/", "/order-sync", "globex/order-sync/", "a/b/c/d", "Globex", "*", "globex/*"] {
            assert!(text.parse::<SignalSubject>().is_err(), "{text}");
        }
        for text in ["", "**", "glob*", "globex*", "/*", "globex/order*", "*/order-sync", "globex/*/production"] {
            assert!(text.parse::<SubjectPattern>().is_err(), "{text}");
        }
    }

    /// P-05: a pattern of one partner takes nothing of another whose name begins alike.
    #[test]
    fn p_05_a_pattern_ends_at_the_name() {
        let takes = |pattern: &str, subject: &str| {
            pattern.parse::<SubjectPattern>().expect("a pattern").takes(&subject.parse().expect("a subject"))
        };
        for subject in ["globex", "globex/order-sync", "globex/order-sync/production"] {
            assert!(takes("*", subject) && takes(subject, subject), "{subject}");
        }
        assert!(takes("globex/*", "globex/order-sync") && takes("globex/*", "globex/order-sync/production"));
        assert!(takes("globex/order-sync/*", "globex/order-sync/production"));
        for (pattern, subject) in [
            ("globex/*", "globex"),
            ("globex/*", "globex-two/order-sync"),
            ("globex", "globex/order-sync"),
            ("globex/order-sync", "globex/order-sync-two"),
            ("globex/order-sync", "globex/order-sync/production"),
            ("globex/order-sync/*", "globex/order-sync"),
        ] {
            assert!(!takes(pattern, subject), "{pattern} {subject}");
        }
    }
}
