//! Has texts of people forgotten (docs/how-to/operate/erasure.md).
//!
//! An administrator asks, and a person of security approves. A text that a version in force or an open offboarding needs is not forgotten.

use std::collections::BTreeSet;

use super::Broker;
use super::failure::{Failure, Fault};
use super::review::ask;
use crate::domain::log::text::TextChange;
use crate::domain::people::actor::{Authorized, Erase};
use crate::domain::reason;
use crate::domain::registry::approval::Kind;
use crate::domain::state::State;
use crate::domain::state::erasures::version;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::{Text, TextDigest};
use crate::journal::ForRequest;

/// The most texts of a request.
const MOST: usize = 500;

impl Broker {
    /// Opens the approval to have texts forgotten.
    ///
    /// # Errors
    /// One of them is not in the store, or is needed; or the journal does not answer.
    pub async fn ask_erasure(
        &self,
        by: &Authorized<Erase>,
        digests: &BTreeSet<TextDigest>,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        if digests.is_empty() || digests.len() > MOST {
            return Err(Failure::Faults(vec![Fault::invalid("digests", format!("expected 1 to {MOST} digests"))]));
        }
        let named: Vec<TextDigest> = digests.iter().copied().collect();
        let known = self.journal.texts(&named).await?;
        let unknown = named.iter().enumerate().filter(|(_, digest)| !known.contains_key(*digest));
        let unknown: Vec<Fault> = unknown
            .map(|(at, digest)| Fault::invalid(format!("digests[{at}]"), format!("there is no text {digest}")))
            .collect();
        if !unknown.is_empty() {
            return Err(Failure::Faults(unknown));
        }
        let approval: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        let asked = digests.clone();
        // It looks at every record: at the desk, on the state that the entry follows.
        let judge = move |state: &State, _: Timestamp, _: &mut Effort| state.needed(&asked);
        let decide = |_: &State, now: Timestamp, needed: &Option<TextDigest>| {
            if needed.is_some() {
                return Err(Failure::Stopped(&reason::TEXT_IN_USE));
            }
            let texts: Vec<Text> = named.iter().copied().map(Text::Sealed).collect();
            let subject = format!("{} texts", texts.len());
            let opened = ask(&approval, Kind::Erasure, subject, version(&texts), &actor, Vec::new(), now);
            Ok(TextChange::EraseAsked { texts, reason: why.into(), approval: Box::new(opened) })
        };
        self.change_judged((by, request), &mut Effort::default(), None, judge, decide).await?;
        Ok(approval)
    }
}
