//! Changes of each kind, in an order in which each has something to change.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::dates::{mailed, noticed};
use super::records::{approvers, small_approvers};
use super::{Example, Examples, parsed, unnamed};
use crate::domain::credential::certificate::{Authority, Der, Leaf, Purpose, ServerLeaf};
use crate::domain::credential::keys::SigningKey;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::elevation::{Elevation, Narrowing, Notice, Rule};
use crate::domain::fixture::{WORKLOADS, at};
use crate::domain::log::api::ApiChange;
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::issuer_key::IssuerKeyChange;
use crate::domain::log::journal::JournalChange;
use crate::domain::log::key::KeyChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::passkey::PasskeyChange;
use crate::domain::log::revocation::{CutToken, RevocationChange};
use crate::domain::log::signal::SignalChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::log::text::TextChange;
use crate::domain::people::actor::{Actor, Role};
use crate::domain::people::passkey::Signature;
use crate::domain::registry::approval::{Kind, Verdict};
use crate::domain::registry::environment::{Configuration, Environment, Governance, Sender, Source};
use crate::domain::registry::guardrail::Mode;
use crate::domain::registry::integration::{Integration, OnLate, Rotation};
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::state::exceptions::version;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ClientId, EnvironmentName, ExceptionId, PasskeyId, SignalId};

/// The name of the log.
pub const ORIGIN: &str = "sts.acme.example/carnet";

/// What is about whom, in their order.
pub(super) struct Story<'e> {
    examples: &'e Examples,
    all: Vec<Example>,
}

impl Story<'_> {
    pub(super) fn say(&mut self, by: &Actor, change: impl Into<Change>) {
        self.all.push(self.examples.example(change.into().by(by.clone())));
    }
}

impl Examples {
    /// A change of each kind that somebody makes, but for those that a start of the journal makes itself: `journal.reopened`,
    /// `journal.archived`, `checkpoint-key.succeeded`, `journal.moved` and `journal.arrived`.
    pub fn changes(&self) -> Vec<Example> {
        let mut story = Story { examples: self, all: Vec::new() };
        self.installation(&mut story);
        self.catalogue(&mut story);
        self.guardrails(&mut story);
        self.integrations(&mut story);
        self.certificates(&mut story);
        self.elevations(&mut story);
        self.stops(&mut story);
        self.revocations(&mut story);
        self.suspensions(&mut story);
        self.discarded(&mut story);
        self.unused(&mut story);
        cut_by_a_version(&mut story);
        self.exceptions(&mut story);
        self.signals(&mut story);
        self.closing(&mut story);
        self.owners(&mut story);
        self.reviews(&mut story);
        self.offboardings(&mut story);
        noticed(&mut story);
        mailed(&mut story);
        self.evidence(&mut story);
        story.all
    }

    pub(super) fn owner(&self) -> Actor {
        Actor::Staff(self.named("jane"))
    }

    pub(super) fn security(&self) -> Actor {
        Actor::Staff(unnamed("sven"))
    }

    fn installation(&self, story: &mut Story<'_>) {
        for (dev, format) in [(true, 1), (false, 2)] {
            story.say(&Actor::Operator, JournalChange::Opened { origin: ORIGIN.to_owned(), dev, format });
        }
        story.say(&Actor::Staff(self.named("adam")), JournalChange::FormatRaised { to: 2 });
        for governance in [
            Governance::default(),
            Governance {
                zone: parsed("Europe/Berlin"),
                unused_warn: Some(Seconds::days(7)),
                unused_suspend: Some(Seconds::days(14)),
                ..Governance::default()
            },
        ] {
            let signals = if governance == Governance::default() { Vec::new() } else { vec![sender()] };
            let configuration = Configuration { signals, ..configuration(None, governance) };
            story.say(&Actor::Operator, ConfigurationChange::Changed(configuration));
        }
        for (environment, kid, alg) in
            [("production", "key-1", Alg::Es256), ("production", "key-2", Alg::Rs256), ("sandbox", "key-3", Alg::Es256)]
        {
            story.say(&Actor::Broker, KeyChange::Created(signing_key(environment, kid, alg)));
        }
        let (environment, reason) = (parsed("production"), self.text("the backup was copied"));
        let tainted = KeyChange::Tainted { environment, kid: parsed("key-2"), reason };
        story.say(&Actor::Staff(self.named("adam")), tainted);
        story.say(&Actor::Broker, KeyChange::Retired { environment: parsed("sandbox"), kid: parsed("key-3") });
        let next = SigningKey { awaits_nodes: true, ..signing_key("sandbox", "key-4", Alg::Es256) };
        story.say(&Actor::Staff(self.named("adam")), KeyChange::Created(next));
        story.say(&Actor::Broker, KeyChange::Activated { environment: parsed("sandbox"), kid: parsed("key-4") });
    }

