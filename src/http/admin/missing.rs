//! Says what was not found: the thing that the path of the request names.
//!
//! A rule far below knows only that something is not there; what was asked for stands in the path. It is the caller's own word, and is
//! told back as it came, still percent-encoded.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::problem::{Problem, Unnamed};

/// Adds it to an answer that lacks it.
pub async fn named(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let Some(Unnamed(problem)) = response.extensions_mut().remove() else { return response };
    match of(&path) {
        Some(what) => said(problem, &what),
        None => response,
    }
}

fn said(problem: Problem, what: &str) -> Response {
    problem.saying(format!("There is no {what}.")).into_response()
}

/// What a path names.
fn of(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix("/v1/")?.split('/').collect();
    let (noun, name) = match parts.as_slice() {
        ["approvals", id, ..] => ("approval", (*id).to_owned()),
        ["authorities" | "keys", environment, "rotate"] => ("environment", (*environment).to_owned()),
        ["elevations", id, ..] => ("elevation", (*id).to_owned()),
        ["explain", id] => ("exchange on record with the request id", (*id).to_owned()),
        ["integrations", partner, name, ..] => ("integration", format!("{partner}/{name}")),
        ["keys", environment, "taint"] => ("key with that kid in environment", (*environment).to_owned()),
        ["partners", name, ..] => ("partner", (*name).to_owned()),
        ["passkeys", id, ..] => ("passkey", (*id).to_owned()),
        ["revocations", id, ..] => ("revocation", (*id).to_owned()),
        ["staff", id, ..] => ("person", (*id).to_owned()),
        ["tokens", id] => ("living token", (*id).to_owned()),
        ["webhooks", name, ..] => ("webhook", (*name).to_owned()),
        _ => return None,
    };
    let name: String = name.chars().take(200).collect();
    Some(format!("{noun} {name}"))
}

#[cfg(test)]
mod tests {
    use super::super::ROUTES;
    use super::*;

    /// A route that names something in its path says what it did not find.
    #[test]
    fn every_route_with_a_name_in_it_is_known() {
        for (_, path) in ROUTES.iter().filter(|(_, path)| path.contains('{')) {
            assert!(of(path).is_some(), "{path}");
        }
        assert_eq!(of("/v1/integrations/globex/nope/submit").as_deref(), Some("integration globex/nope"));
        assert_eq!(of("/v1/can-i"), None);
    }
}
