//! Spent proofs: the latest in memory and in `consumed_lately`, all others in `consumed` by key.
//!
//! The key of a proof is a hash. One that goes into a table by its key lands on a page of its own, and a batch of sixty tokens would
//! write sixty pages for nothing but that. So a batch writes its proofs as one row, which lies beside the row before it, and they are
//! looked up in memory. When there are more than [`MOST`] in memory, the next [`STEP`] in the order of their keys move to `consumed` with
//! the commit of a batch: they are neighbours there as well, and share pages. At the last key a round ends: what was there when it
//! began has moved, so its rows go, and the next round begins with the same commit.
//!
//! Memory is a copy of the rows, and the progress of a round is on record as well: a restart goes on with it, so rows are deleted however
//! often a node starts. A node reads the rows again when it opens the journal, and when it holds the lock and finds that the log does not
//! end where its copy was taken; so a proof is spent once, whichever node writes.
//!
//! Deliberately not here: SQL (`side`, `writer`).

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::store::batch::Spent;
use crate::journal::store::head::Head;

/// Proofs in memory before any move: some 3 MB.
///
/// They are the tokens of five seconds on one busy core. A round lasts as long as twice as many take to come (a proof before its last key
/// moves in it), so the rows are those of less than five times as many.
pub const MOST: usize = 32_768;

/// Proofs that move at a time, and at the most with one commit. Steps of 512 were no faster.
pub const STEP: usize = 128;
pub const FARTHEST: usize = 8 * STEP;

/// Bytes of a proof in a row: its key, and the second until which it is remembered.
const WIDTH: usize = 40;

/// The proofs that were spent lately.
#[derive(Clone, Debug, Default)]
pub struct Lately {
    proofs: BTreeMap<ProofKey, Timestamp>,
    /// The last key that moved in this round.
    moved: Option<ProofKey>,
    /// Rows of batches before this entry are those that were there when the round began.
    round: u64,
}

/// The move with the next commit.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// The proofs for `consumed`, in the order of their keys, without expired ones.
    ///
    /// When a round ends, they are of two rounds.
    pub home: Vec<Spent>,
    /// The rows of batches before this entry go.
    pub forgets: Option<u64>,
    /// The last key that moves in the round that then goes on; nothing where none moves.
    pub moved: Option<ProofKey>,
    keys: Vec<ProofKey>,
}

impl Lately {
    /// The proofs of rows, and the progress of the round. None if a row is not a list of proofs.
    ///
    /// They are at least those that were in memory, since rows are deleted at the end of a round.
    pub fn read<'r>(rows: impl IntoIterator<Item = &'r [u8]>, (moved, round): (Option<ProofKey>, u64)) -> Option<Self> {
        let mut proofs = BTreeMap::new();
        for row in rows {
            proofs.extend(read(row)?);
        }
        Some(Self { proofs, moved, round })
    }

    /// Whether it is among them. One that is not may still be in `consumed`.
    pub fn holds(&self, proof: &ProofKey) -> bool {
        self.proofs.contains_key(proof)
    }

    /// The last key that moved in this round, and the first entry after its beginning.
    pub fn round(&self) -> (Option<ProofKey>, u64) {
        (self.moved, self.round)
    }

    /// How many move with a batch that spends `coming` more.
    pub fn moving(&self, coming: usize) -> usize {
        let over = (self.proofs.len() + coming).saturating_sub(MOST);
        over.min(FARTHEST) / STEP * STEP
    }

    /// The move with a batch that spends `coming` more at `now`.
    pub fn step(&self, coming: usize, now: Timestamp) -> Step {
        let most = self.moving(coming);
        let after = self.moved.map_or(Bound::Unbounded, Bound::Excluded);
        let mut moving: Vec<Spent> = self.proofs.range((after, Bound::Unbounded)).take(most).map(spent).collect();
        let mut moved = moving.last().map(|(key, _)| *key);
        let rest = most - moving.len();
        if let (1.., Some(end)) = (rest, self.moved) {
            let next = moving.len();
            moving.extend(self.proofs.range(..=end).take(rest).map(spent));
            moved = moving[next..].last().map(|(key, _)| *key);
        }
        let forgets = (rest > 0).then_some(self.round);
        let keys = moving.iter().map(|(key, _)| *key).collect();
        moving.retain(|(_, until)| *until >= now);
        Step { home: moving, forgets, keys, moved }
    }

    /// Takes in what the commit of a batch did whose first entry is `first`.
    pub fn take(&mut self, step: &Step, spent: &[Spent], first: u64) {
        for key in &step.keys {
            self.proofs.remove(key);
        }
        if step.forgets.is_some() {
            // A proof of this batch may lie behind the key at which the round is already, so its row belongs to the next.
            self.round = first;
        }
        self.moved = step.moved.or(self.moved);
        self.proofs.extend(spent.iter().copied());
    }
}

