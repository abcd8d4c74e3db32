//! The rights that versions took away lately, and the tokens that they cut.
//!
//! A version that takes something away cuts, with the entry that brings it into force, each token issued before that it would not grant as
//! it is. The rule stands here and counts at once. It names no token, because the fold knows none; `tokens.cut` entries then list the
//! tokens for those who read the live index (`broker::narrowing`). A token stays cut whatever a later version gives (ABUSE I-8).
//!
//! Two versions of a record tell most of it ([`TakenAway`]). The rest depends on more than the record: elevations, the age of keys, and
//! guardrails, whose text only `policy` can read. For that a narrowing holds the state as its entry left it ([`Anew`]), and
//! `decision::cut` asks that state. So a guardrail that is put back to shadow, or a record that comes back, revives nothing.

use imbl::{OrdMap, Vector};

use super::effects::Entered;
use crate::domain::credential::claims::{BACKDATED, LONGEST_LIFE};
use crate::domain::credential::revocation::{Clients, RevocationTarget};
use crate::domain::log::entry::Issued;
use crate::domain::record::TakenAway;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, GuardrailName, IntegrationId, PartnerName};

/// The thing whose version took something away.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Whose {
    /// Everybody: a guardrail, in every environment.
    Everybody,
    /// An integration, in an environment.
    Integration(IntegrationId, EnvironmentName),
    /// A partner, in every environment.
    Partner(PartnerName),
    /// An API, in an environment.
    Api(ApiName, EnvironmentName),
}

/// The rights that one version took away.
#[derive(Clone, Debug)]
pub struct Narrowing<Then> {
    /// The entry that brought the version into force. Tokens with a lower entry are cut.
    pub index: u64,
    away: TakenAway,
    /// What the state after the entry is to be asked besides.
    pub anew: Option<Anew<Then>>,
}

/// The questions to the state as an entry left it.
#[derive(Clone, Debug)]
pub struct Anew<Then> {
    /// The state, without the narrowings in it.
    pub then: Then,
    /// The time of the entry.
    pub at: Timestamp,
    /// What to ask.
    pub asks: Asks,
    /// The set of guardrails that was in force after the entry, where it is to be asked.
    pub set: Option<Digest>,
}

/// What the state as an entry left it is to be asked about a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asks {
    /// Whether the elevations that it rests on still give its scopes, and for as long.
    pub elevations: bool,
    /// Whether a key that it rests on is due to change before it ends.
    pub rotation: bool,
    /// Whether a guardrail forbids it.
    pub guardrails: Option<Guardrails>,
}

/// The guardrails that are to be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Guardrails {
    /// All that are enforced: a record changed what they read.
    All,
    /// This one: it came into force. With the set that was in force before it, if there was one.
    One(GuardrailName, Option<Digest>),
}

/// The versions that took something away within the longest life of a token. `Then` is an earlier state.
#[derive(Clone, Debug)]
pub struct Narrowings<Then> {
    all: OrdMap<Whose, Vector<Narrowing<Then>>>,
    /// The same, by their entries, which are in the order of their times.
    order: OrdMap<u64, (Timestamp, Vector<Whose>)>,
    /// The sets of guardrails that are to be asked, each with a state of it and the number of narrowings.
    sets: OrdMap<Digest, (Then, usize)>,
}

impl<Then> Default for Narrowings<Then> {
    fn default() -> Self {
        Self { all: OrdMap::new(), order: OrdMap::new(), sets: OrdMap::new() }
    }
}

impl Asks {
    /// Whether there is nothing to ask.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Whose {
    /// The same as a target, by which its entries are found; `environment` is that of the tokens.
    pub fn target(&self, environment: &EnvironmentName) -> RevocationTarget {
        match self {
            Self::Everybody => RevocationTarget::Environment { environment: environment.clone() },
            Self::Integration(integration, environment) => {
                let (integration, environment) = (integration.clone(), environment.clone());
                RevocationTarget::IntegrationEnvironment { integration, environment }
            }
            Self::Partner(partner) => RevocationTarget::Partner { partner: partner.clone() },
            Self::Api(api, _) => RevocationTarget::Api { api: api.clone() },
        }
    }

