//! Answers questions about the status of certificates (RFC 6960), by the responders of our authorities.
//!
//! Enter through [`Broker::certificate_status`]. Relying parties ask about the same certificate again and again, so the last answers are
//! kept for a minute, by the certificate that they are about. An answer is given again only while no change has come to the state that it was
//! made of: a revoked certificate is revoked in the next answer.

use std::cell::Cell;
use std::sync::Arc;

use super::Broker;
use super::answers::Answer;
use super::failure::Failure;
use crate::domain::credential::certificate::{Authority, Leaf, Purpose, SERVER_LIFE};
use crate::domain::reason;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, Serial};
use crate::issuance::authority::ocsp::{ANSWER_LIFE, Question, Responder, Status, Unsigned, says_revoked};

/// The shortest time between two attempts to make a responder.
///
/// Each attempt may leave an entry, and an entry stays for good.
const MADE_EVERY: Seconds = Seconds(60);

/// How long an answer may be given again. It is a small part of the answer's life, so that callers need not ask more often than before.
const KEPT_FOR: Seconds = Seconds(ANSWER_LIFE.0 / 10);

impl Broker {
    /// Answers a question about the status of certificates (RFC 6960).
    ///
    /// A responder of the authority that issued them signs the answer.
    pub async fn certificate_status(&self, environment: &EnvironmentName, request: &[u8]) -> Result<Vec<u8>, Unsigned> {
        let question = Question::read(request)?;
        let asked = question.sole_id().map(|id| Digest::of_parts(&[environment.as_str().as_bytes(), b" ", id]));
        if let Some(asked) = &asked
            && let Some(answer) = self.answered(asked)?
        {
            return Ok(answer.der.clone());
        }
        self.ensure_undoubted().map_err(|_| Unsigned::TryLater)?;
        let (view, now) = (self.journal.view(), self.now());
        let certificates = &view.state.certificates;
        let authority = question.authority(certificates.authorities(environment, now)).ok_or(Unsigned::Unauthorized)?;
        let responder = self.responder(authority, now).await.map_err(|_| Unsigned::TryLater)?;
        let is_known = Cell::new(false);
        let status = |serial: &Serial| match certificates.leaf(environment, serial) {
            Some(leaf) if leaf.authority == authority.kid => {
                is_known.set(true);
                view.state.leaf_end(leaf).map_or(Status::Good, Status::Ended)
            }
            _ => Status::Unknown,
        };
        let der = responder.answer(&question, authority, now, status).map_err(|_| Unsigned::TryLater)?;
        // Anybody may ask about numbers that no certificate has.
        if let (true, Some(asked)) = (is_known.get(), asked) {
            let (seen, signed, authority) = (view.seen, now, authority.clone());
            self.answers.keep(asked, Answer { seen, signed, authority, responder, der: der.clone() });
        }
        Ok(der)
    }

    /// Asks the responder of a certificate's authority, as a relying party does, whether it is revoked for good.
    ///
    /// `None` if the responder gives no signed answer.
    pub(super) async fn ask_responder(&self, leaf: &Leaf) -> Option<bool> {
        let view = self.journal.view();
        let mut known = view.state.certificates.authorities(&leaf.environment, self.now());
        let authority = known.find(|authority| authority.kid == leaf.authority)?;
        let question = Question::about(authority, &leaf.serial)?;
        let answer = self.certificate_status(&leaf.environment, &question).await.ok()?;
        says_revoked(&answer, &leaf.serial)
    }

    /// The answer to this question, if it was signed within the minute, by a responder in use, for this very state.
    fn answered(&self, asked: &Digest) -> Result<Option<Arc<Answer>>, Unsigned> {
        let Some(answer) = self.answers.look(asked) else { return Ok(None) };
        self.ensure_undoubted().map_err(|_| Unsigned::TryLater)?;
        let (seen, now) = (self.journal.view().seen, self.now());
        let is_recent = answer.signed <= now && now.since(answer.signed) < KEPT_FOR;
        let young = self.young_responder(&answer.authority, now);
        let is_by_it = young.is_some_and(|responder| Arc::ptr_eq(&responder, &answer.responder));
        let stands = answer.seen == seen && is_recent && is_by_it && now < answer.authority.ends;
        Ok(stands.then_some(answer))
    }

    /// The responder of an authority, if its certificate need not be renewed yet.
    fn young_responder(&self, authority: &Authority, now: Timestamp) -> Option<Arc<Responder>> {
        let held = self.issuance.responder(&authority.kid);
        held.filter(|(ends, _)| ends.since(now) > Seconds(SERVER_LIFE.0 / 2)).map(|(_, responder)| responder)
    }

    /// Returns the responder of an authority, and makes or renews its certificate if that is due.
    ///
    /// The certificate is made on the first question, and anew at half of its life, but only for the authority that issues now. An
    /// earlier authority keeps the responder that it has, and after that answers "try later". Its revocation list goes on.
    async fn responder(&self, authority: &Authority, now: Timestamp) -> Result<Arc<Responder>, Failure> {
        let unavailable = || Failure::Refused(&reason::AUTHORITY_AWAY);
        let held = || self.issuance.responder(&authority.kid);
        let young = || self.young_responder(authority, now);
        if let Some(responder) = young() {
            return Ok(responder);
        }
        let usable = || held().filter(|(ends, _)| now < *ends).map(|(_, responder)| responder).ok_or_else(unavailable);
        let view = self.journal.view();
        if view.state.certificates.issuing(&authority.environment, now).is_none_or(|issuing| issuing.kid != authority.kid) {
            return usable();
        }
        // Strangers ask, and each certificate is an entry for good. So one is made at a time, and other callers wait for it.
        let mut begun = self.issuance.begun_responders().lock_owned().await;
        if let Some(responder) = young() {
            return Ok(responder);
        }
        if begun.get(&authority.kid).is_some_and(|last| now.since(*last) < MADE_EVERY) {
            return usable();
        }
        begun.insert(authority.kid.clone(), now);
        let (broker, authority, kid) = (self.clone(), authority.clone(), authority.kid.clone());
        // It runs to its end with the lock, even if nobody waits for it any more: a certificate that was recorded and not kept
        // would have to be made again. If the first caller hangs up, the others still wait for this one.
        let made = tokio::spawn(async move {
            let made = broker.make_responder(&authority, now).await;
            // If the journal recorded nothing, the next question may try again at once.
            if matches!(&made, Err(Failure::Refused(reason)) if **reason != reason::AUTHORITY_AWAY) {
                begun.remove(&kid);
            }
            made
        });
        made.await.map_err(|_| unavailable())?
    }

    async fn make_responder(&self, authority: &Authority, now: Timestamp) -> Result<Arc<Responder>, Failure> {
        let unavailable = || Failure::Refused(&reason::AUTHORITY_AWAY);
        let identity = self.own_certificate(&authority.environment, Purpose::Responder, &[]).await?;
        let certificate = identity.chain.into_iter().next().ok_or_else(unavailable)?;
        let responder = Arc::new(Responder::new(certificate, &identity.key).map_err(|_| unavailable())?);
        let ends = now.plus(SERVER_LIFE).min(authority.ends);
        self.issuance.keep_responder(&authority.kid, ends, Arc::clone(&responder));
        Ok(responder)
    }
}
