//! Everything that ends access (docs/how-to/govern/dates.md#the-ends-of-access), in one table: from its moment on no token is issued, none
//! lives beyond it, it is on record, and it says why.

use carnet::domain::reason::Class;
use serde_json::{Value, json};

use crate::directory::Source;
use crate::world::{Options, World, claims, jti, records};

const DAY: i64 = 86_400;
const INTEGRATION: &str = "/v1/integrations/globex/order-sync";

/// One row: what ends access, and how the outside sees it.
struct Row {
    trigger: Trigger,
    /// The reason that an exchange is told.
    reason: &'static str,
    /// The kind of the entry, and its `of` or `environment` where that tells it from others.
    entry: &'static str,
    /// The step that lifts it, with its role; nothing where none does.
    lifted_by: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trigger {
    ContractStarts,
    ContractEnds,
    EnvironmentEnds,
    EnvironmentClosed,
    VerificationExpires,
    ReviewOverdue,
    OwnerGone,
    ExceptionPastDue,
    KeyLate,
    Unused,
    BindingUnused,
    Signal,
    Suspension,
    Offboarding,
    PartnerOffboarding,
}

const fn row(
    trigger: Trigger,
    reason: &'static str,
    entry: &'static str,
    lifted_by: Option<(&'static str, &'static str)>,
) -> Row {
    Row { trigger, reason, entry, lifted_by }
}

/// The rows of the table.
const ROWS: [Row; 15] = [
    row(Trigger::ContractStarts, "contract.not-started", "contract-starts", Some(("apply", "owner"))),
    row(Trigger::ContractEnds, "contract.ended", "contract-ends", Some(("apply", "owner"))),
    row(Trigger::EnvironmentEnds, "environment.ended", "environment-ends", Some(("apply", "owner"))),
    row(Trigger::EnvironmentClosed, "environment.closed", "environment.closed", None),
    row(Trigger::VerificationExpires, "partner.verification-expired", "verification-expires", Some(("verify", "security"))),
    row(Trigger::ReviewOverdue, "review.overdue", "review-due", Some(("review", "owner"))),
    row(Trigger::OwnerGone, "owner.gone", "owner-grace-ends", Some(("apply", "owner"))),
    row(Trigger::ExceptionPastDue, "exception.past-due", "exception-ends", Some(("close", "owner"))),
    row(Trigger::KeyLate, "assertion.key-late", "issuer-key-due", Some(("change-key", "partner"))),
    row(Trigger::Unused, "integration.unused", "integration.suspended", Some(("resume", "security"))),
    row(Trigger::BindingUnused, "binding.unused", "integration.binding-retired", Some(("apply", "owner"))),
    row(Trigger::Signal, "signal.contract-ended", "signal.received", Some(("resume", "security"))),
    row(Trigger::Suspension, "integration.suspended", "integration.suspended", Some(("resume", "security"))),
    row(Trigger::Offboarding, "integration.offboarding", "offboarding.started", Some(("abort", "security"))),
    row(Trigger::PartnerOffboarding, "partner.offboarding", "offboarding.started", Some(("abort", "security"))),
];

/// A world in which access ends at `moment` by its date, or by what `end` does.
struct Scene {
    /// The directory, where there is one. Its world is the scene's.
    source: Option<Source>,
    alone: Option<World>,
    /// When the date comes; nothing where somebody acts.
    moment: Option<i64>,
    /// The repository of the workload that calls.
    repository: &'static str,
}

impl Scene {
    fn world(&self) -> &World {
        self.source.as_ref().map(|source| &source.world).or(self.alone.as_ref()).expect("a world")
    }

