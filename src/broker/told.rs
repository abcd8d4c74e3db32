//! The numbers of tokens that guardrails would have refused, as people were told them.
//!
//! Tokens are issued while somebody reads the number, so the same person may give it back for a while, about the same texts, at whatever
//! node. What one person was told says nothing about another. While Redis is away nobody was told anything, and the number of that moment is
//! told again.

use serde::{Deserialize, Serialize};

use super::Broker;
use super::replayed::Numbers;
use crate::domain::people::actor::Person;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::revocation::{Kind, Name, Where};

/// How long a number that was told may be given back: tokens are issued meanwhile.
const TOLD_FOR: Seconds = Seconds::minutes(10);

/// That a person was told numbers, under the name that says whom, which, and about what.
#[derive(Deserialize, Serialize)]
struct Told {
    at: Timestamp,
}

impl Broker {
    /// Keeps that a person was told `numbers` about the guardrails of this digest.
    pub(super) async fn tell_numbers(&self, person: &Person, about: Digest, numbers: Numbers) {
        let told = Told { at: self.now() };
        if let Err(away) = self.shelf.put(&name(person, about, numbers), &told, (Where::Any, TOLD_FOR)).await {
            tracing::warn!(%away, "the number of tokens that a person was told is not kept: it cannot be given back");
        }
    }

    /// Whether a person was told `numbers` about the guardrails of this digest lately.
    pub(super) async fn told_numbers(&self, person: &Person, about: Digest, numbers: Numbers) -> bool {
        let Ok(Some(Told { at })) = self.shelf.find(&name(person, about, numbers)).await else { return false };
        self.now().since(at) <= TOLD_FOR
    }
}

fn name(Person { iss, id, name: _ }: &Person, about: Digest, Numbers { refuses, unknown }: Numbers) -> Name {
    Name { kind: Kind::Numbers, of: Digest::of_json(&(iss, id, about, refuses, unknown)) }
}
