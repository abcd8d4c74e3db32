//! Environments that are closed for everybody, and the requests to close one.
//!
//! A closed environment never opens again, and neither its name nor its issuer can be configured for another one: a verifier that still
//! trusts its issuer must never meet tokens of a later environment.

use std::fmt;

use imbl::OrdMap;

use crate::domain::registry::environment::Environment;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, EnvironmentName, Issuer};

/// The time for which keys, lists of revoked certificates and introspection still answer after the closing.
pub const ANSWERS_FOR: Seconds = Seconds::days(30);

/// A closed environment.
#[derive(Clone, Debug)]
pub struct Closed {
    /// When.
    pub at: Timestamp,
    /// Its issuer.
    pub issuer: Issuer,
}

/// The closed environments, and the approvals that would close one.
#[derive(Clone, Debug, Default)]
pub struct Closures {
    pub(super) closed: OrdMap<EnvironmentName, Closed>,
    pub(super) asked: OrdMap<EnvironmentName, ApprovalId>,
}

impl Closures {
    /// The closing of an environment, if it is closed.
    pub fn of(&self, environment: &EnvironmentName) -> Option<&Closed> {
        self.closed.get(environment)
    }

    /// The approval that would close an environment.
    pub fn asked(&self, environment: &str) -> Option<&ApprovalId> {
        self.asked.get(environment)
    }

    /// All that are closed.
    pub fn iter(&self) -> impl Iterator<Item = (&EnvironmentName, &Closed)> {
        self.closed.iter()
    }

    /// The version of an approval that closes `environment`.
    pub fn version(environment: &EnvironmentName, known: &Environment) -> Digest {
        Digest::of_json(&("close", environment, &known.issuer))
    }
}

/// Why a configuration cannot follow the one on record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Misfit {
    /// It lacks an environment that is not closed.
    Dropped(EnvironmentName),
    /// It has a closed environment again, or with another issuer.
    Again(EnvironmentName),
    /// An environment has the issuer of a closed one.
    IssuerOf {
        /// The one that has it.
        environment: EnvironmentName,
        /// The closed one.
        closed: EnvironmentName,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped(name) => write!(
                f,
                "the environment {name} is not configured any more, and it was not closed: put it back, and close it with `carnet environment close {name}`"
            ),
            Self::Again(name) => {
                write!(f, "the environment {name} is closed and cannot be configured again: take another name")
            }
            Self::IssuerOf { environment, closed } => {
                write!(f, "{environment} has the issuer of {closed}, which is closed: take another issuer")
            }
        }
    }
}

impl Closed {
    /// Whether it has been closed for so long that nothing answers there any more.
    pub fn is_gone(&self, now: Timestamp) -> bool {
        now >= self.at.plus(ANSWERS_FOR)
    }
}
