//! The rows of the counts of uses, and the tags over them.
//!
//! A row is the count of one use on one day; the text of a use lies apart, under its SHA-256. Each day has a tag: an HMAC-SHA256 under a key
//! of the KEK over the day, the number of its rows and their sum, which is the HMAC of each row added modulo 2^256 (`sums` has the
//! arithmetic). The head has a tag over the tags of all days and over the place in the log up to which everything is counted. So a day is
//! proved by its own rows alone, and a write costs its rows and the list of days.
//!
//! **Portions.** Counts are written some rows at a time. Each row says up to which entry it counts, so a row that is ahead of the head
//! after a crash counts nothing twice. A day without uses has a tag too: it says that a node was there.
//!
//! Somebody who can write to the store can put back all rows and the head as they were earlier. The counts then go on from there, so they
//! are right again once the log was followed.

use std::collections::{BTreeMap, HashMap};

use aws_lc_rs::hmac;

use super::sums::{Sum, WIDTH};
use crate::domain::decision::uses::Tally;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::journal::key::kek::Kek;

/// The count of a use on a day, as a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UseRow {
    /// The day.
    pub day: Day,
    /// SHA-256 of the text of the use.
    pub key: Digest,
    /// The count.
    pub tally: Tally,
}

/// The text of a use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UseText {
    /// Its SHA-256.
    pub key: Digest,
    /// Its client; empty if no client has it.
    pub client: String,
    /// The JSON.
    pub body: String,
    /// The newest day on which it was counted.
    pub day: Day,
}

/// The end of what is counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UsesHead {
    /// Writes so far.
    pub generation: u64,
    /// Entries before this one are counted.
    pub at: u64,
    /// Nothing is missing from this time on.
    pub since: Timestamp,
    /// The tag over all days.
    pub tag: Vec<u8>,
}

/// What is stored, but for the rows.
#[derive(Clone, Debug, Default)]
pub struct StoredUses {
    /// The head; none before the first write.
    pub head: Option<UsesHead>,
    /// The tag of each day.
    pub days: Vec<(Day, Vec<u8>)>,
}

/// The counts of uses in some days: number, time of the last, text.
pub type UsesInDays = Vec<(u64, Timestamp, String)>;

/// A write.
#[derive(Debug)]
pub struct UsesChange {
    /// The head before.
    pub prior: Option<UsesHead>,
    /// The head after.
    pub after: UsesHead,
    /// Texts that may be new.
    pub texts: Vec<UseText>,
    /// Rows that come, or come in place of others.
    pub rows: Vec<UseRow>,
    /// The tags of the days that change.
    pub days: Vec<(Day, Vec<u8>)>,
    /// Everything before this day goes.
    pub forgets: Day,
}

/// The key of rows and tags, derived from the KEK.
#[derive(Clone)]
pub struct UsesKey(hmac::Key);

/// Days and head as somebody proved them.
#[derive(Clone, Debug)]
pub struct KnownUses {
    /// The head.
    pub head: Option<UsesHead>,
    /// The tag of each day.
    days: BTreeMap<Day, Vec<u8>>,
}

/// A day whose rows somebody proved.
#[derive(Clone, Default)]
pub struct KnownDay {
    /// The counts.
    pub rows: HashMap<Digest, Tally>,
    sum: Sum,
}

/// The first byte of each message.
const ROW: u8 = 0;
const DAY: u8 = 1;
const HEAD: u8 = 2;

impl UsesKey {
    /// The key under this KEK.
    pub fn of(kek: &Kek) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &*kek.derive("counts of uses")))
    }

    fn hmac(&self, message: &[u8]) -> Sum {
        let mut bytes = [0; WIDTH];
        bytes.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        Sum::read(&bytes)
    }

    /// The HMAC of a row. All parts have a fixed length.
    fn mark(&self, row: &UseRow) -> Sum {
        let UseRow { day, key, tally: Tally { count, first, last, until } } = row;
        let numbers =
            [day.0.to_be_bytes(), count.to_be_bytes(), first.as_seconds().to_be_bytes(), last.as_seconds().to_be_bytes()];
        self.hmac(&[&[ROW][..], &numbers.concat(), &until.to_be_bytes(), &key.0].concat())
    }

    fn of_day(&self, day: Day, known: &KnownDay) -> Vec<u8> {
        let count = u64::try_from(known.rows.len()).unwrap_or(u64::MAX);
        let message = [&[DAY][..], &day.0.to_be_bytes(), &count.to_be_bytes(), &known.sum.bytes()].concat();
        self.hmac(&message).bytes().to_vec()
    }

    fn of_head(&self, (generation, at, since): (u64, u64, Timestamp), days: &BTreeMap<Day, Vec<u8>>) -> Vec<u8> {
        let mut message =
            [&[HEAD][..], &generation.to_be_bytes(), &at.to_be_bytes(), &since.as_seconds().to_be_bytes()].concat();
        for (day, tag) in days {
            message.extend_from_slice(&day.0.to_be_bytes());
            message.extend_from_slice(tag);
        }
        self.hmac(&message).bytes().to_vec()
    }
}

impl KnownUses {
    /// Proves head and days. None: somebody without the KEK made them what they are.
    pub fn proved(key: &UsesKey, stored: StoredUses) -> Option<Self> {
        let StoredUses { head, days } = stored;
        if days.iter().any(|(_, tag)| tag.len() != WIDTH) {
            return None;
        }
        let days: BTreeMap<_, _> = days.into_iter().collect();
        let Some(stored) = &head else { return days.is_empty().then_some(Self { head, days }) };
        let wanted = key.of_head((stored.generation, stored.at, stored.since), &days);
        let kept: &[u8; WIDTH] = stored.tag.as_slice().try_into().ok()?;
        let wanted: &[u8; WIDTH] = wanted.as_slice().try_into().ok()?;
        Sum::read(wanted).is(Sum::read(kept)).then_some(Self { head, days })
    }