    fn exceptions(&self, story: &mut Story<'_>) {
        let record = self.integration();
        let (integration, secret) = (record.id.clone(), record.exceptions.first().expect("an exception"));
        let exception = ExceptionId::of(&integration, &secret.what);
        let seen = version(&exception, secret);
        story.say(&self.owner(), IntegrationChange::Narrowed { record: Box::new(record.clone()), reason: None });
        for id in ["approval-exception-1", "approval-exception-2"] {
            let approval = self.approval(id, Kind::Exception, (&integration.to_string(), seen));
            let (exception, integration, evidence) =
                (exception.clone(), integration.clone(), self.text("the account is deleted"));
            story.say(
                &self.owner(),
                ExceptionChange::CloseAsked { exception, integration, evidence, approval: Box::new(approval) },
            );
        }
        self.reviewed(story, &self.security(), "approval-exception-2", Verdict::Approve, vec![Role::Security]);
        story.say(&Actor::Broker, ExceptionChange::Closed { exception, integration });
    }

    fn signals(&self, story: &mut Story<'_>) {
        let robot = Actor::Machine(unnamed("contracts"));
        let subjects = ["globex", "globex/order-sync", "globex/order-sync/production"].map(parsed::<SignalSubject>);
        for (number, (says, about)) in SignalKind::ALL.into_iter().zip(subjects.iter().cycle()).enumerate() {
            let (signal, reason) = (parsed(&format!("signal-{number}")), self.text("the contract was not renewed"));
            let (about, reference) = (about.clone(), (number > 0).then(|| "CRM-77".to_owned()));
            story.say(&robot, SignalChange::Received { signal, says, about, reason, reference });
        }
        for (number, reference) in [(5, Some("CRM-78".to_owned())), (6, None)] {
            let (signal, says, about): (SignalId, _, _) =
                (parsed(&format!("signal-{number}")), SignalKind::ContractEnded, subjects[0].clone());
            let reason = self.text("the contract was not renewed");
            story.say(&robot, SignalChange::Held { signal: signal.clone(), says, about: about.clone(), reason, reference });
            let reason = self.text("the account manager says so");
            let decided = match number {
                5 => SignalChange::Confirmed { signal, about, reason },
                _ => SignalChange::Dismissed { signal, about, reason },
            };
            story.say(&self.security(), decided);
        }
    }

    fn closing(&self, story: &mut Story<'_>) {
        let (environment, issuer) = (parsed::<EnvironmentName>("staging"), parsed("https://sts.acme.example/staging"));
        let approval =
            self.approval("approval-environment-1", Kind::Environment, (environment.as_str(), Digest::of(b"staging")));
        let reason = self.text("the test system is gone");
        let asked = EnvironmentChange::CloseAsked { environment: environment.clone(), reason, approval: Box::new(approval) };
        story.say(&Actor::Staff(self.named("adam")), asked);
        for (by, role) in [(self.owner(), Role::Owner), (self.security(), Role::Security)] {
            self.reviewed(story, &by, "approval-environment-1", Verdict::Approve, vec![role]);
        }
        story.say(&Actor::Broker, EnvironmentChange::Closed { environment, issuer });
    }

    fn catalogue(&self, story: &mut Story<'_>) {
        let (owner, security) = (self.owner(), self.security());
        for (id, api) in [("approval-api-1", self.api()), ("approval-api-2", self.small_api())] {
            let about = api.name.to_string();
            let approval = self.approval(id, Kind::Api, (&about, Digest::of_json(&api)));
            story.say(&owner, ApiChange::Submitted { record: Box::new(api), approval });
        }
        for (by, role) in [(&owner, Role::Owner), (&security, Role::Security)] {
            self.reviewed(story, by, "approval-api-1", Verdict::Approve, vec![role]);
        }
        let (api, version) = (self.api(), Digest::of_json(&self.api()));
        story.say(&Actor::Broker, ApiChange::Approved { api: api.name.clone(), version });
        let mut narrower = self.small_api();
        for (ttl, reason) in [(Seconds(50), None), (Seconds(40), Some(self.text("shorter is enough")))] {
            narrower.token.ttl = ttl;
            story.say(&owner, ApiChange::Narrowed { record: Box::new(narrower.clone()), reason });
        }
        for (name, id) in [("globex", "approval-partner-1"), ("initech", "approval-partner-2")] {
            let partner = self.partner(name);
            let version = Digest::of_json(&partner);
            let approval = self.approval(id, Kind::Partner, (name, version));
            let approval = if name == "globex" { approval } else { self.full_approval(approval) };
            story.say(&owner, PartnerChange::Submitted { record: Box::new(partner), approval });
            self.reviewed(story, &security, id, Verdict::Approve, vec![Role::Security]);
            story.say(&Actor::Broker, PartnerChange::Verified { partner: parsed(name), version });
        }
    }

