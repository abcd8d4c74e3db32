//! Successful answers of the admin API: the status, and the shape of the body.

use std::marker::PhantomData;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, SchemaType, Type};

use super::describe::{Answer, Description};

/// 201 with the created thing.
pub struct Created<T>(pub T);

/// 202 with the approval that the request waits for.
pub struct Accepted<T>(pub T);

/// 204 without a body.
pub struct NoContent;

/// A page of a list.
#[derive(Serialize)]
pub struct Listed<T> {
    /// The items, in the order of their keys.
    pub items: Vec<T>,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

impl<T> Listed<T> {
    /// The page with each item mapped by `show`.
    pub fn map<U>(self, show: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(show).collect(), next: self.next }
    }
}

/// An answer of the shape `A` that is already serialised.
pub struct Written<A> {
    response: Response,
    shape: PhantomData<fn() -> A>,
}

impl<A: IntoResponse> Written<A> {
    /// Serialises an answer.
    pub fn of(answer: A) -> Self {
        Self::as_is(answer.into_response())
    }

    /// Adds a `Location` header with this address, if it is a valid header value.
    pub fn at(mut self, place: &str) -> Self {
        if let Ok(place) = HeaderValue::from_str(place) {
            self.response.headers_mut().insert(header::LOCATION, place);
        }
        self
    }
}

impl<A> Written<A> {
    /// Adds an extension to the response.
    pub fn beside<E: Clone + Send + Sync + 'static>(mut self, extension: E) -> Self {
        self.response.extensions_mut().insert(extension);
        self
    }

    /// Wraps a response that already has the shape.
    pub fn as_is(response: Response) -> Self {
        Self { response, shape: PhantomData }
    }
}

impl<A> IntoResponse for Written<A> {
    fn into_response(self) -> Response {
        self.response
    }
}

impl<A> From<Written<A>> for Response {
    fn from(written: Written<A>) -> Self {
        written.response
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Json(self.0)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Json(self.0)).into_response()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

impl<T: ToSchema> Answer for Json<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answer(200, Some(schema));
    }
}

impl<T: ToSchema> Answer for Created<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answer(201, Some(schema));
    }
}

impl<T: ToSchema> Answer for Accepted<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answer(202, Some(schema));
    }
}

impl Answer for NoContent {
    fn describe(description: &mut Description) {
        description.answer(204, None);
    }
}

impl<T: ToSchema> Answer for Listed<T> {
    fn describe(description: &mut Description) {
        let items = ArrayBuilder::new().items(description.schema::<T>());
        let next = ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
        let page = ObjectBuilder::new().property("items", items).property("next", next).required("items").required("next");
        description.answer(200, Some(page.build().into()));
    }
}

/// A ZIP archive.
pub struct Archive(pub Vec<u8>);

/// Its media type (IANA).
const ZIP: &str = "application/zip";

impl IntoResponse for Archive {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static(ZIP))], self.0).into_response()
    }
}

impl Answer for Archive {
    fn describe(description: &mut Description) {
        description.answer_in(200, ZIP);
    }
}

impl<A: Answer> Answer for Written<A> {
    fn describe(description: &mut Description) {
        A::describe(description);
    }
}
