//! Evidence for frameworks (docs/how-to/operate/evidence.md): a verdict is what the log and the live index say, so breaking a control flips it.

use carnet::domain::log::api::ApiChange;
use carnet::domain::log::integration::IntegrationChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::registry::approval::Verdict;
use carnet::domain::value::names::{ApiName, IntegrationId};
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::offboarding;
use crate::world::days::Day;
use crate::world::{Options, World, records};

const DAY: i64 = 86_400;

async fn evidence(world: &World, asked: &str) -> Value {
    world.admin_get(&format!("/v1/evidence{asked}"), "alan").await
}

fn control<'e>(evidence: &'e Value, id: &str) -> &'e Value {
    let frameworks = evidence["frameworks"].as_array().expect("frameworks").iter();
    let mut controls = frameworks.flat_map(|one| one["controls"].as_array().expect("controls"));
    controls.find(|one| one["id"] == id).unwrap_or_else(|| panic!("no control {id}"))
}

fn verdict<'e>(evidence: &'e Value, id: &str) -> &'e str {
    control(evidence, id)["verdict"].as_str().expect("a verdict")
}

/// The intervals of a control for which an item broke it, as (item, from, until).
fn intervals(evidence: &Value, id: &str) -> Vec<(String, i64, Option<i64>)> {
    let all = control(evidence, id)["intervals"].as_array().expect("intervals").iter();
    let one = |one: &Value| {
        let item = one["item"].as_str().expect("an item").to_owned();
        (item, one["from"].as_i64().expect("a time"), one["until"].as_i64())
    };
    all.map(one).collect()
}

async fn world(redis: bool) -> World {
    let world = World::with(Options { redis, ..Options::default() }).await;
    world.minted().await;
    world
}

