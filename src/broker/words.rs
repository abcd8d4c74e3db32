//! Unseals the texts of people that one answer shows.
//!
//! Enter through [`Words::of`]: one query for the whole answer. A text that was forgotten stays forgotten.

use std::collections::HashMap;

use super::Broker;
use super::view::person::{ActorView, ApiActorView, OtherView, PersonView, WorkloadView};
use crate::domain::people::actor::{Actor, Person};
use crate::domain::value::text::{Text, TextDigest, TextRow};
use crate::journal::Unavailable;

/// Texts of people, unsealed for one answer. A text that was forgotten is absent.
pub struct Words(HashMap<TextDigest, TextRow>);

impl Words {
    /// Unseals nothing: for texts that are in plain already.
    pub fn none() -> Self {
        Self(HashMap::new())
    }

    /// Unseals these texts.
    pub async fn of(broker: &Broker, texts: Vec<TextDigest>) -> Result<Self, Unavailable> {
        Ok(Self(if texts.is_empty() { HashMap::new() } else { broker.journal.texts(&texts).await? }))
    }

    /// The text in plain; `None` if it was forgotten.
    pub fn plain<'t>(&'t self, text: &'t Text) -> Option<&'t str> {
        text.plain().or_else(|| Some(self.0.get(&text.digest()?)?.text.as_str()))
    }

    /// A person, with the name unless that was forgotten.
    pub fn person(&self, person: &Person) -> PersonView {
        let name = person.name.as_ref().and_then(|name| self.plain(name)).map(str::to_owned);
        PersonView { iss: person.iss.clone(), id: person.id.to_string(), name, machine: None }
    }

    /// A person, or another actor.
    pub fn actor(&self, actor: &Actor) -> ActorView {
        match actor {
            Actor::Staff(person) => ActorView::Person(self.person(person)),
            Actor::Machine(person) => ActorView::Person(PersonView { machine: Some(true), ..self.person(person) }),
            Actor::Workload(integration) => ActorView::Workload(WorkloadView { integration: integration.clone() }),
            Actor::Api(api) => ActorView::Api(ApiActorView { api: api.clone() }),
            Actor::Operator => ActorView::Other(OtherView::Operator),
            Actor::Broker => ActorView::Other(OtherView::Broker),
            Actor::Directory => ActorView::Other(OtherView::Directory),
        }
    }
}

/// The texts that name the actor.
pub fn names(actor: &Actor) -> impl Iterator<Item = &Text> {
    actor.person().and_then(|person| person.name.as_ref()).into_iter()
}

/// The digests of those texts that are sealed.
pub fn sealed<'t>(texts: impl Iterator<Item = &'t Text>) -> Vec<TextDigest> {
    texts.filter_map(Text::digest).collect()
}
