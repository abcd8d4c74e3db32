//! Non-use: what follows where nobody used an integration in an environment, or one of its bindings, for long.
//!
//! Enter through [`due`], which looks at one integration. It counts days on which a node was there to be used: while all of them were down,
//! nobody could use anything. Where access is refused anyway it counts nothing, so it never judges a time in which nobody could use it. Its
//! answer is a change, and only the change decides (ABUSE P-08).

use crate::domain::log::integration::IntegrationChange;
use crate::domain::registry::environment::{Governance, UNUSED_SUSPEND, UNUSED_WARN};
use crate::domain::registry::integration::Access;
use crate::domain::registry::suspension::SuspensionCause;
use crate::domain::state::State;
use crate::domain::state::integration::IntegrationState;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::day::Day;
use crate::domain::value::names::{BindingName, EnvironmentName, IntegrationId};
use crate::domain::value::text::Text;

/// What the counts say of one integration.
pub struct Uses<'a> {
    /// The last use of a binding in an environment; of all bindings that there ever were, if none is given.
    pub last: &'a dyn Fn(&EnvironmentName, Option<&BindingName>) -> Option<Timestamp>,
    /// Nothing is missing from this time on.
    pub since: Timestamp,
    /// The days on which a node was there, in their order.
    pub days: &'a [Day],
    /// The time up to which everything is counted.
    pub now: Timestamp,
}

/// The times of the configuration after which people are told, and after which access ends.
pub fn limits(state: &State) -> (Seconds, Seconds) {
    let known = state.configuration.as_ref().map(|configuration| &configuration.governance);
    let of = |time: fn(&Governance) -> Option<Seconds>, usual| known.and_then(time).unwrap_or(usual);
    (of(|governance| governance.unused_warn, UNUSED_WARN), of(|governance| governance.unused_suspend, UNUSED_SUSPEND))
}

/// The first change that follows from nobody using this integration; `None` if nothing follows now.
pub fn due(id: &IntegrationId, state: &State, uses: &Uses<'_>) -> Option<IntegrationChange> {
    let known = state.integrations.get(id)?;
    let record = &known.current.as_ref()?.record;
    let (contract, now) = (&record.contract, uses.now);
    if now < contract.starts || now >= contract.ends || state.ending_of(id).is_some() {
        return None;
    }
    let place = |(environment, access): (&EnvironmentName, &Access)| {
        let partner = state.partners.get(&id.partner).and_then(|partner| partner.suspensions.first_in(environment));
        let is_open = known.suspensions.first_in(environment).is_none() && partner.is_none();
        let is_there = state.environment(environment).is_some() && access.ends.is_none_or(|ends| now < ends);
        let from = known.non_use.counts_from().max(contract.starts).max(uses.since);
        (is_open && is_there).then(|| of_place(id, (environment, access), known, from, (uses, limits(state))))?
    };
    record.environments.iter().find_map(place)
}

type Judged<'a> = (&'a Uses<'a>, (Seconds, Seconds));

fn of_place(
    id: &IntegrationId,
    (environment, access): (&EnvironmentName, &Access),
    known: &IntegrationState,
    from: Timestamp,
    (uses, (warn, suspend)): Judged<'_>,
) -> Option<IntegrationChange> {
    let told = |binding: Option<&BindingName>, last: Option<Timestamp>, since: Timestamp| {
        let (integration, environment, binding) = (id.clone(), environment.clone(), binding.cloned());
        let is_new = !known.non_use.is_told(&environment, binding.as_ref(), since);
        is_new.then_some(IntegrationChange::Unused { integration, environment, binding, last })
    };
    let idle = |binding: Option<&BindingName>| {
        let last = (uses.last)(environment, binding);
        let since = last.map_or(from, |last| last.max(from));
        (last, since, idle(since, uses))
    };
    let (last, since, all) = idle(None);
    if all >= suspend {
        let environments = [environment.clone()].into();
        let reason = Text::from(format!("nobody used it for {} in {environment}", suspend.in_words()).as_str());
        let cause = SuspensionCause::Unused;
        return Some(IntegrationChange::Suspended { integration: id.clone(), reason, id: None, environments, cause });
    }
    if all >= warn {
        return told(None, last, since);
    }
    // A single binding is all of its environment.
    let several = access.bindings.iter().filter(|_| access.bindings.len() > 1).map(|binding| &binding.name);
    let mut in_force = several.filter(|binding| !known.non_use.is_retired(environment, binding));
    in_force.find_map(|binding| match idle(Some(binding)) {
        (last, _, time) if time >= suspend => {
            let (integration, environment, binding) = (id.clone(), environment.clone(), binding.clone());
            Some(IntegrationChange::BindingRetired { integration, environment, binding, last })
        }
        (last, since, time) if time >= warn => told(Some(binding), last, since),
        (_, _, _) => None,
    })
}

/// For how long nobody used it: the time, but no more than the days on which a node was there.
fn idle(since: Timestamp, uses: &Uses<'_>) -> Seconds {
    let first = Day::of(since);
    let behind = uses.days.len() - uses.days.partition_point(|day| *day <= first);
    uses.now.since(since).min(Seconds::days(u32::try_from(behind.min(10_000)).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, state};

    const DAY: i64 = 86_400;

    fn id() -> IntegrationId {
        "globex/order-sync".parse().expect("an id")
    }

    /// What is due so many days after the start, where a node was there on these days and the last use was that long ago.
    fn after(state: &State, days: i64, was_there: impl Fn(i64) -> bool, last: Option<i64>) -> Option<String> {
        let all: Vec<Day> = (0..=days).filter(|day| was_there(*day)).map(|day| Day::of(at(day * DAY))).collect();
        let last = last.map(|day| at(day * DAY));
        let uses = Uses { last: &|_, _| last, since: at(0), days: &all, now: at(days * DAY + 60) };
        let change = due(&id(), state, &uses)?;
        Some(format!("{} {}", change.kind(), change.reason().is_some()))
    }

    #[test]
    fn p_08_what_nobody_used_is_told_and_then_suspended() {
        let mut state = state();
        let always = |_| true;
        assert_eq!(after(&state, 29, always, None), None);
        let told = Some("integration.unused false".to_owned());
        assert_eq!(after(&state, 30, always, None), told);
        assert_eq!(after(&state, 89, always, Some(0)), told);
        let suspended = Some("integration.suspended true".to_owned());
        assert_eq!(after(&state, 90, always, None), suspended);
        assert_eq!(after(&state, 90, always, Some(0)), suspended);
        // Used since.
        assert_eq!(after(&state, 90, always, Some(1)), told);
        assert_eq!(after(&state, 90, always, Some(61)), None);
        // Nodes that were down are no reason.
        assert_eq!(after(&state, 90, |day| day != 50, None), told);
        assert_eq!(after(&state, 230, |day| day < 30 || day == 230, None), told);
        assert_eq!(after(&state, 230, |day| !(10..=225).contains(&day), None), None);
        // A suspension that stands says enough.
        let suspend = IntegrationChange::suspended(id(), "odd".into());
        state.apply(100, at(0), &suspend.by(crate::domain::people::actor::Actor::Operator));
        assert_eq!(after(&state, 90, always, None), None);
    }
}
