//! What was issued with a scope, and what that suggests to a reviewer. It decides nothing.

use std::collections::BTreeMap;

use super::uses::UsesView;
use crate::domain::registry::api::Risk;
use crate::domain::registry::recertification::ItemVerdict;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{ApiName, EnvironmentName};

/// A scope that nobody was issued for so long is not needed.
const IDLE: Seconds = Seconds::days(60);

/// The figures of a scope, over all bindings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// The last token with it.
    pub last: Option<Timestamp>,
    /// Tokens of 30 days.
    pub month: u64,
    /// Tokens of 90 days.
    pub quarter: u64,
    /// Each of them had every scope.
    pub everything: bool,
}

impl Figures {
    /// The figures of each scope in an environment.
    pub fn by_scope(uses: &[UsesView], environment: &EnvironmentName) -> BTreeMap<(ApiName, String), Self> {
        let mut all: BTreeMap<(ApiName, String), Self> = BTreeMap::new();
        for (scope, one) in uses.iter().filter_map(|one| Some((one.scope_in(environment)?, one))) {
            let (last, month, quarter, everything) = one.figures();
            let known = all.entry(scope).or_insert(Self { everything: true, ..Self::default() });
            known.last = known.last.max(Some(last));
            known.month += month;
            known.quarter += quarter;
            known.everything &= everything;
        }
        all
    }

    /// What they say of the scope. `since`: it was reviewed last, or came into force.
    pub fn suggestion(self, risk: Option<Risk>, since: Timestamp, now: Timestamp) -> (ItemVerdict, String) {
        let days = |from: Timestamp| now.since(from).0 / Seconds::days(1).0;
        match self.last {
            None if now < since.plus(IDLE) => (ItemVerdict::Keep, format!("in force for {} days only", days(since))),
            None => (ItemVerdict::Remove, format!("not issued since {}", since.first_day())),
            Some(last) if now >= last.plus(IDLE) => (ItemVerdict::Remove, format!("not issued for {} days", days(last))),
            Some(_) if self.everything => {
                let because = "the client asks for everything each time, so its figures say nothing of this scope";
                (ItemVerdict::Narrow, because.to_owned())
            }
            Some(last) if risk == Some(Risk::High) && self.month == 0 => {
                (ItemVerdict::Elevation, format!("high risk, and not issued for {} days", days(last)))
            }
            Some(_) => (ItemVerdict::Keep, format!("issued {} times in 30 days", self.month)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::at;

    const DAY: i64 = 86_400;

    #[test]
    fn what_is_not_issued_goes_and_a_client_that_asks_for_everything_is_never_kept() {
        let since = at(0);
        let now = at(100 * DAY);
        let of = |days_ago: Option<i64>, month: u64, everything: bool, risk: Risk| {
            let last = days_ago.map(|days| at((100 - days) * DAY));
            Figures { last, month, quarter: month, everything }.suggestion(Some(risk), since, now)
        };
        let says = |verdict: ItemVerdict, because: &str| (verdict, because.to_owned());
        assert_eq!(of(None, 0, false, Risk::Low), says(ItemVerdict::Remove, "not issued since 2026-12-01T12:00:00Z"));
        assert_eq!(of(Some(61), 0, false, Risk::Low), says(ItemVerdict::Remove, "not issued for 61 days"));
        assert_eq!(of(Some(60), 0, true, Risk::Low).0, ItemVerdict::Remove);
        assert_eq!(of(Some(59), 0, true, Risk::Low).0, ItemVerdict::Narrow);
        assert_eq!(of(Some(1), 812, true, Risk::High).0, ItemVerdict::Narrow);
        assert_eq!(of(Some(35), 0, false, Risk::High), says(ItemVerdict::Elevation, "high risk, and not issued for 35 days"));
        assert_eq!(of(Some(35), 0, false, Risk::Medium).0, ItemVerdict::Keep);
        assert_eq!(of(Some(1), 812, false, Risk::High), says(ItemVerdict::Keep, "issued 812 times in 30 days"));
        let young = Figures::default().suggestion(Some(Risk::Low), at(41 * DAY), now);
        assert_eq!(young, says(ItemVerdict::Keep, "in force for 59 days only"));
    }
}