/// Each control has its words, its population, a way to ask, and entries that show it; what is over nothing is not covered.
#[tokio::test]
async fn each_control_says_what_it_judged_and_how_to_ask() {
    let world = world(false).await;
    let found = evidence(&world, "").await;
    let now = world.clock.seconds();
    assert_eq!((found["from"].as_i64(), found["to"].as_i64()), (Some(now), Some(now)));
    let size = world.running.as_ref().expect("runs").broker.journal.view().size;
    assert_eq!(found["until"].as_u64(), Some(size));
    assert!(found["checkpoint"].as_str().expect("a note").contains(&format!("\n{size}\n")), "{found}");
    let ids: Vec<&str> =
        found["frameworks"].as_array().expect("all").iter().map(|one| one["id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["owasp-nhi", "nist-csf", "sp800-207", "ai-rmf"]);
    for id in ["NHI1:2025", "NHI4:2025", "NHI5:2025", "NHI7:2025", "NHI8:2025", "NHI9:2025", "NHI10:2025", "PR.AA-05"] {
        let one = control(&found, id);
        assert_eq!((verdict(&found, id), one["intervals"].as_array().map(Vec::len)), ("holds", Some(0)), "{one:#}");
        assert!(one["population"].as_u64() > Some(0) && !one["entries"].as_array().expect("a list").is_empty(), "{one:#}");
    }
    // An agent is nowhere on record, no partner's machine is ever seen, and nothing is cut yet.
    for framework in found["frameworks"].as_array().expect("all").iter().filter(|one| one["id"] == "ai-rmf") {
        for one in framework["controls"].as_array().expect("controls") {
            assert_eq!((&one["verdict"], &one["population"]), (&json!("not covered"), &json!(0)), "{one:#}");
        }
    }
    assert_eq!(verdict(&found, "tenet 5"), "not covered");
    assert_eq!(control(&found, "PR.AA-05")["also"], "PR.AC-4");
    // The world's issuers speak plain HTTP, and that is told.
    assert_eq!(verdict(&found, "tenet 2"), "exception");
    let mut queries: Vec<&str> = Vec::new();
    for framework in found["frameworks"].as_array().expect("all") {
        let controls = framework["controls"].as_array().expect("controls").iter();
        queries.extend(controls.flat_map(|one| one["query"].as_array().expect("a list")).filter_map(Value::as_str));
    }
    queries.sort_unstable();
    queries.dedup();
    assert!(queries.len() > 8, "{queries:?}");
    for query in queries {
        world.admin_get(query, "alan").await;
    }
    let one = evidence(&world, "?framework=owasp-nhi").await;
    assert_eq!(one["frameworks"].as_array().map(Vec::len), Some(1));
    for (bad, at) in [
        ("?framework=iso", "framework"),
        ("?from=soon", "from"),
        ("?to=31.12.2026", "to"),
        (format!("?from={}", now + 10).as_str(), "from"),
        ("?from=2026-02-01&to=2026-01-01", "from"),
    ] {
        let answer = world.admin_send("GET", &format!("/v1/evidence{bad}"), "alan", None).await;
        assert!(matches!(answer.status, 400 | 422), "{bad}: {}", answer.text());
        if answer.status == 422 {
            assert_eq!(answer.json()["errors"][0]["at"], at, "{bad}: {}", answer.text());
        }
    }
}

/// Controls of AI frameworks are judged over the integrations that say that they are agents, and over no other.
#[tokio::test]
async fn an_ai_agent_is_judged_by_the_frameworks_for_ai() {
    let world = world(false).await;
    let agent = records::integration(&world.partner.issuer, "agent", "77")
        .replace("purpose: Copies orders.\n", "purpose: Answers questions.\nworkload: ai-agent\n");
    world.onboard(&agent).await;
    let found = evidence(&world, "?framework=ai-rmf").await;
    for id in ["GOVERN 1.6", "GOVERN 1.7", "GOVERN 6.1", "MANAGE 3.1"] {
        assert_eq!(verdict(&found, id), "holds", "{:#}", control(&found, id));
    }
    // Two of its criteria are about the agent itself, and the agent has had no token.
    assert_eq!(control(&found, "GOVERN 1.6")["population"], 2, "{:#}", control(&found, "GOVERN 1.6"));
    assert_eq!(verdict(&found, "MANAGE 2.4"), "not covered");
    let shown = world.admin_get("/v1/integrations/globex/agent", "alan").await;
    assert_eq!(shown["record"]["workload"], "ai-agent", "{shown}");
    // To say no more that it is an agent takes it out of what is asked about agents: people approve that.
    let service = agent.replace("workload: ai-agent\n", "");
    let planned = world.admin_send("POST", "/v1/records/plan", "ann", Some(("application/yaml", service))).await;
    assert!(planned.text().contains("WIDENS") && planned.text().contains("workload"), "{}", planned.text());
}

/// In a copy of the log, a version comes into force on one approval: the second approver is missing. The verdict flips, and the period shows
/// since when; a version that two people approve ends it.
#[tokio::test]
async fn a_version_without_its_second_approver_is_an_exception() {
    let world = world(false).await;
    let second = records::integration(&world.partner.issuer, "second", "77");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", second.clone()))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let path = "/v1/integrations/globex/second/submit";
    assert_eq!(world.admin_post(path, "ann", &json!({"reason": "ready"})).await.status, 202);
    let waits = world.admin_get("/v1/approvals?state=pending", "alan").await;
    let approval = &waits["items"][0];
    let yes = json!({"verdict": "approve", "reason": "looked at", "version": approval["version"]});
    let reviews = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
    assert_eq!(world.admin_post(&reviews, "olga", &yes).await.status, 200);
    world.advance(DAY).await;
    let before = world.clock.seconds();
    assert_eq!(verdict(&evidence(&world, "").await, "NHI5:2025"), "holds");
    world.advance(60).await;
    let began = world.clock.seconds();
    let journal = &world.running.as_ref().expect("runs").broker.journal;
    let integration: IntegrationId = "globex/second".parse().expect("an id");
    let skipped = journal.change(None, |state, _| {
        let known = &state.integrations[&integration];
        let version = known.held.as_ref().expect("it waits").version.version;
        let approval = &state.approvals[known.held.as_ref().and_then(|held| held.approval.as_ref()).expect("asked")];
        assert_eq!(approval.reviews.iter().filter(|one| one.verdict == Verdict::Approve).count(), 1);
        let change = IntegrationChange::Activated { integration: integration.clone(), version, owners: None };
        Ok::<_, ()>(change.by(Actor::Broker).into())
    });
    let entry = skipped.await.expect("recorded").expect("changed").index;
    world.advance(3600).await;
    let found = evidence(&world, "").await;
    let expected = vec![("globex/second".to_owned(), began, None)];
    for id in ["NHI5:2025", "GV.RR-02", "GV.SC-06", "PR.AA-01", "PR.AA-05"] {
        assert_eq!((verdict(&found, id), intervals(&found, id)), ("exception", expected.clone()), "{id}");
    }
    let one = &control(&found, "PR.AA-05")["intervals"][0];
    assert_eq!((&one["criterion"], &one["entry"]), (&json!("approved-by-two"), &json!(entry)), "{one:#}");
    assert!(control(&found, "PR.AA-05")["entries"].as_array().expect("a list").contains(&json!(entry)));
    assert_eq!(verdict(&found, "NHI4:2025"), "holds");
    // Before it happened it had not happened.
    assert_eq!(verdict(&evidence(&world, &format!("?to={before}")).await, "NHI5:2025"), "holds");
    // A version that two people approve ends it, and the period still has it.
    let mended = second.replace("purpose: Copies orders.", "purpose: Copies orders to the planning.");
    let applied = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", mended))).await;
    assert_eq!(applied.status, 200, "{}", applied.text());
    let waits = world.admin_get("/v1/approvals?state=pending&kind=change", "alan").await;
    let approval = &waits["items"][0];
    let yes = json!({"verdict": "approve", "reason": "looked at", "version": approval["version"]});
    for person in ["omar", "sara"] {
        let reviews = format!("/v1/approvals/{}/reviews", approval["id"].as_str().expect("an id"));
        assert_eq!(world.admin_post(&reviews, person, &yes).await.status, 200);
    }
    let ended = world.clock.seconds();
    assert_eq!(verdict(&evidence(&world, "").await, "NHI5:2025"), "holds");
    world.advance(DAY).await;
    let period = evidence(&world, &format!("?from={before}")).await;
    assert_eq!(intervals(&period, "NHI5:2025"), [("globex/second".to_owned(), began, Some(ended))]);
    assert_eq!(verdict(&period, "NHI5:2025"), "exception");
    assert_eq!(verdict(&evidence(&world, &format!("?from={}", ended + 1)).await, "NHI5:2025"), "holds");
}

/// A version that gives more comes into force as if it gave less: the log says `narrowed`, and evidence compares.
#[tokio::test]
async fn a_widening_that_is_recorded_as_a_narrowing_is_an_exception() {
    let world = world(false).await;
    let integration: IntegrationId = "globex/order-sync".parse().expect("an id");
    let journal = &world.running.as_ref().expect("runs").broker.journal;
    for (widens, expected) in [(false, "holds"), (true, "exception")] {
        let changed = journal.change(None, |state, _| {
            let mut record = state.integrations[&integration].current.as_ref().expect("in force").record.as_ref().clone();
            let access = record.environments.get_mut("sandbox").expect("an environment");
            let api: ApiName = "orders-api".parse().expect("a name");
            let rules = access.scopes.get_mut(&api).expect("scopes");
            if widens {
                rules.push(carnet::domain::registry::integration::ScopeRule {
                    scope: "orders:list".parse().expect("a scope"),
                    allow: Vec::new(),
                });
            } else {
                rules.retain(|rule| rule.scope.to_string() == "orders:read");
            }
            Ok::<_, ()>(IntegrationChange::Narrowed { record: Box::new(record), reason: None }.by(Actor::Broker).into())
        });
        changed.await.expect("recorded").expect("changed");
        let found = evidence(&world, "").await;
        assert_eq!(verdict(&found, "PR.AA-05"), expected, "{:#}", control(&found, "PR.AA-05"));
    }
}

/// A contract lapses, and nobody begins the offboarding: what refuses every token is no exception for 14 days, and then it is one until a case
/// is open.
#[tokio::test]
async fn a_contract_that_lapsed_is_an_exception_after_14_days_without_a_case() {
    let world = world(false).await;
    let lapsing = records::integration(&world.partner.issuer, "order-sync", "456789")
        .replace(&format!("ends: {}}}", crate::world::days::CONTRACT_ENDS), &format!("ends: {}}}", Day(20)))
        .replace("trigger: contract-end", "trigger: manual");
    world.onboard(&lapsing).await;
    let start = world.clock.seconds();
    world.advance(30 * DAY).await;
    let answer = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await;
    assert_eq!((answer.status, &answer.json()["reason"]), (400, &json!("contract.ended")));
    let found = evidence(&world, "").await;
    assert_eq!(verdict(&found, "NHI1:2025"), "holds", "{:#}", control(&found, "NHI1:2025"));
    world.advance(6 * DAY).await;
    let found = evidence(&world, "").await;
    let broken = intervals(&found, "NHI1:2025");
    let [(item, from, None)] = &broken[..] else { panic!("{broken:?}") };
    // The day named in the record counts, and then 14 more.
    let due = (Day(21).to_string() + "T00:00:00Z").parse::<jiff::Timestamp>().expect("a time").as_second() + 14 * DAY;
    assert_eq!((item.as_str(), *from, verdict(&found, "NHI1:2025")), ("globex/order-sync", due, "exception"));
    for id in ["GV.SC-10", "ID.AM-08"] {
        assert_eq!(verdict(&found, id), "exception", "{id}");
    }
    offboarding::started(&world).await;
    let ended = world.clock.seconds();
    assert_eq!(verdict(&evidence(&world, "").await, "NHI1:2025"), "holds");
    world.advance(DAY).await;
    let period = evidence(&world, &format!("?from={start}")).await;
    assert_eq!(intervals(&period, "NHI1:2025"), [("globex/order-sync".to_owned(), due, Some(ended))]);
}

/// A line of the live index is gone: who verifies there is told that cut tokens are good, and the verdict says so at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_is_missing_in_the_live_index_is_an_exception() {
    let world = world(true).await;
    let cut = json!({"integration": "globex/order-sync", "reason": "a drill"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &cut).await.status, 201);
    let found = evidence(&world, "").await;
    let one = control(&found, "RS.MI-01");
    assert_eq!(one["verdict"], "holds", "{one:#}");
    assert!(one["population"].as_u64() > Some(1), "{one:#}");
    let redis = world.redis.as_ref().expect("a Redis");
    let line = "integration:globex/order-sync";
    let removed = redis.command(&["ZREM", "carnet:{production}:before", line]);
    assert_eq!(removed.trim(), "1", "the line stood there");
    let found = evidence(&world, "").await;
    for id in ["NHI2:2025", "PR.AA-04", "RS.MI-01", "tenet 6"] {
        let one = control(&found, id);
        assert_eq!(
            (&one["verdict"], &one["intervals"][0]["item"]),
            (&json!("exception"), &json!(format!("production {line}")))
        );
    }
    // The past cannot be asked of the index.
    let past = world.clock.seconds() - 1;
    let then = control(&evidence(&world, &format!("?to={past}")).await, "RS.MI-01").clone();
    assert_eq!(then["verdict"], "not covered", "{then:#}");
    // An index that does not answer says nothing, neither good nor bad.
    redis.signal("-STOP");
    let found = evidence(&world, "?framework=nist-csf").await;
    redis.signal("-CONT");
    // PR.AA-04 has tokens to judge, and holds all the same by nothing that could not be asked.
    for id in ["RS.MI-01", "PR.AA-04"] {
        assert_eq!(verdict(&found, id), "not covered", "{:#}", control(&found, id));
    }
    assert!(control(&found, "PR.AA-04")["population"].as_u64() > Some(0));
    // Without its marker the index is built anew, and has the line again.
    redis.command(&["DEL", "carnet:{production}:complete"]);
    for _ in 0..200 {
        if redis.command(&["EXISTS", "carnet:{production}:complete"]).trim() == "1" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let found = evidence(&world, "").await;
    assert_eq!(verdict(&found, "RS.MI-01"), "holds", "{:#}", control(&found, "RS.MI-01"));
}

/// A static secret that only reports is past its end, a review that only reports is past its due date, and an owner is gone: each is access
/// that should not be. One that refuses is none.
#[tokio::test]
async fn what_only_reports_is_an_exception_and_what_refuses_is_none() {
    let world = world(false).await;
    let secret = |after: &str| {
        format!("exceptions: [{{what: old key, control: list, owner: r@acme.example, ends: {}{after}}}]\n", Day(10))
    };
    let of = |name: &str, repository: &str, after: &str| {
        let usual = records::integration(&world.partner.issuer, name, repository);
        usual.replace("onSilence: suspend", "onSilence: report").replace("review: {every: 90d", "review: {every: 40d")
            + &secret(after)
    };
    world.onboard(&of("reports", "77", ", onPastDue: report")).await;
    world.onboard(&of("refuses", "78", "")).await;
    assert_eq!(verdict(&evidence(&world, "").await, "NHI7:2025"), "holds");
    world.advance(20 * DAY).await;
    let found = evidence(&world, "").await;
    let broken = intervals(&found, "NHI7:2025");
    let exceptions = world.admin_get("/v1/exceptions?integration=globex/reports", "alan").await;
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(json!(broken[0].0), exceptions["items"][0]["id"], "{broken:?}");
    assert_eq!(verdict(&found, "NHI5:2025"), "holds");
    world.advance(25 * DAY).await;
    let found = evidence(&world, "").await;
    let items: Vec<String> = intervals(&found, "NHI5:2025").into_iter().map(|(item, ..)| item).collect();
    // In production silence refuses, whatever a record says; and `refuses` refuses everywhere.
    assert_eq!(items, ["globex/reports/sandbox"], "{:#}", control(&found, "NHI5:2025"));
}

/// Two APIs with one audience, and two integrations with one identity, as records stand that came before there was a rule against it.
#[tokio::test]
async fn a_shared_audience_and_a_shared_identity_are_exceptions() {
    let world = world(false).await;
    world.onboard(&records::integration(&world.partner.issuer, "second", "77")).await;
    let found = evidence(&world, "").await;
    assert_eq!((verdict(&found, "NHI8:2025"), verdict(&found, "NHI9:2025")), ("holds", "holds"));
    let journal = &world.running.as_ref().expect("runs").broker.journal;
    let shared = journal.change(None, |state, _| {
        let name: ApiName = "orders-api".parse().expect("a name");
        let mut record = state.apis[&name].current.as_ref().expect("in force").record.as_ref().clone();
        record.name = "billing-api".parse().expect("a name");
        record.callers = Default::default();
        Ok::<_, ()>(ApiChange::Narrowed { record: Box::new(record), reason: None }.by(Actor::Broker).into())
    });
    shared.await.expect("recorded").expect("changed");
    crate::uniqueness::collide(&world, 0, "456789").await;
    let found = evidence(&world, "").await;
    let items = |id: &str| intervals(&found, id).into_iter().map(|(item, ..)| item).collect::<Vec<_>>();
    assert_eq!(
        items("NHI8:2025"),
        ["billing-api in production", "billing-api in sandbox", "orders-api in production", "orders-api in sandbox"]
    );
    assert_eq!(items("NHI9:2025"), ["globex/order-sync", "globex/second"]);
    assert_eq!(verdict(&found, "PR.AA-02"), "exception");
}

/// What somebody takes away is on record, holds anywhere, and is the same bytes again; an auditor may take it, others may not.
#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_taken_away_as_a_bundle_that_holds_anywhere() {
    let world = world(true).await;
    let (alan, ann) = (Program::of(&world, "alan"), Program::of(&world, "ann"));
    let shown = alan.run(&["evidence", "--framework", "owasp-nhi"]).await.ended(0).stdout;
    assert!(shown.contains("NHI1:2025") && shown.contains("holds"), "{shown}");
    let page = alan.run(&["evidence", "-o", "html"]).await.ended(0).stdout;
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("NHI7:2025") && !page.contains("<script"), "{page}");
    let key: String = alan.run(&["key", "show", "--checkpoint"]).await.ended(0).stdout.trim().to_owned();
    for (words, name, about) in [
        (&["evidence", "--bundle"][..], "evidence.json", "controls"),
        (&["evidence", "--from", &Day(-1).to_string(), "--framework", "nist-csf", "--bundle"], "evidence.json", "controls"),
        (&["review", "report", "--bundle"], "reviews.json", "reviews"),
    ] {
        let refused = ann.run(words).await.ended(3);
        assert!(refused.stdout.is_empty(), "{refused:?}");
        let mut command = alan.command(words);
        let made = tokio::task::spawn_blocking(move || command.output().expect("runs")).await.expect("ends");
        assert!(made.status.success(), "{words:?}: {}", String::from_utf8_lossy(&made.stderr));
        let file = alan.home().join("evidence.zip");
        std::fs::write(&file, &made.stdout).expect("written");
        let verify = ["journal", "verify", &file.display().to_string(), "--key", &key];
        let verified = Program::alone().run(&verify).await.ended(0);
        assert!(verified.stdout.contains("evidence.given"), "{verified:?}");
        let (ours, theirs) = crate::bundle::one(&made.stdout, &key.parse().expect("a key")).await;
        assert!(ours.is_ok() && theirs.starts_with("holds: "), "{theirs}");
        let given = world.admin_get("/v1/journal?kind=evidence.given&order=newest&limit=1", "alan").await;
        let entry = &given["items"][0];
        assert!(entry["about"][about].is_object(), "{entry}");
        let again = format!("/v1/evidence/{}/bundle", entry["index"]);
        let again = world.admin_send("GET", &again, "sven", None).await;
        assert_eq!((again.status, again.header("content-type")), (200, Some("application/zip")));
        assert_eq!(again.body, made.stdout, "{words:?}: the same state gives the same bytes");
        assert!(made.stdout.windows(name.len()).any(|part| part == name.as_bytes()), "{words:?}");
    }
    for missing in ["0", "99999", "x"] {
        let answer = world.admin_send("GET", &format!("/v1/evidence/{missing}/bundle"), "alan", None).await;
        assert_eq!(answer.status, 404, "{missing}: {}", answer.text());
    }
}
