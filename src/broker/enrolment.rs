//! Certificates: the authorities that make them, first enrolment by a one-time token, and renewal (RFC 7030).
//!
//! Enter through [`Broker::enrol`]. On record first, then signed, as for tokens. A first enrolment takes two people: one asks
//! ([`Broker::ask_enrolment`]), another approves; the token then enrols one key once within ten minutes.

use std::sync::Arc;

use super::Broker;
use super::cause::Cause;
use super::change::Decided;
use super::failure::{Denied, Failure};
use super::review::ask;
use crate::domain::caller::proof::Verified;
use crate::domain::credential::certificate::{
    Authority, ClientCertificate, Der, LEAF_BACKDATED, Purpose, SERVER_LIFE, ServerLeaf, SpiffeId,
};
use crate::domain::decision::enrolment::{CertificateRequest, Credential, decide_enrolment};
use crate::domain::decision::stopped;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::people::actor::{Authorized, Operate, Submit};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Kind;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{
    ApprovalId, ClientId, EnrolmentId, EnvironmentName, IntegrationId, Issuer, KeyId, RequestId, Serial,
};
use crate::domain::value::quota::Operation;
use crate::issuance::authority::ocsp::{Question, Responder, Status, Unsigned};
use crate::issuance::authority::request::RequestedKey;
use crate::issuance::authority::{Addresses, Chain, NewAuthority, Revoked, ServerIdentity, ServerKey};
use crate::journal::ForRequest;

/// The credential of a workload that enrols.
pub enum EnrolmentCredential {
    /// User name and password of HTTP Basic: the integration, and the enrolment token.
    Token {
        /// The integration.
        integration: IntegrationId,
        /// `ID.SECRET`.
        token: String,
    },
    /// The certificate in use.
    Certificate(Verified<ClientCertificate>),
}

/// A revocation list.
pub struct RevocationList {
    /// The list, signed now.
    pub der: Der,
    /// What it says, for as long as one that was signed earlier is as good.
    pub says: String,
}

/// A list that says the same is another one after so many seconds: a small part of its life, so that none that is kept ends.
const RENEWED_EVERY: i64 = 3600;

/// No sooner after one that failed is a responder made again: what was recorded stays recorded.
const MADE_EVERY: Seconds = Seconds(60);

/// Why there is no certificate.
pub struct NotEnrolled {
    /// Why.
    pub reason: &'static Reason,
    /// When to try again, where that helps.
    pub retry_after: Option<Seconds>,
}

impl From<&'static Reason> for NotEnrolled {
    fn from(reason: &'static Reason) -> Self {
        Self { reason, retry_after: None }
    }
}

impl From<Denied> for NotEnrolled {
    fn from(denied: Denied) -> Self {
        Self { reason: denied.refused.reason, retry_after: denied.retry_after }
    }
}

/// An enrolment that was asked for. The token is shown once, and works once it is approved.
pub struct Asked {
    /// Which.
    pub id: EnrolmentId,
    /// What a second person must approve.
    pub approval: ApprovalId,
    /// `ID.SECRET`.
    pub token: String,
}