fn spent((key, until): (&ProofKey, &Timestamp)) -> Spent {
    (*key, *until)
}

/// The row of a batch; nothing for one that spent nothing.
pub fn row(spent: &[Spent]) -> Option<Vec<u8>> {
    let one = |(proof, until): &Spent| [&proof.0.0[..], &until.as_seconds().to_be_bytes()].concat();
    (!spent.is_empty()).then(|| spent.iter().flat_map(one).collect())
}

/// The proofs of a row.
pub fn read(row: &[u8]) -> Option<Vec<Spent>> {
    let proof = |bytes: &[u8]| {
        let (key, until) = bytes.split_at_checked(WIDTH - 8)?;
        let until = Timestamp::from_seconds(i64::from_be_bytes(until.try_into().ok()?))?;
        Some((ProofKey(Digest(key.try_into().ok()?)), until))
    };
    row.chunks(WIDTH).map(proof).collect()
}

/// The copy that the writer keeps and the read side looks into, with the head at which it is right.
#[derive(Clone, Default)]
pub struct Memory(Arc<RwLock<Option<(Head, Lately)>>>);

impl Memory {
    /// Looks into it, if there is one.
    pub fn look<T>(&self, look: impl FnOnce(&Head, &Lately) -> T) -> Option<T> {
        // Nothing panics while it holds the lock, so a poisoned one has nothing half done behind it.
        self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(head, lately)| look(head, lately))
    }

    /// It is right at `head` now.
    pub fn put(&self, head: Head, lately: Lately) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((head, lately));
    }

    /// Takes in what a commit did that ended at `after`.
    pub fn take(&self, step: &Step, spent: &[Spent], after: Head) {
        if let Some((head, lately)) = self.0.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            lately.take(step, spent, head.size);
            *head = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn proof(number: u64) -> ProofKey {
        ProofKey(Digest::of(&number.to_be_bytes()))
    }

    /// Before any other, and the later the further.
    fn behind(number: u64) -> ProofKey {
        let mut key = [0; 32];
        key[8..16].copy_from_slice(&(u64::MAX - number).to_be_bytes());
        ProofKey(Digest(key))
    }

    /// After any other.
    fn ahead_of_all(number: u64) -> ProofKey {
        let mut key = [0xff; 32];
        key[24..].copy_from_slice(&number.to_be_bytes());
        ProofKey(Digest(key))
    }

    fn second(number: i64) -> Timestamp {
        Timestamp::from_seconds(number).expect("a time")
    }

    /// The tables, as `store` keeps them.
    #[derive(Default)]
    struct Tables {
        consumed: BTreeSet<ProofKey>,
        rows: Vec<(u64, Vec<u8>)>,
        round: (Option<ProofKey>, u64),
        size: u64,
    }

    impl Tables {
        fn commit(&mut self, lately: &mut Lately, spent: &[Spent], now: Timestamp) {
            let step = lately.step(spent.len(), now);
            self.consumed.extend(step.home.iter().map(|(key, _)| *key));
            if let Some(before) = step.forgets {
                self.rows.retain(|(first, _)| *first >= before);
                self.round.1 = self.size;
            }
            self.round.0 = step.moved.or(self.round.0);
            lately.take(&step, spent, self.size);
            self.rows.extend(row(spent).map(|row| (self.size, row)));
            self.size += spent.len().max(1) as u64;
        }

        fn read(&self) -> Lately {
            Lately::read(self.rows.iter().map(|(_, row)| &row[..]), self.round).expect("rows of ours")
        }
    }

    #[test]
    fn a_row_reads_back_and_nothing_else_does() {
        let spent: Vec<Spent> = (0..3).map(|number| (proof(number), second(1_700_000_000 + number as i64))).collect();
        let bytes = row(&spent).expect("a row");
        assert_eq!((bytes.len(), read(&bytes)), (120, Some(spent)));
        assert_eq!(row(&[]), None);
        for bad in [&bytes[..119], &bytes[..32], &bytes[..7], &[0xff; 40]] {
            assert_eq!(read(bad), None);
        }
    }

    /// Past the most that memory holds, what moves are neighbours, and rows of moved proofs go.
    #[test]
    fn memory_and_rows_are_bounded_and_neighbours_move_together() {
        bounded(false, usize::MAX);
    }

    #[test]
    fn what_is_spent_behind_a_round_is_in_the_rows_of_the_next() {
        bounded(true, usize::MAX);
    }

    /// Rounds go on after any number of restarts.
    #[test]
    fn rounds_go_on_where_they_were() {
        for often in [MOST / 3, MOST - 32, 3 * MOST] {
            bounded(false, often);
        }
    }

    fn bounded(short: bool, reads: usize) {
        const ALL: usize = 10 * MOST;
        let (mut tables, mut lately, until) = (Tables::default(), Lately::default(), second(2_000_000_000));
        let mut all: Vec<ProofKey> = Vec::new();
        while all.len() < ALL {
            let Step { home, forgets, .. } = lately.step(32, second(1));
            let ends = forgets.is_some();
            let runs: Vec<_> = home.chunk_by(|(one, _), (other, _)| one < other).collect();
            assert!(runs.len() <= 1 + usize::from(ends), "only where a round ends another one begins");
            for run in runs {
                if let [(first, _), .., (last, _)] = *run {
                    assert_eq!(lately.proofs.range(first..=last).count(), run.len(), "all that lie between move too");
                }
            }
            // A proof that comes where a round ends lies behind the key at which the next one is already; and in every second test a round ends
            // with one key short, so that the next one takes no more than that.
            let missing = lately.moved.filter(|_| short).map_or(0, |moved| {
                let ahead = lately.proofs.range((Bound::Excluded(moved), Bound::Unbounded)).take(STEP).count();
                (STEP - 1).saturating_sub(ahead)
            });
            let next = |number: usize| match (all.len() + number) as u64 {
                number if ends => behind(number),
                other if number < missing => ahead_of_all(other),
                other => proof(other),
            };
            let spent: Vec<Spent> = (0..32).map(|number| (next(number), until)).collect();
            all.extend(spent.iter().map(|(key, _)| *key));
            tables.commit(&mut lately, &spent, second(1));
            assert!(tables.rows.len() <= 5 * MOST / 32, "{}", tables.rows.len());
            if all.len().is_multiple_of((reads / 32).saturating_mul(32)) {
                let read = tables.read();
                assert!(all.iter().all(|key| read.holds(key) || tables.consumed.contains(key)), "of {}", all.len());
                lately = read;
            }
            if ends {
                let read = tables.read();
                assert!(all.iter().all(|key| read.holds(key) || tables.consumed.contains(key)), "of {}", all.len());
            }
            let most = if reads == usize::MAX { MOST + STEP } else { 5 * MOST };
            assert!(lately.proofs.len() < most, "{}", lately.proofs.len());
        }
        if reads == usize::MAX {
            assert!(tables.rows.len() <= 4 * MOST / 32, "{}", tables.rows.len());
            assert!(tables.consumed.len() >= ALL - (MOST + STEP));
        }
        for lately in [&lately, &tables.read()] {
            assert!(all.iter().all(|key| lately.holds(key) || tables.consumed.contains(key)));
        }
    }

    #[test]
    fn a_round_that_begins_does_not_hold_the_batch_that_it_begins_with() {
        let at = |size| Head { size, ..Head::empty() };
        let memory = Memory::default();
        memory.put(at(10), Lately::default());
        let step = Step { forgets: Some(0), ..Step::default() };
        memory.take(&step, &[(proof(1), second(1))], at(20));
        assert_eq!(memory.look(|head, lately| (head.size, lately.round)), Some((20, 10)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// No proof is forgotten before it expires, and none is there that was not spent.
        #[test]
        fn no_spent_proof_is_forgotten(batches in proptest::collection::vec((1_u64..900, 0_u32..12), 40..120)) {
            let (mut tables, mut lately) = (Tables::default(), Lately::default());
            let mut all: Vec<Spent> = Vec::new();
            for (count, dice) in batches {
                let now = second(1_000 + all.len() as i64);
                let spent: Vec<Spent> = (0..count).map(|number| {
                    let number = all.len() as u64 + number;
                    (proof(number), now.plus(crate::domain::value::clock::Seconds((number % 90_000) as u32)))
                }).collect();
                tables.commit(&mut lately, &spent, now);
                all.extend(spent);
                if dice == 0 {
                    lately = tables.read();
                }
            }
            let now = second(1_000 + all.len() as i64);
            let read = tables.read();
            for (key, until) in &all {
                let found = |lately: &Lately| lately.holds(key) || tables.consumed.contains(key);
                prop_assert!(*until < now || (found(&lately) && found(&read)));
            }
            prop_assert!(!lately.holds(&proof(all.len() as u64)));
            prop_assert_eq!(tables.consumed.len() + lately.proofs.len() <= all.len() + 2 * MOST, true);
        }
    }
}
