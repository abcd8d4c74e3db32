//! Parses the parts of a request: a strictly shaped JSON body, a query, names in a path.
//!
//! Nothing is coerced, and nothing unknown is ignored (ABUSE ).

use std::marker::PhantomData;
use std::ops::Bound;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::answer::Listed;
use super::describe::{Description, Part};
use super::problem::Problem;
use crate::broker::failure::Fault;
use crate::domain::reason;
use crate::http::form::Form;
use crate::http::media;

/// Parses a JSON body that must have exactly the shape of `T`.
pub fn body<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    if !media::is(headers, "application/json") {
        return Err(Problem::media_type());
    }
    serde_json::from_slice(body).map_err(|error| misshapen(&error))
}

/// Parses a part of a body that must have exactly the shape of `T`.
pub fn shaped<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_json::from_value(value).map_err(|error| misshapen(&error))
}

fn misshapen(error: &serde_json::Error) -> Problem {
    if error.is_data() {
        let at = format!("line {} column {}", error.line(), error.column());
        let message = "a member is missing, unknown or of another type";
        Problem::faults(vec![Fault::invalid(at, message)])
    } else {
        Problem::of(&reason::REQUEST_MALFORMED)
    }
}

/// Parses a name in a path or query. A text that is not a valid name is answered as not found.
pub fn named<N: std::str::FromStr>(text: &str) -> Result<N, Problem> {
    text.parse().map_err(|_| Problem::unnamed(text))
}

/// The JSON body of a request, of exactly the shape of `T`.
pub struct Sent<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let headers = request.headers().clone();
        let bytes = Bytes::from_request(request, state).await.map_err(|rejected| rejected.into_response())?;
        body(&headers, &bytes).map(Self).map_err(|problem| problem.into_response())
    }
}

impl<T: ToSchema> Part for Sent<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.body("application/json", schema);
    }
}

/// A parameter of a query.
pub struct Filter {
    name: &'static str,
    description: &'static str,
    shape: Shape,
    required: bool,
}

/// The shape of a parameter.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Number,
    Words(&'static [&'static str]),
}

impl Filter {
    /// A parameter of any text.
    pub const fn text(name: &'static str, description: &'static str) -> Self {
        Self { name, description, shape: Shape::Text, required: false }
    }

    /// A parameter that is a whole number.
    pub const fn number(name: &'static str, description: &'static str) -> Self {
        Self { name, description, shape: Shape::Number, required: false }
    }

    /// A parameter that is one of these words.
    pub const fn words(name: &'static str, description: &'static str, words: &'static [&'static str]) -> Self {
        Self { name, description, shape: Shape::Words(words), required: false }
    }

    /// The same parameter, but required.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    fn parameter(&self) -> ParameterBuilder {
        let schema = match self.shape {
            Shape::Text => ObjectBuilder::new().schema_type(Type::String),
            Shape::Number => ObjectBuilder::new().schema_type(Type::Integer),
            Shape::Words(words) => ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())),
        };
        let required = if self.required { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name(self.name).parameter_in(ParameterIn::Query).required(required);
        parameter.description(Some(self.description)).schema(Some(schema))
    }
}

/// The parameters that a query may have.
pub trait Filters: Send + Sync + 'static {
    /// The parameters, in the order of the description.
    const ALL: &'static [Filter];
}

/// No parameters.
impl Filters for () {
    const ALL: &'static [Filter] = &[];
}

/// The parameters of a query for one thing.
pub struct Asked<F> {
    /// The parameters, by name.
    pub filters: Form<'static>,
    allowed: PhantomData<F>,
}

/// The parameters of a query for a page of a list.
pub struct Page<F> {
    /// The most items on the page.
    pub limit: usize,
    /// The page begins after this key.
    pub after: Option<String>,
    /// Further filters.
    pub filters: Form<'static>,
    allowed: PhantomData<F>,
}

const LIMIT: usize = 100;
const MOST: usize = 1000;

impl<F: Filters, S: Send + Sync> FromRequestParts<S> for Page<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(parts.uri.query())
    }
}

impl<F: Filters, S: Send + Sync> FromRequestParts<S> for Asked<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self { filters: Page::<F>::from_request_parts(parts, state).await?.filters, allowed: PhantomData })
    }
}

impl<F: Filters> Part for Page<F> {
    fn describe(description: &mut Description) {
        description.common("limit");
        description.common("cursor");
        Asked::<F>::describe(description);
    }
}

impl<F: Filters> Part for Asked<F> {
    fn describe(description: &mut Description) {
        for filter in F::ALL {
            description.parameter(filter.parameter());
        }
    }
}

impl<F: Filters> Page<F> {
    /// Parses a query. A parameter that is not one of `F`, `limit` or `cursor` is refused.
    fn read(query: Option<&str>) -> Result<Self, Problem> {
        let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
        let filters = Form::parse(query.unwrap_or_default()).map_err(|_| malformed())?.into_owned();
        let known = |name: &str| F::ALL.iter().any(|filter| filter.name == name) || ["limit", "cursor"].contains(&name);
        if filters.names().any(|name| !known(name)) {
            return Err(malformed());
        }
        let limit = filters.get("limit").map_or(Ok(LIMIT), str::parse).map_err(|_| malformed())?;
        if !(1..=MOST).contains(&limit) {
            return Err(malformed());
        }
        let after = filters.get("cursor").map(|cursor| cursor_of(cursor).ok_or_else(malformed)).transpose()?;
        Ok(Self { limit, after, filters, allowed: PhantomData })
    }

    /// True if the query has this value for a filter, or does not have the filter.
    pub fn takes(&self, name: &str, value: &str) -> bool {
        self.filters.get(name).is_none_or(|wanted| wanted == value)
    }

    /// The page of `items`, which must be in the order of their keys.
    ///
    /// The caller looks up what an answer needs for these items alone.
    pub fn part<T>(&self, items: impl Iterator<Item = (String, T)>) -> Listed<T> {
        self.first(items.skip_while(|(key, _)| self.after.as_ref().is_some_and(|after| key <= after)))
    }

    /// The keys that come after the cursor, for a look-up in a map: a page costs what it shows.
    pub fn after<K: FromStr>(&self) -> Result<(Bound<K>, Bound<K>), Problem> {
        let after = self.after.as_ref().map(|after| after.parse().map_err(|_| Problem::of(&reason::REQUEST_MALFORMED)));
        Ok((after.transpose()?.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
    }

    /// The page of `rest`, which begins after the cursor, in the order of its keys.
    pub fn first<T>(&self, mut rest: impl Iterator<Item = (String, T)>) -> Listed<T> {
        let mut shown = Vec::new();
        let mut last = None;
        for (key, item) in rest.by_ref().take(self.limit) {
            shown.push(item);
            last = Some(key);
        }
        Listed { items: shown, next: rest.next().and(last).map(|key| cursor(&key)) }
    }
}

/// A cursor: the last key of a page, encoded.
///
/// It reveals only a key in a list that its holder may read.
pub fn cursor(key: &str) -> String {
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key)
}

/// The key of a cursor, if a list of ours could have such a key (ABUSE A-16).
///
/// Any other text is refused, not looked for.
fn cursor_of(text: &str) -> Option<String> {
    let key = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
    let of_a_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:".contains(byte);
    let sound = !key.is_empty() && key.len() <= 256 && key.iter().all(of_a_key);
    String::from_utf8(key).ok().filter(|_| sound)
}
