//! What the inventory, the decision tree and the journal tell people, by the commands that they use.

use serde_json::{Value, json};

use super::program::Program;
use crate::world::days::{CONTRACT_ENDS, VERIFIED_UNTIL};
use crate::world::{World, claims};

const CAN_I: [&str; 10] =
    ["can-i", "orders:read", "--api", "orders-api", "-i", "globex/order-sync", "--env", "production", "-o", "json"];

fn seen(tree: &Value, check: &str) -> String {
    let step = tree["tree"].as_array().expect("a tree").iter().find(|step| step["check"] == check);
    let step = step.unwrap_or_else(|| panic!("{check} in {tree}"));
    assert_eq!(step["holds"], true, "{step}");
    step["seen"].as_str().expect("a text").to_owned()
}

/// E-3: `ok partner suspended` was told of a partner in good standing, and `ok contract.ends` showed the present time.
#[tokio::test]
async fn checks_that_hold_show_what_was_seen() {
    let world = World::start().await;
    let program = Program::of(&world, "alan");
    let tree = program.run(&CAN_I).await.ended(0).json();
    assert_eq!(seen(&tree, "partner"), "partner globex: in good standing");
    assert_eq!(seen(&tree, "partner.verification"), format!("partner globex is verified until {VERIFIED_UNTIL}"));
    assert_eq!(seen(&tree, "integration"), "integration globex/order-sync: active");
    assert_eq!(seen(&tree, "contract.starts"), "contract starts 2026-01-01");
    assert_eq!(seen(&tree, "contract.ends"), format!("contract ends {CONTRACT_ENDS}"));
    assert_eq!(seen(&tree, "target"), "audience orders-api");
    assert_eq!(seen(&tree, "revocations"), "nothing is revoked");

    // The same in the tree of a refusal, and on the screen.
    let refused = world.exchange("production", &world.assertion("production"), "orders:nope").await.json();
    let request = refused["request_id"].as_str().expect("a request");
    let screen = program.run(&["explain", request]).await.ended(0).stdout;
    let ok: Vec<&str> = screen.lines().filter(|line| line.trim_start().starts_with("ok ")).collect();
    assert!(ok.iter().any(|line| line.ends_with("partner globex: in good standing")), "{screen}");
    assert!(ok.iter().any(|line| line.ends_with(&format!("contract ends {CONTRACT_ENDS}"))), "{screen}");
    for wrong in ["suspended", "none, or several", "something else", "one of them", "another parameter"] {
        assert!(!ok.iter().any(|line| line.contains(wrong)), "{wrong} in {screen}");
    }
}

/// E-7: inventory, lists and `show` said verified and active of a partner that is revoked.
#[tokio::test]
async fn what_is_revoked_is_told_as_refusing_everywhere() {
    let world = World::start().await;
    let program = Program::of(&world, "sven");
    let integration = program.run(&["integration", "show", "globex/order-sync", "-o", "json"]).await.ended(0).json();
    for environment in ["production", "sandbox"] {
        assert_eq!(integration["effective"][environment], json!({"state": "granting", "causes": []}));
    }
    program.run(&["revoke", "partner", "globex", "--reason", "breach"]).await.ended(0);

    let listed = world.admin_get("/v1/integrations", "alan").await["items"][0].clone();
    let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    let partner = world.admin_get("/v1/partners/globex", "alan").await;
    let partners = world.admin_get("/v1/partners", "alan").await["items"][0].clone();
    for one in [&listed, &shown, &partner, &partners] {
        for environment in ["production", "sandbox"] {
            let effective = &one["effective"][environment];
            assert_eq!(effective["state"], "refusing", "{one}");
            let cause = &effective["causes"][0];
            assert_eq!((&cause["reason"], &cause["subject"]), (&json!("trust.revoked"), &json!("partner:globex")), "{one}");
            assert_eq!(cause["liftedBy"], json!({"action": "lift", "role": "security"}));
            assert!(cause["since"].as_i64().is_some_and(|since| since <= world.clock.seconds()), "{one}");
        }
    }
    // What is told is what an exchange is told.
    let refused = world.exchange("production", &world.assertion("production"), "orders:read").await.json();
    assert_eq!(refused["reason"], "trust.revoked");
    for list in [&["partner", "list"][..], &["integration", "list"]] {
        let told = program.run(list).await.ended(0).stdout;
        assert!(told.contains("refuses (trust.revoked)"), "{told}");
    }
    for show in [&["partner", "show", "globex"][..], &["integration", "show", "globex/order-sync"]] {
        let told = program.run(show).await.ended(0).stdout;
        let line = told.lines().find(|line| line.starts_with("production ")).expect("a line");
        assert!(line.contains("refuses: partner globex is revoked (trust.revoked since 20"), "{told}");
        assert!(line.contains(" UTC, lifted by: lift, security)"), "{told}");
    }

    // A suspension is a cause beside it; and with both gone it grants again.
    world.admin_post("/v1/partners/globex/suspend", "sven", &json!({"reason": "breach"})).await;
    let shown = world.admin_get("/v1/integrations/globex/order-sync", "alan").await;
    let reasons: Vec<&str> = shown["effective"]["sandbox"]["causes"]
        .as_array()
        .expect("causes")
        .iter()
        .map(|cause| cause["reason"].as_str().expect("a reason"))
        .collect();
    assert_eq!(reasons, ["partner.suspended", "trust.revoked"]);
}

