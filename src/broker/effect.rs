//! The effects of a version: the living tokens that it would cut, and the requests of 30 days that would have had another outcome.

use std::collections::BTreeMap;

use crate::domain::decision::hindsight::Outcome;
use crate::domain::reason::Reason;
use crate::domain::value::clock::Timestamp;

/// The effects of one item of a plan, or of all.
#[derive(Clone, Debug, Default)]
pub struct Effect {
    /// Living tokens that it would cut.
    pub cuts: u64,
    /// The requests of 30 days.
    pub turned: Turned,
}

/// How the outcome of a request would have been another one.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Turn {
    /// Issued, and would have been refused.
    Refused,
    /// Refused, and would have been granted.
    Granted,
    /// Entries do not tell.
    Unknown,
}

impl Turn {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Granted => "granted",
            Self::Unknown => "unknown",
        }
    }
}

/// Requests of one outcome and reason.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// How many.
    pub count: u64,
    /// The time of the first.
    pub first: Timestamp,
    /// The time of the last.
    pub last: Timestamp,
}

/// Requests whose outcome would have been another one, or may have been.
#[derive(Clone, Debug, Default)]
pub struct Turned {
    rows: BTreeMap<(Turn, &'static str), Span>,
    /// Some requests of that time could not be looked at.
    missing: bool,
}

impl Span {
    /// One request.
    pub fn at(time: Timestamp) -> Self {
        Self { count: 1, first: time, last: time }
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

impl Turned {
    /// Adds requests of this outcome.
    pub(super) fn add(&mut self, outcome: Outcome, span: Span) {
        match outcome {
            Outcome::Same => {}
            Outcome::Refused(reason) => self.put(Turn::Refused, reason, span),
            Outcome::Granted(reason) => self.put(Turn::Granted, reason, span),
            Outcome::Unknown(reason) => self.put(Turn::Unknown, reason, span),
        }
    }

    fn put(&mut self, turn: Turn, reason: &'static Reason, span: Span) {
        self.rows.entry((turn, reason.code)).and_modify(|known| *known = known.with(span)).or_insert(span);
    }

    /// Adds all of another.
    pub(super) fn join(&mut self, other: &Self) {
        for (key, span) in &other.rows {
            self.rows.entry(*key).and_modify(|known| *known = known.with(*span)).or_insert(*span);
        }
        self.missing |= other.missing;
    }

    /// Notes that some requests could not be looked at.
    pub(super) fn miss(&mut self) {
        self.missing = true;
    }

    /// The number of requests of an outcome. If requests could not be looked at, at least one is unknown.
    pub fn count(&self, turn: Turn) -> u64 {
        let of = self.rows.iter().filter(|((one, _), _)| *one == turn);
        let counted = of.fold(0_u64, |sum, (_, span)| sum.saturating_add(span.count));
        if turn == Turn::Unknown && self.missing { counted.max(1) } else { counted }
    }

    /// Whether each request of that time was looked at.
    pub fn is_whole(&self) -> bool {
        !self.missing
    }

    /// By outcome and reason.
    pub fn rows(&self) -> impl Iterator<Item = (Turn, &'static str, Span)> {
        self.rows.iter().map(|((turn, reason), span)| (*turn, *reason, *span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::at;
    use crate::domain::reason;

    #[test]
    fn what_could_not_be_looked_at_is_unknown_and_never_none() {
        let mut turned = Turned::default();
        turned.add(Outcome::Same, Span::at(at(0)));
        assert_eq!((turned.count(Turn::Unknown), turned.rows().count()), (0, 0));
        turned.add(Outcome::Refused(&reason::PROOF_SOURCE), Span::at(at(9)));
        turned.add(Outcome::Refused(&reason::PROOF_SOURCE), Span::at(at(5)));
        turned.miss();
        let mut all = Turned::default();
        all.join(&turned);
        assert_eq!((all.count(Turn::Refused), all.count(Turn::Granted), all.count(Turn::Unknown)), (2, 0, 1));
        assert_eq!(all.rows().next().map(|(_, _, span)| (span.first, span.last)), Some((at(5), at(9))));
        all.add(Outcome::Unknown(&reason::PROOF_SOURCE), Span { count: 7, first: at(0), last: at(1) });
        assert_eq!(all.count(Turn::Unknown), 7);
    }
}
