//! Keyed sums over the side tables: spent proofs, last uses, and the progress of moving proofs.
//!
//! An entry has the MAC of its batch. A row beside the entries comes and goes, so its table has a sum instead: of each row an
//! HMAC-SHA256 under a key of the KEK, added modulo 2^256. To add or to delete a row costs one HMAC, whatever the table holds, and the
//! order of the rows does not matter.
//!
//! The head keeps a tag, which is an HMAC over the log's size, its root and the sums, and each sum with one more HMAC added, over the tag: a
//! synthetic IV (RFC 5297 has the construction, with other primitives). An attacker without the KEK cannot make such a row, nor put that of
//! an earlier head under a later one. The sums are masked as well: an attacker who knew a sum before and after a row would know the HMAC of
//! that row, and could take both away. A start can be made to write sums of other rows under one head (`open`), so the mask follows the sums as well.
//!
//! Deliberately not here: SQL, and when a sum is checked (`beside`).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use super::head::Head;
use crate::journal::key::kek::Kek;

/// A table that has a sum.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Table {
    Consumed,
    Lately,
    LastUse,
    Round,
}

/// A row of one of them, with what its columns hold, whatever that is.
#[derive(Clone, Copy, Debug)]
pub enum SideRow<'r> {
    Consumed { proof: &'r [u8], gone_after: i64 },
    Lately { first: i64, proofs: &'r [u8] },
    LastUse { subject: &'r str, index: i64, time: i64 },
    Round { moved: Option<&'r [u8]>, first: i64 },
}

/// The key of the sums, derived from the KEK.
#[derive(Clone)]
pub struct SumKey(hmac::Key);

/// A number modulo 2^256, its lowest part first. Not shown: it tells of rows.
#[derive(Clone, Copy, Default)]
pub struct Sum([u64; 4]);

/// The sum of each table.
#[derive(Clone, Copy, Default)]
pub struct Sums([Sum; Table::ALL.len()]);

/// Bytes of a sum.
pub(super) const WIDTH: usize = 32;

/// The first byte of the HMAC of a tag and of a mask; that of a row is its table's number.
const TAG: u8 = 0xfe;
const MASK: u8 = 0xff;

impl Table {
    pub const ALL: [Self; 4] = [Self::Consumed, Self::Lately, Self::LastUse, Self::Round];

    /// The tables that a node reads again when another one wrote. It keeps only the sum of `consumed`.
    pub const READ_AGAIN: [Self; 3] = [Self::Lately, Self::LastUse, Self::Round];

    /// As SQL names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consumed => "consumed",
            Self::Lately => "consumed_lately",
            Self::LastUse => "last_use",
            Self::Round => "round",
        }
    }

    /// Its place in the row of the head, and what begins the HMAC of its rows. Both are for ever.
    fn number(self) -> u8 {
        match self {
            Self::Consumed => 0,
            Self::Lately => 1,
            Self::LastUse => 2,
            Self::Round => 3,
        }
    }
}

impl SideRow<'_> {
    fn table(&self) -> Table {
        match self {
            Self::Consumed { .. } => Table::Consumed,
            Self::Lately { .. } => Table::Lately,
            Self::LastUse { .. } => Table::LastUse,
            Self::Round { .. } => Table::Round,
        }
    }

    /// The bytes of a row: numbers first, and at most one column of variable length last.
    ///
    /// No two rows have the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let number = [self.table().number()];
        match self {
            Self::Consumed { proof, gone_after } => [&number[..], &gone_after.to_be_bytes(), proof].concat(),
            Self::Lately { first, proofs } => [&number[..], &first.to_be_bytes(), proofs].concat(),
            Self::LastUse { subject, index, time } => {
                [&number[..], &index.to_be_bytes(), &time.to_be_bytes(), subject.as_bytes()].concat()
            }
            Self::Round { moved, first } => {
                let is_there = [u8::from(moved.is_some())];
                [&number[..], &first.to_be_bytes(), &is_there, moved.unwrap_or_default()].concat()
            }
        }
    }
}

