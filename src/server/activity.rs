//! What one connection is doing and since when, so that a watchdog can end it whatever the protocol hides.
//!
//! hyper's own timers do not see everything: the auto-detection of HTTP/2 waits for ever for its first bytes, an HTTP/2 peer
//! may leave a HEADERS frame unfinished or its window at zero. Here every state of a connection has a limit (ABUSE S11).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::settings::Settings;

/// One connection's state.
pub(super) struct Activity {
    state: Mutex<State>,
}

struct State {
    /// Whether a request ever came.
    served: bool,
    /// Since when a request's head is being read (HTTP/1 only).
    head_since: Option<Instant>,
    /// Since when no request is open.
    quiet_since: Instant,
    open: Vec<Open>,
    next: u64,
}

struct Open {
    number: u64,
    since: Instant,
    sending: bool,
}

/// A request that is being handled or answered; it ends when this is dropped.
pub(super) struct OpenRequest {
    activity: Arc<Activity>,
    number: u64,
}

impl Activity {
    /// A connection that was just accepted.
    pub(super) fn new() -> Arc<Self> {
        let state = State { served: false, head_since: None, quiet_since: Instant::now(), open: Vec::new(), next: 0 };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// A request's head is complete.
    pub(super) fn begin(self: &Arc<Self>) -> OpenRequest {
        let mut state = self.state();
        state.served = true;
        let number = state.next;
        state.next += 1;
        state.open.push(Open { number, since: Instant::now(), sending: false });
        OpenRequest { activity: self.clone(), number }
    }

    /// Bytes came: whether they left a head unfinished.
    pub(super) fn reading_head(&self, unfinished: bool) {
        let mut state = self.state();
        match (unfinished, state.head_since) {
            (true, None) => state.head_since = Some(Instant::now()),
            (false, Some(_)) => state.head_since = None,
            _ => {}
        }
    }

    /// Which limit the connection is over, if any.
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

    /// A poisoned lock is still a list of instants: no invariant spans it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenRequest {
    /// The answer begins to leave: its own limit counts from now.
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
