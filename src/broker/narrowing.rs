//! Lists the tokens that a version cut, for those who read the live index.
//!
//! A version that takes something away cuts tokens by a rule, which counts here from its entry on (`state::narrowings`). Readers of the live
//! index know tokens by their ids alone. So one task finds the living tokens that the rule cut, and records them in `tokens.cut` entries:
//! the index learns them with the entry, and the journal says whom the change reached. A task that ends before it was done begins again with
//! the next start, and lists no token twice.

use std::time::Duration;

use super::Broker;
use super::cause::Cause;
use crate::domain::log::entry::Issued;
use crate::domain::log::revocation::{CutToken, RevocationChange};
use crate::domain::state::State;
use crate::domain::state::narrowings::{Narrowing, Whose};
use crate::journal::Unavailable;

/// Tokens of one entry, which is at most 64 KiB long.
const LISTED: usize = 400;

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

    async fn list(&self, whose: &Whose, narrowing: &Narrowing) -> Result<(), Unavailable> {
        let target = whose.target();
        let clients = target.reached().clients;
        let state = &self.journal.view().state;
        let mut tokens = Vec::new();
        let look = |issued: &Issued| {
            if narrowing.cuts(issued) && whose.is_of(issued) && !state.revoked_tokens.contains(&issued.jti) {
                let (environment, id) = (issued.environment.clone(), issued.jti.clone());
                tokens.push(CutToken { environment, id, expires: issued.exp });
            }
        };
        self.journal.each_living(clients.as_ref(), narrowing.index, look).await?;
        for some in tokens.chunks(LISTED) {
            // Another node lists them as well. Whichever comes later names those that are left.
            let change = |state: &State, _| {
                let left = some.iter().filter(|token| !state.revoked_tokens.contains(&token.id));
                let tokens: Vec<CutToken> = left.cloned().collect();
                if tokens.is_empty() {
                    return Err(Listed);
                }
                Ok(RevocationChange::TokensCut { target: target.clone(), because: narrowing.index, tokens })
            };
            match self.change_as(Cause::Broker, None, change).await? {
                Ok(_) | Err(Listed) => {}
            }
        }
        Ok(())
    }
}
