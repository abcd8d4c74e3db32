//! What must hold, and of what.

use serde::{Serialize, Serializer};

/// What must hold of each item of a population.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Criterion {
    /// The version in force has an approval by two people who did not ask for it.
    ApprovedByTwo,
    /// No audience belongs to two APIs, or to one in two environments, or is ours.
    AudiencesApart,
    /// No proof is admitted by two integrations.
    BindingsApart,
    /// Each rule compares a claim that only the caller's platform can set.
    BindingsNameTheCaller,
    /// A break-glass elevation is reviewed within a day.
    BreakGlassReviewed,
    /// There is access within the dates of contract and record alone.
    ContractInForce,
    /// A running elevation has the approvals that the record asks for.
    ElevationsApproved,
    /// What ended is offboarded within 14 days.
    EndedOffboarded,
    /// Keys of issuers are fetched with TLS, or stand in a record.
    KeysFetchedSafely,
    /// Each change names the one before it.
    LogUnbroken,
    /// No rule admits tokens of the issuer that our people sign in at.
    NoBindingOfPeople,
    /// A closed offboarding has passed its tests, and everybody's word.
    OffboardingsComplete,
    /// The directory knows both owners, who are two people.
    OwnersKnown,
    /// The partner's verification lasts.
    PartnerVerified,
    /// There is access only where no review is past its due date.
    ReviewsOnTime,
    /// Everything that is cut stands in the live index.
    RevocationsListed,
    /// Each scope of a record is in the catalogue, with its risk.
    ScopesRated,
    /// A signal acts, or somebody decides on it within a day.
    SignalsActedOn,
    /// No static secret is open past its end while tokens are still issued.
    StaticSecretsOnTime,
    /// A token is for the audience of its API in its environment.
    TokensForOneAudience,
    /// A token was issued on a proof that the record admits.
    TokensOnProof,
    /// A token lives no longer than its environment allows.
    TokensShortLived,
    /// A token has no more than record and elevations gave when it was issued.
    TokensWithinRecord,
}

/// What is told of a criterion.
struct Words {
    name: &'static str,
    says: &'static str,
    population: &'static str,
    query: &'static str,
}