    fn guardrails(&self, story: &mut Story<'_>) {
        let (owner, security) = (self.owner(), self.security());
        let shadow = self.guardrail(Mode::Shadow);
        let (guardrail, version, id) = (shadow.name.clone(), Digest::of_json(&shadow), "approval-guardrail-1");
        let approval = self.approval(id, Kind::Guardrail, (guardrail.as_str(), version));
        story.say(&owner, GuardrailChange::Submitted { record: Box::new(shadow.clone()), approval, refuses: 3, unknown: 2 });
        for (by, role) in [(&owner, Role::Owner), (&security, Role::Security)] {
            self.reviewed(story, by, id, Verdict::Approve, vec![role]);
        }
        story.say(&Actor::Broker, GuardrailChange::Approved { guardrail: guardrail.clone(), version });
        let enforced = self.guardrail(Mode::Enforce);
        for (record, reason) in [(enforced, Some(self.text("the shadow refused nobody"))), (shadow, None)] {
            story.say(&security, GuardrailChange::Applied { record: Box::new(record), refuses: 0, unknown: 0, reason });
        }
        for id in ["approval-guardrail-2", "approval-guardrail-3"] {
            let approval = self.approval(id, Kind::Guardrail, (guardrail.as_str(), version));
            let reason = self.text("the agreement is signed");
            story.say(&owner, GuardrailChange::RemovalAsked { guardrail: guardrail.clone(), reason, approval });
        }
        story.say(&Actor::Broker, GuardrailChange::Removed { guardrail });
        let (record, refuses, unknown) = (Box::new(self.guardrail(Mode::Enforce)), 1, 4);
        story.say(&security, GuardrailChange::Applied { record, refuses, unknown, reason: None });
    }

    fn integrations(&self, story: &mut Story<'_>) {
        let (owner, security) = (self.owner(), self.security());
        let first = self.integration();
        for (record, reason) in [(&first, Some("the first draft")), (&self.small_integration(), None)] {
            let reason = reason.map(|reason| self.text(reason));
            story.say(&owner, IntegrationChange::Drafted { record: Box::new(record.clone()), reason });
        }
        let about = |record: &Integration| (record.id.to_string(), Digest::of_json(record));
        let (subject, version) = about(&first);
        let (id, integration) = ("approval-integration-1", first.id.clone());
        let approval = self.approval(id, Kind::Integration, (&subject, version));
        story.say(&owner, IntegrationChange::Submitted { integration: integration.clone(), approval, owners: None });
        self.reviewed(story, &owner, id, Verdict::Approve, vec![Role::Owner]);
        self.reviewed(story, &security, id, Verdict::Approve, vec![Role::Security]);
        story.say(&Actor::Broker, IntegrationChange::Activated { integration: integration.clone(), version, owners: None });

        let mut wider = first.clone();
        for (id, ttl, verdict) in [("approval-change-1", 300, Verdict::Deny), ("approval-change-2", 290, Verdict::Approve)] {
            if let Some(access) = wider.environments.get_mut("production") {
                access.limits.ttl = Some(Seconds(ttl));
            }
            let (subject, version) = about(&wider);
            let approval = self.approval(id, Kind::Change, (&subject, version));
            story.say(&owner, IntegrationChange::ChangeHeld { record: Box::new(wider.clone()), approval, owners: None });
            self.reviewed(story, &security, id, verdict, vec![Role::Administrator, Role::Auditor]);
        }
        story.say(&Actor::Broker, IntegrationChange::Changed { integration, version: about(&wider).1, owners: None });
        let mut narrower = wider;
        for (requests, reason) in [(50, None), (40, Some(self.text("fewer are enough")))] {
            if let Some(access) = narrower.environments.get_mut("production") {
                access.limits.exchanges_per_minute = Some(requests);
            }
            story.say(&owner, IntegrationChange::Narrowed { record: Box::new(narrower.clone()), reason });
        }
        let rotation = Some(Rotation { issuer_keys: None, certificate: None, on_late: OnLate::Report });
        let record = Box::new(Integration { rotation, ..self.small_integration() });
        story.say(&owner, IntegrationChange::Narrowed { record, reason: None });
    }

