//! What the newest changes cut, as the live index learns it.
//!
//! The truth is [`State`](super::State). This tells it to those who do not read the journal. Enter through [`RecentCuts::behind`].

use std::sync::Arc;

use imbl::Vector;

use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, TokenId};

/// One line of the live index of one environment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// The environment.
    pub environment: EnvironmentName,
    /// What is cut there.
    pub what: CutWhat,
}

/// What is cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CutWhat {
    /// A token, until it expires.
    Token {
        /// Its `jti`.
        id: TokenId,
        /// Its `exp`.
        expires: Timestamp,
    },
    /// Tokens with a lower entry than `index` that name `key`.
    Before {
        /// The name of the line, such as `partner:globex`.
        key: RevocationKey,
        /// The line.
        index: u64,
    },
}

/// What the newest changes cut, in order.
///
/// A node's live index follows by it. So many are remembered that only an index that stood still for long has to be built anew.
#[derive(Clone, Debug, Default)]
pub struct RecentCuts {
    /// The index of the first change that is remembered. All later ones are.
    from: u64,
    /// By the index of the change.
    cuts: Vector<(u64, Arc<[Cut]>)>,
    /// The number of cuts of all of them.
    number: usize,
}

/// Changes that cut something and are remembered. A node that lags this far behind is not live, and mints nothing.
const REMEMBERED: usize = 16 * 1024;

/// The cuts of all remembered changes; the newest change is remembered with any number.
///
/// Attack: a partner with thousands of integrations that is suspended in one environment again and again fills the memory.
const CUTS: usize = 64 * 1024;

impl RecentCuts {
    /// Remembers what the change at `index` cut.
    pub(super) fn add(&mut self, index: u64, cuts: Vec<Cut>) {
        if cuts.is_empty() {
            return;
        }
        self.number += cuts.len();
        self.cuts.push_back((index, cuts.into()));
        while self.cuts.len() > REMEMBERED || (self.number > CUTS && self.cuts.len() > 1) {
            let Some((forgotten, cuts)) = self.cuts.pop_front() else { return };
            self.number -= cuts.len();
            self.from = forgotten + 1;
        }
    }

    /// Forgets every cut before the change at `index`, so that an index that has not followed it yet is built anew.
    pub(super) fn forget_before(&mut self, index: u64) {
        self.cuts.clear();
        self.number = 0;
        self.from = index + 1;
    }

