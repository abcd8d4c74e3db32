//! Which dates people are told of at a moment: 60, 30 and 7 days before each, and when it comes.
//!
//! Enter through [`due`]. Its answer is an entry for people, and decides nothing: what ends at a date refuses by the record and by `now`, on
//! every node and without an entry. A date that was known too late for a warning gets the later ones alone. A suspension changes no date: who
//! decides to resume has to know what ends meanwhile. In an environment that is closed for everybody nothing ends any more.

use crate::domain::log::dates::DatesChange;
use crate::domain::registry::date::{DAYS_BEFORE, Date, Noticed};
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};

/// At most one entry is recorded in so long.
pub const ONCE_IN: Seconds = Seconds::minutes(1);

/// The most dates of an entry.
pub const MOST: usize = 1_000;

/// The bytes for dates in an entry, which is at most 64 KiB long with all else that it says.
const ROOM: usize = 62 * 1024;

/// The entry that is due at `now`, if any. The first one begins: it tells of nothing, and nothing before it is told later.
pub fn due(state: &State, now: Timestamp) -> Option<DatesChange> {
    let Some(told) = state.dates.told() else {
        return Some(DatesChange::Noticed { items: Vec::new(), more: false });
    };
    if now < told.at.plus(ONCE_IN) {
        return None;
    }
    let mut all: Vec<(usize, Noticed)> = Vec::new();
    for (rank, days) in DAYS_BEFORE.into_iter().enumerate() {
        // One more than an entry takes, to know whether any are left.
        all.extend(of_warning(state, (rank, days), now).take(MOST + 1).map(|noticed| (rank, noticed)));
    }
    let place = |(rank, one): &(usize, Noticed)| (one.instant(), *rank, one.date.party(), one.date.clone());
    all.sort_by_cached_key(place);
    let number = all.len();
    let mut room = ROOM;
    let fits = |(_, one): &(usize, Noticed)| {
        let length = serde_json::to_string(one).map_or(ROOM, |text| text.len() + 1);
        room = room.checked_sub(length)?;
        Some(())
    };
    let fitting = all.iter().take(MOST).map_while(fits).count();
    let items: Vec<Noticed> = all.into_iter().take(fitting).map(|(_, one)| one).collect();
    if items.is_empty() {
        return None;
    }
    Some(DatesChange::Noticed { more: items.len() < number, items })
}

/// The dates of which people are to be told so many days before, in their order.
fn of_warning(state: &State, (rank, days): (usize, u32), now: Timestamp) -> impl Iterator<Item = Noticed> {
    state.dates.due(days, now).flat_map(move |moment| {
        let instant = moment.at.minus(Seconds::days(days));
        let mut dates = if instant > moment.since { state.dates_of(moment.party) } else { Vec::new() };
        dates.retain(|(date, at)| {
            let is_told = state.dates.told().is_some_and(|told| told.covers((instant, rank, moment.party, date)));
            *at == moment.at && date.days_before().contains(&days) && !is_told && !is_over(date, state, instant)
        });
        dates.sort();
        dates.into_iter().map(move |(date, at)| Noticed { date, at, days })
    })
}

/// Whether nothing depends on a date any more.
fn is_over(date: &Date, state: &State, instant: Timestamp) -> bool {
    let is_closed = date.environment().is_some_and(|environment| state.closures.of(environment).is_some());
    // A key that no certificate is for is used by nobody.
    let is_unused = if let Date::CertificateKeyDue { integration, environment, key } = date {
        let mut keys = state.certificates.keys_of(integration).filter(|one| one.environment == environment && one.key == *key);
        keys.all(|one| one.ends <= instant)
    } else {
        false
    };
    is_closed || is_unused
}

#[cfg(test)]
mod tests;