impl Broker {
    /// Asks for a one-time enrolment token of an integration in an environment.
    pub async fn ask_enrolment(
        &self,
        by: &Authorized<Submit>,
        integration: &IntegrationId,
        environment: &EnvironmentName,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Asked, Failure> {
        let (id, approval): (EnrolmentId, ApprovalId) = (self.entropy.name(), self.entropy.name());
        let token_secret = self.entropy.identifier();
        let secret = Digest::of(token_secret.as_bytes());
        let actor = by.staff().actor();
        self.change_by(by, request, |state, now| {
            state.environment(environment).ok_or(&reason::NOT_FOUND)?;
            state.integrations.get(integration).ok_or(&reason::NOT_FOUND)?;
            stopped::enrolment(integration, environment, state).map_err(Failure::Stopped)?;
            let subject = format!("{integration}/{environment}");
            let approval = ask(&approval, Kind::Enrolment, subject, secret, &actor, Vec::new(), now);
            Ok(CertificateChange::EnrolmentAsked {
                id: id.clone(),
                integration: integration.clone(),
                environment: environment.clone(),
                secret,
                reason: why.into(),
                approval,
            })
        })
        .await?;
        let token = format!("{id}.{token_secret}");
        Ok(Asked { id, approval, token })
    }

    /// Makes a certificate for the key of a certification request, in DER.
    pub async fn enrol(
        &self,
        environment: &EnvironmentName,
        shown: &EnrolmentCredential,
        request: &[u8],
        id: &RequestId,
    ) -> Result<Chain, NotEnrolled> {
        self.can_mint().map_err(|refused| refused.reason)?;
        let (integration, credential) = match shown {
            EnrolmentCredential::Token { integration, token } => {
                let (id, secret) = token.split_once('.').ok_or(&reason::ENROLMENT_REFUSED)?;
                let id = id.parse().map_err(|_| &reason::ENROLMENT_REFUSED)?;
                (integration, Credential::Token { id, secret: Digest::of(secret.as_bytes()) })
            }
            EnrolmentCredential::Certificate(shown) => (&shown.leaf.integration, Credential::Certificate((**shown).clone())),
        };
        let view = self.journal.view();
        let configured = view.state.environment(environment).ok_or(&reason::NOT_FOUND)?;
        let probe = CertificateRequest {
            environment: environment.clone(),
            integration: integration.clone(),
            key: Digest::of(b""),
            serial: self.issuance.serial(),
        };
        // Who asks is judged before what they ask for: a stranger's request costs no signature check.
        decide_enrolment(&probe, &credential, &view.state, self.now())?;
        // Each certificate is an entry for ever, and a request that is refused below costs a signature check.
        self.take(environment, &ClientId::Integration(integration.clone()), Operation::Enrolment, None).await?;
        let key = RequestedKey::read(request, &SpiffeId::of(&configured.trust_domain, integration))?;
        let wanted = CertificateRequest { key: key.digest(), ..probe };
        let mut made = None;
        let (cause, made_for) = (Cause::Workload(integration.clone()), Some(ForRequest::without_key(id.clone())));
        let outcome = self
            .change_as(cause, made_for, |state, now| {
                let (leaf, enrolment) = decide_enrolment(&wanted, &credential, state, now)?;
                made = Some(leaf.clone());
                Ok::<_, &'static Reason>(CertificateChange::Issued { leaf, enrolment })
            })
            .await
            .map_err(|fault| fault.reason())?;
        let committed = outcome?;
        let leaf = made.ok_or(&reason::AUTHORITY_AWAY)?;
        let addresses = addresses(&configured.issuer, &leaf.authority);
        let chain = self.issuance.certify(&committed, &leaf, &key, &addresses).map_err(|_| &reason::AUTHORITY_AWAY)?;
        // Read as a stranger would read it: what we would not admit does not leave.
        match self.certificate(environment, &chain.leaf.0) {
            Some(read) if read.leaf == leaf => Ok(chain),
            _ => Err((&reason::AUTHORITY_AWAY).into()),
        }
    }

    /// The certificates that a relying party of `environment` trusts: roots, and the issuing ones that count.
    pub fn authority_certificates(&self, environment: &EnvironmentName) -> Vec<Der> {
        let view = self.journal.view();
        let mut certificates: Vec<Der> = Vec::new();
        for authority in view.state.certificates.authorities(environment, self.now()) {
            for one in [&authority.root, &authority.issuing] {
                if !certificates.contains(one) {
                    certificates.push(one.clone());
                }
            }
        }
        certificates
    }

    /// The revocation list of one issuing key of `environment`, or of the one that issues now, with the number of the newest entry. A
    /// certificate names the list of the key that signed it: after a rotation there are several.
    pub fn revocation_list(&self, environment: &EnvironmentName, kid: Option<&str>) -> Result<RevocationList, &'static Reason> {
        self.ensure_undoubted()?;
        let (view, now) = (self.journal.view(), self.now());
        let authority = match kid {
            None => view.state.certificates.issuing(environment, now).ok_or(&reason::AUTHORITY_AWAY)?,
            Some(kid) => {
                let mut counting = view.state.certificates.authorities(environment, now);
                counting.find(|authority| authority.kid.as_str() == kid).ok_or(&reason::NOT_FOUND)?
            }
        };
        let revoked = revoked(&view.state, authority);
        let serials: Vec<&str> = revoked.iter().map(|one| one.serial.as_str()).collect();
        let says = format!("{} {} {}", authority.kid, now.as_seconds() / RENEWED_EVERY, serials.join(" "));
        let der = self.issuance.revocation_list(authority, view.size, &revoked, now).map_err(|_| &reason::AUTHORITY_AWAY)?;
        Ok(RevocationList { der, says })
    }

