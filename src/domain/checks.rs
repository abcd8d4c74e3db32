//! Each check of the decision tree in both outcomes: what it says is true whether or not it holds.

use std::collections::{BTreeMap, BTreeSet};

use super::caller::proof::{Assertion, Verified};
use super::credential::certificate::{Authority, ClientCertificate, Der, Leaf};
use super::credential::revocation::RevocationTarget;
use super::decision::admission::{Place, Slot, admit};
use super::decision::ask::{Ask, Context, Target};
use super::decision::effective::{effective, of_partner};
use super::decision::grant::{Decision, decide, explain};
use super::decision::guard::Guarded;
use super::decision::peer::Peer;
use super::decision::rehearsal::{Question, rehearse};
use super::elevation::{Elevation, Rule};
use super::fixture::{self, ISSUER, NOON, at, production};
use super::log::certificate::CertificateChange;
use super::log::change::Change;
use super::log::configuration::ConfigurationChange;
use super::log::directory::DirectoryChange;
use super::log::elevation::ElevationChange;
use super::log::environment::EnvironmentChange;
use super::log::integration::IntegrationChange;
use super::log::issuer_key::IssuerKeyChange;
use super::log::key::KeyChange;
use super::log::partner::PartnerChange;
use super::log::revocation::RevocationChange;
use super::people::actor::Actor;
use super::people::owners::OwnerIds;
use super::reason::decision::Step;
use super::reason::{self, Reason};
use super::registry::binding::{Admits, Condition};
use super::registry::environment::Governance;
use super::registry::integration::{
    Access, Approvers, Eligible, Integration, Limits, OnLate, OnPastDue, Require, Rotation, StaticSecret,
};
use super::registry::recertification::OPEN_FOR;
use super::state::State;
use super::value::clock::{Seconds, Timestamp};
use super::value::digest::Digest;

/// One request on one registry; the fixture's, in which everything holds.
struct Case {
    state: State,
    now: Timestamp,
    assertion: Assertion,
    slot: Slot,
    ask: Ask,
    context: Context,
    index: u64,
}

impl Case {
    fn new() -> Self {
        let target = Some(Target::Name("orders-api".to_owned()));
        Self {
            state: fixture::state(),
            now: at(0),
            assertion: (*fixture::assertion("proof-1")).clone(),
            slot: Slot::SubjectToken,
            ask: Ask { target, scope: Some("orders:read".to_owned()), client: None },
            context: Context {
                request: "r1".parse().expect("an id"),
                token: "t1".parse().expect("an id"),
                source: "203.0.113.7".parse().ok(),
                certificate: None,
                possession: None,
            },
            index: 100,
        }
    }

    /// So many seconds after noon, with a proof of that time.
    fn later(&mut self, seconds: i64) {
        self.now = at(seconds);
        self.assertion.issued = Some(at(seconds));
        self.assertion.expires = at(seconds + 300);
    }

    fn apply(&mut self, change: impl Into<Change>) -> &mut Self {
        self.index += 1;
        self.state.apply(self.index, at(-60), &change.into().by(Actor::Operator));
        self
    }

    /// Another version of the record, in force.
    fn record(&mut self, change: impl FnOnce(&mut Integration)) -> &mut Self {
        let current = self.state.integrations[&id()].current.as_ref().expect("a record");
        let mut record = current.record.as_ref().clone();
        change(&mut record);
        self.apply(IntegrationChange::Narrowed { record: Box::new(record), reason: None })
    }

    fn access(&mut self, change: impl FnOnce(&mut Access)) -> &mut Self {
        self.record(|record| change(record.environments.get_mut(&production()).expect("production")))
    }

    fn rule(&mut self, change: impl FnOnce(&mut super::registry::binding::JwtRule)) -> &mut Self {
        self.access(|access| match &mut access.bindings[0].admits {
            super::registry::binding::Admits::Jwt(rule) => change(std::sync::Arc::make_mut(rule)),
            super::registry::binding::Admits::Certificate => unreachable!("the fixture's binding is by JWT"),
        })
    }

