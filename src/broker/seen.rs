//! Tokens that APIs were told are active, until they are counted beside the journal (`broker::uses`).
//!
//! An introspection or a verdict adds one to a count in memory, and waits for nobody. A task takes the counts away twice a minute. Memory is
//! bounded: what does not fit is not counted. A node that ends at once loses what was not taken yet, and after a fault of the store some may
//! be counted twice: the figures are for people, and decide nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::decision::uses::{SeenUse, Tally};
use crate::domain::log::entry::Issued;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;

/// The most that are counted apart at a time.
const MOST: usize = 10_000;

/// Counts by day, since they were taken last.
#[derive(Default)]
pub struct Seen(Mutex<Taken>);

/// Counts that were taken.
pub(super) type Taken = BTreeMap<(Day, SeenUse), Tally>;

impl Seen {
    /// Counts an answer about a token, for these scopes.
    pub(super) fn add(&self, entry: &Issued, scope: String, now: Timestamp) {
        let (client, environment, api) = (entry.subject.clone(), entry.environment.clone(), entry.api.clone());
        let key = (Day::of(now), SeenUse { client, environment, api, scope });
        self.put(key, Tally { count: 1, first: now, last: now, until: 0 });
    }

    /// Takes all counts away.
    pub(super) fn take(&self) -> Taken {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts counts back that could not be written.
    pub(super) fn put_back(&self, taken: Taken) {
        taken.into_iter().for_each(|(key, tally)| self.put(key, tally));
    }

    fn put(&self, key: (Day, SeenUse), tally: Tally) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(&key) {
            *known = known.and(tally);
        } else if all.len() < MOST {
            all.insert(key, tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::at;

    #[test]
    fn what_does_not_fit_is_not_counted_and_what_is_put_back_is() {
        let seen = Seen::default();
        let one = |number: usize| SeenUse {
            client: "globex/order-sync".parse().expect("a client"),
            environment: "production".parse().expect("a name"),
            api: "orders-api".parse().expect("a name"),
            scope: format!("s{number}"),
        };
        let tally = |seconds| Tally { count: 1, first: at(seconds), last: at(seconds), until: 0 };
        for number in 0..MOST + 10 {
            seen.put((Day(1), one(number)), tally(5));
        }
        seen.put((Day(1), one(0)), tally(9));
        let taken = seen.take();
        assert_eq!(taken.len(), MOST);
        assert_eq!(taken.get(&(Day(1), one(0))), Some(&Tally { count: 2, first: at(5), last: at(9), until: 0 }));
        assert!(seen.take().is_empty());
        seen.put((Day(1), one(0)), tally(3));
        seen.put_back(taken);
        assert_eq!(seen.take().get(&(Day(1), one(0))), Some(&Tally { count: 3, first: at(3), last: at(9), until: 0 }));
    }
}