    fn certificates(&self, story: &mut Story<'_>) {
        let key = Digest::of(b"the workload's key");
        story.say(&Actor::Broker, IssuerKeyChange::FirstUsed { issuer: parsed(WORKLOADS), key });
        for (kid, reason) in [("authority-1", None), ("authority-2", Some(self.text("a second one")))] {
            let authority = Box::new(authority(kid));
            story.say(&Actor::Operator, CertificateChange::AuthorityCreated { authority, reason });
        }
        let (environment, integration) = (parsed("production"), parsed("globex/order-sync"));
        let kid = parsed("authority-1");
        let reason = self.text("its disk was lost");
        story.say(&self.security(), CertificateChange::AuthorityTainted { environment, kid, reason });
        let (environment, secret) = (parsed("production"), Digest::of(b"a secret"));
        let approval = self.approval("approval-enrolment-1", Kind::Enrolment, ("globex/order-sync", secret));
        let (id, reason) = (parsed("enrolment-1"), self.text("its first certificate"));
        story.say(&self.owner(), CertificateChange::EnrolmentAsked { id, integration, environment, secret, reason, approval });
        for (serial, enrolment) in [('a', Some(parsed("enrolment-1"))), ('b', None)] {
            let workload = Actor::Workload(parsed("globex/order-sync"));
            story.say(&workload, CertificateChange::Issued { leaf: leaf(serial), enrolment });
        }
        for (serial, purpose) in [('c', Purpose::Socket), ('d', Purpose::Responder)] {
            let leaf = ServerLeaf {
                environment: parsed("production"),
                purpose,
                serial: parsed(&serial_of(serial)),
                authority: parsed("authority-2"),
                key: Digest::of(b"a key of ours"),
                names: vec!["sts.acme.example".to_owned(), "192.0.2.7".to_owned()],
                starts: at(-300),
                ends: at(7 * 86_400),
            };
            story.say(&Actor::Broker, CertificateChange::ServerIssued { leaf });
        }
    }

