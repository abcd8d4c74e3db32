//! Finds the entry of a token of ours, and judges whether it is active.
//!
//! Enter through [`Broker::find`]. Whatever can change is judged at each question: the key, the expiry, and all cuts, in the newest state
//! and in the live index (ABUSE I-8, I-15). What cannot is remembered ([`found_lately`](super::found_lately)), and counts while the journal
//! can be read: within the lease of a read (ABUSE I-16).

use std::sync::Arc;

use super::Broker;
use super::failure::{Denied, away};
use super::follow::LEASE;
use super::found_lately::Found;
use crate::domain::decision::cut::is_cut;
use crate::domain::log::entry::Entry;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::EnvironmentName;
use crate::issuance::Signed;
use crate::revocation::Liveness;

impl Broker {
    /// Returns the claims and the entry of a token, if it is active now.
    pub async fn find(&self, environment: &EnvironmentName, token: &str) -> Result<Option<Arc<Found>>, Denied> {
        let tenure = self.ensure_live()?;
        let Some(found) = self.on_record(environment, token).await? else { return Ok(None) };
        if found.claims.exp <= self.now() || found.claims.env != *environment {
            return Ok(None);
        }
        if self.is_cut(&found).await? {
            return Ok(None);
        }
        // What was asked first is asked again after the last answer of a store: it may have been a long wait.
        self.ensure_live_since(tenure)?;
        Ok(Some(found))
    }

    /// Returns a token that one of `environment`'s keys signed and that is on record there, living or not.
    async fn on_record(&self, environment: &EnvironmentName, token: &str) -> Result<Option<Arc<Found>>, Denied> {
        self.journal.running().map_err(|_| away())?;
        let view = self.journal.view();
        let text = Digest::of(token.as_bytes());
        let began = self.clock.now();
        if let Some(found) = self.found_lately.look(&text, began, LEASE) {
            // Another environment may be asked about the same text, and has none of its keys.
            let key = view.state.keys.find(environment, &found.entry.kid);
            let is_here = found.entry.environment == *environment && key.is_some_and(|key| key.key.alg == found.alg);
            return Ok(is_here.then_some(found));
        }
        let Some(signed) = self.issuance.verify(&view.state, environment, token) else { return Ok(None) };
        let Signed { claims, digest, kid, alg } = signed;
        if claims.exp <= self.now() {
            return Ok(None);
        }
        // A stolen signing key alone makes no active token: the entry must have the same claims, byte for byte.
        let entry = self.journal.entry(claims.entry).await.map_err(|_| {
            self.found_lately.unheard();
            away()
        })?;
        self.found_lately.heard(began);
        let Some(Entry::Issued(entry)) = entry else { return Ok(None) };
        if entry.jti != claims.jti || entry.claims != digest || entry.environment != *environment || entry.kid != kid {
            return Ok(None);
        }
        let keys = entry.provenance().keys();
        let found = Arc::new(Found { claims, entry, alg, keys });
        self.found_lately.remember(text, &found, token.len());
        Ok(Some(found))
    }

    async fn is_cut(&self, found: &Found) -> Result<bool, Denied> {
        // It takes the newest view, because the entry may have been read before a revocation was folded.
        let view = self.journal.view();
        let (entry, keys) = (&found.entry, &found.keys);
        if is_cut(entry, keys, &view.state, &*self.guards(&view).await) {
            return Ok(true);
        }
        let live = self.live.is_cut(&entry.environment, &entry.jti, keys, entry.index, self.clock.now()).await;
        match live.map_err(|_| away())? {
            Liveness::Live => Ok(false),
            Liveness::Cut => Ok(true),
            Liveness::Unknown => Err(away().into()),
        }
    }
}
