//! The data of each page. Every value is text; the templates escape it (ABUSE A-02, E-19).

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::session::Visitor;
use crate::domain::people::actor::Role;
use crate::domain::value::text::visible;

/// The frame of a page for a signed-in person.
pub struct Frame {
    /// Their name, or their id.
    pub person: String,
    /// Their roles.
    pub roles: String,
    /// The session's token, for the form that signs out.
    pub token: String,
}

impl Frame {
    /// The frame for this visitor.
    pub fn of(visitor: &Visitor) -> Self {
        let person = &visitor.staff.person;
        let name = person.name.as_ref().and_then(|name| name.plain()).unwrap_or(&person.id);
        let word = |role: &Role| serde_json::to_value(role).ok().and_then(|role| role.as_str().map(str::to_owned));
        let roles: Vec<String> = visitor.staff.roles.iter().filter_map(word).collect();
        Self { person: name.to_owned(), roles: roles.join(", "), token: visitor.token.clone() }
    }
}

/// A few sentences, with links to go on.
#[derive(Template)]
#[template(path = "message.html")]
pub struct Message {
    pub frame: Option<Frame>,
    pub heading: String,
    pub lines: Vec<String>,
    pub code: &'static str,
    /// The address of the approval that it is about.
    pub back: Option<String>,
    pub sign_in: Option<&'static str>,
}

impl Message {
    /// A message for a visitor who is not signed in.
    pub fn plain(heading: &str, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self { frame: None, heading: heading.to_owned(), lines, code: "", back: None, sign_in: None }
    }
}

/// One row of the queue.
pub struct Waiting {
    pub id: String,
    pub about: String,
    pub what: String,
    pub why: String,
    pub by: String,
    pub asked: String,
    pub needs: String,
    pub expires: String,
    /// The time until then, in words.
    pub left: String,
}

/// The queue of pending approvals.
#[derive(Template)]
#[template(path = "queue.html")]
pub struct Queue {
    pub frame: Option<Frame>,
    pub waiting: Vec<Waiting>,
}

/// One choice of an approver.
pub struct Choice {
    pub field: String,
    pub value: String,
    pub says: String,
}

/// A form as it was sent, with its faults.
#[derive(Default)]
pub struct Typed {
    /// The fields; empty if nothing was sent yet.
    pub fields: Vec<(String, String)>,
    /// The faults, by field.
    pub faults: Vec<(&'static str, String)>,
}

impl Typed {
    /// The text that was typed into a field, or its initial text.
    pub fn value<'a>(&'a self, name: &str, first: &'a str) -> &'a str {
        if self.fields.is_empty() {
            return first;
        }
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// True if a choice is still checked; initially all are.
    pub fn has(&self, choice: &Choice) -> bool {
        self.fields.is_empty() || self.fields.iter().any(|(name, value)| *name == choice.field && *value == choice.value)
    }

    /// The fault of a field, or an empty text.
    pub fn fault(&self, name: &str) -> &str {
        self.faults.iter().find(|(known, _)| *known == name).map_or("", |(_, fault)| fault)
    }
}

/// The parts of an elevation that an approver can narrow.
pub struct Choices {
    pub scopes: Vec<Choice>,
    pub allow: Vec<Choice>,
    pub duration: String,
}

/// The visitor's own decision, and its result.
pub struct Done {
    pub said: String,
    pub next: String,
}

/// The reason why the visitor may not decide, and the people who may.
pub struct WhyNot {
    pub why: String,
    pub who: String,
    pub code: &'static str,
}

/// The page that decides on one approval of any kind (docs/how-to/govern/approve.md).
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
    /// The record as YAML; empty if there is none.
    pub record: String,
    pub version: String,
    /// The terms of an elevation.
    pub terms: Option<Choices>,
    pub typed: Typed,
    pub sentence: String,
    pub refusal: String,
    /// True if the visitor may decide.
    pub open: bool,
    /// True if the visitor signed in too long ago to decide.
    pub stale: bool,
    pub signed: bool,
}

/// The page on which an approval is signed.
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
    /// The options of a registration; empty if the sign-in is too old, or nobody can register.
    pub options: String,
    /// The options for a signature by one of the visitor's other passkeys.
    pub confirm: String,
    /// The reason why no passkey can be created.
    pub why_not: &'static str,
}

/// Renders the page with this status.
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

/// Makes somebody's text safe to show: lines stay lines, and no character hides or reorders others.
pub fn shown(text: &str) -> String {
    visible(text, |c| c == '\n')
}
