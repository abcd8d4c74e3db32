//! A route of the admin API: path, method, name, documentation and handler, stated once.
//!
//! Enter through [`get`] and [`post`]. The handler's types give role, parameters, body and answer ([`super::describe`]).

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use utoipa::openapi::path::{HttpMethod, Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, Ref, RefOr, Required};

use super::describe::{Described, Schemas, text};
use super::missing::{self, Names};
use crate::broker::Broker;

/// One route.
pub struct Route {
    /// `get` or `post`.
    pub method: &'static str,
    /// The path, with `{name}` for each part that varies.
    pub path: &'static str,
    /// The kind of thing that the path names.
    names: Option<&'static str>,
    operation: Operation,
    schemas: Schemas,
    handler: MethodRouter<Broker>,
}

/// A `GET` route. `id` is its name for programs, `summary` one sentence about it.
pub fn get<H, T, A>(path: &'static str, id: &str, summary: &str, handler: H) -> Route
where
    H: Handler<T, Broker> + Described<A>,
    T: 'static,
{
    Route::new::<H, A>("get", path, id, summary, axum::routing::get(handler))
}

/// A `POST` route. It takes an `Idempotency-Key`.
pub fn post<H, T, A>(path: &'static str, id: &str, summary: &str, handler: H) -> Route
where
    H: Handler<T, Broker> + Described<A>,
    T: 'static,
{
    Route::new::<H, A>("post", path, id, summary, axum::routing::post(handler))
}

impl Route {
    fn new<H: Described<A>, A>(
        method: &'static str,
        path: &'static str,
        id: &str,
        summary: &str,
        handler: MethodRouter<Broker>,
    ) -> Self {
        let mut description = H::describe();
        let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let in_path = |name| ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        let parts = parts.map(|name| in_path(name).schema(Some(text())).build());
        let others = description.operation.parameters.take();
        let parameters: Vec<_> = parts.map(RefOr::T).chain(others.into_iter().flatten()).collect();
        description.operation.parameters = Some(parameters).filter(|parameters| !parameters.is_empty());
        if method == "post" {
            description.common("idempotencyKey");
        }
        description.operation.operation_id = Some(id.to_owned());
        description.operation.summary = Some(summary.to_owned());
        if description.is_guarded {
            let refused = RefOr::Ref(Ref::from_response_name("Problem"));
            description.operation.responses.responses.insert("default".to_owned(), refused);
        } else {
            description.operation.security = Some(Vec::new());
        }
        let (operation, schemas) = (description.operation, description.schemas);
        Self { method, path, names: None, operation, schemas, handler }
    }

    /// Sets the kind of thing that the path names, such as `integration`, for the words of a 404.
    pub fn names(self, thing: &'static str) -> Self {
        Self { names: Some(thing), ..self }
    }

    /// Adds the route to a router.
    pub fn mount(self, router: Router<Broker>) -> Router<Broker> {
        let names = Names { path: self.path, thing: self.names };
        router.route(self.path, self.handler.layer(from_fn_with_state(names, missing::named)))
    }

    /// Adds the route to a document.
    pub fn document(self, document: &mut OpenApi) {
        let method = if self.method == "get" { HttpMethod::Get } else { HttpMethod::Post };
        let item = PathItem::new(method, self.operation);
        match document.paths.paths.get_mut(self.path) {
            Some(known) => known.merge_operations(item),
            None => {
                document.paths.paths.insert(self.path.to_owned(), item);
            }
        }
        document.components.get_or_insert_default().schemas.extend(self.schemas);
    }

    /// True if the path has a part that varies, and the route does not say of which kind it is.
    #[cfg(test)]
    pub fn is_nameless(&self) -> bool {
        self.path.contains('{') && self.names.is_none()
    }
}
