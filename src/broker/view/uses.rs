//! What an integration was issued, by scope and binding. The figures are counts beside the journal (`broker::uses`); they decide nothing.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::Broker;
use crate::domain::decision::uses::{KEPT, Tally, Use};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::day::Day;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName, IntegrationId};
use crate::journal::UsesFault;

/// The tokens with a scope that were issued through a binding. Counts are less than a minute behind.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Uses)]
pub struct UsesView {
    environment: EnvironmentName,
    api: ApiName,
    scope: String,
    binding: BindingName,
    /// When the last of them was issued.
    last_issued: Timestamp,
    /// Tokens of the last 30 days, in whole days of UTC.
    issued30d: u64,
    /// Tokens of the last 90 days.
    issued90d: u64,
    /// Each of these tokens had every one of several scopes of the API. So the count says nothing of a single scope.
    everything: bool,
}

impl UsesView {
    /// Its API and scope, if it is in this environment.
    pub(super) fn scope_in(&self, environment: &EnvironmentName) -> Option<(ApiName, String)> {
        (self.environment == *environment).then(|| (self.api.clone(), self.scope.clone()))
    }

    /// The last, the tokens of 30 and of 90 days, and whether each had every scope.
    pub(super) fn figures(&self) -> (Timestamp, u64, u64, bool) {
        (self.last_issued, self.issued30d, self.issued90d, self.everything)
    }
}

type Key = (EnvironmentName, ApiName, String, BindingName);

/// What APIs were told, by environment, API and scope.
pub type SeenByScope = BTreeMap<(EnvironmentName, ApiName, String), SeenFigures>;

/// The answers about tokens with a scope that were active.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeenFigures {
    /// The last of them, within 400 days.
    pub last: Option<Timestamp>,
    /// Those of the last 30 days, in whole days of UTC.
    pub month: u64,
}

impl Broker {
    /// The uses of an integration within 400 days.
    ///
    /// # Errors
    /// The store is away.
    pub async fn uses_of(&self, id: &IntegrationId) -> Result<Vec<UsesView>, UsesFault> {
        Ok(self.uses_and_seen_of(id).await?.0)
    }

    /// The uses of an integration within 400 days, and what APIs were told of its tokens.
    ///
    /// # Errors
    /// The store is away.
    pub(super) async fn uses_and_seen_of(&self, id: &IntegrationId) -> Result<(Vec<UsesView>, SeenByScope), UsesFault> {
        let now = self.now();
        let mut told = SeenByScope::new();
        let rows = self.journal.uses_of_client(&id.to_string(), Day::of(now.minus(KEPT))).await?;
        let mut views: BTreeMap<Key, UsesView> = BTreeMap::new();
        let (month, quarter) = (Day::of(now.minus(Seconds::days(30))), Day::of(now.minus(Seconds::days(90))));
        for (day, Tally { count, last, .. }, counted) in rows {
            let issued = match counted {
                Use::Issued(issued) => issued,
                Use::Seen(seen) => {
                    for scope in seen.scope.split(' ') {
                        let figures = told.entry((seen.environment.clone(), seen.api.clone(), scope.to_owned())).or_default();
                        figures.last = figures.last.max(Some(last));
                        figures.month += if day >= month { count } else { 0 };
                    }
                    continue;
                }
                Use::Forbidden { .. } => continue,
            };
            for scope in issued.scope.split(' ') {
                let key = (issued.environment.clone(), issued.api.clone(), scope.to_owned(), issued.binding.clone());
                let view = views.entry(key).or_insert_with(|| UsesView {
                    environment: issued.environment.clone(),
                    api: issued.api.clone(),
                    scope: scope.to_owned(),
                    binding: issued.binding.clone(),
                    last_issued: last,
                    issued30d: 0,
                    issued90d: 0,
                    everything: true,
                });
                view.last_issued = view.last_issued.max(last);
                view.issued30d += if day >= month { count } else { 0 };
                view.issued90d += if day >= quarter { count } else { 0 };
                view.everything &= issued.everything;
            }
        }
        Ok((views.into_values().collect(), told))
    }
}