/// E-7: nothing said how many living tokens a cut ended, and when the last of them ends offline.
#[tokio::test]
async fn a_cut_says_how_many_living_tokens_it_ended() {
    let world = World::start().await;
    let first = claims(&world.minted().await);
    world.advance(100).await;
    let (second, third) = (claims(&world.minted().await), claims(&world.minted().await));
    let sandbox = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await.json();
    let sandbox = claims(sandbox["access_token"].as_str().expect("a token"));

    // One token: itself. The same again ends nothing more.
    let cut = async |body: Value| {
        let answer = world.admin_post("/v1/revocations", "sven", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let told = answer.json();
        (told["cut"].clone(), told["lastExpires"].clone())
    };
    let token = json!({"token": third["jti"], "reason": "leaked"});
    assert_eq!(cut(token.clone()).await, (json!(1), third["exp"].clone()));
    assert_eq!(cut(token).await, (json!(0), Value::Null));

    // One environment of the integration: what is cut already does not count, what is expired neither.
    world.advance(210).await;
    let environment = json!({"environment": "globex/order-sync/production", "reason": "odd", "tokensOnly": true});
    assert_eq!(cut(environment).await, (json!(1), second["exp"].clone()));
    assert!(first["exp"].as_i64() < Some(world.clock.seconds()));

    // The rest of it by suspension, in the words of the command.
    let suspended = world.admin_post("/v1/partners/globex/suspend", "sven", &json!({"reason": "breach"})).await;
    let ended = (suspended.json()["cut"].clone(), suspended.json()["lastExpires"].clone());
    assert_eq!((suspended.status, ended), (201, (json!(1), sandbox["exp"].clone())));
    let program = Program::of(&world, "sven");
    let told = program.run(&["integration", "suspend", "globex/order-sync", "--reason", "odd"]).await.ended(0).stdout;
    assert!(told.contains("no token that it cuts was alive"), "{told}");
}

/// E-7: of several tokens the one that ends last is told, whichever was issued first.
#[tokio::test]
async fn e_7_a_cut_tells_when_the_last_of_its_tokens_ends() {
    let world = World::start().await;
    let usual = crate::world::records::usual(&world.partner.issuer);
    world.onboard(&usual.replacen("    elevation:\n", "    limits: {ttl: 2m}\n    elevation:\n", 1)).await;
    let first = claims(&world.minted().await);
    world.advance(10).await;
    let longest = world.exchange("sandbox", &world.assertion("sandbox"), "orders:read").await.json();
    let longest = claims(longest["access_token"].as_str().expect("a token"));
    world.advance(10).await;
    let newest = claims(&world.minted().await);
    for shorter in [&first, &newest] {
        assert!(shorter["exp"].as_i64() < longest["exp"].as_i64(), "{shorter} {longest}");
    }
    let told = world.admin_post("/v1/revocations", "sven", &json!({"partner": "globex", "reason": "breach"})).await.json();
    assert_eq!((&told["cut"], &told["lastExpires"]), (&json!(3), &longest["exp"]), "{told}");
}

/// The end of an elevation cuts what rests on it alone.
#[tokio::test]
async fn the_end_of_an_elevation_says_what_it_cut() {
    let world = World::start().await;
    world.minted().await;
    let wish = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": "order 1001 is stuck",
    });
    let asked = world.admin_post("/v1/elevations", "ann", &wish).await;
    assert!(asked.status < 300, "{}", asked.text());
    let id = asked.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    let version = world.admin_get(&format!("/v1/elevations/{id}"), "alan").await["version"].clone();
    let review = json!({"verdict": "approve", "reason": "seen", "version": version});
    assert_eq!(world.admin_post(&format!("/v1/elevations/{id}/reviews"), "sven", &review).await.status, 200);
    let elevated = world.exchange("production", &world.assertion("production"), "orders:write").await.json();
    let elevated = claims(elevated["access_token"].as_str().expect("a token"));
    let elevations = world.admin_get("/v1/elevations", "alan").await;
    let id = elevations["items"][0]["id"].as_str().expect("an id");
    let told = Program::of(&world, "sven").run(&["elevations", "end", id, "--reason", "done"]).await.ended(0).stdout;
    assert!(told.contains("1 living token is cut; who only verifies it offline takes it until 20"), "{told}");
    let again = world.admin_post("/v1/revocations", "sven", &json!({"partner": "globex", "reason": "breach"})).await.json();
    assert_eq!(again["cut"], 1, "{again} {elevated}");
}

