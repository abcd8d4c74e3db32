//! What a request brings: a JSON body of one strict shape, a query, names in a path. Nothing is coerced, nothing unknown ignored
//! (ABUSE ).

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::problem::Problem;
use crate::broker::revocation::Fault;
use crate::domain::reason;
use crate::http::form::Form;
use crate::http::media;

/// A body of exactly the shape of `T`.
pub fn body<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    if !media::is(headers, "application/json") {
        return Err(Problem::media_type());
    }
    serde_json::from_slice(body).map_err(|error| misshapen(&error))
}

/// A part of a body of exactly the shape of `T`.
pub fn shaped<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| misshapen(&error))
}

fn misshapen(error: &serde_json::Error) -> Problem {
    if error.is_data() {
        let at = format!("line {} column {}", error.line(), error.column());
        let message = "a member is missing, unknown or of another type".to_owned();
        Problem::faults(vec![Fault { at, reason: &reason::REQUEST_INVALID, message }])
    } else {
        Problem::of(&reason::REQUEST_MALFORMED)
    }
}

/// A name in a path or query; what is no name names nothing.
pub fn named<N: std::str::FromStr>(text: &str) -> Result<N, Problem> {
    text.parse().map_err(|_| Problem::unnamed(text))
}

/// Which part of a list.
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// After this key.
    pub after: Option<String>,
    /// Further filters.
    pub filters: Form<'static>,
}

const LIMIT: usize = 100;
const MOST: usize = 1000;

impl Page {
    /// Reads a query; anything that is not one of `known`, `limit` or `cursor` is refused.
    pub fn of(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
        let filters = Form::parse(query.unwrap_or_default()).map_err(|_| malformed())?.into_owned();
        if filters.names().any(|name| !known.contains(&name) && !["limit", "cursor"].contains(&name)) {
            return Err(malformed());
        }
        let limit = filters.get("limit").map_or(Ok(LIMIT), str::parse).map_err(|_| malformed())?;
        if !(1..=MOST).contains(&limit) {
            return Err(malformed());
        }
        let after = filters.get("cursor").map(|cursor| cursor_of(cursor).ok_or_else(malformed)).transpose()?;
        Ok(Self { limit, after, filters })
    }

    /// The part of `items`, which are in the order of their keys, that this page shows. What an answer needs to look up is looked up for
    /// these alone.
    pub fn part<T>(&self, items: impl Iterator<Item = (String, T)>) -> Part<T> {
        let mut rest = items.skip_while(|(key, _)| self.after.as_ref().is_some_and(|after| key <= after));
        let mut shown = Vec::new();
        let mut last = None;
        for (key, item) in rest.by_ref().take(self.limit) {
            shown.push(item);
            last = Some(key);
        }
        Part { items: shown, next: rest.next().and(last).map(|key| cursor(&key)) }
    }

    /// One page of `items`, which are in the order of their keys.
    pub fn cut<T>(&self, items: impl Iterator<Item = (String, T)>, show: impl FnMut(T) -> Value) -> Response {
        self.part(items).show(show)
    }
}

/// The items of one page.
pub struct Part<T> {
    /// In the order of their keys.
    pub items: Vec<T>,
    next: Option<String>,
}

impl<T> Part<T> {
    /// As a list is answered.
    pub fn show(self, show: impl FnMut(T) -> Value) -> Response {
        let items: Vec<Value> = self.items.into_iter().map(show).collect();
        axum::Json(json!({"items": items, "next": self.next})).into_response()
    }
}

/// A cursor is the key that a page ended with: it can name a place in a list that its holder may read anyway, and nothing else.
pub fn cursor(key: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key)
}

/// The key of a cursor, if a list of ours could have such a key: what else was put there is refused, not looked for (ABUSE A-16).
fn cursor_of(text: &str) -> Option<String> {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
    let of_a_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(byte);
    let sound = !key.is_empty() && key.len() <= 256 && key.iter().all(of_a_key);
    String::from_utf8(key).ok().filter(|_| sound)
}
