//! The places in the log of the tokens that were issued lately and may still live, by client.
//!
//! A count of what a cut ended reads the entries at these places alone. So it costs the tokens of its clients, however many others were
//! issued and however many changes were made meanwhile. The entries in the database are what counts; this only says where they are.
//!
//! **Made from** every commit of this node, and for what it did not write itself (before a start, or by another process) from the log, when
//! the first count asks ([`IssuedLately::add_before`]). [`IssuedLately::from`] says from where on every living token is here; a count
//! reads everything before it.
//!
//! **Memory.** Some 50 bytes for a token and 100 for a client, until the token expires and all before it, so no longer than the longest
//! life of a token. At most [`MOST`] tokens are remembered, which is 50 MB; with more, the oldest are left to the log.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use crate::domain::credential::revocation::Clients;
use crate::domain::value::clock::Timestamp;
use crate::journal::store::row::Issuance;

/// The tokens that are remembered: ten minutes of 1 600 a second.
pub const MOST: usize = 1_000_000;

/// The issuances that are remembered.
pub struct IssuedLately {
    most: usize,
    from: u64,
    /// In the order of the log.
    order: VecDeque<Issuance>,
    /// The indexes of each client, in the order of the log.
    by_subject: BTreeMap<Arc<str>, VecDeque<u64>>,
}

impl IssuedLately {
    /// Nothing before the entry `from`.
    pub fn new(from: u64) -> Self {
        Self::at_most(MOST, from)
    }

    fn at_most(most: usize, from: u64) -> Self {
        Self { most, from, order: VecDeque::new(), by_subject: BTreeMap::new() }
    }

    /// From this index on every token that still lives is remembered.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// Remembers nothing before the entry `from`, because somebody else may have written it.
    pub fn begin_at(&mut self, from: u64) {
        *self = Self::at_most(self.most, from);
    }

    /// Adds a token that was issued after all others, at `now`.
    pub fn add(&mut self, index: u64, subject: &str, expires: Timestamp, now: Timestamp) {
        self.forget_expired(now);
        if self.order.len() >= self.most
            && let Some(oldest) = self.forget_oldest()
        {
            self.from = oldest.index + 1;
        }
        let subject = self.subject(subject);
        self.by_subject.entry(Arc::clone(&subject)).or_default().push_back(index);
        self.order.push_back(Issuance { index, expires, subject });
    }

    /// Adds `older`, all issuances of the log from the entry `least` on and before `until`, in their order.
    ///
    /// It does nothing if something else begins there by now. Returns false if there is no room for them.
    pub fn add_before(&mut self, until: u64, least: u64, older: Vec<Issuance>, now: Timestamp) -> bool {
        if self.from != until {
            return true;
        }
        self.forget_expired(now);
        let living: Vec<Issuance> = older.into_iter().filter(|one| now < one.expires).collect();
        if self.order.len() + living.len() > self.most {
            return false;
        }
        for Issuance { index, expires, subject } in living.into_iter().rev() {
            let subject = self.subject(&subject);
            self.by_subject.entry(Arc::clone(&subject)).or_default().push_front(index);
            self.order.push_front(Issuance { index, expires, subject });
        }
        self.from = least;
        true
    }

    /// The indexes before `until` of the tokens of these clients, or of everybody, in the order of the log.
    pub fn of(&self, clients: Option<&Clients>, until: u64) -> Vec<u64> {
        let before = |index: &u64| *index < until;
        let Some(clients) = clients else { return self.order.iter().map(|one| one.index).filter(before).collect() };
        let (least, beyond) = clients.subjects();
        let bounds = (Bound::Included(least.as_str()), Bound::Excluded(beyond.as_str()));
        let all = self.by_subject.range::<str, _>(bounds).flat_map(|(_, indexes)| indexes.iter().copied());
        let mut found: Vec<u64> = all.filter(before).collect();
        found.sort_unstable();
        found
    }

    /// The subject, in one text for all that have it.
    fn subject(&self, subject: &str) -> Arc<str> {
        self.by_subject.get_key_value(subject).map_or_else(|| Arc::from(subject), |(known, _)| Arc::clone(known))
    }

