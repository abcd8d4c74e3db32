//! People: how they are shown, and the end of one person's access.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::body;
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::actor::{Actor, Contain, Person};
use crate::domain::reason;
use crate::domain::text::{Text, TextDigest, TextRow};

/// Why something is done: every action that ends or restores a right takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// For the journal, and whoever reads it later.
    pub reason: String,
}

/// Texts of people, unsealed for this answer; what was forgotten is absent.
pub struct Words(HashMap<TextDigest, TextRow>);

impl Words {
    /// Unseals these.
    pub async fn of(broker: &Broker, texts: Vec<TextDigest>) -> Result<Self, Problem> {
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

/// `POST /v1/staff/{id}/cut`.
pub async fn cut(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let why: Why = body(&headers, &bytes)?;
        // Only the staff issuer's people have access that could end; the id is what its person claim says. What no token can
        // say is a typing error, and must not look like a cut.
        if id.is_empty() || id.len() > 255 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::of(&reason::NOT_FOUND));
        }
        let person = Person { iss: by.by.staff().person.iss.clone(), id, name: None };
        broker.cut_staff(&by.by, person, &why.reason, by.made_for()).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}
