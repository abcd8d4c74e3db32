//! The rights that versions took away lately, and the tokens that they cut.
//!
//! A version that takes something away cuts, with the entry that brings it into force, each token issued before that it would not grant as
//! it is. The rule stands here and counts at once. It names no token, because the fold knows none; `tokens.cut` entries then list the
//! tokens for those who read the live index (`broker::narrowing`). A token stays cut whatever a later version gives (ABUSE I-8).

use imbl::{OrdMap, Vector};

use super::effects::Entered;
use crate::domain::credential::claims::{BACKDATED, LONGEST_LIFE};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::entry::Issued;
use crate::domain::record::{Places, TakenAway};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, IntegrationId, PartnerName};

/// The thing whose version took something away.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Whose {
    /// An integration, in an environment.
    Integration(IntegrationId, EnvironmentName),
    /// A partner, in every environment.
    Partner(PartnerName),
    /// An API, in an environment.
    Api(ApiName, EnvironmentName),
}

/// The rights that one version took away.
#[derive(Clone, Debug)]
pub struct Narrowing {
    /// The entry that brought the version into force. Tokens with a lower entry are cut.
    pub index: u64,
    away: TakenAway,
}

/// The versions that took something away within the longest life of a token.
#[derive(Clone, Debug, Default)]
pub struct Narrowings {
    all: OrdMap<Whose, Vector<Narrowing>>,
    /// The same, by their entries, which are in the order of their times.
    order: OrdMap<u64, (Timestamp, Vector<Whose>)>,
}

impl Whose {
    /// The same as a target, by which its entries are found.
    pub fn target(&self) -> RevocationTarget {
        match self {
            Self::Integration(integration, environment) => {
                let (integration, environment) = (integration.clone(), environment.clone());
                RevocationTarget::IntegrationEnvironment { integration, environment }
            }
            Self::Partner(partner) => RevocationTarget::Partner { partner: partner.clone() },
            Self::Api(api, _) => RevocationTarget::Api { api: api.clone() },
        }
    }

    /// Whether an issued token rests on it.
    pub fn is_of(&self, issued: &Issued) -> bool {
        Self::of(issued).contains(self)
    }

    /// All that an issued token rests on.
    fn of(issued: &Issued) -> Vec<Self> {
        let (api, environment) = (issued.api.clone(), issued.environment.clone());
        let mut all = vec![Self::Api(api, environment.clone())];
        if let ClientId::Integration(id) = &issued.subject {
            all.extend([Self::Integration(id.clone(), environment), Self::Partner(id.partner.clone())]);
        }
        all
    }
}

impl Narrowing {
    /// Whether the version cut this token.
    pub fn cuts(&self, issued: &Issued) -> bool {
        let TakenAway { everything, bindings, scopes, ends, longest } = &self.away;
        let of_api = |scope: &str| scopes.iter().any(|(api, gone)| *api == issued.api && gone.as_str() == scope);
        issued.index < self.index
            && (*everything
                || bindings.contains(&issued.binding)
                || issued.scope.split(' ').any(of_api)
                || ends.is_some_and(|ends| ends < issued.exp)
                || longest.is_some_and(|longest| issued.time.minus(BACKDATED).plus(longest) < issued.exp))
    }
}

impl Narrowings {
    /// Takes in what a version took away that came into force with `entry`.
    pub(super) fn add(&mut self, entry: Entered<'_>, whose: Whose, away: TakenAway) {
        let narrowing = Narrowing { index: entry.index, away };
        self.order.entry(entry.index).or_insert_with(|| (entry.at, Vector::new())).1.push_back(whose.clone());
        self.all.entry(whose).or_default().push_back(narrowing);
    }

    /// The same, by environment.
    pub(super) fn add_each(&mut self, entry: Entered<'_>, places: Places, whose: impl Fn(EnvironmentName) -> Whose) {
        for (environment, away) in places {
            self.add(entry, whose(environment), away);
        }
    }

    /// Forgets versions whose tokens have all expired by `horizon`.
    pub(super) fn forget_expired(&mut self, horizon: Timestamp) {
        while let Some((index, (at, whose))) = self.order.get_min().cloned() {
            if horizon <= at.plus(LONGEST_LIFE) {
                return;
            }
            self.order.remove(&index);
            for one in whose {
                let left = self.all.get_mut(&one).map(|all| {
                    all.retain(|narrowing| narrowing.index != index);
                    all.len()
                });
                if left == Some(0) {
                    self.all.remove(&one);
                }
            }
        }
    }

    /// Whether some version cut this token.
    pub fn cut(&self, issued: &Issued) -> bool {
        // Nearly always there is none, and then nothing is looked up.
        !self.all.is_empty() && Whose::of(issued).iter().any(|whose| self.of(whose).any(|narrowing| narrowing.cuts(issued)))
    }

    /// Those of one thing.
    fn of(&self, whose: &Whose) -> impl Iterator<Item = &Narrowing> {
        self.all.get(whose).into_iter().flatten()
    }

    /// Those that came with the entry `index` or later, in that order.
    pub fn since(&self, index: u64) -> impl Iterator<Item = (&Whose, &Narrowing)> {
        let whose = self.order.range(index..).flat_map(|(index, (_, whose))| whose.iter().map(move |whose| (*index, whose)));
        whose.filter_map(|(index, whose)| Some((whose, self.of(whose).find(|narrowing| narrowing.index == index)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::Examples;
    use crate::domain::fixture::at;
    use crate::domain::log::change::Change;
    use crate::domain::people::actor::Actor;
    use crate::domain::value::clock::Seconds;

    /// A version is forgotten once every token that it can have cut has expired, and not before.
    #[test]
    fn a_version_is_forgotten_once_its_tokens_have_expired() {
        let mut narrowings = Narrowings::default();
        let by = Actor::Operator;
        let whose = |name: &str| Whose::Partner(name.parse().expect("a name"));
        let away = || TakenAway { everything: true, ..TakenAway::default() };
        for (index, second, name) in [(3, 0, "globex"), (5, 60, "globex"), (5, 60, "initech")] {
            narrowings.add(Entered { index, at: at(second), by: &by }, whose(name), away());
        }
        let left = |narrowings: &Narrowings, from| -> Vec<(Whose, u64)> {
            narrowings.since(from).map(|(whose, narrowing)| (whose.clone(), narrowing.index)).collect()
        };
        let all = vec![(whose("globex"), 3), (whose("globex"), 5), (whose("initech"), 5)];
        assert_eq!((left(&narrowings, 0), left(&narrowings, 4)), (all.clone(), all[1..].to_vec()));
        let hour = i64::from(Seconds::hours(1).0);
        narrowings.forget_expired(at(hour));
        assert_eq!(left(&narrowings, 0), all);
        narrowings.forget_expired(at(hour + 1));
        assert_eq!(left(&narrowings, 0), all[1..]);
        narrowings.forget_expired(at(hour + 61));
        assert!(narrowings.all.is_empty() && narrowings.order.is_empty());
    }

    /// The changes of the examples that bring a narrower version into force, and no others, cut something.
    #[test]
    fn only_versions_cut_by_what_they_take_away() {
        let mut state = crate::domain::state::State::default();
        let mut kinds = std::collections::BTreeSet::new();
        for (index, example) in (1..).zip(&Examples::plain().changes()) {
            state.apply(index, at(0), &example.change);
            if state.narrowings.since(index).next().is_some() {
                assert!(matches!(example.change.what, Change::Integration(_) | Change::Partner(_) | Change::Api(_)));
                kinds.insert(example.change.what.kind());
            }
        }
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["api.narrowed", "integration.narrowed"]);
    }
}
