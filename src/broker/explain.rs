//! Explains, by its request id, why an exchange was granted or refused.
//!
//! The journal has the refusal of a known caller with its tree. The tree of a grant is made again from its entry. Refusals of
//! strangers are only counted in the journal. Memory keeps the last refusals one by one, those of strangers too: for people who
//! debug an onboarding, and because an entry is written a moment after its refusal was answered.

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
    /// Its request id.
    pub request: RequestId,
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its time.
    pub time: Timestamp,
    /// The caller, if known.
    pub client: Option<String>,
    /// The journal entry, if there is one.
    pub entry: Option<u64>,
    /// The reason of the refusal; `None` if a token was issued.
    pub reason: Option<&'static Reason>,
    /// The checks.
    pub tree: Vec<Step>,
}

/// The last refusals, in memory.
#[derive(Debug, Default)]
pub struct Recent {
    ring: Mutex<VecDeque<Explanation>>,
}

/// The number of refusals in memory.
///
/// People who debug look back no further, and it bounds the memory that strangers can use.
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
    /// Explains the outcome of the exchange with this request id.
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
