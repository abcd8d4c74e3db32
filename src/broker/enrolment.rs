//! Issues certificates to workloads and to the broker itself (RFC 7030).
//!
//! It makes the authorities, enrols by a one-time token, renews, and lists revocations. Enter through [`Broker::enrol`]. As
//! for tokens, the record comes first, then the signature. A first enrolment takes two people: one asks
//! ([`Broker::ask_enrolment`]), another approves. The token then enrols one key, once, within ten minutes.

use super::Broker;
use super::cause::Cause;
use super::change::Decided;
use super::failure::{Denied, Failure};
use super::review::ask;
use crate::domain::caller::proof::Verified;
use crate::domain::credential::certificate::{
    Authority, ClientCertificate, Der, LEAF_BACKDATED, Purpose, SERVER_LIFE, ServerLeaf,
};
use crate::domain::credential::spiffe_id::SpiffeId;
use crate::domain::decision::enrolment::{CertificateRequest, Credential, decide_enrolment};
use crate::domain::decision::stopped;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::people::actor::{Authorized, Operate, Submit};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Kind;
use crate::domain::state::State;
use crate::domain::state::certificates::LeafEnd;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{
    ApprovalId, ClientId, EnrolmentId, EnvironmentName, IntegrationId, Issuer, KeyId, RequestId,
};
use crate::domain::value::quota::Operation;
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
    /// Identifies its content. A list that was signed earlier with the same content is as good.
    pub says: String,
}

/// After so many seconds, a list with the same content counts as a new one.
///
/// It is a small part of a list's life, so that no cached list expires.
const RENEWED_EVERY: i64 = 3600;

/// A refusal to issue a certificate.
pub struct NotEnrolled {
    /// The reason.
    pub reason: &'static Reason,
    /// When to try again, if that helps.
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

/// An enrolment that was requested. The token is shown once, and works once it is approved.
pub struct Asked {
    /// Its id.
    pub id: EnrolmentId,
    /// The approval that a second person must give.
    pub approval: ApprovalId,
    /// `ID.SECRET`.
    pub token: String,
}

impl Broker {
    /// Requests a one-time enrolment token for an integration in an environment.
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

    /// Issues a certificate for the key of a certification request in DER.
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
        // The caller is judged before the request: a stranger's request costs no signature check.
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
        // Checked as a stranger would check it: a certificate that we would not admit does not leave.
        match self.certificate(environment, &chain.leaf.0) {
            Some(read) if read.leaf == leaf => Ok(chain),
            _ => Err((&reason::AUTHORITY_AWAY).into()),
        }
    }

    /// The certificates that a relying party of `environment` trusts: roots and valid issuers.
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

    /// Signs the revocation list of the issuing key `kid`, or of the key that issues now.
    ///
    /// The list's number is the size of the journal. A certificate names the list of the key that signed it, so there
    /// are several after a rotation.
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
        let word = |end| match end {
            LeafEnd::Revoked(_) => "revoked",
            LeafEnd::Held(_) => "held",
        };
        let serials: Vec<String> = revoked.iter().map(|one| format!("{} {}", one.serial, word(one.end))).collect();
        let says = format!("{} {} {}", authority.kid, now.as_seconds() / RENEWED_EVERY, serials.join(" "));
        let der = self.issuance.revocation_list(authority, view.size, &revoked, now).map_err(|_| &reason::AUTHORITY_AWAY)?;
        Ok(RevocationList { der, says })
    }

    /// Makes another issuing key under the root of `environment`.
    ///
    /// It issues from now on. Certificates that earlier keys signed still count.
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

    /// Issues a certificate to the broker itself, for a new key, by the authority of `environment`.
    pub async fn own_certificate(
        &self,
        environment: &EnvironmentName,
        purpose: Purpose,
        names: &[String],
    ) -> Result<ServerIdentity, Failure> {
        let unavailable = || Failure::Refused(&reason::AUTHORITY_AWAY);
        let allowed = match purpose {
            // It says nothing about other certificates. Without it, a node whose live index is away could not say so.
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

    /// Makes the first authority of `environment`; false if another node was first.
    async fn create_first_authority(&self, environment: &EnvironmentName) -> Result<bool, Failure> {
        let made = self.new_authority(environment).await?;
        let outcome = self
            .change_as(Cause::Broker, None, |state, _now| {
                // Two nodes that start at the same time make one first authority.
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

/// The addresses of the revocation list and the responder that the certificates name.
fn addresses(issuer: &Issuer, authority: &KeyId) -> Addresses {
    Addresses { list: format!("{issuer}/crl/{authority}"), responder: Some(format!("{issuer}/ocsp")) }
}

/// The revoked certificates of one authority that have not been forgotten.
fn revoked(state: &State, authority: &Authority) -> Vec<Revoked> {
    let leaves = state.certificates.leaves().filter(|leaf| leaf.authority == authority.kid);
    leaves.filter_map(|leaf| Some(Revoked { serial: leaf.serial.clone(), end: state.leaf_end(leaf)? })).collect()
}

fn without_authority(state: &State) -> Option<EnvironmentName> {
    let configured = state.configuration.as_ref()?.environments.keys();
    let has = |environment: &EnvironmentName| {
        state.certificates.all_authorities().any(|known| known.authority.environment == *environment)
    };
    configured.into_iter().find(|environment| !has(environment)).cloned()
}
