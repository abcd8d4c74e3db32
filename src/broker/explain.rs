//! Explaining: why an exchange came out as it did, by its request id.
//!
//! A known caller's refusal stands in the journal with its tree; a grant's tree is made again from its entry. Strangers' refusals
//! are counted in the journal. The last refusals, of strangers too, are remembered one by one in memory, for whoever debugs an
//! onboarding, and because an entry is written a moment after its refusal was told.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::Broker;
use super::failure::Failure;
use crate::domain::log::entry::Entry;
use crate::domain::reason::decision::Step;
use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, RequestId};
use crate::journal::Query;

/// One exchange, explained.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The request.
    pub request: RequestId,
    /// Where.
    pub environment: EnvironmentName,
    /// When.
    pub time: Timestamp,
    /// The caller, where known.
    pub client: Option<String>,
    /// The journal entry, where there is one.
    pub entry: Option<u64>,
    /// Nothing where a token was issued.
    pub reason: Option<&'static Reason>,
    /// The checks.
    pub tree: Vec<Step>,
}

/// The last refusals.
#[derive(Debug, Default)]
pub struct Recent {
    ring: Mutex<VecDeque<Explanation>>,
}

/// As many as somebody who debugs looks back at; bounds the memory that strangers can use.
const REMEMBERED: usize = 1000;

impl Recent {
    pub(super) fn add(&self, explanation: Explanation) {
        let mut ring = self.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ring.len() == REMEMBERED {
            ring.pop_front();
        }
        ring.push_back(explanation);
    }

    fn find(&self, request: &RequestId) -> Option<Explanation> {
        let ring = self.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ring.iter().rev().find(|known| known.request == *request).cloned()
    }
}

impl Broker {
    /// Why the exchange of `request` came out as it did.
    pub async fn explain(&self, request: &RequestId) -> Result<Explanation, Failure> {
        let query = Query { request_id: Some(request.clone()), limit: Some(1), ..Query::default() };
        let entries = self.journal.entries(&query).await?;
        let Some(entry) = entries.into_iter().next() else {
            return self.recent.find(request).ok_or_else(|| (&reason::NOT_FOUND).into());
        };
        match entry.entry {
            Entry::Refused(refused) => Ok(Explanation {
                request: refused.request_id,
                environment: refused.environment,
                time: refused.time,
                client: Some(refused.subject.to_string()),
                entry: Some(refused.index),
                reason: Some(refused.reason.0),
                tree: refused.tree,
            }),
            Entry::Issued(issued) => {
                let step = |check: &str, want: String, seen: String| Step { check: check.into(), want, seen, holds: true };
                let tree = vec![
                    step("proof", "a proof that pays for it".into(), format!("one of {}", issued.proof.issuer)),
                    step("binding", "a binding that admits the proof".into(), issued.binding.to_string()),
                    step("record", "a version in force".into(), issued.record.to_string()),
                    step("target", "an API of the record".into(), format!("{} ({})", issued.api, issued.audience)),
                    step("scope", "within the record".into(), issued.scope.clone()),
                    step("life", "the first of its ceilings".into(), format!("until {} ({})", issued.exp, issued.ceiling)),
                ];
                Ok(Explanation {
                    request: issued.request_id.clone(),
                    environment: issued.environment.clone(),
                    time: issued.time,
                    client: Some(issued.subject.to_string()),
                    entry: Some(issued.index),
                    reason: None,
                    tree,
                })
            }
            Entry::Counted(_) | Entry::Change(_) => Err((&reason::NOT_FOUND).into()),
        }
    }
}
