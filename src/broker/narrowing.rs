//! Lists the tokens that a version cut, for those who read the live index.
//!
//! A version that takes something away cuts tokens by a rule, which counts here from its entry on (`state::narrowings`). Readers of the live
//! index know tokens by their ids alone. So one task finds the living tokens that the rule cut, and records them in `tokens.cut` entries:
//! the index learns them with the entry, and the journal says whom the change reached. A task that ends before it was done begins again with
//! the next start, and lists no token twice.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Broker;
use super::cause::Cause;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::cut::is_cut_by;
use crate::domain::log::entry::Issued;
use crate::domain::log::revocation::{CutToken, RevocationChange};
use crate::domain::state::narrowings::{Narrowing, Whose};
use crate::domain::state::{State, Then};
use crate::domain::value::names::EnvironmentName;
use crate::journal::Unavailable;

/// The bytes for tokens in an entry, which is at most 64 KiB long with all else that it says.
const ROOM: usize = 62 * 1024;

/// The bytes of a token in an entry beside its names: members, quotation marks, and a time of ten digits.
const BESIDE: usize = 48;

/// The pause after a failure of the journal.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// All of these tokens are on record as cut.
struct Listed;

impl Broker {
    /// Lists the tokens that versions cut, until the task is dropped.
    pub async fn list_cuts(self) {
        let mut heads = self.journal.follow();
        let mut next = 0;
        loop {
            match self.list_since(next).await {
                Ok(listed) => next = listed,
                Err(_) => {
                    tracing::warn!("the tokens that a version cut could not be listed; trying again");
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
            }
            // With each change, so that no exchange waits for it.
            self.guards(&self.journal.view()).await;
            let came = || self.journal.view().state.narrowings.since(next).next().is_some();
            if heads.wait_for(|_| came()).await.is_err() {
                return;
            }
        }
    }

    /// Lists those of all versions that came with the entry `next` or later. Returns where the next round begins.
    async fn list_since(&self, next: u64) -> Result<u64, Unavailable> {
        let view = self.journal.view();
        let mut after = next;
        for (whose, narrowing) in view.state.narrowings.since(next) {
            self.list(whose, narrowing).await?;
            after = narrowing.index + 1;
        }
        Ok(after)
    }

    async fn list(&self, whose: &Whose, narrowing: &Narrowing<Then>) -> Result<(), Unavailable> {
        let view = self.journal.view();
        let guards = self.guards(&view).await;
        let (found, mut batches) = mpsc::unbounded_channel();
        // The first tokens are recorded while the others are still being read.
        let read = async {
            let mut batch = Batches::new(found);
            let look = |issued: &Issued| {
                let listed = view.state.revoked_tokens.contains(&issued.jti);
                if !listed && whose.is_of(issued) && is_cut_by(narrowing, issued, &*guards) {
                    let (environment, id) = (issued.environment.clone(), issued.jti.clone());
                    batch.add(CutToken { environment, id, expires: issued.exp });
                }
            };
            let read = self.journal.each_living(whose.clients().as_ref(), narrowing.index, look).await;
            batch.end();
            read
        };
        let record = async {
            while let Some((environment, tokens)) = batches.recv().await {
                self.record_cuts(&whose.target(&environment), narrowing.index, &tokens).await?;
            }
            Ok(())
        };
        let (read, recorded) = tokio::join!(read, record);
        read.and(recorded)
    }

    async fn record_cuts(&self, target: &RevocationTarget, because: u64, tokens: &[CutToken]) -> Result<(), Unavailable> {
        // Another node lists them as well. Whichever comes later names those that are left.
        let change = |state: &State, _| {
            let left = tokens.iter().filter(|token| !state.revoked_tokens.contains(&token.id));
            let tokens: Vec<CutToken> = left.cloned().collect();
            if tokens.is_empty() {
                return Err(Listed);
            }
            Ok(RevocationChange::TokensCut { target: target.clone(), because, tokens })
        };
        match self.change_as(Cause::Broker, None, change).await? {
            Ok(_) | Err(Listed) => Ok(()),
        }
    }
}

/// Tokens of one environment for one entry.
type Batch = (EnvironmentName, Vec<CutToken>);

/// Gathers tokens by environment, until an entry of them is full.
struct Batches {
    full: mpsc::UnboundedSender<Batch>,
    open: BTreeMap<EnvironmentName, (Vec<CutToken>, usize)>,
}

impl Batches {
    fn new(full: mpsc::UnboundedSender<Batch>) -> Self {
        Self { full, open: BTreeMap::new() }
    }

    fn add(&mut self, token: CutToken) {
        let length = BESIDE + token.environment.as_str().len() + token.id.as_str().len();
        let (tokens, bytes) = self.open.entry(token.environment.clone()).or_default();
        let full = (*bytes + length > ROOM).then(|| {
            *bytes = 0;
            (token.environment.clone(), std::mem::take(tokens))
        });
        *bytes += length;
        tokens.push(token);
        if let Some(full) = full {
            self.send(full);
        }
    }

    /// Sends what is left, and says that it was all.
    fn end(mut self) {
        for (environment, (tokens, _)) in std::mem::take(&mut self.open) {
            self.send((environment, tokens));
        }
    }

    fn send(&self, batch: Batch) {
        // Nobody receives any more only if the round failed, and then it begins again.
        let _gone = self.full.send(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::at;

    /// An entry takes as many tokens as it has room for, whatever their names, and never more.
    #[test]
    fn an_entry_is_as_long_as_it_may_be_and_no_longer() {
        let (found, mut batches) = mpsc::unbounded_channel();
        let mut batch = Batches::new(found);
        for n in 0..5_000 {
            let environment: EnvironmentName = if n % 5 == 0 { "sandbox" } else { "production" }.parse().expect("a name");
            let id = format!("tok_{n:0>30}").parse().expect("an id");
            batch.add(CutToken { environment, id, expires: at(9_999_999) });
        }
        batch.end();
        let mut numbers = Vec::new();
        while let Ok((environment, tokens)) = batches.try_recv() {
            assert!(tokens.iter().all(|token| token.environment == environment));
            let length = serde_json::to_string(&tokens).expect("JSON").len();
            assert!(length <= ROOM, "{length}");
            numbers.push((tokens.len(), length));
        }
        assert_eq!(numbers.iter().map(|(number, _)| number).sum::<usize>(), 5_000);
        let full = numbers.iter().filter(|(_, length)| *length > ROOM - 2_000).count();
        assert!(full >= numbers.len() - 2 && numbers.len() <= 10, "{numbers:?}");
    }
}
