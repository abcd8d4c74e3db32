//! Tickets that elevations are tied to (`require: [open-ticket]`).
//!
//! The ticket system is asked at each approval and while the elevation runs. A closed ticket ends its elevation: the end is
//! recorded, and it cuts the tokens issued under it. A ticket counts as open for [`FRESH`] after an answer said so. Without such an
//! answer no token is issued. The elevation goes on when the ticket system answers again.
//!
//! Of several nodes the one that runs the tasks asks, and tells the others by a sealed record which tickets were open, with a number that rises.
//! Another node compares numbers and no clocks: what is told anew since it looked before was asked no earlier than a moment before that look. A
//! record that somebody put back has a number that is known, and one that somebody held back says a time that is past. Where nothing new is told, a
//! node asks for itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

use super::Broker;
use super::cause::Cause;
use crate::domain::elevation::Standing;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ElevationId, Ticket};
use crate::outbound::Outbound;
use crate::outbound::ticket::Credential;
use crate::revocation::{Away, Kind, Name, Where};

/// How long an answer counts.
const FRESH: Duration = Duration::from_secs(5);

/// How often the ticket of each running elevation is checked.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// A look at what others told may come so long after they asked, over and above the time since the look before.
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// A node that was told nothing new for so long asks for itself, so that it knows in time.
const WAITS: Duration = Duration::from_secs(3);

/// How far the time of a word may be from the clock here: two clocks may be 2 s apart, and a word is on its way for a moment.
const APART: Seconds = Seconds(4);

/// How long a record of an open ticket lies there.
const LIES: Seconds = Seconds(10);

/// That a ticket was open, as the node that runs the tasks was told. The first number is that of its lease.
#[derive(Deserialize, Serialize)]
struct Word {
    number: (u64, u64),
    at: Timestamp,
}

/// What a node saw of the words of others.
struct Look {
    at: Instant,
    number: Option<(u64, u64)>,
}

/// The ticket system.
pub struct Tickets {
    /// The URL of a ticket, with `{ticket}` in place of its number.
    pub url: String,
    /// Our credential there.
    pub credential: Credential,
    /// The JSON Pointer to the state in the answer.
    pub pointer: String,
    /// The JSON Pointer to the title, if it is to be shown.
    pub title: Option<String>,
    /// The states in which a ticket is open.
    pub open: Vec<String>,
    /// The client for outgoing requests.
    pub outbound: Arc<Outbound>,
    /// When the ticket of each elevation was last said to be open.
    pub seen: Mutex<HashMap<ElevationId, Instant>>,
}

/// The known state of a ticket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Known {
    Open,
    Closed,
    /// No answer came, or one that says nothing.
    Nothing,
}

/// The longest title that is shown.
const TITLE: usize = 200;

impl Tickets {
    /// Describes a ticket for an approver: its state and its title.
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
        // A ticket's number is part of a path. A text that could lead to another path counts as closed.
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
            // The ticket does not exist, or not any more.
            Ok(answer) if matches!(answer.status, 404 | 410) => (Known::Closed, None),
            _ => (Known::Nothing, None),
        }
    }

    fn saw(&self, elevation: &ElevationId) {
        self.saw_at(elevation, Instant::now());
    }

    fn saw_at(&self, elevation: &ElevationId, at: Instant) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = seen.entry(elevation.clone()).or_insert(at);
        *last = (*last).max(at);
    }

    /// How long ago it was last said to be open.
    fn age(&self, elevation: &ElevationId) -> Option<Duration> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(elevation).map(Instant::elapsed)
    }

    fn is_fresh(&self, elevation: &ElevationId) -> bool {
        self.age(elevation).is_some_and(|age| age < FRESH)
    }
}

impl Broker {
    /// Checks the ticket that an elevation is tied to, when somebody is about to approve it.
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

    /// Refuses unless each ticket that these elevations are tied to was said to be open just now.
    pub(super) fn tickets_are_open(&self, elevations: &[ElevationId]) -> Result<(), Refused> {
        let view = self.journal.view();
        let tied = |id: &&ElevationId| view.state.elevations.find(id).is_some_and(|request| request.elevation.tied);
        let open = |id: &ElevationId| self.tickets.as_ref().is_some_and(|tickets| tickets.is_fresh(id));
        if elevations.iter().filter(tied).all(open) { Ok(()) } else { Err(Refused::unknown(&reason::ELEVATION_TICKET_UNKNOWN)) }
    }

    /// Watches the tickets of running elevations, for as long as the node runs.
    pub async fn watch_tickets(self) {
        let Some(tickets) = self.tickets.clone() else { return };
        let mut ticks = interval(ASK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks: HashMap<ElevationId, Look> = HashMap::new();
        let mut asked = 0;
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
            looks.retain(|id, _| running.iter().any(|(one, _)| one == id));
            // Each call to a Redis that is away costs time, and the next ticket waits for it.
            let mut shares = true;
            for (id, ticket) in running {
                let lease = self.journal.runs();
                if lease.is_none() && shares {
                    match self.was_told(&tickets, &id, &mut looks).await {
                        Ok(true) => continue,
                        Ok(false) => {}
                        Err(_) => shares = false,
                    }
                }
                match tickets.ask(&ticket).await {
                    Known::Open => {
                        tickets.saw(&id);
                        if let Some(lease) = lease.filter(|_| shares) {
                            asked += 1;
                            // If that is lost, the others ask for themselves.
                            let word = Word { number: (lease, asked), at: self.clock.now() };
                            shares = self.shelf.put(&name(&id), &word, (Where::Any, LIES)).await.is_ok();
                        }
                    }
                    Known::Closed => self.end_with_ticket(&id).await,
                    Known::Nothing => {
                        tracing::warn!(elevation = %id, "the ticket system does not say whether a ticket is open")
                    }
                }
            }
        }
    }

    /// Looks at what the node that runs the tasks told of a ticket. False: this node has to ask for itself.
    async fn was_told(
        &self,
        tickets: &Tickets,
        id: &ElevationId,
        looks: &mut HashMap<ElevationId, Look>,
    ) -> Result<bool, Away> {
        let at = Instant::now();
        let now = self.clock.now();
        let word = self.shelf.find::<Word>(&name(id)).await?;
        let word = word.filter(|word| now.since(word.at) <= APART && word.at.since(now) <= APART);
        let number = word.map(|word| word.number);
        let before = looks.get(id);
        let is_new = before.is_some_and(|before| number > before.number);
        if let (true, Some(before)) = (is_new, before)
            && let Some(asked) = before.at.checked_sub(TOLD_WITHIN)
        {
            tickets.saw_at(id, asked);
        }
        // A number never falls here: a record that is gone or was put back is not new when it comes again.
        let number = number.max(before.and_then(|before| before.number));
        looks.insert(id.clone(), Look { at, number });
        Ok(tickets.age(id).is_some_and(|age| age < WAITS))
    }

    /// Ends an elevation whose ticket was closed. This cuts the tokens issued under it.
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

fn name(id: &ElevationId) -> Name {
    Name { kind: Kind::Ticket, of: Digest::of(id.as_str().as_bytes()) }
}
