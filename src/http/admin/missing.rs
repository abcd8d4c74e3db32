//! Completes a refusal with the request's id and the name of the thing that was not found.
//!
//! A rule far below knows only that something is missing; the path has its name. The answer repeats the caller's own text as
//! it came, still percent-encoded.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::{Problem, Unfinished};
use crate::domain::reason;
use crate::http::front::Arrival;

/// The path of a route, and the kind of thing that it names.
#[derive(Clone, Copy)]
pub struct Names {
    /// The path, with `{name}` for each part that varies.
    pub path: &'static str,
    /// The kind, such as `integration`; `None` if the path names no thing.
    pub thing: Option<&'static str>,
}

/// Completes the refusal of a handler.
pub async fn named(State(names): State<Names>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let id = request.extensions().get::<Arrival>().map(|arrival| arrival.id.clone());
    let mut response = next.run(request).await;
    let Some(Unfinished(mut problem)) = response.extensions_mut().remove() else { return response };
    if let (Some(id), true) = (&id, problem.request().is_none()) {
        problem = problem.at(id);
    }
    finished(problem, names.of(&path)).into_response()
}

fn finished(problem: Problem, name: Option<String>) -> Problem {
    match name.filter(|_| *problem.parts().1 == reason::NOT_FOUND && !problem.has_detail()) {
        Some(name) => problem.saying(format!("There is no {name}.")),
        None => problem,
    }
}

impl Names {
    /// The thing that a path of this route names, such as `integration globex/nope`.
    fn of(&self, path: &str) -> Option<String> {
        let parts = self.path.split('/').zip(path.split('/')).filter(|(template, _)| template.starts_with('{'));
        let name = parts.map(|(_, part)| part).collect::<Vec<_>>().join("/");
        let name: String = name.chars().take(200).collect();
        Some(format!("{} {name}", self.thing?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::table;
    use super::*;

    /// Each route with a name in its path can say what it did not find.
    #[test]
    fn every_route_with_a_name_in_it_is_known() {
        let nameless: Vec<_> = table().into_iter().filter(|route| route.is_nameless()).map(|route| route.path).collect();
        assert_eq!(nameless, Vec::<&str>::new());
        let integration = Names { path: "/v1/integrations/{p}/{i}/submit", thing: Some("integration") };
        assert_eq!(integration.of("/v1/integrations/globex/nope/submit").as_deref(), Some("integration globex/nope"));
        assert_eq!(Names { path: "/v1/can-i", thing: None }.of("/v1/can-i"), None);
    }
}
