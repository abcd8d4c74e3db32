//! Refusals on their way into the journal, bounded in memory and on disk.
//!
//! A known caller's refusal is an entry of its own, up to [`QUOTA`] a minute, of them one for an empty bucket; what is over it, and every stranger's, is counted
//! by minute and reason. A refusal that cannot be kept as an entry is counted; none is lost silently while the process lives.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::domain::reason::Class;
use crate::domain::reason::decision::Refused;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ClientId, EnvironmentName, RequestId};

/// Refusals with an entry of their own, by caller and minute.
pub const QUOTA: u32 = 60;

/// Refusals that wait to be written.
const WAITING: usize = 1024;

/// A refusal to be put on record.
#[derive(Clone, Debug)]
pub struct RefusalNote {
    /// The environment.
    pub environment: EnvironmentName,
    /// The request.
    pub request: RequestId,
    /// The refusal.
    pub refused: Refused,
}

/// A refusal of a known caller that gets its entry.
pub struct Known {
    pub client: ClientId,
    pub note: RefusalNote,
}

/// Counts by subject and reason.
pub type Counts = BTreeMap<String, BTreeMap<String, u64>>;

/// The refusals of a caller in this minute.
#[derive(Default)]
struct Used {
    entries: u32,
    /// Whether one of them is for an exceeded quota. Further ones of that caller say nothing new.
    is_told_over: bool,
}

/// The refusals that wait.
#[derive(Default)]
pub struct Refusals {
    minute: i64,
    used: HashMap<ClientId, Used>,
    waiting: VecDeque<Known>,
    counting: Counts,
    /// Counts of minutes that are over.
    closed: Counts,
}

impl Refusals {
    /// Takes a refusal in. Returns whether it waits for an entry of its own.
    pub fn take(&mut self, note: RefusalNote, now: Timestamp) -> bool {
        self.turn(now);
        let Some(client) = note.refused.known.clone() else {
            count(&mut self.counting, note.environment.as_str(), note.refused.reason.code, 1);
            return false;
        };
        let used = self.used.entry(client.clone()).or_default();
        let is_over = note.refused.reason.class == Class::Quota;
        if used.entries >= QUOTA || (is_over && used.is_told_over) || self.waiting.len() >= WAITING {
            count(&mut self.counting, &client.to_string(), note.refused.reason.code, 1);
            return false;
        }
        used.entries += 1;
        used.is_told_over |= is_over;
        self.waiting.push_back(Known { client, note: RefusalNote { refused: note.refused.bounded(), ..note } });
        true
    }

    /// The refusals to write now: at most `room`, and the counts of past minutes.
    ///
    /// With `everything` all counts are due.
    pub fn due(&mut self, now: Timestamp, room: usize, everything: bool) -> (Vec<Known>, Counts) {
        self.turn(now);
        if everything {
            self.close();
        }
        let known = self.waiting.drain(..room.min(self.waiting.len())).collect();
        (known, std::mem::take(&mut self.closed))
    }

    /// Takes back what could not be written.
    pub fn put_back(&mut self, known: Vec<Known>, counts: Counts) {
        for known in known.into_iter().rev() {
            self.waiting.push_front(known);
        }
        while self.waiting.len() > WAITING {
            let Some(dropped) = self.waiting.pop_back() else { break };
            count(&mut self.closed, &dropped.client.to_string(), dropped.note.refused.reason.code, 1);
        }
        merge(&mut self.closed, counts);
    }

    fn turn(&mut self, now: Timestamp) {
        let minute = now.as_seconds() / 60;
        if minute != self.minute {
            self.minute = minute;
            self.used.clear();
            self.close();
        }
    }

    fn close(&mut self) {
        let counting = std::mem::take(&mut self.counting);
        merge(&mut self.closed, counting);
    }
}

fn merge(into: &mut Counts, from: Counts) {
    for (subject, reasons) in from {
        for (reason, times) in reasons {
            count(into, &subject, &reason, times);
        }
    }
}

fn count(counts: &mut Counts, subject: &str, reason: &str, times: u64) {
    *counts.entry(subject.to_owned()).or_default().entry(reason.to_owned()).or_default() += times;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).expect("time")
    }

    fn note(known: Option<&str>) -> RefusalNote {
        let known = known.map(|client| client.parse().expect("client"));
        RefusalNote {
            environment: "production".parse().expect("name"),
            request: "r1".parse().expect("id"),
            refused: Refused { known, ..Refused::unknown(&reason::ASSERTION_EXPIRED) },
        }
    }

    #[test]
    fn known_callers_have_a_quota_and_strangers_are_counted_by_the_minute() {
        let mut refusals = Refusals::default();
        for _ in 0..100 {
            refusals.take(note(Some("globex/order-sync")), at(60));
            refusals.take(note(None), at(61));
        }
        refusals.take(note(Some("initech/tps")), at(119));
        let (known, counts) = refusals.due(at(119), 1000, false);
        assert_eq!(known.len(), 61);
        assert!(counts.is_empty(), "the minute is not over");
        let (known, counts) = refusals.due(at(120), 1000, false);
        assert!(known.is_empty());
        assert_eq!(counts["production"]["assertion.expired"], 100);
        assert_eq!(counts["globex/order-sync"]["assertion.expired"], 40);
        assert!(refusals.take(note(Some("globex/order-sync")), at(120)), "a new minute, a new quota");
    }

    /// S-9: a caller over its quota leaves one entry a minute, and room for what else it is refused for.
    #[test]
    fn s_09_an_empty_bucket_is_one_entry_a_minute() {
        let mut refusals = Refusals::default();
        let over = || {
            let known = note(Some("globex/order-sync"));
            RefusalNote { refused: Refused { reason: &reason::QUOTA_EXCEEDED, ..known.refused }, ..known }
        };
        for _ in 0..1500 {
            refusals.take(over(), at(60));
        }
        assert!(refusals.take(note(Some("globex/order-sync")), at(60)));
        let (known, _) = refusals.due(at(60), 5000, false);
        assert_eq!(known.len(), 2);
        assert!(refusals.take(over(), at(120)), "a new minute");
        let (_, counts) = refusals.due(at(120), 5000, false);
        assert_eq!(counts["globex/order-sync"]["quota.exceeded"], 1499);
    }

    #[test]
    fn what_waits_is_bounded_and_nothing_is_lost() {
        let mut refusals = Refusals::default();
        for n in 0..2000 {
            refusals.take(note(Some(&format!("p{n}/x"))), at(60));
        }
        let (known, counts) = refusals.due(at(60), 10, false);
        assert_eq!((known.len(), counts.len()), (10, 0));
        refusals.put_back(known, counts);
        let (known, counts) = refusals.due(at(60), 5000, true);
        assert_eq!((known.len(), counts.len()), (WAITING, 2000 - WAITING));
    }
}
