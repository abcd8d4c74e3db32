//! Generates the OpenAPI 3.1 description of the admin API from its routes.

use utoipa::PartialSchema as _;
use utoipa::ToSchema as _;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, Response, ResponseBuilder,
};

use super::describe::{Answer, Description};
use super::problem::ProblemView;
use super::route::Route;
use crate::broker::view::schema::Object;

/// The description of these routes, as JSON.
pub fn of(routes: Vec<Route>) -> String {
    let mut document = frame();
    routes.into_iter().for_each(|route| route.document(&mut document));
    // Goes through a `Value`, whose members are sorted: the same routes give the same bytes, and so the same entity tag.
    serde_json::json!(document).to_string()
}

/// The description as an answer: the document, or 304 to a caller that already has it.
pub struct Document;

impl Answer for Document {
    fn describe(description: &mut Description) {
        description.answer(200, Some(Object::schema()));
        description.answer(304, None);
    }
}

/// The parts that all routes have in common.
fn frame() -> OpenApi {
    let about = "What security teams, owners and operators do, and what auditors read. Unknown members, parameters and types are \
                 refused, never ignored.";
    let info = InfoBuilder::new().title("carnet admin API").version("1").description(Some(about));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let bearer = bearer
        .description(Some("A token of the staff issuer for the configured audience. x-roles: one of these roles is needed."));
    let mut problem = vec![(ProblemView::name().into_owned(), ProblemView::schema())];
    ProblemView::schemas(&mut problem);
    let components = ComponentsBuilder::new()
        .security_scheme("staff", SecurityScheme::Http(bearer.build()))
        .parameter("limit", limit())
        .parameter("cursor", cursor())
        .parameter("idempotencyKey", idempotency_key())
        .response("Problem", refused())
        .schemas_from_iter(problem);
    let security = SecurityRequirement::new("staff", std::iter::empty::<&str>());
    let document = OpenApiBuilder::new().info(info.build()).paths(Paths::new()).components(Some(components.build()));
    document.security(Some([security])).build()
}

fn parameter(name: &str, place: ParameterIn, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).required(Required::False).schema(Some(schema))
}

fn limit() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(1000)).default(Some(100.into()));
    parameter("limit", ParameterIn::Query, schema).description(Some("The most items on a page")).build()
}

fn cursor() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String);
    parameter("cursor", ParameterIn::Query, schema).description(Some("`next` of the page before")).build()
}

fn idempotency_key() -> Parameter {
    let about = "Per person and route, for 24 h: a request that was done is answered again and not done again, also after a restart. \
                 With another body: 422. Where the answer is not kept: 409 `request.done-before`.";
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    parameter("Idempotency-Key", ParameterIn::Header, schema).description(Some(about)).build()
}

fn refused() -> Response {
    let about = "400 malformed, 401 no bearer or a bad one, 403 the role does not allow it, 404 not found, 405 method, 409 the state \
                 forbids it, 412 the version seen is not current, 413 too large, 415 media type, 422 the content is invalid (errors), \
                 429 too many at once, 503 a store is away";
    let content = Content::new(Some(Ref::from_schema_name(ProblemView::name())));
    ResponseBuilder::new().description(about).content("application/problem+json", content).build()
}
