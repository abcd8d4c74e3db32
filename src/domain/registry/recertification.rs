//! Reviews: people say at intervals that a partner's access is still needed, scope by scope.
//!
//! A review covers one integration in one environment, and there is always a next one: it opens before its due date, or earlier for a
//! cause. What follows where nobody answers is a date, which the state keeps.
//!
//! Not to be confused with the review of an approval ([`super::approval::Review`]), which is one person's word on one version.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::api::Risk;
use super::integration::OnSilence;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, EnvironmentName, IntegrationId, InvalidName, PartnerName};
use crate::domain::value::scope::Scope;
use crate::domain::value::text::Text;

/// How long before its due date a review opens.
pub const OPEN_FOR: Seconds = Seconds::days(30);

/// How long before the end of its contract an integration is reviewed.
pub const BEFORE_CONTRACT_END: Seconds = Seconds::days(60);

/// How long after an approved widening it is reviewed.
pub const AFTER_WIDENING: Seconds = Seconds::days(30);

/// How long a completed review counts for a version that extends the contract.
pub const FRESH_FOR: Seconds = Seconds::days(90);

/// The days between the start of a campaign and its due date: the fewest, and the most.
pub const CAMPAIGN_DAYS: (u32, u32) = (7, 90);

/// The id of a review: its place, and the number of reviews that were completed there before, plus one.
///
/// `rev_globex.order-sync.production.3`. It needs no entry: every node gives the next review of a place the same id.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ReviewId {
    /// The integration.
    pub integration: IntegrationId,
    /// The environment.
    pub environment: EnvironmentName,
    /// Which review of the place it is. The first is 1.
    pub number: u32,
}

/// Why a review opens.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewCause {
    /// The interval of the record is over soon.
    Schedule,
    /// The contract ends soon, or a version that waits extends it.
    ContractEnding,
    /// An owner left.
    OwnerChange,
    /// Two people approved a version that widens.
    Widened,
    /// Nobody used it for long.
    Unused,
    /// A signal or a revocation.
    Incident,
    /// Security asked for it.
    Campaign,
}

/// What a person decides about a scope.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ItemVerdict {
    /// It stays.
    Keep,
    /// It stays for fewer endpoints.
    Narrow,
    /// It takes an elevation from now on.
    Elevation,
    /// It goes.
    Remove,
}

/// A decision about one scope.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemDecision {
    /// The API.
    pub api: ApiName,
    /// The scope.
    pub scope: Scope,
    /// What is decided.
    pub decision: ItemVerdict,
    /// The endpoints that are left, if it is narrowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Endpoint>,
    /// Why. A high-risk scope that stays needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// Which of the two people a decision is from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// An owner, about every scope.
    First,
    /// Security, about the high-risk scopes that the owner kept.
    Second,
}

/// The places that a campaign covers: all that match everything that is given.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// Those of this partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner: Option<PartnerName>,
    /// Those that have a scope of this risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// All. Given where nothing else is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
}

/// What a campaign asks for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CampaignTerms {
    /// Whom it covers.
    pub select: Selection,
    /// The due date of its reviews.
    pub due: Timestamp,
    /// The consequence where nobody answers.
    pub on_silence: OnSilence,
}

impl ItemVerdict {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Narrow => "narrow",
            Self::Elevation => "elevation",
            Self::Remove => "remove",
        }
    }

    /// Whether the scope may still be asked for at any time.
    pub const fn is_standing(self) -> bool {
        match self {
            Self::Keep | Self::Narrow => true,
            Self::Elevation | Self::Remove => false,
        }
    }
}

impl FromStr for ItemVerdict {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Keep, Self::Narrow, Self::Elevation, Self::Remove]
            .into_iter()
            .find(|verdict| verdict.name() == text)
            .ok_or("expected keep, narrow, elevation or remove")
    }
}

impl ItemDecision {
    /// The two names that tell the scope from every other.
    pub fn key(&self) -> (&ApiName, &Scope) {
        (&self.api, &self.scope)
    }
}

impl Word {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

impl Selection {
    /// Whether it selects something, in one way: all, or a partner, a risk or both.
    pub fn is_sound(&self) -> bool {
        self.all != (self.partner.is_some() || self.risk.is_some())
    }

    /// Whether it selects a place of this integration that has scopes of these risks.
    pub fn takes(&self, integration: &IntegrationId, risks: &BTreeSet<Risk>) -> bool {
        self.partner.as_ref().is_none_or(|partner| *partner == integration.partner)
            && self.risk.is_none_or(|risk| risks.contains(&risk))
    }
}

impl CampaignTerms {
    /// What an approver of the campaign sees.
    pub fn version(&self) -> Digest {
        Digest::of_json(self)
    }
}

impl fmt::Display for ReviewId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { integration, environment, number } = self;
        write!(f, "rev_{}.{}.{environment}.{number}", integration.partner, integration.name)
    }
}

impl FromStr for ReviewId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: InvalidName = InvalidName("expected a review such as rev_globex.order-sync.production.1");
        let parts: Vec<&str> = text.strip_prefix("rev_").ok_or(EXPECTED)?.split('.').collect();
        let [partner, name, environment, number] = parts[..] else { return Err(EXPECTED) };
        let id = Self {
            integration: IntegrationId::new(partner.parse()?, name.parse()?),
            environment: environment.parse()?,
            number: number.parse().map_err(|_| EXPECTED)?,
        };
        // One review has one id: no `+1`, no `01`, no 0.
        if id.number > 0 && id.to_string() == text { Ok(id) } else { Err(EXPECTED) }
    }
}

impl TryFrom<String> for ReviewId {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ReviewId> for String {
    fn from(id: ReviewId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_is_written_and_in_no_other_way() {
        let text = "rev_globex.order-sync.production.12";
        assert_eq!(text.parse::<ReviewId>().expect("an id").to_string(), text);
        for text in [
            "",
            "globex.order-sync.production.1",
            "rev_globex.order-sync.production",
            "rev_globex.order-sync.production.0",
            "rev_globex.order-sync.production.01",
            "rev_globex.order-sync.production.+1",
            "rev_globex.order-sync.production.4294967296",
            "rev_globex.order-sync.production.1.1",
            "rev_Globex.order-sync.production.1",
            "rev_globex..production.1",
        ] {
            assert!(text.parse::<ReviewId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_selection_is_all_or_some_and_never_nothing() {
        let of = |json: &str| serde_json::from_str::<Selection>(json).expect("a selection");
        assert!(of(r#"{"all": true}"#).is_sound());
        assert!(of(r#"{"partner": "globex"}"#).is_sound() && of(r#"{"risk": "high", "partner": "globex"}"#).is_sound());
        assert!(!of("{}").is_sound() && !of(r#"{"all": true, "risk": "high"}"#).is_sound());
    }
}
