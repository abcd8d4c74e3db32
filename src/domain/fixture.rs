//! What tests of every floor start from: a clock that is set, randomness from a seed, and a small registry in which one
//! workload may have one token.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::caller::proof::{Assertion, Verified};
use super::credential::keys::SigningKey;
use super::decision::admission::{self, Place, Principal, Slot};
use super::decision::ask::{Ask, Context, Target};
use super::decision::grant::{self, Decision, Grant};
use super::decision::guard::Guarded;
use super::log::api::ApiChange;
use super::log::change::{Attributed, Change};
use super::log::configuration::ConfigurationChange;
use super::log::integration::IntegrationChange;
use super::log::key::KeyChange;
use super::log::partner::PartnerChange;
use super::people::actor::{Actor, Role};
use super::reason::decision::Refused;
use super::registry::approval::{Approval, Kind, Opened};
use super::registry::binding::{Condition, JwtRule, KeySource, Matcher};
use super::state::State;
use super::value::alg::Alg;
use super::value::clock::{Clock, Entropy, Timestamp};
use super::value::digest::Digest;
use super::value::names::{EnvironmentName, Issuer};

/// The second at which fixtures begin: 2026-12-01T12:00:00Z.
pub const NOON: i64 = 1_796_126_400;

/// Our issuer in the fixture's environment.
pub const ISSUER: &str = "https://sts.acme.example/production";

/// The workload's issuer.
pub const WORKLOADS: &str = "https://token.actions.example";

/// A clock that stands still until it is set.
pub struct SetClock {
    /// Seconds after [`NOON`], by the monotonic clock.
    passed: AtomicI64,
    /// How far the wall clock is ahead of it.
    jumped: AtomicI64,
}

/// Randomness that repeats: SHA-256 over a seed and a counter.
pub struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Default for SetClock {
    /// At [`NOON`].
    fn default() -> Self {
        Self { passed: AtomicI64::new(0), jumped: AtomicI64::new(0) }
    }
}

impl SetClock {
    /// At [`NOON`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass, or takes it back, to so many seconds after [`NOON`].
    pub fn set(&self, after_noon: i64) {
        self.passed.store(after_noon, Ordering::SeqCst);
    }

    /// Sets the wall clock, and it alone, forwards or backwards by so much.
    pub fn jump(&self, by: i64) {
        self.jumped.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        let after_noon = self.passed.load(Ordering::SeqCst) + self.jumped.load(Ordering::SeqCst);
        Timestamp::from_seconds(NOON + after_noon).expect("a time of the tests")
    }

    /// Since 1970, so that time may also be taken back.
    fn monotonic(&self) -> Duration {
        Duration::from_secs((NOON + self.passed.load(Ordering::SeqCst)).unsigned_abs())
    }
}

