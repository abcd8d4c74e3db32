//! The steps about an environment, a static secret and a machine: each is asked for, and waits for an approval.

use super::Who;
use super::steps::{Taken, World, sync};
use crate::broker::review::ask;
use crate::domain::decision::stopped;
use crate::domain::fixture::{at, production};
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::people::actor::{Close, CloseException, Submit};
use crate::domain::registry::approval::Kind;
use crate::domain::state::closures::Closures;
use crate::domain::state::exceptions;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ExceptionId;

impl World {
    /// As `Broker::close_environment`.
    pub(super) fn ask_close(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Close>(who)?;
        let environment = production();
        let known = self.state.environment(&environment).filter(|_| self.state.closures.of(&environment).is_none())?;
        let version = Closures::version(&environment, known);
        let asked = self.fresh("close", environment.as_str());
        let approval = ask(&asked, Kind::Environment, environment.to_string(), version, &by.actor(), Vec::new(), at(self.now));
        let (reason, approval) = ("over".into(), Box::new(approval));
        self.fold(by.actor(), EnvironmentChange::CloseAsked { environment, reason, approval });
        Some(Taken { approval: Some(asked) })
    }

    /// As `Broker::close_exception`.
    pub(super) fn close_exception(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<CloseException>(who)?;
        let exception = ExceptionId::of(&sync(), "an SFTP key");
        let (integration, secret) = self.state.exception(&exception)?;
        let known = self.state.integrations.get(integration)?;
        known.open_exceptions().find(|(open, _)| *open == exception)?;
        let (integration, version) = (integration.clone(), exceptions::version(&exception, secret));
        let asked = self.fresh("exception", &integration.to_string());
        let approval = ask(&asked, Kind::Exception, integration.to_string(), version, &by.actor(), Vec::new(), at(self.now));
        let (evidence, approval) = ("deleted".into(), Box::new(approval));
        self.fold(by.actor(), ExceptionChange::CloseAsked { exception, integration, evidence, approval });
        Some(Taken { approval: Some(asked) })
    }

    /// As `Broker::ask_enrolment`.
    pub(super) fn enrol(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        stopped::enrolment(&sync(), &production(), &self.state).ok()?;
        let subject = format!("{}/{}", sync(), production());
        let asked = self.fresh("enrolment", &subject);
        let secret = Digest::of(asked.as_str().as_bytes());
        let approval = ask(&asked, Kind::Enrolment, subject, secret, &by.actor(), Vec::new(), at(self.now));
        let (integration, environment, reason) = (sync(), production(), "a machine".into());
        let id = asked.as_str().parse().expect("an id");
        self.fold(by.actor(), CertificateChange::EnrolmentAsked { id, integration, environment, secret, reason, approval });
        Some(Taken { approval: Some(asked) })
    }
}
