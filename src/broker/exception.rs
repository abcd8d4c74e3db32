//! Closes static secrets that lived at a partner.
//!
//! An owner says that one lives no more, and what shows it; one of security approves. Until then a version of the record that lacks it
//! waits, whoever approved it.

use super::Broker;
use super::failure::{Failure, Fault};
use super::review::ask;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::people::actor::{Authorized, CloseException};
use crate::domain::reason;
use crate::domain::record::{self, Located, Record};
use crate::domain::registry::approval::Kind;
use crate::domain::state::State;
use crate::domain::state::exceptions::version;
use crate::domain::value::names::{ApprovalId, ExceptionId};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

impl Broker {
    /// Opens the approval to close a static secret.
    ///
    /// # Errors
    /// There is no such one, it is closed, or nothing is said to show it.
    pub async fn ask_close_exception(
        &self,
        by: &Authorized<CloseException>,
        id: &ExceptionId,
        evidence: &str,
        request: Option<ForRequest>,
    ) -> Result<ApprovalId, Failure> {
        let approval: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        if evidence.trim().is_empty() {
            let message = "expected what shows that the secret lives no more";
            return Err(Failure::Faults(vec![Fault::invalid("evidence", message)]));
        }
        self.change_by(by, request, |state, now| {
            let (integration, secret) = state.exception(id).ok_or(&reason::NOT_FOUND)?;
            let known = state.integrations.get(integration).ok_or(&reason::NOT_FOUND)?;
            if known.open_exceptions().all(|(open, _)| open != *id) {
                return Err(Failure::State(format!("{:?} of {integration} is closed already.", secret.what)));
            }
            let (subject, version) = (integration.to_string(), version(id, secret));
            let approval = ask(&approval, Kind::Exception, subject, version, &actor, Vec::new(), now);
            let (exception, integration) = (id.clone(), integration.clone());
            Ok(ExceptionChange::CloseAsked {
                exception,
                integration,
                evidence: Text::from(evidence),
                approval: Box::new(approval),
            })
        })
        .await?;
        Ok(approval)
    }
}

/// A version to be compared with another one: a static secret that is closed says nothing.
pub(super) fn without_closed(record: &Record, state: &State) -> Record {
    match record {
        Record::Integration(integration) => match state.integrations.get(&integration.id) {
            Some(known) => Record::Integration(known.without_closed(integration)),
            None => record.clone(),
        },
        Record::Api(_) | Record::Guardrail(_) | Record::Partner(_) => record.clone(),
    }
}

/// Tells how often the end of a static secret was moved, where a version moves it once more.
pub(super) fn extended(located: &Located, state: &State) -> Vec<record::Fault> {
    let Record::Integration(integration) = &located.record else { return Vec::new() };
    let Some(known) = state.integrations.get(&integration.id) else { return Vec::new() };
    let told = known.extends(integration).map(|(at, secret, times)| {
        let message = format!("{:?} gets another end, {}; this is extension {times}", secret.what, secret.ends.last_day());
        located.warning(&format!("exceptions[{at}].ends"), &reason::EXCEPTION_EXTENDED, message)
    });
    told.collect()
}
