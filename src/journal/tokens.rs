//! The tokens of a client or a partner by place, counted between two entries without reading all that lie between.
//!
//! The counts of uses (`journal::uses`) have whole days. Of the first and the last day a part is read, or taken away from the whole day,
//! whichever is less to read; and behind what is counted, every entry is. So the answer is that of the entries, and costs no more than two
//! halves of days. The counts are read as they are stored, and prove nothing: nothing is decided by them.

use std::collections::BTreeMap;

use super::fault::Unavailable;
use super::handle::Journal;
use super::store::row::IssuedPlace;
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::uses::Use;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::day::Day;

/// Entries from the first on and before the second.
type Range = (u64, u64);

/// By client, environment, API and binding.
type Places = BTreeMap<(String, String, String, String), (u64, Timestamp)>;

/// A part of a day: the entries that are asked for, and all entries of that day that are counted.
#[derive(Clone, Copy)]
struct Part {
    wanted: Range,
    whole: Range,
    /// Whether the time of the last token is asked for.
    has_last: bool,
}

impl Journal {
    /// The tokens of these clients among the entries `within`, issued from the one time on and before the other.
    ///
    /// Returned is also the time from which on these are all: entries that have left the database are not counted.
    pub async fn issued_by_place(
        &self,
        clients: &Clients,
        within: Range,
        times: (Timestamp, Timestamp),
    ) -> Result<(Vec<IssuedPlace>, Timestamp), Unavailable> {
        self.by_place(clients, within, times, true).await
    }

    /// Their number.
    pub(super) async fn count_issued(
        &self,
        clients: &Clients,
        within: Range,
        times: (Timestamp, Timestamp),
    ) -> Result<u64, Unavailable> {
        let (places, _) = self.by_place(clients, within, times, false).await?;
        Ok(places.iter().map(|place| place.count).sum())
    }

    async fn by_place(
        &self,
        clients: &Clients,
        within: Range,
        (since, until): (Timestamp, Timestamp),
        has_last: bool,
    ) -> Result<(Vec<IssuedPlace>, Timestamp), Unavailable> {
        self.running()?;
        let view = self.view();
        let (left, end) = (view.state.archive.until(), within.1.min(view.size));
        if !view.state.corrections.is_empty() {
            // After a correction of time, days are no ranges of entries.
            let read = self.reader().issued_by_place(clients, (within.0.max(left), end), (since, until)).await?;
            return Ok((read, since));
        }
        let (first, end) = (within.0.max(self.first_from(since).await?), end.min(self.first_from(until).await?));
        let from = first.max(left);
        let counted = if first < left { self.time_of(left).await?.map_or(until, |time| time.max(since)) } else { since };
        if from >= end {
            return Ok((Vec::new(), counted));
        }
        Ok((self.counted_between(clients, (from, end), has_last).await?, counted))
    }

    async fn counted_between(
        &self,
        clients: &Clients,
        (from, end): Range,
        has_last: bool,
    ) -> Result<Vec<IssuedPlace>, Unavailable> {
        let mut places = Places::new();
        let of = async |index| Ok::<_, Unavailable>(self.time_of(index).await?.map(Day::of));
        let (Some(first), Some(last)) = (of(from).await?, of(end - 1).await?) else { return Ok(Vec::new()) };
        let between = (Day(first.0 + 1), Day(last.0 - 1));
        let days = [(first, first), (last, last), between];
        // All of one moment, so that nothing is counted twice.
        let Some((counted, [of_first, of_last, others])) = self.reader().uses_between(clients, days).await? else {
            self.add_read(clients, (from, end), Sign::More, &mut places).await?;
            return Ok(told(places));
        };
        let known = counted.min(end);
        if from < known {
            let whole = async |day: Day| {
                let range = (self.first_from(start(day)).await?, self.first_from(start(Day(day.0 + 1))).await?.min(counted));
                Ok::<_, Unavailable>(range)
            };
            let of_day = whole(first).await?;
            let part = Part { wanted: (from, known.min(of_day.1)), whole: of_day, has_last };
            self.add_part(clients, part, &of_first, &mut places).await?;
            if first != last {
                let of_day = whole(last).await?;
                let part = Part { wanted: (of_day.0, known), whole: of_day, has_last };
                self.add_part(clients, part, &of_last, &mut places).await?;
                add(&mut places, of_uses(&others), Sign::More);
            }
        }
        self.add_read(clients, (known.max(from), end), Sign::More, &mut places).await?;
        Ok(told(places))
    }

    /// Adds a part of a day: by reading it, or by its counts without the rest.
    async fn add_part(
        &self,
        clients: &Clients,
        part: Part,
        counts: &[(u64, Timestamp, String)],
        places: &mut Places,
    ) -> Result<(), Unavailable> {
        let Part { wanted: (from, until), whole: (begins, ends), .. } = part;
        let (size, rest) = (until.saturating_sub(from), ends.saturating_sub(begins));
        let is_all = (from, until) == (begins, ends);
        let is_read = begins < self.view().state.archive.until() || size <= rest.saturating_sub(size);
        // The last token of the day is the last of its end alone.
        if !is_all && (is_read || (part.has_last && until < ends)) {
            return self.add_read(clients, (from, until), Sign::More, places).await;
        }
        add(places, of_uses(counts), Sign::More);
        self.add_read(clients, (begins, from), Sign::Less, places).await?;
        self.add_read(clients, (until, ends), Sign::Less, places).await
    }

    async fn add_read(&self, clients: &Clients, range: Range, sign: Sign, places: &mut Places) -> Result<(), Unavailable> {
        if range.0 < range.1 {
            let all = (Timestamp::default(), Timestamp::MAX);
            add(places, self.reader().issued_by_place(clients, range, all).await?, sign);
        }
        Ok(())
    }
}

fn told(places: Places) -> Vec<IssuedPlace> {
    let place =
        |((client, environment, api, binding), (count, last))| IssuedPlace { count, last, client, environment, api, binding };
    places.into_iter().filter(|(_, (count, _))| *count > 0).map(place).collect()
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Sign {
    More,
    Less,
}

fn add(places: &mut Places, found: Vec<IssuedPlace>, sign: Sign) {
    for IssuedPlace { count, last, client, environment, api, binding } in found {
        let (known, newest) = places.entry((client, environment, api, binding)).or_default();
        match sign {
            Sign::More => (*known, *newest) = (known.saturating_add(count), last.max(*newest)),
            Sign::Less => *known = known.saturating_sub(count),
        }
    }
}

fn of_uses(counts: &[(u64, Timestamp, String)]) -> Vec<IssuedPlace> {
    let place = |(count, last, body): &(u64, Timestamp, String)| match serde_json::from_str(body) {
        Ok(Use::Issued(issued)) => Some(IssuedPlace {
            count: *count,
            last: *last,
            client: issued.client.to_string(),
            environment: issued.environment.to_string(),
            api: issued.api.to_string(),
            binding: issued.binding.to_string(),
        }),
        Ok(Use::Seen(_) | Use::Forbidden { .. }) | Err(_) => None,
    };
    counts.iter().filter_map(place).collect()
}

/// The first second of a day.
fn start(day: Day) -> Timestamp {
    Timestamp::from_seconds(day.0.saturating_mul(i64::from(Seconds::days(1).0))).unwrap_or(Timestamp::MAX)
}
