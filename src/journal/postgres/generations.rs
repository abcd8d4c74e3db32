//! The two generations of spent proofs.
//!
//! A batch spends into the young table, and a proof in either of them is spent. Once the old one is empty, and the young one is not, they
//! change places; so a generation lasts as long as its longest proof is remembered. When the time of the last proof of the old one is over,
//! it is truncated between two batches, and costs no exchange a row. Which table is young, and until when each is remembered, stands in the
//! row of the head, and its sums cover that.

use crate::domain::value::clock::Timestamp;
use crate::journal::store::batch::Spent;
use crate::journal::store::sums::{SideRow, Table};

/// Which table is young, and until when the longest of each is remembered; none while it is empty.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Generations {
    pub young: i16,
    pub until: [Option<i64>; 2],
}

/// The tables, by generation.
pub const TABLES: [&str; 2] = ["spent_0", "spent_1"];

impl Generations {
    fn is_first(self) -> bool {
        self.young == 0
    }

    /// The old one.
    fn old_at(self) -> usize {
        usize::from(self.is_first())
    }

    /// The young one.
    fn young_at(self) -> usize {
        usize::from(!self.is_first())
    }

    /// They change places, if there is a reason.
    pub fn turned(self) -> Self {
        let turns = self.until[self.old_at()].is_none() && self.until[self.young_at()].is_some();
        if turns { Self { young: if self.is_first() { 1 } else { 0 }, ..self } } else { self }
    }

    /// After these proofs were spent.
    pub fn spending(mut self, spent: &[Spent]) -> Self {
        let until = spent.iter().map(|(_, until)| until.as_seconds()).max();
        let young = self.young_at();
        self.until[young] = self.until[young].max(until);
        self
    }

    /// The old one, if the time of all its proofs was over at `now`.
    pub fn expired(self, now: Timestamp) -> Option<usize> {
        self.until[self.old_at()].is_some_and(|until| until < now.as_seconds()).then(|| self.old_at())
    }

    /// After the old one was truncated.
    pub fn emptied(mut self) -> Self {
        let old = self.old_at();
        self.until[old] = None;
        self
    }

    /// What the sums cover, with [`Self::row`].
    pub fn bytes(self) -> Vec<u8> {
        self.until.iter().flat_map(|until| until.unwrap_or(i64::MIN).to_be_bytes()).collect()
    }

    /// As a row of the table that has the progress of forgetting.
    pub fn row<'r>(&self, bytes: &'r [u8]) -> SideRow<'r> {
        SideRow::Round { moved: Some(bytes), first: i64::from(self.young) }
    }

    /// A proof that is spent now, as a row of its table.
    pub fn spent<'r>(&self, proof: &'r [u8], gone_after: i64) -> SideRow<'r> {
        spent_in(self.young_at(), proof, gone_after)
    }
}

/// A row of a generation. The sums have a place for each of two tables of spent proofs.
pub fn spent_in(generation: usize, proof: &[u8], gone_after: i64) -> SideRow<'_> {
    if generation == 0 { SideRow::Consumed { proof, gone_after } } else { SideRow::Lately { first: gone_after, proofs: proof } }
}

/// The place of a generation in the sums.
pub fn table(generation: usize) -> Table {
    if generation == 0 { Table::Consumed } else { Table::Lately }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::digest::Digest;
    use crate::domain::value::proof_key::ProofKey;

    fn second(number: i64) -> Timestamp {
        Timestamp::from_seconds(number).expect("a time")
    }

    fn spent(until: i64) -> Vec<Spent> {
        vec![(ProofKey(Digest([1; 32])), second(until))]
    }

    #[test]
    fn a_generation_goes_when_the_time_of_its_last_proof_is_over() {
        let none = Generations::default();
        assert_eq!(none.turned(), none, "nothing was spent");
        let first = none.spending(&spent(10)).spending(&spent(5)).turned();
        assert_eq!((first.young, first.until), (1, [Some(10), None]));
        let both = first.spending(&spent(30));
        assert_eq!(both.turned(), both, "the old one is remembered");
        assert_eq!([both.expired(second(10)), both.expired(second(11))], [None, Some(0)]);
        let next = both.emptied();
        assert_eq!((next.young, next.until), (1, [None, Some(30)]));
        let turned = next.turned();
        assert_eq!((turned.young, turned.expired(second(30)), turned.expired(second(31))), (0, None, Some(1)));
        assert_eq!(none.turned().emptied(), none);
    }
}
