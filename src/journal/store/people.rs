//! The rows of the people directory, and the tag over all of them.
//!
//! A row is the JSON of one person. The head has a generation, which grows by one with each write, and a tag: an HMAC-SHA256 under a key of
//! the KEK over the generation, the number of rows and their sum, which is the HMAC of each row added modulo 2^256 (`sums` has the
//! arithmetic). The sum itself is not stored, so nothing in the store tells of single rows. A row that somebody without the KEK adds,
//! changes or takes away does not fit the tag.
//!
//! Somebody who can write to the store can put back all rows and the head as they were at an earlier time, the empty beginning included.
//! A running node refuses an earlier generation; after a start only the next word of the source corrects it. So nothing that ends access
//! may rest on the directory alone.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;

use super::sums::{Sum, WIDTH};
use crate::domain::value::names::PersonId;
use crate::journal::key::kek::Kek;

/// A person as a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PersonRow {
    /// The id.
    pub id: String,
    /// The JSON.
    pub body: String,
}

/// The end of the directory's history.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeopleHead {
    /// Writes so far.
    pub generation: u64,
    /// The tag over all rows.
    pub tag: Vec<u8>,
}

/// What is stored.
#[derive(Clone, Debug, Default)]
pub struct StoredPeople {
    /// The head; none before the first write.
    pub head: Option<PeopleHead>,
    /// All rows, by id.
    pub rows: Vec<PersonRow>,
}

/// A write: rows that come, or come in place of others of the same id.
#[derive(Debug)]
pub struct PeopleChange {
    /// The head before.
    pub prior: Option<PeopleHead>,
    /// The head after.
    pub after: PeopleHead,
    /// The rows.
    pub rows: Vec<PersonRow>,
    /// True if texts are to be gone from the store's own logs too.
    pub forgets: bool,
}

/// The key of rows and tags, derived from the KEK.
#[derive(Clone)]
pub struct PeopleKey(hmac::Key);

/// The rows as somebody proved them: what the next write needs.
#[derive(Default)]
pub struct Known {
    head: Option<PeopleHead>,
    sum: Sum,
    marks: BTreeMap<PersonId, Sum>,
}

/// What a write changes in what is known.
pub struct Step {
    head: PeopleHead,
    sum: Sum,
    marks: Vec<(PersonId, Sum)>,
}

/// The first byte of each message.
const ROW: u8 = 0;
const HEAD: u8 = 1;

impl PeopleKey {
    /// The key under this KEK.
    pub fn of(kek: &Kek) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &*kek.derive("people directory")))
    }

    fn hmac(&self, message: &[u8]) -> Sum {
        let mut bytes = [0; WIDTH];
        bytes.copy_from_slice(hmac::sign(&self.0, message).as_ref());
        Sum::read(&bytes)
    }

    /// The HMAC of a row. An id has no zero byte, so no two rows have the same bytes.
    fn mark(&self, id: &PersonId, body: &str) -> Sum {
        self.hmac(&[&[ROW][..], id.as_str().as_bytes(), &[0], body.as_bytes()].concat())
    }

    fn tag(&self, generation: u64, count: usize, sum: Sum) -> Sum {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.hmac(&[&[HEAD][..], &generation.to_be_bytes(), &count.to_be_bytes(), &sum.bytes()].concat())
    }
}

