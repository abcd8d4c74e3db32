//! A narrower record: what is left of a record when all goes that nobody was issued for 90 days.
//!
//! Enter through [`suggest`]. It is a proposal to people, from counts that decide nothing. What was never issued goes only if it was in force
//! for as long. Elevations stay: people decide on each. A scope of a client that asks for everything each time stays too, and is marked:
//! its figures say nothing of it.

use crate::domain::registry::integration::{Access, Integration};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::day::Day;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName};
use crate::domain::value::scope::Scope;

use super::uses::{IssuedUse, Tally};
use super::way::Way;

/// A suggestion takes out what was not issued for so long.
pub const IDLE: Seconds = Seconds::days(90);

/// A proposal.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// The narrower record; `None` if nothing would be left of it.
    pub record: Option<Integration>,
    /// What it says of each part of the record, in the order of the record.
    pub parts: Vec<Part>,
}

/// A part of a record.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its environment.
    pub environment: EnvironmentName,
    /// What it is.
    pub what: What,
    /// Whether it stays.
    pub stays: bool,
    /// Why.
    pub because: String,
    /// What was issued by it.
    pub figures: Figures,
}

/// What a part of a record is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum What {
    /// The whole environment.
    Environment,
    /// All scopes of an API.
    Api(ApiName),
    /// One scope.
    Scope(ApiName, Scope),
    /// A binding.
    Binding(BindingName),
}

/// The tokens that were issued by a part: without it they would have been refused.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// Within 90 days.
    pub lately: u64,
    /// Earlier, within 400 days.
    pub before: u64,
    /// The last of them.
    pub last: Option<Timestamp>,
    /// There were some lately, and each had every one of several scopes of its API.
    pub everything: bool,
}

/// The uses of an integration, with their days.
pub type Uses = [(Day, Tally, IssuedUse)];

/// Proposes a narrower record. `since`: the version in force, or what it could be used by, is as old.
pub fn suggest(record: &Integration, since: Timestamp, uses: &Uses, now: Timestamp) -> Suggestion {
    let asked = Asked { uses, since, now };
    let mut narrower = record.clone();
    let mut parts = Vec::new();
    for (environment, access) in &record.environments {
        let whole = asked.part(environment, What::Environment);
        let stays = whole.stays;
        parts.push(whole);
        if !stays {
            narrower.environments.remove(environment);
            continue;
        }
        if let Some(left) = narrower.environments.get_mut(environment) {
            parts.extend(of_access(&asked, environment, access, left));
        }
    }
    let record = Some(narrower).filter(|record| !record.environments.is_empty());
    Suggestion { record, parts }
}

/// The parts of an environment that stays; what goes leaves `left`.
fn of_access(asked: &Asked<'_>, environment: &EnvironmentName, access: &Access, left: &mut Access) -> Vec<Part> {
    let mut parts = Vec::new();
    for (api, rules) in &access.scopes {
        let whole = asked.part(environment, What::Api(api.clone()));
        let stays = whole.stays;
        parts.push(whole);
        if !stays {
            left.scopes.remove(api);
            continue;
        }
        let scopes = rules.iter().map(|rule| asked.part(environment, What::Scope(api.clone(), rule.scope.clone())));
        let scopes: Vec<Part> = scopes.collect();
        if let Some(rules) = left.scopes.get_mut(api) {
            let goes = |scope: &Scope| scopes.iter().any(|part| !part.stays && part.what.is_scope(scope));
            rules.retain(|rule| !goes(&rule.scope));
        }
        parts.extend(scopes);
    }
    let bindings = access.bindings.iter().map(|binding| asked.part(environment, What::Binding(binding.name.clone())));
    let bindings: Vec<Part> = bindings.collect();
    let goes = |name: &BindingName| bindings.iter().any(|part| !part.stays && part.what == What::Binding(name.clone()));
    left.bindings.retain(|binding| !goes(&binding.name));
    parts.extend(bindings);
    parts
}

impl What {
    fn is_scope(&self, scope: &Scope) -> bool {
        matches!(self, Self::Scope(_, own) if own == scope)
    }
}

/// What a proposal rests on.
struct Asked<'a> {
    uses: &'a Uses,
    since: Timestamp,
    now: Timestamp,
}