    /// An owner left so early that the grace ends so many seconds after noon.
    fn left(&mut self, end: i64) -> &mut Self {
        let person: super::value::names::PersonId = "psn_jane".parse().expect("an id");
        let ids = OwnerIds { business: Some(person.clone()), application: None };
        let known = DirectoryChange::Resolved { in_force: [(id(), ids)].into_iter().collect(), waiting: BTreeMap::new() };
        for what in [known, DirectoryChange::Left { person }] {
            self.index += 1;
            self.state.apply(self.index, at(end).minus(Governance::OWNER_GRACE), &what.by(Actor::Directory));
        }
        self
    }

    /// A review is open, and due so many seconds after noon.
    fn unreviewed(&mut self, due: i64) -> &mut Self {
        let mut configuration = self.state.configuration.clone().expect("configured");
        configuration.governance.reviews = true;
        let unused = IntegrationChange::Unused { integration: id(), environment: production(), binding: None, last: None };
        for what in [Change::from(ConfigurationChange::Changed(configuration)), unused.into()] {
            self.index += 1;
            self.state.apply(self.index, at(due).minus(OPEN_FOR), &what.by(Actor::Broker));
        }
        self
    }

    /// A proof by the key is on record since `since`, and the record wants keys changed each hour.
    fn rotation(&mut self, since: i64) -> &mut Self {
        let rotation = Rotation { issuer_keys: Some(Seconds::hours(1)), on_late: OnLate::Refuse, ..Rotation::default() };
        self.record(|record| record.rotation = Some(rotation));
        let what =
            IssuerKeyChange::FirstUsed { issuer: fixture::WORKLOADS.parse().expect("an issuer"), key: Digest::of(b"key") };
        self.index += 1;
        self.state.apply(self.index, at(since), &what.by(Actor::Broker));
        self
    }

    /// The scope takes an elevation that began without anybody, if `asked`, so long before noon.
    fn elevated(&mut self, asked: Option<i64>) -> &mut Self {
        let approvers = Approvers::one_of(super::people::actor::Role::Security);
        let eligible = Eligible {
            scope: "orders:read".parse().expect("a scope"),
            api: "orders-api".parse().expect("a name"),
            max: Seconds::hours(8),
            approvers: approvers.clone(),
            break_glass: true,
            ..super::examples::small_eligible()
        };
        self.access(|access| {
            access.scopes.clear();
            access.elevation = vec![eligible];
        });
        let Some(asked) = asked else { return self };
        let elevation = Elevation {
            id: "elevation-1".parse().expect("an id"),
            integration: id(),
            environment: production(),
            api: "orders-api".parse().expect("a name"),
            scopes: std::iter::once("orders:read".parse().expect("a scope")).collect(),
            allow: Vec::new(),
            duration: Seconds::hours(2),
            starts: None,
            reason: "incident".into(),
            ticket: None,
            tied: false,
            requested_by: Actor::Operator,
            binding: None,
            rule: Rule { demands: vec![approvers], barred: Vec::new() },
            expires: at(asked + 86_400),
            break_glass: true,
            poll: None,
        };
        self.index += 1;
        let change = ElevationChange::Asked { elevation: Box::new(elevation) }.by(Actor::Operator);
        self.state.apply(self.index, at(asked), &change);
        self
    }

    /// The connection has a certificate of the integration, whose key is in use since noon less a minute.
    fn certified(&mut self) -> Leaf {
        let authority = Authority {
            environment: production(),
            kid: "ca-1".parse().expect("an id"),
            root: Der(Vec::new()),
            issuing: Der(Vec::new()),
            ends: at(1_000_000),
            sealed: Digest::of(b"sealed"),
            sealed_root: Digest::of(b"root"),
        };
        let leaf = Leaf {
            environment: production(),
            integration: id(),
            serial: "4fa0c1d2e3b4a5968778695a4b3c2d1e".parse().expect("a serial number"),
            authority: authority.kid.clone(),
            key: Digest::of(b"leaf"),
            starts: at(-60),
            ends: at(86_400),
        };
        self.apply(CertificateChange::AuthorityCreated { authority: Box::new(authority), reason: None });
        self.apply(CertificateChange::Issued { leaf: leaf.clone(), enrolment: None });
        self.shows(leaf.clone());
        leaf
    }