/// E-7: `inspect` called a token of a revoked partner valid.
#[tokio::test]
async fn a_revoked_token_is_told_as_revoked() {
    let world = World::start().await;
    let program = Program::of(&world, "sven");
    let token = world.minted().await;
    let told = program.run_with(&["inspect", "-o", "json"], &token).await.ended(0).json();
    assert_eq!((&told["state"], &told["revocation"]), (&json!("live"), &json!("active")));
    program.run(&["revoke", "partner", "globex", "--reason", "breach"]).await.ended(0);
    let told = program.run_with(&["inspect", "-o", "json"], &token).await.ended(1).json();
    assert_eq!((&told["state"], &told["revocation"]), (&json!("revoked"), &json!("revoked")));
    // Nobody who was not asked says that it is valid.
    let alone = Program::alone().run_with(&["inspect"], &token).await.ended(0).stdout;
    assert!(alone.contains("revoked    not checked: no server is known for its issuer"), "{alone}");
    let id = claims(&token)["jti"].as_str().expect("a jti").to_owned();
    let told = world.admin_get(&format!("/v1/tokens/{id}"), "alan").await;
    assert_eq!((&told["state"], &told["client"]), (&json!("revoked"), &json!("globex/order-sync")));
    world.advance(400).await;
    let gone = world.admin_send("GET", &format!("/v1/tokens/{id}"), "alan", None).await;
    assert_eq!((gone.status, &gone.json()["detail"]), (404, &json!(format!("There is no living token {id}."))));
}

async fn journal(world: &World, query: &str) -> Value {
    world.admin_get(&format!("/v1/journal?{query}"), "alan").await
}

fn indices(page: &Value) -> Vec<u64> {
    page["items"].as_array().expect("items").iter().map(|item| item["index"].as_u64().expect("an index")).collect()
}