    /// Tells what the changes behind `index` cut, in their order. `None` where some of them are not remembered.
    pub fn behind(&self, index: u64) -> Option<impl Iterator<Item = &Cut>> {
        let mut newest: Vec<&[Cut]> =
            self.cuts.iter().rev().take_while(|(at, _)| *at > index).map(|(_, cuts)| cuts.as_ref()).collect();
        newest.reverse();
        (self.from <= index + 1).then(|| newest.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::examples::Examples;
    use crate::domain::fixture::at;
    use crate::domain::log::change::Change;
    use crate::domain::state::State;

    /// Each change that moves a line tells the live index so, and no other does.
    #[test]
    fn the_live_index_learns_what_a_change_moves() {
        let mut state = State::default();
        let mut cutting: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        let examples = Examples::plain().changes();
        for (index, example) in (1..).zip(&examples) {
            let tokens = state.revoked_tokens.iter().count();
            state.apply(index, at(0), &example.change);
            let Some(learned) = state.recent_cuts.behind(index - 1) else {
                // An environment came: the index is built anew.
                assert!(matches!(example.change.what, Change::Configuration(_)), "{:?}", example.change);
                continue;
            };
            let learned: Vec<&Cut> = learned.collect();
            let keys = learned.iter().filter_map(|cut| match &cut.what {
                CutWhat::Before { key, index: line } => Some((key, *line)),
                CutWhat::Token { .. } => None,
            });
            let keys: BTreeSet<(&RevocationKey, u64)> = keys.collect();
            let moved = state.revoked_before.iter().filter(|(_, line)| **line == index).map(|(key, line)| (key, *line));
            assert_eq!(keys, moved.collect(), "{:?}", example.change);
            let learned_tokens =
                learned.len() - learned.iter().filter(|cut| matches!(cut.what, CutWhat::Before { .. })).count();
            assert_eq!(learned_tokens, state.revoked_tokens.iter().count() - tokens, "{:?}", example.change);
            if !learned.is_empty() {
                let places = learned.iter().map(|cut| cut.environment.to_string());
                cutting.entry(example.change.what.kind()).or_default().extend(places);
            }
        }
        let kinds = [
            "authority.tainted",
            "elevation.ended",
            "environment.closed",
            "integration.suspended",
            "key.tainted",
            "offboarding.aborted",
            "offboarding.started",
            "partner.suspended",
            "revocation.added",
            "signal.confirmed",
            "signal.received",
            "tokens.cut",
        ];
        assert_eq!(cutting.keys().copied().collect::<Vec<_>>(), kinds);
        // A line that lies in one environment moves there alone.
        let alone = BTreeSet::from(["production".to_owned()]);
        assert_eq!((&cutting["key.tainted"], &cutting["elevation.ended"]), (&alone, &alone));
        assert_eq!(cutting["partner.suspended"].len(), 3);
    }

    #[test]
    fn an_index_that_lags_too_far_behind_is_told_so() {
        let environment: EnvironmentName = "production".parse().expect("a name");
        let cut = |index| {
            let key = RevocationKey::environment(&environment);
            vec![Cut { environment: environment.clone(), what: CutWhat::Before { key, index } }]
        };
        let mut recent = RecentCuts::default();
        assert_eq!(recent.behind(0).map(Iterator::count), Some(0));
        let most = REMEMBERED as u64;
        for index in 1..=most {
            // Changes between that cut nothing take no place.
            recent.add(2 * index - 1, Vec::new());
            recent.add(2 * index, cut(2 * index));
        }
        let lines = |recent: &RecentCuts, index| {
            let line = |cut: &Cut| match cut.what {
                CutWhat::Before { index, .. } => index,
                CutWhat::Token { .. } => 0,
            };
            recent.behind(index).map(|cuts| cuts.map(line).collect::<Vec<_>>())
        };
        assert_eq!(lines(&recent, 0).map(|lines| lines.len()), Some(REMEMBERED));
        assert_eq!(lines(&recent, 2 * most - 3), Some(vec![2 * most - 2, 2 * most]));
        recent.add(2 * most + 1, cut(2 * most + 1));
        assert_eq!((lines(&recent, 0), lines(&recent, 1)), (None, None), "the change at 2 is forgotten");
        assert_eq!(lines(&recent, 2).map(|lines| lines.len()), Some(REMEMBERED));
        assert_eq!(lines(&recent, 2 * most), Some(vec![2 * most + 1]));
    }

    /// Few changes that cut much are bounded by what they cut, and the newest one is always told whole.
    #[test]
    fn changes_that_cut_much_are_forgotten_earlier() {
        let environment: EnvironmentName = "production".parse().expect("a name");
        let cuts = |number: usize| {
            let key = RevocationKey::environment(&environment);
            vec![Cut { environment: environment.clone(), what: CutWhat::Before { key, index: 1 } }; number]
        };
        let told = |recent: &RecentCuts, index| recent.behind(index).map(Iterator::count);
        let mut recent = RecentCuts::default();
        for index in 1..=4 {
            recent.add(index, cuts(CUTS / 4));
        }
        assert_eq!(told(&recent, 0), Some(CUTS), "what fits is remembered");
        recent.add(5, cuts(1));
        assert_eq!((told(&recent, 0), told(&recent, 1)), (None, Some(CUTS / 4 * 3 + 1)), "the change at 1 is forgotten");
        recent.add(6, cuts(CUTS + 1));
        assert_eq!((told(&recent, 4), told(&recent, 5)), (None, Some(CUTS + 1)));
        recent.add(7, cuts(1));
        assert_eq!((told(&recent, 5), told(&recent, 6), told(&recent, 7)), (None, Some(1), Some(0)));
        recent.forget_before(8);
        recent.add(9, cuts(CUTS));
        assert_eq!((told(&recent, 7), told(&recent, 8)), (None, Some(CUTS)));
    }
}
