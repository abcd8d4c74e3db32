//! Texts of people, in plain for one answer: who somebody is, and what they said.
//!
//! Enter through [`Words::of`]: one query for everything that an answer shows. A text that was forgotten stays forgotten.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Broker;
use crate::domain::people::actor::{Actor, Person};
use crate::domain::value::text::{Text, TextDigest, TextRow};
use crate::journal::Unavailable;

/// Texts of people, unsealed for this answer; what was forgotten is absent.
pub struct Words(HashMap<TextDigest, TextRow>);

impl Words {
    /// Nothing unsealed: for texts that are in plain already.
    pub fn none() -> Self {
        Self(HashMap::new())
    }

    /// Unseals these.
    pub async fn of(broker: &Broker, texts: Vec<TextDigest>) -> Result<Self, Unavailable> {
        Ok(Self(if texts.is_empty() { HashMap::new() } else { broker.journal.texts(&texts).await? }))
    }

    /// The words, if they are not forgotten.
    pub fn plain<'t>(&'t self, text: &'t Text) -> Option<&'t str> {
        text.plain().or_else(|| Some(self.0.get(&text.digest()?)?.text.as_str()))
    }

    /// `{"iss", "id", "name"?}`.
    pub fn person(&self, person: &Person) -> Value {
        let mut shown = json!({"iss": person.iss, "id": person.id});
        if let Some(name) = person.name.as_ref().and_then(|name| self.plain(name)) {
            shown["name"] = name.into();
        }
        shown
    }

    /// A person, or the word for who else it was.
    pub fn actor(&self, actor: &Actor) -> Value {
        match actor {
            Actor::Staff(person) => self.person(person),
            Actor::Machine(person) => {
                let mut shown = self.person(person);
                shown["machine"] = true.into();
                shown
            }
            Actor::Workload(integration) => json!({"integration": integration}),
            Actor::Operator => json!("operator"),
            Actor::Broker => json!("broker"),
        }
    }
}

/// The texts that name the actor.
pub fn names(actor: &Actor) -> impl Iterator<Item = &Text> {
    actor.person().and_then(|person| person.name.as_ref()).into_iter()
}

/// What of these is sealed.
pub fn sealed<'t>(texts: impl Iterator<Item = &'t Text>) -> Vec<TextDigest> {
    texts.filter_map(Text::digest).collect()
}