    fn shows(&mut self, leaf: Leaf) {
        let shown = ClientCertificate { leaf, fingerprint: Digest::of(b"certificate") };
        self.context.certificate = Some(Peer::Own(Verified::assertion(shown)));
    }

    /// The record wants keys of certificates changed each hour.
    fn aging(&mut self) {
        let rotation = Rotation { certificate: Some(Seconds::hours(1)), on_late: OnLate::Refuse, ..Rotation::default() };
        self.record(|record| record.rotation = Some(rotation));
        self.certified();
    }

    fn revoked(&mut self) -> &mut Self {
        self.apply(RevocationChange::Added {
            id: "revocation-1".parse().expect("an id"),
            target: RevocationTarget::Partner { partner: "globex".parse().expect("a name") },
            tokens_only: false,
            reason: "breach".into(),
            client: None,
        })
    }

    fn suspended(&mut self) -> &mut Self {
        self.apply(PartnerChange::suspended("globex".parse().expect("a name"), "breach".into()))
    }

    /// The reason and the tree that an exchange of it has.
    fn tree(&self) -> (Option<&'static Reason>, Vec<Step>) {
        let (environment, issuer) = (production(), ISSUER.parse().expect("an issuer"));
        let place = Place { environment: &environment, issuer: &issuer, barred: &self.state.barred };
        let candidates = self.state.candidates(&environment, &self.assertion.issuer);
        let assertion = Verified::assertion(self.assertion.clone());
        let principal = match admit(candidates, &assertion, self.slot, place, self.now) {
            Ok(principal) => principal,
            Err(refused) => return (Some(refused.reason), refused.tree),
        };
        let (outcome, tree) = explain(&principal, &self.ask, &self.context, Guarded::without(&self.state), self.now);
        match decide(&principal, &self.ask, &self.context, Guarded::without(&self.state), self.now) {
            Decision::Granted(_) => assert!(outcome.is_ok(), "{tree:?}"),
            Decision::NeedsElevation(refused) | Decision::Refused(refused) => {
                assert_eq!((Some(refused.reason), &refused.tree), (outcome.as_ref().err().copied(), &tree));
            }
        }
        (outcome.err(), tree)
    }
}

fn id() -> super::value::names::IntegrationId {
    "globex/order-sync".parse().expect("a name")
}

type Setting = fn(&mut Case);

/// A claim is wrong, so that the whole tree of the assertion is told.
fn stranger(case: &mut Case) {
    case.assertion.claims = serde_json::json!({"repository_id": "1"});
}

/// Check; what makes it hold, and what it says then; what makes it fail, and what it wants and says then.
type Row = (&'static str, Setting, &'static str, Setting, &'static str, &'static str);