    /// Forgets from the front what has expired. A token that lives on keeps those behind it, which is at most the longest life.
    fn forget_expired(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|oldest| oldest.expires <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> Option<Issuance> {
        let oldest = self.order.pop_front()?;
        if let Some(indexes) = self.by_subject.get_mut(&oldest.subject) {
            // The oldest of all is the oldest of its client.
            indexes.pop_front();
            if indexes.is_empty() {
                self.by_subject.remove(&oldest.subject);
            }
        }
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::at;

    fn one(client: &str) -> Clients {
        Clients::One(client.parse().expect("a client"))
    }

    fn of(partner: &str) -> Clients {
        Clients::Of(partner.parse().expect("a partner"))
    }

    /// Issues tokens of two partners in turn: the even ones are globex's.
    fn filled(most: usize, number: u64) -> IssuedLately {
        let mut lately = IssuedLately::at_most(most, 10);
        for index in 10..10 + number {
            let client = ["globex/a", "globexx/a", "globex/b", "globex-2/a"][usize::try_from(index % 4).expect("small")];
            lately.add(index, client, at(100), at(0));
        }
        lately
    }

    #[test]
    fn the_tokens_of_a_client_a_partner_and_everybody_are_found() {
        let lately = filled(MOST, 8);
        assert_eq!(lately.of(Some(&one("globex/a")), 20), [12, 16]);
        assert_eq!(lately.of(Some(&of("globex")), 20), [10, 12, 14, 16], "in the order of the log");
        assert_eq!(lately.of(Some(&of("globex")), 14), [10, 12], "before the cut alone");
        assert_eq!(lately.of(None, 17), (10..17).collect::<Vec<_>>());
        assert_eq!(lately.of(Some(&of("initech")), 20), [0; 0]);
        assert_eq!(lately.from(), 10);
    }

    #[test]
    fn a_token_is_forgotten_with_its_client_once_it_and_all_before_it_expired() {
        let mut lately = IssuedLately::new(0);
        for (index, client, expires) in [(0, "globex/a", 50), (1, "globex/b", 20), (2, "globex/a", 60), (3, "globex/c", 70)] {
            lately.add(index, client, at(expires), at(0));
        }
        lately.add(4, "globex/d", at(90), at(30));
        assert_eq!(lately.of(None, 9), [0, 1, 2, 3, 4], "the first one lives");
        lately.add(5, "globex/d", at(90), at(60));
        assert_eq!((lately.of(None, 9), lately.by_subject.len()), (vec![3, 4, 5], 2));
        assert_eq!(lately.from(), 0, "what expired is not missing");
    }

    /// The count of everything that was issued stays right because `from` tells what is left to the log.
    #[test]
    fn the_oldest_are_left_to_the_log_when_there_are_too_many() {
        let lately = filled(5, 8);
        assert_eq!((lately.from(), lately.of(None, 20)), (13, vec![13, 14, 15, 16, 17]));
        assert_eq!(lately.by_subject.values().map(VecDeque::len).sum::<usize>(), 5);
    }

    #[test]
    fn what_stood_in_the_log_before_is_added_once_and_if_there_is_room() {
        let older = |indexes: &[u64], expires: i64| -> Vec<Issuance> {
            indexes.iter().map(|index| Issuance { index: *index, expires: at(expires), subject: "globex/a".into() }).collect()
        };
        let mut lately = filled(8, 4);
        assert!(lately.add_before(10, 6, older(&[6, 9], 90), at(0)));
        assert!(lately.add_before(10, 6, older(&[6, 9], 90), at(0)), "somebody else added them");
        assert_eq!((lately.from(), lately.of(Some(&one("globex/a")), 20)), (6, vec![6, 9, 12]));
        assert!(lately.add_before(6, 3, older(&[3, 4], 0), at(0)), "what has expired takes no room");
        assert_eq!((lately.from(), lately.of(None, 20)), (3, vec![6, 9, 10, 11, 12, 13]));
        assert!(!lately.add_before(3, 0, older(&[0, 1, 2], 90), at(0)));
        assert_eq!((lately.from(), lately.of(None, 20).len()), (3, 6), "nothing was added");
        lately.begin_at(30);
        assert_eq!((lately.from(), lately.of(None, 40)), (30, vec![]));
    }
}