    /// Another issuing key under the root of `environment`; it issues from now on, and what the earlier ones signed still counts.
    pub async fn rotate_authority(
        &self,
        by: &Authorized<Operate>,
        environment: &EnvironmentName,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<KeyId, Failure> {
        if self.journal.view().state.environment(environment).is_none() {
            return Err((&reason::NOT_FOUND).into());
        }
        let made = self.new_authority(environment).await?;
        let decide = |_: &State, _| {
            let authority = Box::new(made.record.clone());
            let created = CertificateChange::AuthorityCreated { authority, reason: Some(why.into()) };
            Ok(Decided::from(created).with_sealed(made.sealed.clone()))
        };
        self.change_by(by, request, decide).await?;
        self.load_authorities().await?;
        Ok(made.record.kid)
    }

    /// What is known of the certificates that somebody asks about (RFC 6960), signed by a responder of their authority.
    pub async fn certificate_status(&self, environment: &EnvironmentName, request: &[u8]) -> Result<Vec<u8>, Unsigned> {
        let question = Question::read(request)?;
        self.ensure_undoubted().map_err(|_| Unsigned::TryLater)?;
        let (view, now) = (self.journal.view(), self.now());
        let certificates = &view.state.certificates;
        let authority = question.authority(certificates.authorities(environment, now)).ok_or(Unsigned::Unauthorized)?;
        let responder = self.responder(authority, now).await.map_err(|_| Unsigned::TryLater)?;
        let status = |serial: &Serial| match certificates.leaf(environment, serial) {
            Some(leaf) if leaf.authority == authority.kid => {
                let revoked = revoked(&view.state, authority).into_iter().find(|one| one.serial == *serial);
                revoked.map_or(Status::Good, |one| Status::Revoked(one.at))
            }
            _ => Status::Unknown,
        };
        responder.answer(&question, authority, now, status).map_err(|_| Unsigned::TryLater)
    }

    /// The responder of an authority: its certificate is made when first asked for, and anew at half of its life. Only for the authority that
    /// issues now is one made; an earlier one keeps what it has, and then answers "try later": its list goes on.
    async fn responder(&self, authority: &Authority, now: Timestamp) -> Result<Arc<Responder>, Failure> {
        let unavailable = || Failure::Refused(&reason::AUTHORITY_AWAY);
        let held = || self.issuance.responder(&authority.kid);
        let young = || held().filter(|(ends, _)| ends.since(now) > Seconds(SERVER_LIFE.0 / 2));
        if let Some((_, responder)) = young() {
            return Ok(responder);
        }
        let usable = || held().filter(|(ends, _)| now < *ends).map(|(_, responder)| responder).ok_or_else(unavailable);
        let view = self.journal.view();
        if view.state.certificates.issuing(&authority.environment, now).is_none_or(|issuing| issuing.kid != authority.kid) {
            return usable();
        }
        // Strangers ask, and each certificate is an entry for ever: one is made at a time, and the others wait for it.
        let mut begun = self.issuance.begun_responders().lock_owned().await;
        if let Some((_, responder)) = young() {
            return Ok(responder);
        }
        if begun.get(&authority.kid).is_some_and(|last| now.since(*last) < MADE_EVERY) {
            return usable();
        }
        begun.insert(authority.kid.clone(), now);
        let (broker, authority, kid) = (self.clone(), authority.clone(), authority.kid.clone());
        // To its end, with the lock, whoever still waits for it: one that was recorded and not kept would have to be made again, and where
        // the first who asks hangs up, the others still wait for the one that is made.
        let made = tokio::spawn(async move {
            let made = broker.make_responder(&authority, now).await;
            // Where the journal took nothing, the next question may try again at once.
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

    /// A certificate of our own by the authority of `environment`, with a key of its own.
    pub async fn own_certificate(
        &self,
        environment: &EnvironmentName,
        purpose: Purpose,
        names: &[String],
    ) -> Result<ServerIdentity, Failure> {
        let unavailable = || Failure::Refused(&reason::AUTHORITY_AWAY);
        let allowed = match purpose {
            // It says nothing of other certificates, and without it a node whose live index is away could not say so.
            Purpose::Socket => self.ensure_believed(),
            Purpose::Responder => self.ensure_undoubted(),
        };
        allowed.map_err(Failure::Refused)?;
        let key = ServerKey::generate().map_err(|_| unavailable())?;
        let serial = self.issuance.serial();
        let mut made = None;
        let outcome = self
            .change_as(Cause::Broker, None, |state, now| {
                let authority = state.certificates.issuing(environment, now).ok_or(&reason::AUTHORITY_AWAY)?;
                let leaf = ServerLeaf {
                    environment: environment.clone(),
                    purpose,
                    serial: serial.clone(),
                    authority: authority.kid.clone(),
                    key: key.digest(),
                    names: names.to_vec(),
                    starts: now.minus(LEAF_BACKDATED),
                    ends: now.plus(SERVER_LIFE).min(authority.ends),
                };
                made = Some(leaf.clone());
                Ok::<_, &'static Reason>(CertificateChange::ServerIssued { leaf })
            })
            .await?;
        let committed = outcome?;
        let leaf = made.ok_or_else(unavailable)?;
        self.issuance.certify_server(&committed, &leaf, &key).map_err(|_| unavailable())
    }

    /// Makes the first authority of every environment that has none.
    pub(super) async fn prepare_authorities(&self) -> Result<(), Failure> {
        while let Some(environment) = without_authority(&self.journal.view().state) {
            if !self.create_first_authority(&environment).await? {
                break;
            }
        }
        Ok(())
    }

    /// Opens the keys of the authorities on record.
    pub(super) async fn load_authorities(&self) -> Result<(), Failure> {
        let view = self.journal.view();
        let loaded = self.issuance.load_authorities(&self.journal, &view.state).await;
        loaded.map_err(|_| Failure::Refused(&reason::AUTHORITY_AWAY))
    }

    /// Makes the first authority of `environment`. Returns whether it did: another node may be first.
    async fn create_first_authority(&self, environment: &EnvironmentName) -> Result<bool, Failure> {
        let made = self.new_authority(environment).await?;
        let outcome = self
            .change_as(Cause::Broker, None, |state, _now| {
                // Two nodes that start at one time make one first authority.
                if state.certificates.all_authorities().any(|known| known.authority.environment == *environment) {
                    return Err(());
                }
                let authority = Box::new(made.record.clone());
                let created = CertificateChange::AuthorityCreated { authority, reason: None };
                Ok(Decided::from(created).with_sealed(made.sealed.clone()))
            })
            .await?;
        if outcome.is_err() {
            return Ok(false);
        }
        self.load_authorities().await?;
        Ok(true)
    }

    async fn new_authority(&self, environment: &EnvironmentName) -> Result<NewAuthority, Failure> {
        let (view, now) = (self.journal.view(), self.now());
        let earlier = view.state.certificates.issuing(environment, now);
        let made = self.issuance.create_authority(&self.journal, environment, earlier, now).await;
        made.map_err(|_| Failure::Refused(&reason::AUTHORITY_AWAY))
    }
}

/// Where the certificates of an environment say that their revocation list is.
fn addresses(issuer: &Issuer, authority: &KeyId) -> Addresses {
    Addresses { list: format!("{issuer}/crl/{authority}"), responder: Some(format!("{issuer}/ocsp")) }
}

/// The revoked certificates of one authority that have not been forgotten.
fn revoked(state: &State, authority: &Authority) -> Vec<Revoked> {
    let leaves = state.certificates.leaves().filter(|leaf| leaf.authority == authority.kid);
    leaves
        .filter_map(|leaf| {
            let key = leaf.revocation_key();
            let revocation = state.revocations.values().find(|revocation| revocation.target.key() == key)?;
            Some(Revoked { serial: leaf.serial.clone(), at: revocation.at })
        })
        .collect()
}

fn without_authority(state: &State) -> Option<EnvironmentName> {
    let configured = state.configuration.as_ref()?.environments.keys();
    let has = |environment: &EnvironmentName| {
        state.certificates.all_authorities().any(|known| known.authority.environment == *environment)
    };
    configured.into_iter().find(|environment| !has(environment)).cloned()
}
