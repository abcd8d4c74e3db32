//! Asks to close an environment for everybody.
//!
//! An administrator asks; an owner and a person of security approve. It acts with the last approval, and nothing takes it back.

use super::Broker;
use super::failure::{Failure, Fault};
use super::review::ask;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::people::actor::{Authorized, Close};
use crate::domain::reason;
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::state::closures::Closures;
use crate::domain::value::names::{ApprovalId, EnvironmentName};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

impl Broker {
    /// Whether an environment was closed so long ago that nothing answers there any more.
    pub fn is_gone(&self, environment: &EnvironmentName) -> bool {
        self.journal.view().state.closures.of(environment).is_some_and(|closed| closed.is_gone(self.now()))
    }

    /// Opens the approval to close an environment. Its texts are in plain.
    ///
    /// # Errors
    /// `confirm` is not the name of the environment, there is no such environment, or it is closed.
    pub async fn ask_close(
        &self,
        by: &Authorized<Close>,
        environment: &EnvironmentName,
        (why, confirm): (&str, &str),
        request: Option<ForRequest>,
    ) -> Result<Approval, Failure> {
        let id: ApprovalId = self.entropy.name();
        let actor = by.staff().actor();
        let mut opened = None;
        self.change_by(by, request, |state, now| {
            let known = state.environment(environment).ok_or(&reason::NOT_FOUND)?;
            if state.closures.of(environment).is_some() {
                return Err(Failure::State(format!("{environment} is closed already.")));
            }
            if confirm != environment.as_str() {
                let message = format!("expected {environment}: the closing of an environment cannot be taken back");
                let fault = Fault::invalid("confirm", message);
                return Err(Failure::Faults(vec![fault]));
            }
            let version = Closures::version(environment, known);
            let approval = ask(&id, Kind::Environment, environment.to_string(), version, &actor, Vec::new(), now);
            let reason = Text::from(why);
            opened = Some(Approval { reason: Some(reason.clone()), ..approval.clone() });
            Ok(EnvironmentChange::CloseAsked { environment: environment.clone(), reason, approval: Box::new(approval) })
        })
        .await?;
        opened.ok_or(Failure::Refused(&reason::STORE_UNAVAILABLE))
    }
}