impl Asked<'_> {
    fn part(&self, environment: &EnvironmentName, what: What) -> Part {
        let figures = self.figures(environment, &what);
        let days = |from: Timestamp| self.now.since(from).0 / Seconds::days(1).0;
        let (stays, because) = match figures.last {
            _ if figures.everything && matches!(what, What::Scope(..)) => {
                (true, "the client asks for everything each time, so its figures say nothing of this scope".to_owned())
            }
            _ if figures.lately > 0 => (true, format!("issued {} times in 90 days", figures.lately)),
            Some(last) => (false, format!("not issued for {} days", days(last))),
            None if self.now < self.since.plus(IDLE) => (true, format!("in force for {} days only", days(self.since))),
            None => (false, "never issued in 400 days".to_owned()),
        };
        Part { environment: environment.clone(), what, stays, because, figures }
    }

    fn figures(&self, environment: &EnvironmentName, what: &What) -> Figures {
        let lately = Day::of(self.now.minus(IDLE));
        let mut figures = Figures { everything: true, ..Figures::default() };
        let all = self.uses.iter().filter(|(_, _, issued)| issued.environment == *environment && rests_on(issued, what));
        for (day, tally, issued) in all {
            let count = if *day >= lately { &mut figures.lately } else { &mut figures.before };
            *count = count.saturating_add(tally.count);
            figures.last = figures.last.max(Some(tally.last));
            figures.everything &= *day < lately || issued.everything;
        }
        figures.everything &= figures.lately > 0;
        figures
    }
}

/// Whether a token needed this part of the record.
fn rests_on(issued: &IssuedUse, what: &What) -> bool {
    let standing = |wanted: Option<&Scope>| {
        let scopes = issued.scope.split(' ').filter_map(|scope| scope.parse::<Scope>().ok());
        let mut scopes = scopes.filter(|scope| issued.way(scope) == Way::Standing);
        scopes.any(|scope| wanted.is_none_or(|wanted| scope == *wanted))
    };
    match what {
        What::Environment => true,
        What::Binding(binding) => issued.binding == *binding,
        What::Api(api) => issued.api == *api && standing(None),
        What::Scope(api, scope) => issued.api == *api && standing(Some(scope)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, state};
    use crate::domain::value::digest::Digest;

    const DAY: i64 = 86_400;

    fn used(days_ago: i64, scope: &str, everything: bool) -> (Day, Tally, IssuedUse) {
        let last = at((200 - days_ago) * DAY);
        let issued = IssuedUse {
            client: "globex/order-sync".parse().expect("a client"),
            environment: "production".parse().expect("a name"),
            api: "orders-api".parse().expect("a name"),
            scope: scope.to_owned(),
            binding: "ci".parse().expect("a name"),
            record: Digest::of(b"a record"),
            api_version: None,
            verified: true,
            certificate: false,
            possession: None,
            elevated: Vec::new(),
            break_glass: Vec::new(),
            everything,
            guardrails: None,
            shadow: Vec::new(),
        };
        (Day::of(last), Tally { count: 2, first: last, last, until: 9 }, issued)
    }

    fn told(uses: &Uses, since: Timestamp) -> (Option<usize>, Vec<(String, bool)>) {
        let state = state();
        let known = state.integrations.values().next().expect("one").current.as_ref().expect("in force");
        let suggestion = suggest(&known.record, since, uses, at(200 * DAY));
        let parts = suggestion.parts.iter().filter(|part| matches!(part.what, What::Environment | What::Scope(..)));
        let parts = parts.map(|part| (part.because.clone(), part.stays)).collect();
        (suggestion.record.map(|record| record.environments.len()), parts)
    }

    #[test]
    fn what_nobody_was_issued_for_a_quarter_goes() {
        let state = state();
        let known = state.integrations.values().next().expect("one").current.as_ref().expect("in force");
        let scopes = known.record.environments.values().next().expect("one").standing().count();
        // Used: all stays. Used long ago, or never: it goes, and nothing is left.
        let (left, parts) = told(&[used(89, "orders:read", false)], at(0));
        assert_eq!((left, parts[0].clone()), (Some(1), ("issued 2 times in 90 days".to_owned(), true)));
        assert_eq!(parts.len(), 1 + scopes);
        assert_eq!(told(&[used(91, "orders:read", false)], at(0)), (None, vec![("not issued for 91 days".to_owned(), false)]));
        assert_eq!(told(&[], at(0)), (None, vec![("never issued in 400 days".to_owned(), false)]));
        // Too young to say so.
        let young = told(&[], at(111 * DAY));
        assert_eq!((young.0, &young.1[0]), (Some(1), &("in force for 89 days only".to_owned(), true)));
        // A client that asks for everything: its scopes stay, and say why.
        let (_, parts) = told(&[used(1, "orders:read", true)], at(0));
        assert!(parts.iter().any(|(because, stays)| *stays && because.contains("asks for everything")), "{parts:?}");
    }
}