impl Seeded {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
            let block = Digest::of_parts(&[&self.seed.to_be_bytes(), &drawn.to_be_bytes()]).0;
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

/// So many seconds after [`NOON`].
pub fn at(after_noon: i64) -> Timestamp {
    Timestamp::from_seconds(NOON + after_noon).expect("a time of the tests")
}

/// The fixture's environment.
pub fn production() -> EnvironmentName {
    "production".parse().expect("a name")
}

/// The changes that make the fixture's registry: configuration, one signing key, one API, one partner, one integration
/// (`globex/order-sync`) in force.
pub fn registry() -> Vec<Attributed> {
    registry_with(&serde_json::json!({"discovery": WORKLOADS}), true)
}

/// The same, whose workload shows proofs by these keys, for one use or until they expire.
pub fn registry_with(keys: &serde_json::Value, single_use: bool) -> Vec<Attributed> {
    let json = serde_json::json!({
        "environments": {"production": {"issuer": ISSUER, "maxTtl": 600, "trustDomain": "production.sts.acme.example"}},
        "staff": Digest::of(b"staff"),
    });
    let configuration = serde_json::from_value(json).expect("a configuration");
    let key = SigningKey {
        environment: production(),
        kid: "key-1".parse().expect("an id"),
        alg: Alg::Es256,
        public: serde_json::json!({"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}),
        sealed: Digest::of(b"sealed"),
        usable_from: at(-1000),
        awaits_nodes: false,
    };
    let api: super::registry::api::Api = serde_json::from_value(serde_json::json!({
        "name": "orders-api", "owner": "team:orders",
        "audience": {"production": "https://orders.acme.example"},
        "token": {"profile": "rfc9068", "alg": "ES256", "ttl": 300},
        "scopes": {"orders:read": {"meaning": "See orders", "risk": "low"}},
    }))
    .expect("an API");
    let partner: super::registry::partner::Partner = serde_json::from_value(serde_json::json!({
        "name": "globex", "legalName": "Globex Corporation", "domains": ["globex.example"],
        "contacts": {"technical": "ops@globex.example", "security": "security@globex.example"},
        "verification": {"by": "jane@acme.example", "on": NOON - 86_400, "evidence": "none", "expires": NOON + 30_000_000},
    }))
    .expect("a partner");
    let integration: super::registry::integration::Integration = serde_json::from_value(serde_json::json!({
        "id": "globex/order-sync", "purpose": "Copies orders.",
        "owners": {"business": "jane@acme.example", "application": "raj@acme.example"},
        "contract": {"ref": "MSA-1", "starts": NOON - 86_400, "ends": NOON + 20_000_000},
        "review": {"every": 7_776_000, "onSilence": "suspend"},
        "offboarding": {"trigger": "contract-end", "contact": "ops@globex.example"},
        "environments": {"production": {
            "bindings": [{"name": "ci", "admits": {"jwt": {
                "kind": "oidc", "issuer": WORKLOADS, "keys": keys,
                "matchers": [{"claim": "repository_id", "condition": {"equals": "456789"}}],
                "owner": ["repository_id"], "algs": ["ES256"], "singleUse": single_use, "maxLife": 3600,
            }}}],
            "scopes": {"orders-api": [{"scope": "orders:read"}]},
        }},
    }))
    .expect("an integration");
    let (api_version, partner_version) = (Digest::of_json(&api), Digest::of_json(&partner));
    let integration_version = Digest::of_json(&integration);
    let (api_name, partner_name, id) = (api.name.clone(), partner.name.clone(), integration.id.clone());
    let approval = |subject: &str, version: Digest| super::registry::approval::Approval {
        id: format!("approval-of-{}", subject.replace('/', "-")).parse().expect("an id"),
        kind: super::registry::approval::Kind::Api,
        subject: subject.to_owned(),
        version,
        requested_by: Actor::Operator,
        barred: Vec::new(),
        slots: super::people::roles::Roles::default(),
        expires: at(86_400),
        reviews: Vec::new(),
        withdrawn: false,
        reason: None,
        opened: Default::default(),
    };
    let changes: Vec<Change> = vec![
        ConfigurationChange::Changed(configuration).into(),
        KeyChange::Created(key).into(),
        ApiChange::Submitted { approval: approval("orders-api", api_version), record: Box::new(api) }.into(),
        ApiChange::Approved { api: api_name, version: api_version }.into(),
        PartnerChange::Submitted { approval: approval("globex", partner_version), record: Box::new(partner) }.into(),
        PartnerChange::Verified { partner: partner_name, version: partner_version }.into(),
        IntegrationChange::Drafted { record: Box::new(integration), reason: None }.into(),
        IntegrationChange::Submitted {
            integration: id.clone(),
            approval: approval("globex/order-sync", integration_version),
            owners: None,
        }
        .into(),
        IntegrationChange::Activated { integration: id, version: integration_version, owners: None }.into(),
    ];
    changes.into_iter().map(|what| what.by(Actor::Broker)).collect()
}

/// The registry as a state, without a journal.
pub fn state() -> State {
    let mut state = State::default();
    for (index, change) in registry().iter().enumerate() {
        state.apply(index as u64, at(-500), change);
    }
    state
}

/// A verified assertion of the fixture's workload that names `jti` and expires after five minutes.
pub fn assertion(jti: &str) -> Verified<Assertion> {
    Verified::assertion(Assertion {
        issuer: WORKLOADS.parse().expect("an issuer"),
        subject: "repo:globex/order-sync".parse().expect("a subject"),
        audience: vec![ISSUER.to_owned()],
        expires: at(300),
        issued: Some(at(0)),
        not_before: None,
        id: Some(jti.parse().expect("an id")),
        claims: serde_json::json!({"repository_id": "456789"}),
        alg: Alg::Es256,
        typ: None,
        source: KeySource::Discovery(WORKLOADS.parse().expect("an issuer")),
        key: Digest::of(b"key"),
    })
}

/// The principal that the fixture's binding admits.
pub fn principal(assertion: &Verified<Assertion>, state: &State, now: Timestamp) -> Result<Principal, Refused> {
    let (environment, issuer) = (production(), ISSUER.parse().expect("an issuer"));
    let place = Place { environment: &environment, issuer: &issuer, barred: &state.barred };
    admission::admit(state.candidates(&environment, &assertion.issuer), assertion, Slot::SubjectToken, place, now)
}

/// Decides what the fixture's workload asks for with the proof `jti`: one token, request and token named after `name`.
pub fn decide(jti: &str, name: &str, state: &State, now: Timestamp) -> Decision {
    let principal = match principal(&assertion(jti), state, now) {
        Ok(principal) => principal,
        Err(refused) => return Decision::Refused(refused),
    };
    let target = Some(Target::Name("orders-api".to_owned()));
    let ask = Ask { target, scope: Some("orders:read".to_owned()), client: None };
    let request = format!("request-{name}").parse().expect("an id");
    let token = format!("token-{name}").parse().expect("an id");
    let context = Context { request, token, source: None, certificate: None, possession: None };
    grant::decide(&principal, &ask, &context, Guarded::without(state), now)
}

/// The grant of [`decide`]; the fixture's registry allows it.
pub fn granted(jti: &str, name: &str, state: &State, now: Timestamp) -> Box<Grant> {
    match decide(jti, name, state, now) {
        Decision::Granted(grant) => grant,
        Decision::NeedsElevation(refused) | Decision::Refused(refused) => panic!("refused: {refused:?}"),
    }
}

/// A rule on JWTs of this issuer, with these conditions and nothing else.
pub fn rule(issuer: &str, matchers: &[(&str, Condition)]) -> JwtRule {
    let issuer: Issuer = issuer.parse().expect("an issuer");
    let matcher = |(claim, condition): &(&str, Condition)| Matcher {
        claim: claim.parse().expect("a claim"),
        condition: condition.clone(),
    };
    JwtRule {
        matchers: matchers.iter().map(matcher).collect(),
        ..JwtRule::of_tokens(issuer.clone(), KeySource::Discovery(issuer))
    }
}

/// An approval that waits for security.
pub fn approval(id: &str, kind: Kind, subject: &str, version: Digest) -> Approval {
    Approval {
        id: id.parse().expect("an id"),
        kind,
        subject: subject.to_owned(),
        version,
        requested_by: Actor::Operator,
        barred: Vec::new(),
        slots: [Role::Security].into(),
        expires: at(86_400),
        reviews: Vec::new(),
        withdrawn: false,
        reason: None,
        opened: Opened::default(),
    }
}