    fn elevations(&self, story: &mut Story<'_>) {
        let (owner, security) = (self.owner(), self.security());
        let passkeys: [PasskeyId; 2] = ["passkey-1", "passkey-2"].map(parsed);
        for passkey in &passkeys {
            let credential = json!({"type_": "ES256", "cred": {"y": [1, 2], "id": "AAEC", "x": null}, "counter": 0});
            let label = self.text("the key on the desk");
            story.say(&security, PasskeyChange::Registered { passkey: passkey.clone(), label, credential });
        }
        let signature = |passkey| Signature {
            passkey,
            seen: Digest::of(b"a version"),
            authenticator_data: URL_SAFE_NO_PAD.encode([[0; 33].as_slice(), &[0, 0, 0, 7]].concat()),
            client_data: URL_SAFE_NO_PAD.encode(br#"{"type":"webauthn.get","origin":"https://admin.acme.example"}"#),
            signature: URL_SAFE_NO_PAD.encode([5; 70]),
        };
        for elevation in self.all_elevations() {
            let by = elevation.requested_by.clone();
            story.say(&by, ElevationChange::Asked { elevation: Box::new(elevation) });
        }
        let narrowings = [
            Narrowing {
                scopes: Some([parsed("orders:write")].into_iter().collect()),
                allow: Some(vec![parsed("PATCH /v1/orders/{id}/status")]),
                duration: Some(Seconds(900)),
            },
            Narrowing { scopes: None, allow: None, duration: None },
            Narrowing { scopes: None, allow: Some(Vec::new()), duration: None },
        ];
        let said = [
            ("elevation-1", Verdict::Approve, Some(signature(passkeys[0].clone()))),
            ("elevation-1", Verdict::Approve, None),
            ("elevation-2", Verdict::Deny, None),
        ];
        for ((elevation, verdict, signature), narrowing) in said.into_iter().zip(narrowings) {
            let (elevation, reason) = (parsed(elevation), self.text("seen and weighed"));
            let (roles, signature) = (vec![Role::Owner, Role::Security], signature.map(Box::new));
            let by = if signature.is_some() { &security } else { &owner };
            story.say(by, ElevationChange::Reviewed { elevation, verdict, reason, roles, narrowing, signature });
        }
        for notice in [Notice::Ending, Notice::Expired, Notice::Lapsed] {
            story.say(&Actor::Broker, ElevationChange::Noticed { elevation: parsed("elevation-3"), notice });
        }
        let reason = self.text("the work is done");
        story.say(&owner, ElevationChange::Ended { elevation: parsed("elevation-1"), reason });
        let reason = self.text("it was lost");
        story.say(&security, PasskeyChange::Revoked { passkey: passkeys[1].clone(), reason });
    }

    /// One with everything that can be set, two with as little as they may have.
    fn all_elevations(&self) -> [Elevation; 3] {
        let small = |id: &str| Elevation {
            id: parsed(id),
            integration: parsed("globex/order-sync"),
            environment: parsed("production"),
            api: parsed("orders-api"),
            scopes: [parsed("orders:delete")].into_iter().collect(),
            allow: Vec::new(),
            duration: Seconds(300),
            starts: None,
            reason: self.text("a wrong order"),
            ticket: None,
            tied: false,
            requested_by: self.owner(),
            binding: None,
            rule: Rule { demands: vec![small_approvers()], barred: Vec::new() },
            expires: at(5 * 86_400),
            break_glass: false,
            poll: None,
        };
        let full = Elevation {
            scopes: [parsed("orders:write"), parsed("orders:delete")].into_iter().collect(),
            allow: vec![parsed("PATCH /v1/orders/{id}/status"), parsed("PUT /v1/orders/{id}")],
            starts: Some(at(86_400)),
            ticket: Some(parsed("OPS-17")),
            tied: true,
            requested_by: Actor::Workload(parsed("globex/order-sync")),
            binding: Some(parsed("ci")),
            rule: Rule { demands: vec![approvers(), small_approvers()], barred: vec![self.named("jane"), unnamed("raj")] },
            break_glass: true,
            poll: Some(Digest::of(b"a token to ask with")),
            ..small("elevation-1")
        };
        [full, small("elevation-2"), small("elevation-3")]
    }

    fn revocations(&self, story: &mut Story<'_>) {
        let security = self.security();
        for (n, target) in targets().into_iter().enumerate() {
            let client = match &target {
                RevocationTarget::Token { .. } => Some(parsed::<ClientId>("globex/order-sync")),
                _ => None,
            };
            let tokens_only = matches!(target, RevocationTarget::Partner { .. } | RevocationTarget::Api { .. });
            let (id, reason) = (parsed(&format!("revocation-{n}")), self.text("it leaked"));
            story.say(&security, RevocationChange::Added { id, target, tokens_only, reason, client });
        }
        let forgotten = self.text("what somebody wants forgotten");
        let target = RevocationTarget::Token { environment: parsed("sandbox"), id: parsed("token-2"), expires: at(9 * 86_400) };
        let (id, client) = (parsed("revocation-of-another"), Some(parsed("api/orders-api")));
        let reason = forgotten.clone();
        story.say(&Actor::Operator, RevocationChange::Added { id, target, tokens_only: false, reason, client });
        // Of the third and fourth: a binding, and an integration.
        for (n, lifted) in [(2, true), (3, false)] {
            let (name, id) = (format!("revocation-{n}"), format!("approval-lift-{n}"));
            let approval = self.approval(&id, Kind::Lift, (&name, Digest::of(name.as_bytes())));
            let reason = self.text("a false alarm");
            story.say(&security, RevocationChange::LiftAsked { id: parsed(&name), reason, approval });
            if lifted {
                story.say(&Actor::Broker, RevocationChange::Lifted { id: parsed(&name) });
            }
        }
        for person in [self.named("raj"), unnamed("otto")] {
            story.say(&security, StaffChange::Cut { person, reason: self.text("left the company") });
        }
        let reason = self.text("asked for by its author");
        let erased = TextChange::Erased { texts: vec![forgotten.clone()], reason };
        story.say(&Actor::Machine(unnamed("pipeline")), erased);
        let approval = self.approval("approval-erasure", Kind::Erasure, ("1 texts", Digest::of(b"an erasure")));
        let (texts, reason) = (vec![forgotten], self.text("asked by the person"));
        story.say(&Actor::Staff(self.named("adam")), TextChange::EraseAsked { texts, reason, approval: Box::new(approval) });
    }

    pub(super) fn reviewed(&self, story: &mut Story<'_>, by: &Actor, approval: &str, verdict: Verdict, roles: Vec<Role>) {
        let (approval, reason) = (parsed(approval), self.text("looks right"));
        let roles = roles.try_into().expect("few roles");
        story.say(by, ApprovalChange::Reviewed { approval, verdict, reason, roles });
    }
}

/// Tokens that a version cut.
fn cut_by_a_version(story: &mut Story<'_>) {
    let token = |id| CutToken { environment: parsed("production"), id: parsed(id), expires: at(600) };
    let target = RevocationTarget::IntegrationEnvironment {
        integration: parsed("globex/order-sync"),
        environment: parsed("production"),
    };
    let tokens = vec![token("token-3"), token("token-4")];
    story.say(&Actor::Broker, RevocationChange::TokensCut { target, because: 7, tokens });
}

/// Lists an example of each variant; one that is missing does not compile.
macro_rules! each {
    ($type:ident { $($variant:ident $fields:tt),+ $(,)? }) => {{
        let _complete = |value: &$type| match value {
            $($type::$variant { .. } => {})+
        };
        vec![$($type::$variant $fields),+]
    }};
}

pub(super) use each;

/// Something of each kind that can be revoked.
pub fn targets() -> Vec<RevocationTarget> {
    each!(RevocationTarget {
        Token { environment: parsed("production"), id: parsed("token-1"), expires: at(8 * 86_400) },
        Api { api: parsed("orders-api") },
        Binding { client: parsed("globex/order-sync"), environment: parsed("production"), binding: parsed("github") },
        Integration { integration: parsed("globex/order-sync") },
        IntegrationEnvironment { integration: parsed("globex/order-sync"), environment: parsed("sandbox") },
        Partner { partner: parsed("globex") },
        Elevation { environment: parsed("production"), elevation: parsed("elevation-3") },
        Environment { environment: parsed("staging") },
        Issuer { issuer: parsed("https://cluster.globex.example") },
        Certificate { environment: parsed("production"), serial: parsed(&serial_of('a')) },
        Authority { environment: parsed("production"), kid: parsed("authority-1") },
        Key { environment: parsed("production"), kid: parsed("key-2") },
    })
}

fn sender() -> Sender {
    let (kinds, subjects) = (SignalKind::ALL.into(), vec![parsed("globex/*")]);
    Sender { caller: "contracts".to_owned(), kinds, subjects, per_hour: 5 }
}

/// A configuration of three environments.
pub(super) fn configuration(directory: Option<Source>, governance: Governance) -> Configuration {
    let environments = ["production", "sandbox", "staging"].map(|name| {
        let environment = Environment {
            issuer: parsed(&format!("https://sts.acme.example/{name}")),
            max_ttl: Seconds(600),
            trust_domain: parsed(&format!("{name}.sts.acme.example")),
            production: (name == "staging").then_some(true),
        };
        (parsed(name), environment)
    });
    let (environments, staff) = (BTreeMap::from(environments), Digest::of(b"staff"));
    Configuration { environments, staff, signals: Vec::new(), directory, governance }
}

fn signing_key(environment: &str, kid: &str, alg: Alg) -> SigningKey {
    SigningKey {
        environment: parsed(environment),
        kid: parsed(kid),
        alg,
        // Not in the order of the alphabet: members stay in the order in which they were published.
        public: json!({"kty": "EC", "use": "sig", "crv": "P-256", "kid": kid, "x": "x", "alg": alg.name(), "y": "y"}),
        sealed: Digest::of(b"sealed"),
        usable_from: at(-3600),
        awaits_nodes: false,
    }
}

fn authority(kid: &str) -> Authority {
    Authority {
        environment: parsed("production"),
        kid: parsed(kid),
        root: Der(b"the root".to_vec()),
        issuing: Der(kid.as_bytes().to_vec()),
        ends: at(365 * 86_400),
        sealed: Digest::of(b"sealed"),
        sealed_root: Digest::of(b"the sealed root"),
    }
}

fn leaf(serial: char) -> Leaf {
    Leaf {
        environment: parsed("production"),
        integration: parsed("globex/order-sync"),
        serial: parsed(&serial_of(serial)),
        authority: parsed("authority-2"),
        key: Digest::of(b"the workload's own key"),
        starts: at(-300),
        ends: at(86_400),
    }
}

/// A serial number by its last digits.
pub(super) fn serial_of(digit: char) -> String {
    format!("1{}", digit.to_string().repeat(31))
}
