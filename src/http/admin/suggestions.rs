//! A narrower record of an integration, proposed from what was issued.

use axum::Json;
use axum::extract::{Path, State};

use super::admitted::Admitted;
use super::input::named;
use super::problem::Problem;
use super::route::{Route, get};
use crate::broker::Broker;
use crate::broker::view::suggestion::SuggestionView;
use crate::domain::people::actor::Read;
use crate::domain::reason;

/// The routes.
pub fn routes() -> Vec<Route> {
    let told = "A narrower record from what was issued in 90 days, and what it would have refused; nothing is changed";
    vec![get("/v1/integrations/{p}/{i}/suggestion", "getSuggestion", told, suggestion).names("integration in force")]
}

/// `GET /v1/integrations/{p}/{i}/suggestion`.
async fn suggestion(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path((partner, name)): Path<(String, String)>,
) -> Result<Json<SuggestionView>, Problem> {
    let found = broker.suggestion(&named(&format!("{partner}/{name}"))?).await?;
    found.map(Json).ok_or_else(|| Problem::of(&reason::NOT_FOUND))
}