impl Known {
    /// Proves rows. None: somebody without the KEK made them what they are.
    pub fn proved<'r>(
        key: &PeopleKey,
        head: Option<PeopleHead>,
        rows: impl IntoIterator<Item = (&'r PersonId, &'r str)>,
    ) -> Option<Self> {
        let mut known = Self { head, ..Self::default() };
        for (id, body) in rows {
            let mark = key.mark(id, body);
            known.sum = known.sum.plus(mark);
            known.marks.insert(id.clone(), mark);
        }
        let Some(head) = &known.head else {
            return known.marks.is_empty().then_some(known);
        };
        let wanted = key.tag(head.generation, known.marks.len(), known.sum);
        let kept: &[u8; WIDTH] = head.tag.as_slice().try_into().ok()?;
        wanted.is(Sum::read(kept)).then_some(known)
    }

    /// The head that was proved.
    pub fn head(&self) -> Option<&PeopleHead> {
        self.head.as_ref()
    }

    /// The write of these rows, each of another person, and the step to take once it is done.
    pub fn next(&self, key: &PeopleKey, rows: Vec<(PersonId, String)>, forgets: bool) -> (PeopleChange, Step) {
        let generation = self.head.as_ref().map_or(0, |head| head.generation) + 1;
        let (mut sum, mut count) = (self.sum, self.marks.len());
        let mut marks = Vec::with_capacity(rows.len());
        for (id, body) in &rows {
            let mark = key.mark(id, body);
            sum = sum.plus(mark);
            match self.marks.get(id) {
                Some(before) => sum = sum.minus(*before),
                None => count += 1,
            }
            marks.push((id.clone(), mark));
        }
        let head = PeopleHead { generation, tag: key.tag(generation, count, sum).bytes().to_vec() };
        let rows = rows.into_iter().map(|(id, body)| PersonRow { id: id.into(), body }).collect();
        (PeopleChange { prior: self.head.clone(), after: head.clone(), rows, forgets }, Step { head, sum, marks })
    }

    /// Knows what was written.
    pub fn advance(&mut self, step: Step) {
        self.head = Some(step.head);
        self.sum = step.sum;
        self.marks.extend(step.marks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PeopleKey {
        PeopleKey::of(&Kek::from_bytes([7; 32]))
    }

    fn id(name: &str) -> PersonId {
        format!("psn_{name}").parse().expect("an id")
    }

    fn proves(key: &PeopleKey, head: &PeopleHead, rows: &[(&str, &str)]) -> bool {
        let rows: Vec<(PersonId, &str)> = rows.iter().map(|(name, body)| (id(name), *body)).collect();
        Known::proved(key, Some(head.clone()), rows.iter().map(|(id, body)| (id, *body))).is_some()
    }

    #[test]
    fn rows_fit_their_head_and_key_alone() {
        let rows = |all: &[(&str, &str)]| all.iter().map(|(name, body)| (id(name), (*body).to_owned())).collect::<Vec<_>>();
        let mut known = Known::default();
        let (one, step) = known.next(&key(), rows(&[("a", "1"), ("b", "2")]), false);
        known.advance(step);
        let (two, step) = known.next(&key(), rows(&[("b", "3"), ("c", "4")]), false);
        known.advance(step);
        assert_eq!((one.prior, two.prior.as_ref(), known.head()), (None, Some(&one.after), Some(&two.after)));
        let (first, second) = (&one.after, &two.after);
        assert_eq!((first.generation, second.generation), (1, 2));
        assert!(proves(&key(), first, &[("a", "1"), ("b", "2")]));
        assert!(proves(&key(), second, &[("a", "1"), ("b", "3"), ("c", "4")]));
        for rows in [
            &[("a", "1"), ("b", "2"), ("c", "4")][..],
            &[("a", "1"), ("b", "3")],
            &[("a", "1"), ("b", "3"), ("c", "4"), ("d", "5")],
            &[("a", "1"), ("b", "4"), ("c", "3")],
            &[],
        ] {
            assert!(!proves(&key(), second, rows), "{rows:?}");
        }
        assert!(!proves(&PeopleKey::of(&Kek::from_bytes([8; 32])), second, &[("a", "1"), ("b", "3"), ("c", "4")]));
        let other = |head: PeopleHead| !proves(&key(), &head, &[("a", "1"), ("b", "3"), ("c", "4")]);
        assert!(other(PeopleHead { generation: 3, ..second.clone() }), "another generation");
        assert!(other(PeopleHead { tag: Vec::new(), ..second.clone() }));
        assert!(Known::proved(&key(), None, [(&id("a"), "1")]).is_none(), "rows without a head");
        assert!(Known::proved(&key(), None, []).is_some(), "the beginning");
    }
}
