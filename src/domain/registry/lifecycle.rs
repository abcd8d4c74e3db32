//! A record with its version, what waits for people, and what is stopped.

use std::sync::Arc;

use super::api::Api;
use super::offboarding::Ending;
use super::partner::Partner;
use super::phase::PartnerPhase;
use super::suspension::Suspensions;
use crate::domain::people::actor::Actor;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::Text;

/// A record with the digest that names its version.
#[derive(Clone, Debug)]
pub struct Versioned<T> {
    /// SHA-256 of the record as the journal holds it.
    pub version: Digest,
    /// The record.
    pub record: Arc<T>,
    /// The person or workload that applied it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why, where whoever applied it said so.
    pub reason: Option<Text>,
}

/// A version that waits: a draft, or a change that is held.
#[derive(Clone, Debug)]
pub struct Held<T> {
    /// The version.
    pub version: Versioned<T>,
    /// Its approval, once it is submitted.
    pub approval: Option<ApprovalId>,
}

/// An API of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct ApiState {
    /// In force.
    pub current: Option<Versioned<Api>>,
    /// Waiting.
    pub held: Option<Box<Held<Api>>>,
}

/// A partner.
#[derive(Clone, Debug, Default)]
pub struct PartnerState {
    /// Verified until its verification expires.
    pub current: Option<Versioned<Partner>>,
    /// Waiting.
    pub held: Option<Box<Held<Partner>>>,
    /// What suspends it.
    pub suspensions: Suspensions,
    /// Its end, if it is being offboarded or was.
    pub ending: Option<Box<Ending>>,
}

impl PartnerState {
    /// The phase of its life.
    pub fn phase(&self) -> PartnerPhase {
        match (&self.ending, &self.current) {
            (Some(ending), _) if ending.is_over() => PartnerPhase::Ended,
            (Some(_), _) => PartnerPhase::Offboarding,
            (None, Some(_)) => PartnerPhase::Active,
            (None, None) => PartnerPhase::Submitted,
        }
    }

    /// Whether its verification counts at `now`.
    pub fn is_verified(&self, now: Timestamp) -> bool {
        self.current.as_ref().is_some_and(|current| now < current.record.verification.expires)
    }
}