/// E-7: `journal query` printed the oldest 100 of 132 without saying so.
#[tokio::test]
async fn the_journal_is_queried_newest_first_and_says_how_much_more_there_is() {
    let world = World::start().await;
    let before = world.clock.seconds();
    world.advance(60).await;
    for _ in 0..3 {
        world.minted().await;
    }
    let program = Program::of(&world, "sven");
    program.run(&["revoke", "partner", "globex", "--reason", "breach\u{1b}[2J of the press"]).await.ended(0);

    let all = indices(&journal(&world, "limit=1000").await);
    assert_eq!(all, (0..all.len() as u64).collect::<Vec<_>>(), "the default order stays");
    let newest = journal(&world, "order=newest&limit=2").await;
    assert_eq!(indices(&newest), all.iter().rev().take(2).copied().collect::<Vec<_>>());
    assert_eq!(newest["more"].as_u64(), Some(all.len() as u64 - 2));
    let mut path = "order=newest&limit=3".to_owned();
    let mut walked = Vec::new();
    loop {
        let page = journal(&world, &path).await;
        walked.extend(indices(&page));
        assert_eq!(page["more"].as_u64(), Some((all.len() - walked.len()) as u64));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("order=newest&limit=3&cursor={next}");
    }
    assert_eq!(walked, all.iter().rev().copied().collect::<Vec<_>>());
    // What lies beyond a page is what the query asks for, and no more.
    let (later, many) = (before + 60, all.len() as u64);
    for (query, more) in [
        ("limit=5".to_owned(), many - 5),
        ("from=3&limit=2".to_owned(), many - 5),
        (format!("to={}&limit=2", many - 1), many - 3),
        (format!("to={}&limit=2", many + 9), many - 2),
        (format!("since={later}&limit=1"), 3),
        (format!("since={later}&order=newest&limit=1"), 3),
        (format!("until={later}&limit=1"), many - 5),
        ("kind=issued&limit=1".to_owned(), 2),
        ("subject=globex/order-sync&kind=issued&limit=2".to_owned(), 1),
        ("actor=globex/order-sync&limit=1".to_owned(), 2),
        ("actor=sven&kind=revocation.added&limit=1".to_owned(), 0),
    ] {
        assert_eq!(journal(&world, &query).await["more"].as_u64(), Some(more), "{query}");
    }
    let of_partner = indices(&journal(&world, "partner=globex&limit=1000").await).len() as u64;
    assert_eq!(journal(&world, "partner=globex&limit=1").await["more"].as_u64(), Some(of_partner - 1));

    // By time: seconds, RFC 3339, and whole days.
    let since = journal(&world, &format!("since={}", before + 60)).await;
    let kinds: Vec<&str> =
        since["items"].as_array().expect("items").iter().map(|item| item["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["issued", "issued", "issued", "revocation.added"]);
    assert_eq!(journal(&world, &format!("until={}", before + 60)).await["items"].as_array().map(Vec::len), Some(all.len() - 4));
    assert_eq!(journal(&world, "since=2200-01-01").await["items"], json!([]));
    // A day that is named belongs to what is asked for.
    let day =
        |seconds| carnet::domain::value::clock::Timestamp::from_seconds(seconds).expect("a time").to_string()[..10].to_owned();
    let (today, long_before) = (day(world.clock.seconds()), day(before - 2 * 86_400));
    for (query, expected) in [
        (format!("until={today}"), all.len()),
        (format!("until={long_before}"), 0),
        (format!("since={long_before}"), all.len()),
        (format!("since={long_before}&until={today}"), all.len()),
    ] {
        assert_eq!(indices(&journal(&world, &format!("{query}&limit=1000")).await).len(), expected, "{query}");
    }
    assert_eq!(indices(&journal(&world, "until=2200-01-01&limit=1000").await).len(), all.len());
    for bad in ["since=x", "order=up", "until=2026-13-01", "partner=A%20B", "since=1&since=2"] {
        assert_eq!(world.admin_send("GET", &format!("/v1/journal?{bad}"), "alan", None).await.status, 400, "{bad}");
    }

    // By who did it.
    let by = journal(&world, "actor=sven&kind=revocation.added").await;
    assert_eq!(by["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(journal(&world, "actor=olga&kind=revocation.added").await["items"], json!([]));
    assert_eq!(indices(&journal(&world, "actor=globex/order-sync").await).len(), 3);
    assert!(!indices(&journal(&world, "actor=broker").await).is_empty());

    // For people: names, times in UTC, and what is left out.
    let ran = program.run(&["journal", "query", "--limit", "1"]).await.ended(0);
    let line = ran.stdout.lines().nth(1).expect("a row");
    assert!(line.contains(" UTC  revocation.added  partner:globex  sven (sven)  breach\\u{1b}[2J of the press"), "{ran:?}");
    assert!(ran.stderr.contains(&format!("the newest 1; {} older entries match", all.len() - 1)), "{ran:?}");
    let ran = program.run(&["journal", "query", "--kind", "issued", "--actor", "globex/order-sync"]).await.ended(0);
    assert!(ran.stderr.is_empty() && ran.stdout.lines().count() == 4, "{ran:?}");
}

/// `--partner` has its integrations, elevations, approvals and revocations, and nothing of others.
#[tokio::test]
async fn everything_of_a_partner_is_found_and_nothing_else() {
    let world = World::start().await;
    let token = claims(&world.minted().await);
    let revoked = json!({"token": token["jti"], "reason": "leaked"});
    assert_eq!(world.admin_post("/v1/revocations", "sven", &revoked).await.status, 201);
    let binding = json!({"binding": "globex/order-sync/production/ci-main", "reason": "odd"});
    let id = world.admin_post("/v1/revocations", "sven", &binding).await.json()["id"].as_str().expect("an id").to_owned();
    let lift = world.admin_post(&format!("/v1/revocations/{id}/lift"), "sara", &json!({"reason": "explained"})).await;
    assert!(lift.status < 300, "{}", lift.text());
    let page = journal(&world, "partner=globex&limit=1000").await;
    let kinds: Vec<&str> =
        page["items"].as_array().expect("items").iter().map(|item| item["kind"].as_str().expect("a kind")).collect();
    for kind in [
        "partner.submitted",
        "partner.verified",
        "integration.drafted",
        "integration.submitted",
        "integration.activated",
        "issued",
        "approval.reviewed",
        "revocation.lift-asked",
    ] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    assert_eq!(kinds.iter().filter(|kind| **kind == "revocation.added").count(), 2, "{kinds:?}");
    // Entries about many are found where they name one of its integrations.
    world.advance(31 * 86_400).await;
    let broker = &world.running.as_ref().expect("runs").broker;
    broker.notice_dates().await.expect("told");
    let told = journal(&world, "partner=globex&kind=dates.noticed&order=newest").await;
    assert!(!indices(&told).is_empty(), "{told}");
    assert_eq!(journal(&world, "partner=glob&kind=dates.noticed").await["items"], json!([]));
    for kind in ["api.submitted", "configuration.changed", "key.created", "journal.opened"] {
        assert!(!kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    // An approval is told by what it is about.
    assert!(page["subjects"].as_object().expect("words").values().any(|told| told == "approval (partner) of globex"), "{page}");
    assert!(page["texts"].as_object().expect("words").values().any(|told| told == "leaked"), "{page}");
    assert_eq!(journal(&world, "partner=acme&limit=1000").await["items"], json!([]));
}

/// C-12: a refusal says what was wanted and what was seen, a role that is missing, and what was not found.
#[tokio::test]
async fn who_is_known_is_told_what_was_wanted() {
    let world = World::start().await;
    let assertion = world.assertion("production");
    let form = [
        ("grant_type", crate::world::TOKEN_EXCHANGE),
        ("subject_token", assertion.as_str()),
        ("subject_token_type", crate::world::TYPE_JWT),
        ("audience", "billing-api"),
        ("scope", "orders:read"),
    ];
    let refused = world.token("production", &form).await.json();
    assert_eq!((&refused["error"], &refused["reason"]), (&json!("invalid_target"), &json!("target.not-contracted")));
    let told = refused["error_description"].as_str().expect("a text");
    let wanted = "target: wanted an API of the record: orders-api (https://orders.example), seen audience billing-api";
    assert!(told.ends_with(wanted), "{told}");
    // A stranger is told nothing of it.
    let mut stranger = world.claims("production");
    stranger["repository_owner_id"] = "1".into();
    let proof = world.partner.sign(&stranger);
    let form = form.map(|(name, value)| if name == "subject_token" { (name, proof.as_str()) } else { (name, value) });
    assert!(!world.token("production", &form).await.text().contains("orders"), "a stranger");

    let denied = world.admin_post("/v1/partners/globex/suspend", "alan", &json!({"reason": "x"})).await;
    let told = "This needs the role `security`; you are alan, with the role `auditor`.";
    assert_eq!((denied.status, &denied.json()["detail"]), (403, &json!(told)));
    let denied = world.admin_send("GET", "/v1/partners", "zoe", None).await.json();
    let told = "This needs the role `administrator` or `auditor` or `owner` or `security`; you are zoe, without any role.";
    assert_eq!(denied["detail"], told);

    let why = json!({"reason": "x"});
    let asked = json!({"integration": "globex/nope", "environment": "production", "reason": "x"});
    let posts = [
        ("/v1/integrations/globex/nope/suspend", &why, "integration globex/nope"),
        ("/v1/integrations/globex/nope/submit", &why, "integration globex/nope"),
        ("/v1/partners/nope/suspend", &why, "partner nope"),
        ("/v1/revocations/nope/lift", &why, "revocation nope"),
        ("/v1/revocations", &json!({"partner": "nope", "reason": "x"}), "partner nope"),
        (
            "/v1/revocations",
            &json!({"binding": "globex/order-sync/production/nope", "reason": "x"}),
            "binding globex/order-sync/production/nope",
        ),
        ("/v1/revocations", &json!({"token": "nope", "reason": "x"}), "token nope"),
        ("/v1/enrolments", &asked, "integration globex/nope"),
    ];
    for (path, body, what) in posts {
        let answer = world.admin_post(path, "sven", body).await;
        assert_eq!((answer.status, &answer.json()["detail"]), (404, &json!(format!("There is no {what}."))), "{path}");
    }
    for (path, what) in [
        ("/v1/integrations/globex/nope", "integration globex/nope"),
        ("/v1/partners/nope", "partner nope"),
        ("/v1/approvals/nope", "approval nope"),
        ("/v1/elevations/nope", "elevation nope"),
        ("/v1/journal/proof?index=100000", "entry 100000"),
        ("/v1/can-i?integration=globex/nope&environment=production&api=orders-api&scope=a", "integration globex/nope"),
        ("/v1/can-i?integration=globex/order-sync&environment=nope&api=orders-api&scope=a", "environment nope"),
    ] {
        let answer = world.admin_send("GET", path, "alan", None).await;
        assert_eq!((answer.status, &answer.json()["detail"]), (404, &json!(format!("There is no {what}."))), "{path}");
    }
    // A text that is no name, where the path does not say what it would name.
    let path = "/v1/can-i?integration=globex&environment=production&api=orders-api&scope=a";
    let answer = world.admin_send("GET", path, "alan", None).await;
    assert_eq!(
        (answer.status, &answer.json()["detail"]),
        (404, &json!("There is nothing called globex.")),
        "{}",
        answer.text()
    );
    let shown = Program::of(&world, "alan").run(&["integration", "show", "globex/nope"]).await.ended(5).stderr;
    assert!(shown.contains("There is no integration globex/nope."), "{shown}");
}

/// W-2: `show` is made for people, and `apply` says what it opened and what comes next, in commands that run.
#[tokio::test]
async fn show_and_apply_speak_to_people() {
    let world = World::start().await;
    let ann = Program::of(&world, "ann");
    world.minted().await;
    let shown = ann.run(&["integration", "show", "globex/order-sync"]).await.ended(0).stdout;
    for wanted in [
        "integration  globex/order-sync  active\n",
        "production   grants tokens\n",
        "ends next    review ",
        &format!("  ends: \"{CONTRACT_ENDS}\"\n"),
        "kind: Integration\n",
    ] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    let last = shown.lines().find(|line| line.starts_with("last token ")).expect("a line");
    assert!(last.ends_with(" UTC"), "{last}");
    let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).any(|number| number.len() == 10);
    // A digest may hold ten digits in a row.
    let without_version = |text: &str| text.lines().filter(|line| !line.starts_with("version ")).collect::<Vec<_>>().join("\n");
    assert!(!digits(&without_version(&shown)), "an epoch second in {shown}");
    let partner = ann.run(&["partner", "show", "globex"]).await.ended(0).stdout;
    assert!(
        partner.contains(&format!("verified     until {VERIFIED_UNTIL}\n")) && !digits(&without_version(&partner)),
        "{partner}"
    );

    // A draft and a partner: the approval that is open, who gives it, and each next command as it stands there.
    let usual = crate::world::records::usual(&world.partner.issuer).replace("Globex Corporation", "Globex Limited");
    let draft = crate::world::records::integration(&world.partner.issuer, "second", "77");
    ann.file("records/all.yaml", &format!("{usual}---\n{draft}"));
    let applied = ann.run(&["apply", "-f", "records"]).await.ended(0).stdout;
    assert!(applied.contains("partner globex: needs one person with the role security, and never who applied it"), "{applied}");
    let next: Vec<&str> = applied.lines().filter_map(|line| line.trim().strip_prefix("next   carnet ")).collect();
    assert_eq!(next.len(), 2, "{applied}");
    for command in next {
        let words: Vec<String> =
            command.replace("\"looked at\"", "ok").replace('"', "").split(' ').map(str::to_owned).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Program::of(&world, "sven").run(&words).await.ended(0);
    }
    let partner = world.admin_get("/v1/partners/globex", "alan").await;
    assert_eq!((&partner["record"]["legalName"], &partner["state"]), (&json!("Globex Limited"), &json!("active")));
    assert_eq!(world.admin_get("/v1/integrations/globex/second", "alan").await["state"], "submitted");

    // Notes are lines.
    let listed = world.admin_get("/v1/approvals?state=pending", "alan").await;
    let id = listed["items"][0]["id"].as_str().expect("an id").to_owned();
    let ran = Program::of(&world, "olga").run(&["deny", &id, "--reason", "ok"]).await;
    assert!(!ran.stderr.contains("\\n"), "{ran:?}");
}