    /// The clients whose tokens can rest on it; everybody's where it says nothing.
    pub fn clients(&self) -> Option<Clients> {
        match self {
            Self::Everybody | Self::Api(..) => None,
            Self::Integration(integration, _) => Some(Clients::One(ClientId::Integration(integration.clone()))),
            Self::Partner(partner) => Some(Clients::Of(partner.clone())),
        }
    }

    /// Whether an issued token rests on it.
    pub fn is_of(&self, issued: &Issued) -> bool {
        Self::of(issued).contains(self)
    }

    /// All that an issued token rests on.
    fn of(issued: &Issued) -> Vec<Self> {
        let (api, environment) = (issued.api.clone(), issued.environment.clone());
        let mut all = vec![Self::Everybody, Self::Api(api, environment.clone())];
        if let ClientId::Integration(id) = &issued.subject {
            all.extend([Self::Integration(id.clone(), environment), Self::Partner(id.partner.clone())]);
        }
        all
    }
}

impl<Then> Narrowing<Then> {
    /// Whether two versions of the record alone tell that this one cut the token.
    pub fn cuts(&self, issued: &Issued) -> bool {
        let TakenAway { everything, bindings, beside, scopes, ends, longest, unsure: _ } = &self.away;
        let of_api = |scope: &str| scopes.iter().any(|(api, gone)| *api == issued.api && gone.as_str() == scope);
        issued.index < self.index
            && (*everything
                || bindings.contains(&issued.binding)
                || issued.beside.as_ref().is_some_and(|issuer| beside.contains(issuer))
                || issued.scope.split(' ').any(of_api)
                || ends.is_some_and(|ends| ends < issued.exp)
                || longest.is_some_and(|longest| issued.time.minus(BACKDATED).plus(longest) < issued.exp))
    }
}

impl<Then: Clone> Narrowings<Then> {
    /// Takes in what a version took away that came into force with `entry`.
    pub(super) fn add(&mut self, entry: Entered<'_>, whose: Whose, away: TakenAway, anew: Option<Anew<Then>>) {
        if let Some((set, then)) = anew.as_ref().and_then(|anew| Some((anew.set?, &anew.then))) {
            self.sets.entry(set).or_insert_with(|| (then.clone(), 0)).1 += 1;
        }
        let narrowing = Narrowing { index: entry.index, away, anew };
        self.order.entry(entry.index).or_insert_with(|| (entry.at, Vector::new())).1.push_back(whose.clone());
        self.all.entry(whose).or_default().push_back(narrowing);
    }

    /// Forgets versions whose tokens have all expired by `horizon`.
    pub(super) fn forget_expired(&mut self, horizon: Timestamp) {
        while let Some((index, (at, whose))) = self.order.get_min().cloned() {
            if horizon <= at.plus(LONGEST_LIFE) {
                return;
            }
            self.order.remove(&index);
            whose.iter().for_each(|one| self.forget(one, index));
        }
    }

    fn forget(&mut self, whose: &Whose, index: u64) {
        let Some(all) = self.all.get_mut(whose) else { return };
        let gone = all.iter().filter(|narrowing| narrowing.index == index);
        let sets: Vec<Digest> = gone.filter_map(|narrowing| narrowing.anew.as_ref()?.set).collect();
        all.retain(|narrowing| narrowing.index != index);
        if all.is_empty() {
            self.all.remove(whose);
        }
        for set in sets {
            let left = self.sets.get_mut(&set).map(|(_, number)| {
                *number -= 1;
                *number
            });
            if left == Some(0) {
                self.sets.remove(&set);
            }
        }
    }