impl Criterion {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 23] = [
        Self::ApprovedByTwo,
        Self::AudiencesApart,
        Self::BindingsApart,
        Self::BindingsNameTheCaller,
        Self::BreakGlassReviewed,
        Self::ContractInForce,
        Self::ElevationsApproved,
        Self::EndedOffboarded,
        Self::KeysFetchedSafely,
        Self::LogUnbroken,
        Self::NoBindingOfPeople,
        Self::OffboardingsComplete,
        Self::OwnersKnown,
        Self::PartnerVerified,
        Self::ReviewsOnTime,
        Self::RevocationsListed,
        Self::ScopesRated,
        Self::SignalsActedOn,
        Self::StaticSecretsOnTime,
        Self::TokensForOneAudience,
        Self::TokensOnProof,
        Self::TokensShortLived,
        Self::TokensWithinRecord,
    ];

    /// Its place among all of them.
    pub(super) fn place(self) -> usize {
        self as usize
    }

    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        self.words().name
    }

    /// What must hold, in a sentence.
    pub const fn says(self) -> &'static str {
        self.words().says
    }

    /// What it is asked of, in the plural.
    pub const fn population(self) -> &'static str {
        self.words().population
    }

    /// The path of the admin API that tells what it is asked of, as it is now.
    pub const fn query(self) -> &'static str {
        self.words().query
    }

    const fn words(self) -> Words {
        match self {
            Self::ApprovedByTwo => Words {
                name: "approved-by-two",
                says: "The version in force was approved by an owner and by security: two people, neither of whom asked for it.",
                population: "integrations in force",
                query: "/v1/integrations",
            },
            Self::AudiencesApart => Words {
                name: "audiences-apart",
                says: "No audience belongs to two APIs, or to one API in two environments, or to the broker.",
                population: "audiences of APIs",
                query: "/v1/journal?kind=api.approved&order=newest",
            },
            Self::BindingsApart => Words {
                name: "bindings-apart",
                says: "No proof that one integration is admitted by admits another client.",
                population: "integrations in force",
                query: "/v1/inventory",
            },
            Self::BindingsNameTheCaller => Words {
                name: "bindings-name-the-caller",
                says: "Each rule on workload tokens compares a claim that names the workload and that no stranger at the issuer can choose.",
                population: "rules on tokens",
                query: "/v1/inventory",
            },
            Self::BreakGlassReviewed => Words {
                name: "break-glass-reviewed",
                says: "Security reviewed each elevation that began without an approval within 24 hours.",
                population: "elevations that began without an approval",
                query: "/v1/elevations",
            },
            Self::ContractInForce => Words {
                name: "contract-in-force",
                says: "There is access within the dates of the contract and of the record alone.",
                population: "environments with access",
                query: "/v1/inventory?endsWithin=60d",
            },
            Self::ElevationsApproved => Words {
                name: "elevations-approved",
                says: "Each elevation that runs has the approvals that its record asks for, of people who did not ask for it.",
                population: "running elevations",
                query: "/v1/elevations",
            },
            Self::EndedOffboarded => Words {
                name: "ended-offboarded",
                says: "An offboarding was begun within 14 days after the contract ended, or after a signal said that its reason is over.",
                population: "integrations that were ever in force",
                query: "/v1/offboardings",
            },
            Self::KeysFetchedSafely => Words {
                name: "keys-fetched-safely",
                says: "The keys of an issuer are fetched with TLS, or stand in an approved record.",
                population: "rules on tokens",
                query: "/v1/inventory",
            },
            Self::LogUnbroken => Words {
                name: "log-unbroken",
                says: "Each change of the journal names the change before it, and is that one's next.",
                population: "changes on record since the first",
                query: "/v1/journal/checkpoint",
            },
            Self::NoBindingOfPeople => Words {
                name: "no-binding-of-people",
                says: "No rule admits tokens of the issuer that our own people sign in at.",
                population: "rules on tokens",
                query: "/v1/inventory",
            },
            Self::OffboardingsComplete => Words {
                name: "offboardings-complete",
                says: "A closed offboarding has every API's word and every test passed, and two people signed who did not begin it.",
                population: "closed offboardings",
                query: "/v1/offboardings",
            },
            Self::OwnersKnown => Words {
                name: "owners-known",
                says: "Two people own each integration with access; where there is a directory, it knows both, and neither left longer ago than the grace.",
                population: "integrations with access",
                query: "/v1/integrations",
            },
            Self::PartnerVerified => Words {
                name: "partner-verified",
                says: "The partner of each integration with access is verified, and its verification has not run out.",
                population: "integrations with access",
                query: "/v1/partners",
            },
            Self::RevocationsListed => Words {
                name: "revocations-listed",
                says: "Everything that the journal says is cut stands in the live index, which all who verify tokens ask.",
                population: "entries of the live index that the journal demands",
                query: "/v1/revocations",
            },
            Self::ReviewsOnTime => Words {
                name: "reviews-on-time",
                says: "There is access only where no review is past its due date.",
                population: "environments with access",
                query: "/v1/reviews",
            },
            Self::ScopesRated => Words {
                name: "scopes-rated",
                says: "Each scope that a record gives is in the catalogue, with its meaning and risk.",
                population: "scopes of records",
                query: "/v1/journal?kind=api.approved&order=newest",
            },
            Self::SignalsActedOn => Words {
                name: "signals-acted-on",
                says: "A signal that access should end suspended it, or somebody decided on it within 24 hours.",
                population: "signals",
                query: "/v1/signals",
            },
            Self::StaticSecretsOnTime => Words {
                name: "static-secrets-on-time",
                says: "No static secret is open past its end while tokens of its integration are issued all the same.",
                population: "open static secrets",
                query: "/v1/exceptions",
            },
            Self::TokensForOneAudience => Words {
                name: "tokens-for-one-audience",
                says: "Each token has the one audience that its API has in its environment.",
                population: "tokens",
                query: "/v1/journal?kind=issued&order=newest",
            },
            Self::TokensOnProof => Words {
                name: "tokens-on-proof",
                says: "Each token was issued on a proof by a binding that the record of that moment has.",
                population: "tokens",
                query: "/v1/journal?kind=issued&order=newest",
            },
            Self::TokensShortLived => Words {
                name: "tokens-short-lived",
                says: "No token lives longer than its environment and its API allow.",
                population: "tokens",
                query: "/v1/journal?kind=issued&order=newest",
            },
            Self::TokensWithinRecord => Words {
                name: "tokens-within-record",
                says: "Each token has no scope and no second beyond what record, dates and approved elevations gave when it was issued.",
                population: "tokens",
                query: "/v1/journal?kind=issued&order=newest",
            },
        }
    }
}

impl Serialize for Criterion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_stand_in_the_order_of_their_names_and_places() {
        assert!(Criterion::ALL.is_sorted_by_key(|one| one.name()));
        for (place, criterion) in Criterion::ALL.into_iter().enumerate() {
            assert_eq!(criterion.place(), place);
        }
    }
}
