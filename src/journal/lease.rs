//! The lease of a node on the database of its journal, as its tasks see it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::store::health::{Defect, Health};
use super::store::nodes::LEASE;

/// What a node knows of its leases.
#[derive(Default)]
pub struct Lease {
    held: Mutex<Held>,
    /// Notified when this node has something to tell with its next renewal, and soon.
    pub news: Notify,
}

/// One holding of the lease, without a break.
///
/// A node that stood still past the end of its lease renews it as soon as it goes on. What it decided on before belongs to an earlier tenure:
/// others may have acknowledged a revocation in between, without waiting for this node.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tenure(u64);

#[derive(Default)]
struct Held {
    /// Whether there is a lease at all.
    is_needed: bool,
    tenure: Tenure,
    compares_clocks: bool,
    /// When the renewal was sent that was answered last.
    renewed: Option<Instant>,
    /// The same of the lease of the single tasks, with its number.
    runs: Option<(Instant, u64)>,
    /// How far the clock of this node is ahead of the database's, in seconds.
    ahead: i64,
    /// How the server of the database is, and what lets it lose what it confirms.
    found: Option<(Health, Option<Defect>)>,
    /// When the question for that was sent that was answered last.
    looked: Option<Instant>,
}

/// After so long without an answer to a renewal a node is not ready.
pub const READY_WITHIN: Duration = Duration::from_secs(2);

/// How far clocks of node and database may be apart, in whole seconds.
const APART: i64 = 2;

fn length() -> Duration {
    Duration::from_secs(u64::from(LEASE.0))
}

impl Held {
    fn is_within(&self, long: Duration) -> bool {
        !self.is_needed || self.renewed.is_some_and(|renewed| renewed.elapsed() < long)
    }
}

impl Tenure {
    const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl Lease {
    /// That of a journal that one node has.
    pub fn unneeded() -> Self {
        Self::default()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> T {
        // Values are all that the lock guards, so a poisoned one is still good.
        act(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this node may mint and call tokens active.
    pub fn holds(&self) -> bool {
        self.tenure().is_some()
    }

    /// The tenure of now; `None` once the lease has run out.
    pub fn tenure(&self) -> Option<Tenure> {
        self.with(|held| held.is_within(length()).then_some(held.tenure))
    }

    /// Whether a renewal was answered lately enough for a node that is ready.
    pub fn is_fresh(&self) -> bool {
        self.with(|held| held.is_within(READY_WITHIN))
    }

    /// The number of the lease of the single tasks, if this node holds it. A node that shares its journal with nobody always does.
    pub fn runs(&self) -> Option<u64> {
        self.with(|held| {
            if !held.is_needed {
                return Some(0);
            }
            held.runs.filter(|(renewed, _)| renewed.elapsed() < length()).map(|(_, number)| number)
        })
    }

    /// How far the clock of this node is ahead of the database's, if that is too far.
    pub fn apart(&self) -> Option<i64> {
        self.with(|held| Some(held.ahead).filter(|ahead| held.compares_clocks && ahead.abs() > APART))
    }

    /// How the server of the database was when it was looked at last, and the first of what lets it lose what it confirms.
    pub fn database(&self) -> Option<(Health, Option<Defect>)> {
        self.with(|held| held.found.clone())
    }

    /// Whether the server said within as long as a lease how it keeps what it confirms. A finding that is older is none.
    pub fn is_looked_at(&self) -> bool {
        self.with(|held| !held.is_needed || held.looked.is_some_and(|looked| looked.elapsed() < length()))
    }

    /// The answer to a question that was sent at this time.
    pub fn found(&self, sent: Instant, health: Health, defect: Option<Defect>) {
        self.with(|held| (held.found, held.looked) = (Some((health, defect)), Some(sent)));
    }

    pub fn ahead(&self) -> i64 {
        self.with(|held| held.ahead)
    }

    pub fn begin(&self, sent: Instant, compares_clocks: bool) {
        let since = Some(sent);
        self.with(|held| {
            let tenure = held.tenure.next();
            *held = Held { is_needed: true, tenure, compares_clocks, renewed: since, looked: since, ..Held::default() };
        });
    }

    /// A renewal was answered that was sent at this time. One that is answered after the lease has run out begins a tenure.
    pub fn renewed(&self, sent: Instant, ahead: i64, runs: Option<u64>) {
        self.with(|held| {
            if !held.is_within(length()) {
                held.tenure = held.tenure.next();
            }
            (held.renewed, held.ahead) = (Some(sent), ahead);
            held.runs = runs.map(|number| (sent, number));
        });
    }

    /// It was given back, or another instance has it.
    pub fn end(&self) {
        self.with(|held| (held.renewed, held.runs) = (None, None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(long: Duration) -> Instant {
        Instant::now().checked_sub(long).expect("a machine that has run for some seconds")
    }

    /// the renewal may be sent before the lease runs out: what counts is when it is answered.
    #[test]
    fn a_lease_that_ran_out_begins_another_tenure() {
        let lease = Lease::default();
        let alone = lease.tenure().expect("a file needs no lease");
        assert_eq!(lease.tenure(), Some(alone));
        lease.begin(ago(length() - READY_WITHIN), false);
        let first = lease.tenure().expect("it holds");
        assert_ne!(first, alone);
        lease.renewed(ago(READY_WITHIN), 0, None);
        assert_eq!(lease.tenure(), Some(first), "it was renewed in time");
        let nearly = Duration::from_millis(100);
        lease.renewed(ago(length() - nearly), 0, None);
        std::thread::sleep(nearly);
        assert_eq!(lease.tenure(), None);
        lease.renewed(ago(READY_WITHIN), 0, None);
        let second = lease.tenure().expect("it holds again");
        assert_ne!(second, first);
        lease.end();
        assert_eq!(lease.tenure(), None);
        lease.renewed(Instant::now(), 0, None);
        assert!(lease.tenure().is_some_and(|third| third != second));
    }
}
