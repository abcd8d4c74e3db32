//! Pages: what each is made of. Every value is text; the templates escape it (ABUSE A-02, E-19).

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::session::Visitor;
use crate::domain::actor::Role;

/// What stands around a page for who is signed in.
pub struct Frame {
    /// How they are called.
    pub person: String,
    /// What they are here.
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
    pub sign_in: Option<&'static str>,
}

impl Message {
    /// For who is not signed in.
    pub fn plain(heading: &str, lines: &[&str]) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self { frame: None, heading: heading.to_owned(), lines, code: "", sign_in: None }
    }
}

/// One row of the queue.
pub struct Waiting {
    pub id: String,
    pub about: String,
    pub what: String,
    pub by: String,
    pub needs: String,
    pub expires: String,
    /// Decided here, and not in the command line.
    pub here: bool,
}

/// What waits for people.
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

/// The decision on one elevation (UX.md 3.3).
#[derive(Template)]
#[template(path = "decision.html")]
pub struct Decision {
    pub frame: Option<Frame>,
    pub id: String,
    pub title: String,
    pub state: String,
    pub rows: Vec<(&'static str, String)>,
    pub flags: Vec<String>,
    pub version: String,
    pub scopes: Vec<Choice>,
    pub allow: Vec<Choice>,
    pub duration: String,
    pub sentence: String,
    pub refusal: String,
    /// Somebody's word is wanted.
    pub open: bool,
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
    /// What to create; empty where the sign-in is too old, or nobody can register.
    pub options: String,
    /// What one of the others is to sign.
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