impl SumKey {
    /// The key under this KEK.
    pub fn of(kek: &Kek) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &*kek.derive("journal tables beside the entries")))
    }

    fn hmac(&self, message: &[u8]) -> Sum {
        let mut bytes = [0; WIDTH];
        bytes.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        Sum::read(&bytes)
    }

    fn tag(&self, sums: &Sums, head: &Head) -> Sum {
        let mut message = [&[TAG][..], &head.size.to_be_bytes(), &head.root.0].concat();
        sums.0.iter().for_each(|sum| message.extend_from_slice(&sum.bytes()));
        self.hmac(&message)
    }

    fn mask(&self, table: Table, tag: Sum) -> Sum {
        self.hmac(&[&[MASK, table.number()][..], &tag.bytes()].concat())
    }

    /// The sums as the row of this head keeps them.
    pub fn seal(&self, sums: &Sums, head: &Head) -> Vec<u8> {
        let tag = self.tag(sums, head);
        let masked = Table::ALL.into_iter().map(|table| sums.of(table).plus(self.mask(table, tag)));
        [tag].into_iter().chain(masked).flat_map(Sum::bytes).collect()
    }

    /// The sums that the row of this head keeps; nothing where no node of ours wrote them for it.
    pub fn open(&self, kept: &[u8], head: &Head) -> Option<Sums> {
        let (tag, masked) = kept.split_first_chunk::<WIDTH>()?;
        if masked.len() != WIDTH * Table::ALL.len() {
            return None;
        }
        let (tag, mut sums) = (Sum::read(tag), Sums::default());
        for (table, bytes) in Table::ALL.into_iter().zip(masked.chunks_exact(WIDTH)) {
            *sums.at(table) = Sum::read(bytes.try_into().ok()?).minus(self.mask(table, tag));
        }
        self.tag(&sums, head).is(tag).then_some(sums)
    }
}

impl Sum {
    pub(super) fn read(bytes: &[u8; WIDTH]) -> Self {
        let mut parts = [0; 4];
        for (part, bytes) in parts.iter_mut().zip(bytes.chunks_exact(8)) {
            *part = bytes.iter().rev().fold(0, |part, byte| part << 8 | u64::from(*byte));
        }
        Self(parts)
    }

    pub(super) fn bytes(self) -> [u8; WIDTH] {
        let mut bytes = [0; WIDTH];
        for (bytes, part) in bytes.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&part.to_le_bytes());
        }
        bytes
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (mut parts, mut carry) = ([0; 4], false);
        for (part, (one, other)) in parts.iter_mut().zip(self.0.into_iter().zip(other.0)) {
            let (sum, over) = one.overflowing_add(other);
            let (sum, again) = sum.overflowing_add(u64::from(carry));
            (*part, carry) = (sum, over || again);
        }
        Self(parts)
    }

    pub(super) fn minus(self, other: Self) -> Self {
        // Two's complement: the complement of each part, and one.
        self.plus(Self(other.0.map(|part| !part))).plus(Self([1, 0, 0, 0]))
    }

    /// In constant time.
    pub fn is(self, other: Self) -> bool {
        verify_slices_are_equal(&self.bytes(), &other.bytes()).is_ok()
    }
}

impl Sums {
    pub fn of(&self, table: Table) -> Sum {
        self.0[usize::from(table.number())]
    }

    pub fn at(&mut self, table: Table) -> &mut Sum {
        &mut self.0[usize::from(table.number())]
    }

    /// A row came.
    pub fn add(&mut self, key: &SumKey, row: SideRow<'_>) {
        let sum = self.at(row.table());
        *sum = sum.plus(key.hmac(&row.bytes()));
    }

