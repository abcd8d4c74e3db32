//! The state of one connection and its start, so that a watchdog can end it.
//!
//! hyper's own timers do not see everything: the auto-detection of HTTP/2 waits for ever for its first bytes, and an HTTP/2
//! peer may leave a HEADERS frame unfinished or its window at zero. Here every state of a connection has a limit (ABUSE S11).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::settings::Settings;

/// The state of one connection.
pub(super) struct Activity {
    state: Mutex<State>,
}

struct State {
    /// True once a request came.
    served: bool,
    /// The time since which a request's head is incomplete (HTTP/1 only).
    head_since: Option<Instant>,
    /// The time since which no request is open.
    quiet_since: Instant,
    open: Vec<Open>,
    next: u64,
}

struct Open {
    number: u64,
    since: Instant,
    sending: bool,
}

/// A request that is being handled or answered. Dropping it ends the request.
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    number: u64,
}

impl Activity {
    /// The state of a connection that was just accepted.
    pub(super) fn new() -> Arc<Self> {
        let state = State { served: false, head_since: None, quiet_since: Instant::now(), open: Vec::new(), next: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Begins a request whose head is complete.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        let mut state = self.state();
        state.served = true;
        let number = state.next;
        state.next += 1;
        state.open.push(Open { number, since: Instant::now(), sending: false });
        OpenRequest { activity: self.clone(), number }
    }

    /// Notes after each read if the head is unfinished.
    pub(super) fn reading_head(&self, unfinished: bool) {
        let mut state = self.state();
        match (unfinished, state.head_since) {
            (true, None) => state.head_since = Some(Instant::now()),
            (false, Some(_)) => state.head_since = None,
            _ => {}
        }
    }

    /// The name of the limit that the connection is over, if any.
    pub(super) fn overdue(&self, now: Instant, settings: &Settings) -> Option<&'static str> {
        let state = self.state();
        let over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        if state.head_since.is_some_and(|since| over(since, settings.head)) {
            return Some("head");
        }
        if state.open.iter().any(|open| open.sending && over(open.since, settings.sending)) {
            return Some("sending");
        }
        if state.open.iter().any(|open| !open.sending && over(open.since, settings.handling)) {
            return Some("handling");
        }
        let quiet = if state.served { settings.idle } else { settings.head };
        (state.open.is_empty() && over(state.quiet_since, quiet)).then_some(if state.served { "idle" } else { "silent" })
    }

    /// A poisoned lock is harmless: no invariant spans its instants.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenRequest {
    /// Starts the limit for sending: the answer begins to leave.
    pub(super) fn sending(&self) {
        if let Some(open) = self.activity.state().open.iter_mut().find(|open| open.number == self.number) {
            open.sending = true;
            open.since = Instant::now();
        }
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.open.retain(|open| open.number != self.number);
        state.quiet_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_state_has_its_limit() {
        let settings = Settings::default();
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        let activity = Activity::new();
        assert_eq!(activity.overdue(after(7), &settings), None);
        assert_eq!(activity.overdue(after(9), &settings), Some("silent"));
        activity.reading_head(true);
        assert_eq!(activity.overdue(after(9), &settings), Some("head"));
        activity.reading_head(false);
        let request = activity.begin();
        assert_eq!(activity.overdue(after(40), &settings), None);
        assert_eq!(activity.overdue(after(50), &settings), Some("handling"));
        request.sending();
        assert_eq!(activity.overdue(after(9), &settings), Some("sending"));
        drop(request);
        assert_eq!(activity.overdue(after(50), &settings), None);
        assert_eq!(activity.overdue(after(61), &settings), Some("idle"));
    }
}