    /// Proves the rows of a day. None: somebody without the KEK made them what they are.
    pub fn prove(&self, key: &UsesKey, day: Day, rows: impl IntoIterator<Item = (Digest, Tally)>) -> Option<KnownDay> {
        let mut known = KnownDay::default();
        for (use_, tally) in rows {
            known.sum = known.sum.plus(key.mark(&UseRow { day, key: use_, tally }));
            known.rows.insert(use_, tally);
        }
        let Some(tag) = self.days.get(&day) else { return known.rows.is_empty().then_some(known) };
        (key.of_day(day, &known) == *tag).then_some(known)
    }

    /// The days on which a node was there, from `from` on.
    pub fn days(&self, from: Day) -> impl DoubleEndedIterator<Item = Day> {
        self.days.range(from..).map(|(day, _)| *day)
    }

    /// Takes rows of one day in, and says what to write. `known` is the day as it was proved.
    pub fn next(&mut self, key: &UsesKey, (day, known): (Day, &mut KnownDay), portion: Portion) -> UsesChange {
        for row in &portion.rows {
            known.sum = known.sum.plus(key.mark(row));
            if let Some(before) = known.rows.insert(row.key, row.tally) {
                known.sum = known.sum.minus(key.mark(&UseRow { tally: before, ..*row }));
            }
        }
        let tag = key.of_day(day, known);
        self.days.insert(day, tag.clone());
        self.days.retain(|day, _| *day >= portion.forgets);
        let generation = self.head.as_ref().map_or(0, |head| head.generation) + 1;
        let Portion { at, since, texts, rows, forgets } = portion;
        let after = UsesHead { generation, at, since, tag: key.of_head((generation, at, since), &self.days) };
        let prior = self.head.replace(after.clone());
        let days = if day >= forgets { vec![(day, tag)] } else { Vec::new() };
        UsesChange { prior, after, texts, rows, days, forgets }
    }
}

/// A part of a write: rows of one day.
#[derive(Debug)]
pub struct Portion {
    /// Entries before this one are counted with it.
    pub at: u64,
    /// Nothing is missing from this time on.
    pub since: Timestamp,
    /// Texts that may be new.
    pub texts: Vec<UseText>,
    /// The rows.
    pub rows: Vec<UseRow>,
    /// Everything before this day goes.
    pub forgets: Day,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> UsesKey {
        UsesKey::of(&Kek::from_bytes([7; 32]))
    }

    fn tally(count: u64) -> Tally {
        let at = Timestamp::from_seconds(100).expect("a time");
        Tally { count, first: at, last: at, until: 9 }
    }

    fn portion(at: u64, rows: &[(u8, u64)]) -> Portion {
        let row = |(name, count): &(u8, u64)| UseRow { day: Day(5), key: Digest([*name; 32]), tally: tally(*count) };
        let since = Timestamp::default();
        Portion { at, since, texts: Vec::new(), rows: rows.iter().map(row).collect(), forgets: Day(0) }
    }

    #[test]
    fn days_and_rows_fit_their_head_and_key_alone() {
        let mut known = KnownUses::proved(&key(), StoredUses::default()).expect("the beginning");
        let mut day = KnownDay::default();
        let one = known.next(&key(), (Day(5), &mut day), portion(3, &[(1, 10), (2, 20)]));
        let two = known.next(&key(), (Day(5), &mut day), portion(4, &[(2, 21), (3, 1)]));
        assert_eq!((one.prior.as_ref(), two.prior.as_ref()), (None, Some(&one.after)));
        let stored = || StoredUses { head: Some(two.after.clone()), days: two.days.clone() };
        let proved = KnownUses::proved(&key(), stored()).expect("ours");
        let rows = |all: &[(u8, u64)]| all.iter().map(|(name, count)| (Digest([*name; 32]), tally(*count))).collect::<Vec<_>>();
        assert!(proved.prove(&key(), Day(5), rows(&[(1, 10), (2, 21), (3, 1)])).is_some());
        for other in [&[(1, 10), (2, 20), (3, 1)][..], &[(1, 10), (2, 21)], &[(1, 10), (2, 21), (3, 1), (4, 1)], &[]] {
            assert!(proved.prove(&key(), Day(5), rows(other)).is_none(), "{other:?}");
        }
        assert!(proved.prove(&key(), Day(6), rows(&[(1, 1)])).is_none(), "a day without a tag has no rows");
        assert!(proved.prove(&key(), Day(6), rows(&[])).is_some());
        let other = |change: &dyn Fn(&mut StoredUses)| {
            let mut bent = stored();
            change(&mut bent);
            KnownUses::proved(&key(), bent).is_none()
        };
        assert!(other(&|bent| bent.days.clear()), "a day was taken away");
        assert!(other(&|bent| bent.days[0].1[0] ^= 1), "a tag of a day");
        assert!(other(&|bent| bent.head = None), "the head was taken away");
        assert!(other(&|bent| bent.head.as_mut().expect("a head").at += 1), "another place in the log");
        assert!(other(&|bent| bent.head.as_mut().expect("a head").generation += 1), "another generation");
        assert!(other(&|bent| bent.head.as_mut().expect("a head").since = Timestamp::MAX), "another beginning");
        assert!(KnownUses::proved(&UsesKey::of(&Kek::from_bytes([8; 32])), stored()).is_none(), "another key");
    }
}
