//! A suspension, as inventory and approvals show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::person::ActorView;
use crate::broker::words::{Words, names};
use crate::domain::state::{Suspension, Suspensions};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, SuspensionId};
use crate::domain::value::text::Text;

/// A suspension in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Suspension)]
pub struct SuspensionView {
    pub id: SuspensionId,
    /// Null if the text was erased.
    #[schema(required)]
    pub reason: Option<String>,
    pub by: ActorView,
    pub at: Timestamp,
    /// The environments that it covers; empty if it covers all.
    pub environments: Vec<EnvironmentName>,
}

impl SuspensionView {
    /// Shows a suspension.
    pub fn of(one: &Suspension, words: &Words) -> Self {
        Self {
            id: one.id.clone(),
            reason: words.plain(&one.reason).map(str::to_owned),
            by: words.actor(&one.by),
            at: one.at,
            environments: one.environments.iter().cloned().collect(),
        }
    }
}

/// The texts of suspensions, to be unsealed.
pub fn texts<'s>(all: impl IntoIterator<Item = &'s Suspension>) -> impl Iterator<Item = &'s Text> {
    all.into_iter().flat_map(|one| names(&one.by).chain([&one.reason]))
}

/// Shows all that are in force, the oldest first.
pub fn shown(all: &Suspensions, words: &Words) -> Vec<SuspensionView> {
    all.iter().map(|one| SuspensionView::of(one, words)).collect()
}