    /// Whether two versions of some record alone tell that this token is cut.
    pub fn cut(&self, issued: &Issued) -> bool {
        self.about(issued).any(|narrowing| narrowing.cuts(issued))
    }

    /// Those that came after this token was issued, and that it rests on.
    pub fn about(&self, issued: &Issued) -> impl Iterator<Item = &Narrowing<Then>> {
        // Nearly always there is none, and then nothing is looked up.
        let whose = if self.all.is_empty() { Vec::new() } else { Whose::of(issued) };
        whose.into_iter().flat_map(|whose| self.of(&whose)).filter(|narrowing| issued.index < narrowing.index)
    }

    /// The sets of guardrails that are to be asked, each with a state of it.
    pub fn sets(&self) -> impl Iterator<Item = (Digest, &Then)> {
        self.sets.iter().map(|(set, (then, _))| (*set, then))
    }

    /// Those of one thing.
    fn of(&self, whose: &Whose) -> impl Iterator<Item = &Narrowing<Then>> + use<'_, Then> {
        self.all.get(whose).into_iter().flatten()
    }

    /// Those that came with the entry `index` or later, in that order.
    pub fn since(&self, index: u64) -> impl Iterator<Item = (&Whose, &Narrowing<Then>)> {
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
        let set = |name: &str| Digest::of(name.as_bytes());
        for (index, second, name, guards) in [(3, 0, "globex", "a"), (5, 60, "globex", "b"), (5, 60, "initech", "a")] {
            let asks = Asks { guardrails: Some(Guardrails::All), ..Asks::default() };
            let anew = Anew { then: (), at: at(second), asks, set: Some(set(guards)) };
            narrowings.add(Entered { index, at: at(second), by: &by }, whose(name), away(), Some(anew));
        }
        let sets =
            |narrowings: &Narrowings<()>| narrowings.sets().map(|(set, ())| set).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sets(&narrowings), [set("a"), set("b")].into());
        let left = |narrowings: &Narrowings<()>, from| -> Vec<(Whose, u64)> {
            narrowings.since(from).map(|(whose, narrowing)| (whose.clone(), narrowing.index)).collect()
        };
        let all = vec![(whose("globex"), 3), (whose("globex"), 5), (whose("initech"), 5)];
        assert_eq!((left(&narrowings, 0), left(&narrowings, 4)), (all.clone(), all[1..].to_vec()));
        let hour = i64::from(Seconds::hours(1).0);
        narrowings.forget_expired(at(hour));
        assert_eq!(left(&narrowings, 0), all);
        narrowings.forget_expired(at(hour + 1));
        assert_eq!(left(&narrowings, 0), all[1..]);
        assert_eq!(sets(&narrowings), [set("a"), set("b")].into(), "the second version asks the set of the first as well");
        narrowings.forget_expired(at(hour + 61));
        assert!(narrowings.all.is_empty() && narrowings.order.is_empty() && narrowings.sets.is_empty());
    }

    /// The changes of the examples that bring a narrower version or a guardrail into force, and no others, cut something.
    #[test]
    fn only_versions_cut_by_what_they_take_away() {
        let mut state = crate::domain::state::State::default();
        let mut kinds = std::collections::BTreeSet::new();
        for (index, example) in (1..).zip(&Examples::plain().changes()) {
            state.apply(index, at(0), &example.change);
            if state.narrowings.since(index).next().is_some() {
                assert!(matches!(
                    example.change.what,
                    Change::Integration(_)
                        | Change::Partner(_)
                        | Change::Api(_)
                        | Change::Guardrail(_)
                        | Change::Recertification(_)
                ));
                kinds.insert(example.change.what.kind());
            }
        }
        assert_eq!(
            kinds.into_iter().collect::<Vec<_>>(),
            ["api.narrowed", "guardrail.applied", "integration.narrowed", "review.decided"]
        );
    }
}
