//! Pages: what each is made of. Every value is text; the templates escape it (ABUSE A-02, E-19).

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::session::Visitor;
use crate::domain::people::actor::Role;
use crate::domain::value::text::visible;

/// The frame of a page for a person who is signed in.
pub struct Frame {
    /// How they are called.
    pub person: String,
    /// Their roles.
    pub roles: String,
    /// The session's token, for the form that signs out.
    pub token: String,
}

impl Frame {
    /// For this visitor.
    pub fn of(visitor: &Visitor) -> Self {
        let person = &visitor.staff.person;
        let name = person.name.as_ref().and_then(|name| name.plain()).unwrap_or(&person.id);
        let word = |role: &Role| serde_json::to_value(role).ok().and_then(|role| role.as_str().map(str::to_owned));
        let roles: Vec<String> = visitor.staff.roles.iter().filter_map(word).collect();
        Self { person: name.to_owned(), roles: roles.join(", "), token: visitor.token.clone() }
    }
}

/// A few sentences, and where to go on.
#[derive(Template)]
#[template(path = "message.html")]
pub struct Message {
    pub frame: Option<Frame>,
    pub heading: String,
    pub lines: Vec<String>,
    pub code: &'static str,
    /// The approval that it is about.
    pub back: Option<String>,
    pub sign_in: Option<&'static str>,
}

impl Message {
    /// For who is not signed in.
    pub fn plain(heading: &str, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self { frame: None, heading: heading.to_owned(), lines, code: "", back: None, sign_in: None }
    }
}

/// One row of the queue: what tells it apart from the others.
pub struct Waiting {
    pub id: String,
    pub about: String,
    pub what: String,
    pub why: String,
    pub by: String,
    pub asked: String,
    pub needs: String,
    pub expires: String,
    /// How long until then, in words.
    pub left: String,
}

/// The queue of pending approvals.
#[derive(Template)]
#[template(path = "queue.html")]
pub struct Queue {
    pub frame: Option<Frame>,
    pub waiting: Vec<Waiting>,
}

/// One choice that an approver has.
pub struct Choice {
    pub field: String,
    pub value: String,
    pub says: String,
}

/// A form of ours as it was sent, and its faults.
#[derive(Default)]
pub struct Typed {
    /// The fields; none where nobody sent anything yet.
    pub fields: Vec<(String, String)>,
    /// By field.
    pub faults: Vec<(&'static str, String)>,
}

impl Typed {
    /// The text that was typed into a field, else the one that stands there at first.
    pub fn value<'a>(&'a self, name: &str, first: &'a str) -> &'a str {
        if self.fields.is_empty() {
            return first;
        }
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether a choice was left chosen; at first each is.
    pub fn has(&self, choice: &Choice) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|(name, value)| *name == choice.field && *value == choice.value)
    }

    /// The fault of a field.
    pub fn fault(&self, name: &str) -> &str {
        self.faults.iter().find(|(known, _)| *known == name).map_or("", |(_, fault)| fault)
    }
}

/// The parts of an elevation that can be taken away.
pub struct Choices {
    pub scopes: Vec<Choice>,
    pub allow: Vec<Choice>,
    pub duration: String,
}

/// The visitor's own decision, and what it led to.
pub struct Done {
    pub said: String,
    pub next: String,
}

/// Why the visitor may not decide, and who may.
pub struct WhyNot {
    pub why: String,
    pub who: String,
    pub code: &'static str,
}

/// The decision on one approval of any kind (docs/how-to/govern/approve.md).
#[derive(Default, Template)]
#[template(path = "decision.html")]
pub struct Decision {
    pub frame: Option<Frame>,
    pub id: String,
    pub title: String,
    pub state: String,
    pub done: Option<Done>,
    pub why_not: Option<WhyNot>,
    pub rows: Vec<(&'static str, String)>,
    pub flags: Vec<String>,
    pub differences: Vec<(String, String, String)>,
    /// As YAML; empty where it is about no record.
    pub record: String,
    pub version: String,
    /// The terms of an elevation.
    pub terms: Option<Choices>,
    pub typed: Typed,
    pub sentence: String,
    pub refusal: String,
    /// The visitor's word is wanted.
    pub open: bool,
    /// The visitor signed in too long ago to decide.
    pub stale: bool,
    pub signed: bool,
}

/// An approval that waits for its signature.
#[derive(Template)]
#[template(path = "sign.html")]
pub struct Sign {
    pub frame: Option<Frame>,
    pub id: String,
    pub sentence: String,
    /// The fields of the form, as they were sent.
    pub fields: Vec<(String, String)>,
    pub options: String,
}

/// One passkey.
pub struct Shown {
    pub id: String,
    pub label: String,
    pub registered: String,
}

/// The visitor's passkeys.
#[derive(Template)]
#[template(path = "passkeys.html")]
pub struct Own {
    pub frame: Option<Frame>,
    pub passkeys: Vec<Shown>,
    /// The options of a registration; empty where the sign-in is too old, or nobody can register.
    pub options: String,
    /// The options of the signature that one of the others makes.
    pub confirm: String,
    /// Why there is nothing to create.
    pub why_not: &'static str,
}

/// The page with this status.
pub fn show<T: Template>(status: StatusCode, page: &T) -> Response {
    match page.render() {
        Ok(text) => {
            (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page could not be written; this is a defect");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Somebody's text as a page shows it: lines stay lines, and nothing hides or reorders its neighbours.
pub fn shown(text: &str) -> String {
    visible(text, |c| c == '\n')
}