fn rows() -> Vec<Row> {
    let good: Setting = |_| {};
    let certified: Setting = |case| drop(case.certified());
    let late: Setting = |case| case.later(21_000_000);
    vec![
        (
            "assertion.keys",
            stranger,
            "https://token.actions.example",
            |case| {
                case.assertion.source = super::registry::binding::KeySource::JwksUri("https://x.example/jwks".into());
            },
            "https://token.actions.example",
            "https://x.example/jwks",
        ),
        ("assertion.alg", stranger, "ES256", |case| case.assertion.alg = super::value::alg::Alg::Rs256, "ES256", "RS256"),
        ("assertion.typ", stranger, "none", |case| case.assertion.typ = Some("at+jwt".into()), "JWT or none", "at+jwt"),
        (
            "assertion.slot",
            stranger,
            "subject_token",
            |case| {
                case.rule(|rule| rule.kind = super::registry::binding::JwtKind::Key);
            },
            "client_assertion",
            "subject_token",
        ),
        (
            "assertion.aud",
            stranger,
            ISSUER,
            |case| case.assertion.audience = vec!["https://x.example".into()],
            ISSUER,
            "https://x.example",
        ),
        (
            "assertion.exp",
            stranger,
            "2026-12-01T12:05:00Z",
            |case| case.now = at(300),
            "later than 2026-12-01T12:05:00Z",
            "2026-12-01T12:05:00Z",
        ),
        (
            "assertion.iat",
            stranger,
            "2026-12-01T12:00:00Z",
            |case| case.now = at(-31),
            "not later than 2026-12-01T11:59:59Z and exp",
            "2026-12-01T12:00:00Z",
        ),
        (
            "assertion.nbf",
            |case| {
                stranger(case);
                case.assertion.not_before = Some(at(1));
            },
            "2026-12-01T12:00:01Z",
            |case| case.assertion.not_before = Some(at(31)),
            "not later than 2026-12-01T12:00:30Z and exp",
            "2026-12-01T12:00:31Z",
        ),
        ("assertion.life", stranger, "5m", |case| case.assertion.expires = at(3601), "at most 1h", "3601s"),
        (
            "assertion.age",
            |case| {
                stranger(case);
                case.rule(|rule| rule.max_age = Some(Seconds(60)));
                stranger(case);
            },
            "0s",
            |case| {
                case.rule(|rule| rule.max_age = Some(Seconds(60)));
                case.now = at(61);
            },
            "at most 1m",
            "61s",
        ),
        ("assertion.jti", stranger, "jti proof-1", |case| case.assertion.id = None, "a jti", "no jti"),
        (
            "claim.repository_id",
            |case| {
                case.rule(|rule| {
                    rule.matchers.push(super::registry::binding::Matcher {
                        claim: "ref".parse().expect("a claim"),
                        condition: super::registry::binding::Condition::Equals("main".into()),
                    })
                });
            },
            "456789",
            stranger,
            "456789",
            "1",
        ),
        (
            "client_id",
            |case| case.ask.client = Some("globex/order-sync".into()),
            "globex/order-sync",
            |case| case.ask.client = Some("acme/x".into()),
            "globex/order-sync",
            "acme/x",
        ),
        (
            "journal",
            good,
            "it issues",
            |case| case.state.mints_from = at(60),
            "a journal that issues at 2026-12-01T12:00:00Z",
            "reopened after a restore; it issues from 2026-12-01T12:01:00Z on",
        ),
        (
            "partner",
            good,
            "partner globex: in good standing",
            |case| {
                case.suspended();
            },
            "partner globex not suspended",
            "partner globex: suspended since 2026-12-01T11:59:00Z",
        ),
        (
            "partner.verification",
            good,
            "partner globex is verified until 2027-11-13T17:20:00Z",
            |case| {
                // A contract that has ended would be told first.
                case.record(|record| record.contract.ends = Timestamp::from_seconds(NOON + 40_000_000).expect("a time"));
                case.later(30_000_000);
            },
            "a verification that lasts beyond 2027-11-13T17:20:00Z",
            "partner globex is verified until 2027-11-13T17:20:00Z",
        ),
        (
            "integration",
            good,
            "integration globex/order-sync: active",
            |case| {
                case.apply(IntegrationChange::suspended(id(), "odd".into()));
            },
            "integration globex/order-sync active",
            "integration globex/order-sync: suspended since 2026-12-01T11:59:00Z",
        ),
        (
            "elevation.reviewed",
            good,
            "none waits longer than it may",
            |case| {
                case.elevated(Some(-86_400));
            },
            "a review in time of each break-glass elevation",
            "elevation elevation-1 waits longer than it may",
        ),
        (
            "environment.open",
            good,
            "production is open",
            |case| {
                let issuer = "https://sts.acme.example/production".parse().expect("an issuer");
                case.apply(EnvironmentChange::Closed { environment: production(), issuer });
            },
            "production open",
            "production is closed since 2026-12-01T11:59:00Z",
        ),
        (
            "contract.starts",
            good,
            "contract starts 2026-11-30T12:00:00Z",
            |case| {
                case.record(|record| {
                    record.contract.starts = Timestamp::from_seconds(NOON - NOON % 86_400 + 86_400).expect("a day")
                });
            },
            "a contract that has started at 2026-12-01T12:00:00Z",
            "contract starts 2026-12-02",
        ),
        (
            "contract.ends",
            |case| {
                case.record(|record| {
                    record.contract.ends = Timestamp::from_seconds(NOON - NOON % 86_400 + 86_400).expect("a day")
                });
            },
            "contract ends 2026-12-01",
            late,
            "a contract that lasts beyond 2027-08-01T13:20:00Z",
            "contract ends 2027-07-20T23:33:20Z",
        ),
        (
            "environment.ends",
            |case| {
                case.access(|access| access.ends = Some(at(3600)));
            },
            "production ends 2026-12-01T13:00:00Z",
            |case| {
                case.access(|access| access.ends = Some(at(0)));
            },
            "production in the record beyond 2026-12-01T12:00:00Z",
            "production ends 2026-12-01T12:00:00Z",
        ),
        (
            "review",
            |case| {
                case.unreviewed(3600);
            },
            "a review was due 2026-12-01T13:00:00Z",
            |case| {
                case.unreviewed(0);
            },
            "a review of production in time",
            "a review was due 2026-12-01T12:00:00Z",
        ),
        (
            "owners",
            |case| {
                case.left(3600);
            },
            "psn_jane left 2026-11-17T13:00:00Z, and without an owner it ends 2026-12-01T13:00:00Z",
            |case| {
                case.left(0);
            },
            "two owners who are present",
            "psn_jane left 2026-11-17T12:00:00Z, and without an owner it ends 2026-12-01T12:00:00Z",
        ),
        (
            "exceptions",
            |case| {
                case.record(|record| record.exceptions = vec![secret(3600)]);
            },
            "\"old key\" ends 2026-12-01T13:00:00Z",
            |case| {
                case.record(|record| record.exceptions = vec![secret(0)]);
            },
            "each exception closed by its end",
            "\"old key\" ends 2026-12-01T12:00:00Z",
        ),
        (
            "binding.used",
            good,
            "binding ci: in use",
            |case| {
                let (environment, binding) = (production(), "ci".parse().expect("a name"));
                case.apply(IntegrationChange::BindingRetired { integration: id(), environment, binding, last: None });
            },
            "binding ci in use",
            "binding ci: retired, since nobody used it for long",
        ),
        ("environment", good, "production", |_| {}, "", ""),
        (
            "proof.bound",
            good,
            "neither is shown",
            |case| {
                case.access(|access| access.require = Require::Bound);
            },
            "a certificate or DPoP proof",
            "neither is shown",
        ),
        (
            "proof.dual",
            good,
            "an assertion alone",
            |case| {
                case.access(|access| access.require = Require::Dual);
            },
            "an assertion and a certificate",
            "an assertion alone",
        ),
        (
            "assertion.key-rotation",
            |case| {
                case.rotation(-60);
            },
            "a key that is due to change at 2026-12-01T12:59:00Z",
            |case| {
                case.rotation(-3600);
            },
            "a key that is not due to change before 2026-12-01T12:00:00Z",
            "a key that is due to change at 2026-12-01T12:00:00Z",
        ),
        (
            "proof.source",
            good,
            "203.0.113.7",
            |case| {
                case.access(|access| {
                    access.limits =
                        Limits { source_cidrs: vec!["198.51.100.0/24".parse().expect("a network")], ..Limits::default() }
                });
            },
            "198.51.100.0/24",
            "203.0.113.7",
        ),
        (
            "certificate.client",
            certified,
            "a certificate of globex/order-sync in production",
            |case| {
                let leaf = case.certified();
                case.shows(Leaf { integration: "globex/other".parse().expect("a name"), ..leaf });
            },
            "a certificate of globex/order-sync in production",
            "a certificate of globex/other in production",
        ),
        (
            "certificate.standing",
            certified,
            "4fa0c1d2e3b4a5968778695a4b3c2d1e is on record, valid until 2026-12-02T12:00:00Z",
            |case| {
                let leaf = case.certified();
                case.shows(Leaf { ends: at(0), ..leaf });
            },
            "on record and valid at 2026-12-01T12:00:00Z",
            "4fa0c1d2e3b4a5968778695a4b3c2d1e (2026-12-01T11:59:00Z to 2026-12-01T12:00:00Z): certificate.expired",
        ),
        (
            "certificate.revoked",
            certified,
            "certificate production/4fa0c1d2e3b4a5968778695a4b3c2d1e is not revoked",
            |case| {
                let leaf = case.certified();
                case.apply(RevocationChange::Added {
                    id: "revocation-2".parse().expect("an id"),
                    target: RevocationTarget::Certificate { environment: production(), serial: leaf.serial },
                    tokens_only: false,
                    reason: "stolen".into(),
                    client: None,
                });
            },
            "a certificate that is not revoked",
            "certificate production/4fa0c1d2e3b4a5968778695a4b3c2d1e is revoked",
        ),
        (
            "certificate.rotation",
            Case::aging,
            "a key that is due to change at 2026-12-01T12:59:00Z",
            |case| {
                case.aging();
                case.later(3540);
            },
            "a key that is not due to change before 2026-12-01T12:59:00Z",
            "a key that is due to change at 2026-12-01T12:59:00Z",
        ),
        (
            "target.named",
            good,
            "audience orders-api",
            |case| case.ask.target = None,
            "one resource or one audience",
            "none, or several",
        ),
        (
            "target",
            |case| case.ask.target = Some(Target::Resource("https://orders.acme.example".into())),
            "resource https://orders.acme.example",
            |case| case.ask.target = Some(Target::Name("billing".into())),
            "an API of the record: orders-api (https://orders.acme.example)",
            "audience billing",
        ),
        ("scope.named", good, "scope \"orders:read\"", |case| case.ask.scope = None, "a scope parameter", "no scope parameter"),
        (
            "scope.form",
            good,
            "scope \"orders:read\"",
            |case| case.ask.scope = Some("a  b".into()),
            "scopes apart by one space, none twice",
            "scope \"a  b\"",
        ),
        (
            "scope",
            good,
            "orders:read",
            |case| case.ask.scope = Some("orders:write".into()),
            "scopes of the record: orders:read",
            "orders:write",
        ),
        (
            "elevation",
            |case| {
                case.elevated(Some(-60));
            },
            "elevation elevation-1 is active until 2026-12-01T13:59:00Z",
            |case| {
                case.elevated(None);
            },
            "an approved elevation for orders:read (request one: POST https://sts.acme.example/production/elevations)",
            "none that is active",
        ),
        ("environment.configured", good, "production is configured as https://sts.acme.example/production", |_| {}, "", ""),
        (
            "signing-key",
            good,
            "key-1",
            |case| {
                case.apply(KeyChange::Tainted {
                    environment: production(),
                    kid: "key-1".parse().expect("an id"),
                    reason: "stolen".into(),
                });
            },
            "a key of production for ES256",
            "none that may sign now",
        ),
        (
            "revocations",
            good,
            "nothing is revoked",
            |case| {
                case.revoked();
            },
            "nothing revoked that the token would be made from",
            "partner globex is revoked",
        ),
        (
            "life",
            good,
            "298s until 2026-12-01T12:04:58Z (api.ttl)",
            |case| case.now = at(290),
            "at least 15s left",
            "10s until 2026-12-01T12:05:00Z (assertion.exp)",
        ),
    ]
}