    async fn of(trigger: Trigger) -> Self {
        let scene = |alone: World, moment| Self { source: None, alone: Some(alone), moment, repository: "456789" };
        let dated = async |edit: &dyn Fn(&str, &str) -> String| {
            let world = World::start().await;
            // On a whole minute that is some time away.
            let moment = world.clock.seconds() + 1_800;
            let instant = carnet::domain::value::clock::Timestamp::from_seconds(moment).expect("a time").to_string();
            let usual = records::usual(&world.partner.issuer);
            let changed = edit(&usual, &instant);
            assert_ne!(changed, usual, "{trigger:?}");
            world.onboard(&changed).await;
            scene(world, Some(moment))
        };
        let until = |usual: &str, from: String, to: String| {
            assert!(usual.contains(&from), "{from}");
            usual.replacen(&from, &to, 1)
        };
        let contract = format!("ends: {}}}", crate::world::days::CONTRACT_ENDS);
        let offboarding = "offboarding: {trigger: contract-end";
        match trigger {
            Trigger::ContractStarts => {
                dated(&|usual, at| until(usual, "starts: 2026-01-01".into(), format!("starts: {at}"))).await
            }
            Trigger::ContractEnds => dated(&|usual, at| until(usual, contract.clone(), format!("ends: {at}}}"))).await,
            Trigger::EnvironmentEnds => {
                dated(&|usual, at| {
                    until(usual, "  production:\n    bind".into(), format!("  production:\n    ends: {at}\n    bind"))
                })
                .await
            }
            Trigger::VerificationExpires => {
                let verified = format!("expires: {}", crate::world::days::VERIFIED_UNTIL);
                dated(&|usual, at| until(usual, verified.clone(), format!("expires: {at}"))).await
            }
            Trigger::ExceptionPastDue => {
                let secret =
                    |at: &str| format!("exceptions: [{{what: key, control: list, owner: r@acme.example, ends: {at}}}]");
                dated(&|usual, at| until(usual, offboarding.into(), format!("{}\n{offboarding}", secret(at)))).await
            }
            Trigger::ReviewOverdue => {
                let world = World::start().await;
                let found = world.admin_get("/v1/journal?kind=integration.activated", "alan").await;
                let moment = found["items"][0]["time"].as_i64().expect("a time") + 90 * DAY;
                scene(world, Some(moment))
            }
            Trigger::OwnerGone => {
                let source = Source::start().await;
                let jane = source.person("jane@acme.example").await;
                source.person("raj@acme.example").await;
                crate::owners::active(&source, &jane, false).await;
                let moment = Some(source.world.clock.seconds() + 14 * DAY);
                Self { source: Some(source), alone: None, moment, repository: "456789" }
            }
            Trigger::KeyLate => {
                let world = World::start().await;
                let usual = records::usual(&world.partner.issuer);
                let rotation = format!("rotation: {{issuerKeys: 1d, onLate: refuse}}\n{offboarding}");
                world.onboard(&until(&usual, offboarding.into(), rotation)).await;
                world.minted().await;
                let moment = Some(world.clock.seconds() + DAY);
                scene(world, moment)
            }
            Trigger::Unused | Trigger::BindingUnused => {
                let configuration = "\n[governance]\nunused_warn = \"2d\"\nunused_suspend = \"4d\"\n".to_owned();
                let world = World::with(Options { configuration, ..Options::default() }).await;
                let second = format!(
                    "  production:\n    bindings:\n      - name: batch\n        oidc: {{issuer: \"{}\", match: {{sub: {{prefix: \
                     \"repo:\"}}, repository_id: \"777\", repository_owner_id: \"998877\", ref: refs/heads/main}}, owner: \
                     [repository_owner_id]}}\n",
                    world.partner.issuer
                );
                let usual = records::usual(&world.partner.issuer);
                world.onboard(&until(&usual, "  production:\n    bindings:\n".into(), second)).await;
                let repository = if trigger == Trigger::Unused { "456789" } else { "777" };
                Self { source: None, alone: Some(world), moment: None, repository }
            }
            Trigger::EnvironmentClosed
            | Trigger::Signal
            | Trigger::Suspension
            | Trigger::Offboarding
            | Trigger::PartnerOffboarding => scene(World::start().await, None),
        }
    }

