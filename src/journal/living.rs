//! Living tokens: a walk over the newest entries that counts the tokens a cut ended.
//!
//! It costs one pass over the issuances of the longest life that a token can have (`max_ttl` of the configuration, an hour where that was
//! shortened within the hour), by the primary key and 1 000 rows at a time, on a connection that only reads. At 1 000 tokens a second and
//! `max_ttl = 10m` that is 600 000 rows for a whole environment; of one client or partner only its own rows are parsed.

use super::fault::Unavailable;
use super::handle::Journal;
use crate::domain::decision::life::LONGEST_LIFE;
use crate::domain::state::cut::Reach;
use crate::domain::value::clock::{Seconds, Timestamp};

/// The tokens that a cut ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ended {
    /// How many living tokens.
    pub tokens: u64,
    /// The time at which the last of them ends for offline verifiers, if there was one.
    pub last: Option<Timestamp>,
}

impl Journal {
    /// The first entry whose token may still live.
    pub async fn first_living(&self) -> Result<u64, Unavailable> {
        self.running()?;
        let (view, now) = (self.view(), self.now());
        // A configuration of the last hour may have allowed more than the present one.
        let shortened = view.state.lives_shortened.is_some_and(|at| now <= at.plus(LONGEST_LIFE));
        let longest = view.state.longest_life().filter(|_| !shortened).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE);
        Ok(self.reader().count_until(now.minus(longest).minus(Seconds(1)), &view).await?)
    }

    /// The entries after `since`, until `until`: the first of them, and the first one beyond.
    pub async fn between(&self, since: Timestamp, until: Timestamp) -> Result<(u64, Option<u64>), Unavailable> {
        self.running()?;
        let view = self.view();
        let (from, to) = (self.reader().count_until(since, &view).await?, self.reader().count_until(until, &view).await?);
        Ok((from, Some(to)))
    }

    /// How many tokens that still live the change at `index` cut.
    pub async fn ended_by(&self, reach: &Reach, index: u64) -> Result<Ended, Unavailable> {
        self.running()?;
        let (mut ended, mut from) = (Ended::default(), self.first_living().await?);
        loop {
            let issued = self.reader().issued((from, index), reach.clients()).await?;
            let Some(last) = issued.last().map(|issued| issued.index) else { return Ok(ended) };
            let now = self.now();
            for one in issued.iter().filter(|one| now < one.exp && reach.cuts(one)) {
                ended.tokens += 1;
                ended.last = ended.last.max(Some(one.exp));
            }
            from = last + 1;
        }
    }
}
