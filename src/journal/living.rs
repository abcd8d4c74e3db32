//! Living tokens: the entry of one, and a count of those that a cut ended.
//!
//! **One token** is found among the entries of the second that its id begins with, and the few after it. A cut of one token is that look-up.
//!
//! **Many tokens** are counted by their entries: of an integration, a partner, a binding or an elevation by those of its clients alone; of an
//! environment, an API, an issuer, a key or an authority by those of everybody. `sequencer::issued` says where these entries stand, so a
//! count costs the tokens that it looks at, and nothing for changes, refusals and the tokens of others. The first count after a start reads
//! each row of the longest life of a token once to learn the places (`max_ttl` of the configuration, an hour where that was shortened
//! within the hour). It goes [`WINDOW`] entries at a time, so one that is given up leaves the next one less. All of it is read on
//! connections that only read: no cut and no exchange waits for it.

use super::fault::Unavailable;
use super::handle::Journal;
use super::store::query::Query;
use crate::domain::credential::claims::LONGEST_LIFE;
use crate::domain::credential::revocation::Clients;
use crate::domain::log::entry::{Entry, Issued};
use crate::domain::state::cut::Reach;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::TokenId;

/// The time after its decision within which a token is nearly always on record. Later ones are found by a longer search.
const COMMITTED_WITHIN: Seconds = Seconds(10);

/// The entries among which places are looked for at a time.
const WINDOW: u64 = 10_000;

/// The entries that are read at a time.
const READ: usize = 1_000;

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
    async fn first_living(&self) -> Result<u64, Unavailable> {
        self.running()?;
        let (view, now) = (self.view(), self.now());
        // A configuration of the last hour may have allowed more than the present one.
        let shortened = view.state.lives_shortened.is_some_and(|at| now <= at.plus(LONGEST_LIFE));
        let longest = view.state.longest_life().filter(|_| !shortened).unwrap_or(LONGEST_LIFE).min(LONGEST_LIFE);
        Ok(self.reader().count_until(now.minus(longest).minus(Seconds(1)), &view).await?)
    }

    /// Finds the entry of a token that may still live.
    pub async fn living_issuance(&self, id: &TokenId) -> Result<Option<Box<Issued>>, Unavailable> {
        let first = self.first_living().await?;
        let (from, to) = self.near(id).await?;
        let near = Query { from: from.max(first), to: Some(to), ..Query::default() };
        match self.sought(id, near).await? {
            Some(found) => Ok(Some(found)),
            None => self.sought(id, Query { from: first, ..Query::default() }).await,
        }
    }

    /// Finds the entry of a token in the database, however long ago it was issued.
    pub async fn issuance(&self, id: &TokenId) -> Result<Option<Box<Issued>>, Unavailable> {
        let (from, to) = self.near(id).await?;
        match self.sought(id, Query { from, to: Some(to), ..Query::default() }).await? {
            Some(found) => Ok(Some(found)),
            None => self.sought(id, Query { newest_first: true, ..Query::default() }).await,
        }
    }

    /// The entries of the time that the id begins with. The id may come from anybody, so they need not have it.
    async fn near(&self, id: &TokenId) -> Result<(u64, u64), Unavailable> {
        self.running()?;
        let Some(second) = id.claimed_second() else { return Ok((0, 0)) };
        let (view, reader) = (self.view(), self.reader());
        let from = reader.count_until(second.minus(Seconds(1)), &view).await?;
        Ok((from, reader.count_until(second.plus(COMMITTED_WITHIN), &view).await?))
    }

    async fn sought(&self, id: &TokenId, among: Query) -> Result<Option<Box<Issued>>, Unavailable> {
        let query = Query { token: Some(id.clone()), limit: Some(1), ..among };
        Ok(match self.entries(&query).await?.into_iter().next().map(|stored| stored.entry) {
            Some(Entry::Issued(issued)) => Some(issued),
            // No other kind of entry has a token's id.
            Some(Entry::Refused(_) | Entry::Counted(_) | Entry::Change(_)) | None => None,
        })
    }

    /// Passes each token of `clients` before the entry `index` to `each`, if it may still live; everybody's without `clients`.
    pub async fn each_living(
        &self,
        clients: Option<&Clients>,
        index: u64,
        mut each: impl FnMut(&Issued) + Send,
    ) -> Result<(), Unavailable> {
        let first = self.first_living().await?;
        self.learn_places(first).await?;
        let (known, places) = self.shared().with_issued(|issued| (issued.from(), issued.of(clients, index)));
        let now = self.now();
        let mut look = |issued: &[Issued]| issued.iter().filter(|one| now < one.exp).for_each(&mut each);
        // Before `known` there is something only where there were too many to remember.
        let mut from = first;
        while from < known.min(index) {
            let issued = self.reader().issued((from, known.min(index)), clients).await?;
            let Some(last) = issued.last().map(|issued| issued.index) else { break };
            look(&issued);
            from = last + 1;
        }
        for some in places.chunks(READ) {
            look(&self.reader().issued_at(some).await?);
        }
        Ok(())
    }

    /// How many tokens that still live the change at `index` cut.
    pub async fn ended_by(&self, reach: &Reach, index: u64) -> Result<Ended, Unavailable> {
        self.running()?;
        let mut ended = Ended::default();
        if let Some(token) = reach.token() {
            let found = self.living_issuance(token).await?.filter(|issued| issued.index < index);
            let now = self.now();
            found.iter().filter(|issued| now < issued.exp).for_each(|issued| ended.add(issued, reach));
            return Ok(ended);
        }
        self.each_living(reach.clients(), index, |issued| ended.add(issued, reach)).await?;
        Ok(ended)
    }

    /// Learns where the tokens from the entry `first` on stand that were issued before this node began to remember them.
    async fn learn_places(&self, first: u64) -> Result<(), Unavailable> {
        loop {
            let known = self.shared().with_issued(|issued| issued.from());
            if known <= first {
                return Ok(());
            }
            let least = known.saturating_sub(WINDOW).max(first);
            let older = self.reader().issuances(least, known).await?;
            let now = self.now();
            if !self.shared().with_issued(|issued| issued.add_before(known, least, older, now)) {
                return Ok(());
            }
        }
    }
}

impl Ended {
    /// Counts a living token, if the change cut it.
    fn add(&mut self, living: &Issued, reach: &Reach) {
        if reach.cuts(living) {
            self.tokens += 1;
            self.last = self.last.max(Some(living.exp));
        }
    }
}