    /// Ends access where a person or a machine does.
    async fn act(&self, trigger: Trigger) {
        let world = self.world();
        let post = async |path: &str, body: Value| {
            let answer = world.admin_post(path, "sven", &body).await;
            assert_eq!(answer.status, 201, "{}", answer.text());
        };
        match trigger {
            Trigger::EnvironmentClosed => crate::environments::close(world, "production").await,
            Trigger::Signal => {
                post("/v1/signals", json!({"subject": "globex/order-sync", "kind": "contract-ended", "reason": "over"})).await;
            }
            Trigger::Suspension => post(&format!("{INTEGRATION}/suspend"), json!({"reason": "odd"})).await,
            Trigger::Offboarding => {
                let body = json!({"reason": "over", "confirm": "globex/order-sync"});
                post(&format!("{INTEGRATION}/offboard"), body).await;
            }
            Trigger::PartnerOffboarding => {
                post("/v1/partners/globex/offboard", json!({"reason": "over", "confirm": "globex"})).await;
            }
            Trigger::Unused | Trigger::BindingUnused => {
                let broker = &world.running.as_ref().expect("runs").broker;
                for _ in 0..4 {
                    world.advance(DAY).await;
                    if trigger == Trigger::BindingUnused {
                        let other = self.called_by("456789").await;
                        assert_eq!(other.0, 200, "the other binding is in use");
                    }
                    broker.count_uses().await.expect("counts");
                    broker.note_non_use().await.expect("is known");
                }
            }
            Trigger::ContractStarts
            | Trigger::ContractEnds
            | Trigger::EnvironmentEnds
            | Trigger::VerificationExpires
            | Trigger::ReviewOverdue
            | Trigger::OwnerGone
            | Trigger::ExceptionPastDue
            | Trigger::KeyLate => unreachable!("{trigger:?} is a date"),
        }
    }

    async fn called_by(&self, repository: &str) -> (u16, Value, String) {
        let world = self.world();
        let mut claims = world.claims("production");
        claims["repository_id"] = repository.into();
        let answer = world.exchange("production", &world.partner.sign(&claims), "orders:read").await;
        let request = answer.header("x-request-id").expect("an id").to_owned();
        (answer.status, answer.json(), request)
    }

    async fn call(&self) -> (u16, Value, String) {
        self.called_by(self.repository).await
    }

    /// A token of the workload.
    async fn token(&self) -> String {
        let (status, body, _) = self.call().await;
        assert_eq!(status, 200, "{}", body["reason"]);
        body["access_token"].as_str().expect("a token").to_owned()
    }

    async fn active(&self, token: &str) -> bool {
        self.world().introspect("production", token).await.json()["active"] == true
    }

    /// The entries that say that access ended: those of the kind, or the items of `dates.noticed` of this date.
    async fn on_record(&self, entry: &str) -> Vec<Value> {
        let of_kind = async |kind: &str| {
            let path = format!("/v1/journal?kind={kind}&limit=1000");
            self.world().admin_get(&path, "alan").await["items"].as_array().expect("items").clone()
        };
        if self.moment.is_none() {
            return of_kind(entry).await;
        }
        let all = of_kind("dates.noticed").await;
        let items = all.iter().flat_map(|entry| entry["items"].as_array().expect("items"));
        items.filter(|item| item["date"]["of"] == entry && item["days"] == 0).cloned().collect()
    }