/// E-3: `explain` printed `ok partner suspended` for a partner in good standing.
#[test]
fn a_check_says_what_was_seen_in_both_outcomes() {
    let mut faults = Vec::new();
    for (check, holds, seen, fails, want, seen_then) in rows() {
        let tree = |setting: Setting| {
            let mut case = Case::new();
            setting(&mut case);
            case.tree()
        };
        let (_, held) = tree(holds);
        let step = held.iter().find(|step| step.check == check);
        if step.is_none_or(|step| !step.holds || step.seen != seen) {
            faults.push(format!("{check} holds: {step:?}"));
        }
        // No request of the fixture can fail here: the state would contradict itself.
        if want.is_empty() {
            continue;
        }
        let (reason, failed) = tree(fails);
        let step = failed.iter().find(|step| step.check == check && !step.holds);
        // Whatever fails is the last that was looked at, or one of the conditions of a rule.
        let ends = check.starts_with("claim.") || failed.last() == step;
        if reason.is_none() || !ends || step.is_none_or(|step| step.want != want || step.seen != seen_then) {
            faults.push(format!("{check} fails: {reason:?} {step:?} {:?}", failed.last()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_check_of_a_grant_is_told_twice() {
    let (_, tree) = Case::new().tree();
    let mut told = BTreeSet::new();
    for step in &tree {
        assert!(told.insert(&step.check), "{}: {tree:#?}", step.check);
    }
}

/// A static secret that ends so many seconds after noon.
fn secret(ends: i64) -> StaticSecret {
    StaticSecret {
        what: "old key".to_owned(),
        control: "network".to_owned(),
        owner: "raj@acme.example".into(),
        ends: at(ends),
        on_past_due: OnPastDue::Refuse,
    }
}

/// A check that somebody adds has to be told here in both outcomes, too.
#[test]
fn no_check_is_without_its_words() {
    let sources = [
        include_str!("decision/grant.rs"),
        include_str!("decision/standing.rs"),
        include_str!("decision/entitlement.rs"),
        include_str!("decision/admission.rs"),
        include_str!("state/issuer_keys.rs"),
        include_str!("decision/possession.rs"),
    ];
    let told: BTreeSet<&str> = rows().into_iter().map(|row| row.0).collect();
    for source in sources {
        for call in ["trace.check(", "trace.ensure("] {
            for (at, _) in source.match_indices(call) {
                let rest = source[at + call.len()..].trim_start();
                let Some(name) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) else { continue };
                // They fail for whom the fixture has nobody: an API that asks for a token, a key binding, no binding at all.
                let elsewhere = ["client", "binding", "assertion.sub", "certificate.binding"].contains(&name);
                assert!(told.contains(name) || elsewhere, "{name}");
            }
        }
    }
}

fn can_i(case: &Case) -> super::decision::rehearsal::Rehearsed {
    let question = Question {
        integration: id(),
        environment: production(),
        api: "orders-api".parse().expect("a name"),
        scope: "orders:read".to_owned(),
        source: None,
    };
    rehearse(&question, Guarded::without(&case.state), case.now)
}

/// `can-i` asks about a good proof: a record that wants it bound, or by certificate alone, is no reason to say no.
#[test]
fn a_rehearsal_supposes_what_is_shown_beside_the_proof() {
    let mut case = Case::new();
    assert_eq!(can_i(&case).reason, None);
    case.access(|access| {
        access.require = Require::Dual;
        access.bindings[0].admits = super::registry::binding::Admits::Certificate;
    });
    let told = can_i(&case);
    assert_eq!((told.reason, told.binding.is_some()), (None, true), "{told:?}");
    case.apply(IntegrationChange::suspended(id(), "odd".into()));
    case.access(|access| access.bindings.clear());
    let told = can_i(&case);
    assert_eq!(told.reason, Some(&reason::INTEGRATION_SUSPENDED));
    assert!(told.tree.last().is_some_and(|step| step.check == "integration" && !step.holds), "{told:?}");
}

fn told(case: &Case) -> (String, Vec<String>) {
    let found = effective(&id(), &production(), Guarded::without(&case.state), case.now);
    let causes = found.causes.iter().map(|cause| serde_json::to_string(cause).expect("JSON")).collect();
    (found.state.to_owned(), causes)
}

/// E-7: what is effective is what an exchange is told, with everything that refuses besides.
#[test]
fn the_effective_state_is_what_an_exchange_is_told() {
    let mut case = Case::new();
    assert_eq!(told(&case), ("granting".to_owned(), Vec::new()));
    case.revoked();
    let revoked = r#"{"reason":"trust.revoked","subject":"partner:globex","since":1796126340,"liftedBy":{"action":"lift","role":"security"}}"#;
    assert_eq!(told(&case), ("refusing".to_owned(), vec![revoked.to_owned()]));
    case.suspended();
    let suspended = r#"{"reason":"partner.suspended","since":1796126340,"liftedBy":{"action":"resume","role":"security"}}"#;
    assert_eq!(told(&case), ("refusing".to_owned(), vec![suspended.to_owned(), revoked.to_owned()]));
    let partner = of_partner(&"globex".parse().expect("a name"), &production(), &case.state, case.now);
    let of_partner: Vec<&str> = partner.causes.iter().map(|cause| cause.reason.0.code).collect();
    assert_eq!((partner.state, of_partner), ("refusing", vec!["partner.suspended", "trust.revoked"]));
    // All that refuses stands there, and the first is the one that an exchange is told.
    case.later(31_000_000);
    let (state, causes) = told(&case);
    let reasons: Vec<String> = causes
        .iter()
        .map(|cause| serde_json::from_str::<serde_json::Value>(cause).expect("JSON")["reason"].to_string())
        .collect();
    let all = ["partner.suspended", "contract.ended", "partner.verification-expired", "trust.revoked", "life.too-short"];
    assert_eq!(reasons, all.map(|reason| format!("\"{reason}\"")), "{state}");
    assert_eq!(case.tree().0, Some(&reason::PARTNER_SUSPENDED));
}

/// One binding or scope that is granted is enough; tokens that are cut alone refuse nothing later.
#[test]
fn one_way_in_is_enough_to_grant() {
    let mut case = Case::new();
    case.access(|access| {
        let mut other = access.bindings[0].clone();
        other.name = "deploy".parse().expect("a name");
        // Of another workload: what the first one takes is barred here too while the first one is revoked.
        let Admits::Jwt(rule) = &mut other.admits else { panic!("a JWT's binding") };
        std::sync::Arc::make_mut(rule)
            .matchers
            .iter_mut()
            .for_each(|matcher| matcher.condition = Condition::Equals("another".into()));
        access.bindings.push(other);
    });
    let revoke = |case: &mut Case, id: &str, binding: &str, tokens_only| {
        case.apply(RevocationChange::Added {
            id: id.parse().expect("an id"),
            target: RevocationTarget::Binding {
                client: "globex/order-sync".parse().expect("a client"),
                environment: production(),
                binding: binding.parse().expect("a name"),
            },
            tokens_only,
            reason: "odd".into(),
            client: None,
        });
    };
    revoke(&mut case, "revocation-1", "ci", false);
    revoke(&mut case, "revocation-2", "deploy", true);
    assert_eq!(told(&case).0, "granting");
    revoke(&mut case, "revocation-3", "deploy", false);
    assert_eq!(told(&case).0, "refusing");
    case.access(|access| access.bindings.clear());
    assert!(told(&case).1[0].contains("binding.no-match"), "{:?}", told(&case));
    case.state = State::default();
    assert!(told(&case).1[0].contains("partner.verification-expired"), "{:?}", told(&case));
}
