//! Describes a route from the types of its handler.
//!
//! Enter through [`Described`]. Each argument of a handler is a [`Part`]: [`Admitted`](super::admitted::Admitted) adds the
//! roles, [`Page`](super::input::Page) the query, [`Sent`](super::input::Sent) the body. The type that the handler returns is
//! an [`Answer`]. The description therefore names the role that is checked and the shapes that are read and written: it has
//! no other source.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{Content, Ref, RefOr, Required, ResponseBuilder};

use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::people::actor::Role;

/// Schemas with the names by which others refer to them.
pub type Schemas = Vec<(String, RefOr<Schema>)>;

/// The description of a route, made of the types of its handler.
pub struct Description {
    /// The operation.
    pub operation: Operation,
    /// The schemas that it refers to.
    pub schemas: Schemas,
    /// True if the route needs a bearer token.
    pub is_guarded: bool,
}

impl Description {
    /// Adds the roles; a caller needs one of them.
    pub fn needs(&mut self, roles: &[Role]) {
        let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
        self.operation.extensions = Some(ExtensionsBuilder::new().add("x-roles", Value::from(names)).build());
        self.is_guarded = true;
    }

    /// Adds a parameter.
    pub fn parameter(&mut self, parameter: ParameterBuilder) {
        self.operation.parameters.get_or_insert_default().push(RefOr::T(parameter.build()));
    }

    /// Adds a parameter that all routes have in common.
    pub fn common(&mut self, name: &str) {
        let common = RefOr::Ref(Ref::new(format!("#/components/parameters/{name}")));
        self.operation.parameters.get_or_insert_default().push(common);
    }

    /// Adds the body of the request.
    pub fn body(&mut self, media: &str, schema: impl Into<RefOr<Schema>>) {
        let content = Content::new(Some(schema));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content(media, content).build();
        self.operation.request_body = Some(body.into());
    }

    /// Adds the successful answer.
    pub fn answer(&mut self, status: u16, schema: Option<RefOr<Schema>>) {
        let response = ResponseBuilder::new().description("Done");
        let response = match schema {
            Some(schema) => response.content("application/json", Content::new(Some(schema))),
            None => response,
        };
        self.operation.responses.responses.insert(status.to_string(), response.build().into());
    }

    /// Adds the successful answer, bytes of this media type.
    pub fn answer_in(&mut self, status: u16, media: &str) {
        let bytes: Schema = ObjectBuilder::new().schema_type(Type::String).content_media_type(media).build().into();
        let response = ResponseBuilder::new().description("Done").content(media, Content::new(Some(bytes)));
        self.operation.responses.responses.insert(status.to_string(), response.build().into());
    }

    /// Adds the schema of `T` to the description and returns a reference to it.
    pub fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(T::name()).into()
    }
}

/// The schema of a text.
pub fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).build().into()
}

/// An argument of a handler.
pub trait Part {
    /// Adds this argument to the description.
    fn describe(description: &mut Description);
}

/// A handler's answer to a request that was done.
pub trait Answer {
    /// Adds its status and shape.
    fn describe(description: &mut Description);
}

/// A handler whose types describe its route.
pub trait Described<Arguments> {
    /// The description.
    fn describe() -> Description;
}

macro_rules! described {
    ($($argument:ident),*) => {
        impl<Handler, Future, Done, $($argument),*> Described<($($argument,)*)> for Handler
        where
            Handler: Fn($($argument),*) -> Future,
            Future: std::future::Future<Output = Result<Done, Problem>>,
            Done: Answer,
            $($argument: Part,)*
        {
            fn describe() -> Description {
                let mut description = Description { operation: Operation::new(), schemas: Schemas::new(), is_guarded: false };
                $($argument::describe(&mut description);)*
                Done::describe(&mut description);
                description
            }
        }
    };
}

described!(A);
described!(A, B);
described!(A, B, C);
described!(A, B, C, D);
described!(A, B, C, D, E);

/// The broker is not a part of the request.
impl Part for State<Broker> {
    fn describe(_: &mut Description) {}
}

/// The route's path already names its parameters.
impl<T> Part for Path<T> {
    fn describe(_: &mut Description) {}
}

/// These headers have no meaning of their own in this API.
impl Part for HeaderMap {
    fn describe(_: &mut Description) {}
}