    /// Refused for this reason, everywhere that says why; nothing is minted.
    async fn refuses(&self, row: &Row) {
        let (world, about) = (self.world(), row.trigger);
        let before = world.issued().await;
        let (status, body, request) = self.call().await;
        assert_eq!((status, &body["reason"]), (400, &json!(row.reason)), "{about:?}");
        assert_eq!(world.issued().await, before, "{about:?}: nothing is minted");
        let explained = world.admin_get(&format!("/v1/explain/{request}"), "alan").await;
        assert!(explained.to_string().contains(&format!("\"{}\"", row.reason)), "{about:?}: {explained}");
        // The other binding goes on where one alone is retired.
        let effective = world.admin_get(INTEGRATION, "alan").await["effective"]["production"].clone();
        if row.trigger == Trigger::BindingUnused {
            assert_eq!(effective["state"], "granting", "{effective}");
            return;
        }
        let causes = effective["causes"].as_array().expect("causes");
        let cause = causes.iter().find(|cause| cause["reason"] == row.reason);
        let cause = cause.unwrap_or_else(|| panic!("{about:?}: {effective}"));
        let lifted = row.lifted_by.map_or(Value::Null, |(action, role)| json!({"action": action, "role": role}));
        assert_eq!((&effective["state"], &cause["liftedBy"]), (&json!("refusing"), &lifted), "{about:?}");
        match (self.moment, row.trigger) {
            (Some(moment), Trigger::ContractStarts) => assert_eq!(cause["until"], moment, "{about:?}"),
            (Some(moment), _) => assert_eq!(cause["since"], moment, "{about:?}"),
            (None, _) => assert!(cause["since"].is_i64(), "{about:?}: {cause}"),
        }
    }
}

/// A date is told once it has come, by one entry. Nothing waited for it.
async fn noticed(scene: &Scene, row: &Row) {
    let broker = &scene.world().running.as_ref().expect("runs").broker;
    assert_eq!(scene.on_record(row.entry).await, [] as [Value; 0], "{:?}: it refuses without an entry", row.trigger);
    broker.notice_dates().await.expect("recorded");
    let items = scene.on_record(row.entry).await;
    assert!(!items.is_empty(), "{:?}", row.trigger);
    for item in items {
        assert_eq!(item["at"], json!(scene.moment), "{item}");
    }
}

/// P-18: before its moment nothing is refused, and from then on nothing is granted.
#[tokio::test(flavor = "multi_thread")]
async fn p_18_each_trigger_ends_access_at_its_moment_and_says_why() {
    for row in &ROWS {
        let scene = Box::pin(Scene::of(row.trigger)).await;
        let world = scene.world();
        match (scene.moment, row.trigger) {
            (Some(moment), Trigger::ContractStarts) => {
                scene.refuses(row).await;
                world.advance(moment - 1 - world.clock.seconds()).await;
                scene.refuses(row).await;
                world.advance(1).await;
                scene.token().await;
                noticed(&scene, row).await;
            }
            (Some(moment), _) => {
                world.advance(moment - 60 - world.clock.seconds()).await;
                let last = scene.token().await;
                assert_eq!(claims(&last)["exp"], moment, "{:?}: no token lives beyond it", row.trigger);
                world.advance(59).await;
                // Less than the shortest life is left, and no token is issued for that.
                let (status, body, _) = scene.call().await;
                assert_eq!((status, body["reason"] == row.reason), (400, false), "{:?}: {body}", row.trigger);
                assert!(scene.active(&last).await, "{:?}", row.trigger);
                world.advance(1).await;
                scene.refuses(row).await;
                assert!(!scene.active(&last).await, "{:?}", row.trigger);
                noticed(&scene, row).await;
                scene.refuses(row).await;
            }
            (None, _) => {
                let before = scene.token().await;
                assert!(scene.active(&before).await);
                Box::pin(scene.act(row.trigger)).await;
                scene.refuses(row).await;
                assert!(!scene.active(&before).await, "{:?}: what was issued is cut", row.trigger);
                let entries = scene.on_record(row.entry).await;
                assert!(!entries.is_empty(), "{:?}", row.trigger);
                let issued = world.admin_get("/v1/journal?kind=issued&limit=1000&order=newest", "alan").await;
                let since = entries[0]["index"].as_u64();
                let later = issued["items"].as_array().expect("items").iter().filter(|one| one["index"].as_u64() > since);
                let own =
                    later.filter(|one| one["binding"] == json!(if scene.repository == "777" { "batch" } else { "ci-main" }));
                assert_eq!(own.count(), 0, "{:?}: nothing is issued after the entry of {}", row.trigger, jti(&before));
            }
        }
    }
}

/// Reasons of an exchange that are of a record, its partner or its environment, and stand in no row: with the test that has them.
const ELSEWHERE: [(&str, &str); 8] = [
    ("integration.not-active", "refuses before there was any access"),
    ("integration.ended", "offboarding.rs: after the sign-off"),
    ("partner.ended", "offboarding.rs: after the sign-off"),
    ("partner.suspended", "suspensions.rs: of a partner as of an integration"),
    ("signal.use-case-ended", "signals.rs: each kind of signal"),
    ("signal.environment-ended", "signals.rs: each kind of signal"),
    ("signal.compromised", "signals.rs: each kind of signal"),
    ("assertion.key-late", "is the proof's, and has a row"),
];

/// A reason that comes later is put into the table, or is said to be elsewhere.
#[test]
fn every_reason_that_ends_access_stands_in_the_table() {
    let mut listed: Vec<&str> = ROWS.iter().map(|row| row.reason).chain(ELSEWHERE.map(|(code, _)| code)).collect();
    listed.sort_unstable();
    listed.dedup();
    let nouns = ["contract.", "environment.", "exception.", "integration.", "owner.", "partner.", "review.", "signal."];
    let of_exchange = carnet::domain::reason::Reason::all().into_iter().filter(|reason| reason.class == Class::Proof);
    let ends = |code: &str| {
        nouns.iter().any(|noun| code.starts_with(noun)) || ["binding.unused", "assertion.key-late"].contains(&code)
    };
    let known: Vec<&str> = of_exchange.map(|reason| reason.code).filter(|code| ends(code)).collect();
    assert_eq!(known, listed);
}