    /// A row went.
    pub fn subtract(&mut self, key: &SumKey, row: SideRow<'_>) {
        let sum = self.at(row.table());
        *sum = sum.minus(key.hmac(&row.bytes()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::value::digest::Digest;

    fn key() -> SumKey {
        SumKey::of(&Kek::from_bytes([7; 32]))
    }

    fn head(size: u64) -> Head {
        Head { size, root: Digest::of(&size.to_be_bytes()), ..Head::empty() }
    }

    #[test]
    fn numbers_wrap_at_256_bits() {
        let most = Sum([u64::MAX; 4]);
        let one = Sum([1, 0, 0, 0]);
        assert_eq!(most.plus(one).0, [0; 4]);
        assert_eq!(Sum::default().minus(one).0, most.0);
        assert_eq!(Sum([u64::MAX, 0, 0, 0]).plus(one).0, [0, 1, 0, 0]);
        assert_eq!(Sum::read(&Sum([1, 2, 3, 1 << 63]).bytes()).0, [1, 2, 3, 1 << 63]);
    }

    #[test]
    fn rows_that_differ_anywhere_differ() {
        let rows = [
            SideRow::Consumed { proof: &[0; 32], gone_after: 1 },
            SideRow::Consumed { proof: &[0; 32], gone_after: 2 },
            SideRow::Consumed { proof: &[1; 32], gone_after: 1 },
            SideRow::Lately { first: 1, proofs: &[0; 32] },
            SideRow::LastUse { subject: "a", index: 1, time: 2 },
            SideRow::LastUse { subject: "a", index: 2, time: 1 },
            SideRow::LastUse { subject: "", index: 1, time: 2 },
            SideRow::Round { moved: None, first: 1 },
            SideRow::Round { moved: Some(&[]), first: 1 },
            SideRow::Round { moved: Some(&[0; 32]), first: 1 },
        ];
        let all: std::collections::BTreeSet<_> = rows.iter().map(|row| key().hmac(&row.bytes()).bytes()).collect();
        assert_eq!(all.len(), rows.len());
    }

    #[test]
    fn kept_sums_fit_their_head_and_key_alone() {
        let mut sums = Sums::default();
        sums.add(&key(), SideRow::Consumed { proof: &[1; 32], gone_after: 5 });
        let kept = key().seal(&sums, &head(3));
        let opened = key().open(&kept, &head(3)).expect("sums");
        assert!(Table::ALL.into_iter().all(|table| opened.of(table).is(sums.of(table))));
        assert!(key().open(&kept, &head(4)).is_none(), "of another head");
        assert!(SumKey::of(&Kek::from_bytes([8; 32])).open(&kept, &head(3)).is_none(), "of another key");
        for length in [0, 31, 32, 159] {
            assert!(key().open(&kept[..length], &head(3)).is_none());
        }
        assert!(key().open(&[&kept[..], &[0]].concat(), &head(3)).is_none());
        for at in 0..kept.len() {
            let mut bent = kept.clone();
            bent[at] ^= 1;
            assert!(key().open(&bent, &head(3)).is_none(), "byte {at}");
        }
    }

    /// Two kept sums under one head, with and without a row, do not help to take the row out of a third.
    #[test]
    fn kept_sums_do_not_tell_the_hmac_of_a_row() {
        let row = SideRow::Consumed { proof: &[1; 32], gone_after: 5 };
        let (mut with, other) = (Sums::default(), SideRow::Consumed { proof: &[2; 32], gone_after: 5 });
        let without = key().seal(&with, &head(3));
        with.add(&key(), row);
        let kept = key().seal(&with, &head(3));
        let part = |kept: &[u8]| Sum::read(kept[WIDTH..2 * WIDTH].try_into().expect("32 bytes"));
        let learned = part(&kept).minus(part(&without));
        assert!(!learned.is(key().hmac(&row.bytes())));
        with.add(&key(), other);
        let mut third = key().seal(&with, &head(4));
        let forged = part(&third).minus(learned).bytes();
        third[WIDTH..2 * WIDTH].copy_from_slice(&forged);
        assert!(key().open(&third, &head(4)).is_none());
        assert_eq!(key().seal(&Sums::default(), &head(3)), without, "the same of the same");
    }

    proptest! {
        /// In whatever order rows came and went, the sum is that of the rows that are there.
        #[test]
        fn the_order_does_not_matter(numbers in proptest::collection::vec(any::<i64>(), 0..20), gone in 0_usize..20) {
            let key = key();
            let row = |gone_after: &i64| SideRow::Consumed { proof: &[3; 32], gone_after: *gone_after };
            let (mut all, mut left) = (Sums::default(), Sums::default());
            numbers.iter().for_each(|number| all.add(&key, row(number)));
            numbers.iter().take(gone).for_each(|number| all.subtract(&key, row(number)));
            numbers.iter().skip(gone).rev().for_each(|number| left.add(&key, row(number)));
            prop_assert!(all.of(Table::Consumed).is(left.of(Table::Consumed)));
        }
    }
}
