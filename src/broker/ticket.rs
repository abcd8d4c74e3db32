//! Tickets that elevations are tied to (`require: [open-ticket]`): asked when somebody agrees, and all the while the elevation runs.
//!
//! A ticket that was closed ends its elevation, on record and with what was issued under it. A ticket of which nobody has said for
//! [`FRESH`] that it is open is not open: no token is given meanwhile. The elevation goes on when the ticket system answers again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::Broker;
use super::cause::Cause;
use crate::domain::elevation::Standing;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::value::names::{ElevationId, Ticket};
use crate::outbound::Outbound;
use crate::outbound::ticket::Credential;

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(5);

/// How often each running elevation's ticket is asked about.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The ticket system.
pub struct Tickets {
    /// The address of a ticket, with `{ticket}` where its number stands.
    pub url: String,
    /// What authenticates us there.
    pub credential: Credential,
    /// Where the state stands in the answer.
    pub pointer: String,
    /// Where the title stands, if it is to be shown.
    pub title: Option<String>,
    /// The states in which a ticket is open.
    pub open: Vec<String>,
    /// The client.
    pub outbound: Arc<Outbound>,
    /// When each was last said to be open.
    pub seen: Mutex<HashMap<ElevationId, Instant>>,
}

/// What is known of a ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Known {
    Open,
    Closed,
    /// Nobody answered, or what came is no answer.
    Nothing,
}

/// The longest title that is shown.
const TITLE: usize = 200;

impl Tickets {
    /// What an approver sees of a ticket: how it stands, and its title.
    pub async fn look(&self, ticket: &Ticket) -> String {
        let (known, title) = self.read(ticket).await;
        let state = match known {
            Known::Open => "open",
            Known::Closed => "not open",
            Known::Nothing => "nobody says whether it is open",
        };
        title.map_or_else(|| state.to_owned(), |title| format!("{state}: {title}"))
    }

    async fn ask(&self, ticket: &Ticket) -> Known {
        self.read(ticket).await.0
    }

    async fn read(&self, ticket: &Ticket) -> (Known, Option<String>) {
        // A ticket's number stands in a path: what could lead to another one is no ticket.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !ticket.as_str().bytes().all(plain) || ticket.as_str().bytes().all(|byte| byte == b'.') {
            return (Known::Closed, None);
        }
        let Ok(url) = self.outbound.may_ask(&self.url.replace("{ticket}", ticket.as_str())) else {
            return (Known::Nothing, None);
        };
        match self.outbound.ask(&url, &self.credential).await {
            Ok(answer) if answer.status == 200 => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
                let title = self.title.as_ref().and_then(|title| body.pointer(title)?.as_str());
                let shown = title.map(|title| title.chars().filter(|c| !c.is_control()).take(TITLE).collect());
                let known = match body.pointer(&self.pointer).and_then(Value::as_str) {
                    Some(state) if self.open.iter().any(|open| open == state) => Known::Open,
                    Some(_) => Known::Closed,
                    None => Known::Nothing,
                };
                (known, shown)
            }
            // It is not there, or no more.
            Ok(answer) if matches!(answer.status, 404 | 410) => (Known::Closed, None),
            _ => (Known::Nothing, None),
        }
    }

    fn saw(&self, elevation: &ElevationId) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(elevation.clone(), Instant::now());
    }

    fn is_fresh(&self, elevation: &ElevationId) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(elevation).is_some_and(|at| at.elapsed() < FRESH)
    }
}

impl Broker {
    /// Asks about the ticket that an elevation is tied to, when somebody is about to agree to it.
    ///
    /// # Errors
    /// It is closed, or nobody says that it is open.
    pub(super) async fn ask_ticket(&self, id: &ElevationId) -> Result<(), &'static Reason> {
        let view = self.journal.view();
        let Some(request) = view.state.elevations.find(id).filter(|request| request.elevation.tied) else { return Ok(()) };
        let (Some(tickets), Some(ticket)) = (&self.tickets, &request.elevation.ticket) else {
            return Err(&reason::ELEVATION_TICKET_UNKNOWN);
        };
        match tickets.ask(ticket).await {
            Known::Open => {
                tickets.saw(id);
                Ok(())
            }
            Known::Closed => Err(&reason::ELEVATION_TICKET_CLOSED),
            Known::Nothing => Err(&reason::ELEVATION_TICKET_UNKNOWN),
        }
    }

    /// Whether every ticket that these elevations are tied to was said to be open just now.
    pub(super) fn tickets_are_open(&self, elevations: &[ElevationId]) -> Result<(), Refused> {
        let view = self.journal.view();
        let tied = |id: &&ElevationId| view.state.elevations.find(id).is_some_and(|request| request.elevation.tied);
        let open = |id: &ElevationId| self.tickets.as_ref().is_some_and(|tickets| tickets.is_fresh(id));
        if elevations.iter().filter(tied).all(open) { Ok(()) } else { Err(Refused::unknown(&reason::ELEVATION_TICKET_UNKNOWN)) }
    }

    /// Looks after the tickets of what runs, for as long as the node lives.
    pub async fn watch_tickets(self) {
        let Some(tickets) = self.tickets.clone() else { return };
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let view = self.journal.view();
            let now = self.now();
            let runs = view.state.elevations.all().filter(|request| {
                request.elevation.tied && matches!(request.standing(now), Standing::Active | Standing::Approved)
            });
            let running: Vec<(ElevationId, Ticket)> =
                runs.filter_map(|request| Some((request.elevation.id.clone(), request.elevation.ticket.clone()?))).collect();
            tickets
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|id, _| running.iter().any(|(one, _)| one == id));
            for (id, ticket) in running {
                match tickets.ask(&ticket).await {
                    Known::Open => tickets.saw(&id),
                    Known::Closed => self.end_with_ticket(&id).await,
                    Known::Nothing => {
                        tracing::warn!(elevation = %id, "the ticket system does not say whether a ticket is open")
                    }
                }
            }
        }
    }

    /// The ticket was closed: the elevation ends, and with it what was issued under it.
    async fn end_with_ticket(&self, id: &ElevationId) {
        let decide = |state: &crate::domain::state::State, now| {
            let standing = state.elevations.find(id).map(|request| request.standing(now));
            let runs = matches!(standing, Some(Standing::Active | Standing::Approved));
            runs.then(|| ElevationChange::Ended { elevation: id.clone(), reason: "its ticket was closed".into() }).ok_or(())
        };
        if self.change_as(Cause::Broker, None, decide).await.is_err() {
            tracing::warn!(elevation = %id, "the end of an elevation could not be recorded; it is tried again");
        }
    }
}
