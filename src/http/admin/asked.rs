//! The terms of a request for an elevation, by a person or, on the public socket, by a workload.

use serde::Deserialize;
use utoipa::ToSchema;

use crate::broker::failure::Fault;
use crate::domain::decision::elevation::ElevationRequest;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, Ticket};
use crate::domain::value::scope::{Scope, ScopeSet};

/// The terms of a request for an elevation.
///
/// A workload names neither integration nor environments.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    api: ApiName,
    scopes: Vec<Scope>,
    /// Limits the elevation to these endpoints, out of those that the record allows.
    #[serde(default)]
    allow: Vec<Endpoint>,
    /// Such as 30m or 1h.
    duration: String,
    reason: String,
    #[schema(value_type = Ticket, required = false)]
    ticket: Option<Ticket>,
    /// The start. If it is absent, the elevation starts when it is approved.
    #[schema(value_type = String, format = DateTime, required = false)]
    starts: Option<String>,
    /// Break-glass: starts at once, for an hour at most, and security reviews it within a day.
    #[serde(default)]
    break_glass: bool,
}

/// The message for a text that is not a duration.
pub const DURATION: &str = "expected a duration such as 30m or 1h";

impl Asked {
    /// Checks the terms and converts them for the broker.
    pub fn read(self) -> Result<ElevationRequest, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut add = |at: &str, message: &str| {
            faults.push(Fault::invalid(at, message));
        };
        let number = self.scopes.len();
        let scopes: ScopeSet = self.scopes.into_iter().collect();
        if scopes.is_empty() || scopes.len() != number {
            add("scopes", "expected at least one scope, and none twice");
        }
        let duration = Seconds::parse(&self.duration);
        if duration.is_none() {
            add("duration", DURATION);
        }
        let starts = self.starts.as_deref().map(instant);
        if starts == Some(None) {
            add("starts", "expected a time as RFC 3339 has it, such as 2026-12-01T08:00:00Z");
        }
        match (duration, faults.is_empty()) {
            (Some(duration), true) => Ok(ElevationRequest {
                api: self.api,
                scopes,
                allow: self.allow,
                duration,
                reason: self.reason,
                ticket: self.ticket,
                starts: starts.flatten(),
                break_glass: self.break_glass,
            }),
            _ => Err(faults),
        }
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().and_then(|time| Timestamp::from_seconds(time.as_second()))
}
