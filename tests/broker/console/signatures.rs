//! Approvals that a passkey signs (`approval: signed`), with Chromium's own virtual authenticator.

use serde_json::json;

use super::House;

impl House {
    /// Registers a passkey for who is signed in.
    async fn registered(&self, label: &str) -> u64 {
        self.browser.goto(&self.at("/console/passkeys")).await;
        self.browser.fill("#label", label).await;
        self.browser.follow("form[data-create] button").await
    }

    /// What the journal check says of the stopped house.
    async fn verify(&self) -> crate::cli::program::Ran {
        let file = self.world.folder.path().join("carnet.toml").display().to_string();
        crate::cli::program::Program::alone().run(&["journal", "verify", "-c", &file, "-o", "json"]).await
    }

    /// Writes into the journal of the stopped house, with its own key-encryption key, the first review of `from` as one of `to`; the index.
    async fn forge(&self, from: &str, to: &str) -> u64 {
        use carnet::domain::log::elevation::ElevationChange;
        use carnet::domain::people::actor::Actor;
        let file = self.world.folder.path().join("carnet.toml");
        let config = carnet::config::load(&file).expect("a configuration");
        let kek = carnet::journal::Kek::load(&config.keys.kek_file).expect("the key-encryption key");
        let settings = carnet::serve::journal_settings(&config).expect("settings");
        let clock = std::sync::Arc::clone(&self.world.clock) as std::sync::Arc<dyn carnet::domain::value::clock::Clock>;
        let entropy = std::sync::Arc::new(carnet::server::OsEntropy);
        let journal = carnet::journal::Journal::open(&settings, &kek, clock, entropy).await.expect("opens");
        let forged = journal
            .change(None, |state, _| {
                let true_one = state.elevations.find(&from.parse().expect("an id")).expect("the first");
                let target = state.elevations.find(&to.parse().expect("an id")).expect("the second");
                let mut review = true_one.reviews[0].clone();
                if let Some(signature) = review.signature.as_mut().filter(|_| from != to) {
                    signature.seen = target.version(state);
                }
                let what = ElevationChange::Reviewed {
                    elevation: target.elevation.id.clone(),
                    verdict: review.verdict,
                    reason: "looked at".into(),
                    roles: review.roles,
                    narrowing: review.narrowing,
                    signature: review.signature,
                };
                Ok::<_, ()>(carnet::journal::Proposal::from(what.by(Actor::Staff(review.by))))
            })
            .await
            .expect("available")
            .expect("proposed");
        journal.close().await;
        forged.index
    }

    /// Approves on the page up to where the passkey is asked for.
    async fn to_sign(&self, id: &str) {
        self.browser.goto(&self.page(id)).await;
        self.browser.fill("#reason", "looked at").await;
        assert_eq!(self.browser.follow("button[value=approve]").await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_signs_an_approval_and_the_token_rests_on_it() {
    let mut house = House::signed().await;
    house.browser.tell("authenticator", &[]).await;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    // Who has no passkey is led to where they get one.
    house.to_sign(&id).await;
    assert_eq!(house.browser.url().await, house.at("/console/passkeys"));
    house.browser.is_clean().await;
    assert_eq!(house.registered("my laptop").await, 200);
    assert!(house.browser.text().await.contains("my laptop"));
    house.browser.is_clean().await;

    house.browser.goto(&house.page(&id)).await;
    house.browser.fill("#duration", "10m").await;
    house.browser.fill("#reason", "looked at").await;
    house.browser.follow("button[value=approve]").await;
    let text = house.browser.text().await;
    assert!(text.contains("on record: lets globex/order-sync have orders:write at orders-api in production for 10m"), "{text}");
    house.browser.is_clean().await;
    house.nothing_is_minted("scope.needs-elevation").await;
    assert_eq!(house.browser.follow("form[data-get] button").await, 200);
    let text = house.browser.text().await;
    assert!(text.contains("active") && text.contains("approve by sven, signed"), "{text}");
    let answer = house.exchanged().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.json()["expires_in"].as_u64().expect("seconds") <= 600);

    // The journal has it, and a node that begins with the journal alone verifies it anew.
    house.world.stop().await;
    house.world.clock.synchronise();
    house.world.boot().await;
    house.world.advance(0).await;
    assert_eq!(house.exchanged().await.status, 200);

    // A passkey that is revoked takes what it signed with it.
    house.sign_in("sven").await;
    house.browser.goto(&house.at("/console/passkeys")).await;
    house.browser.fill(".passkeys input[name=reason]", "lost").await;
    house.browser.follow(".passkeys button").await;
    assert!(house.browser.text().await.contains("You have none."));
    house.nothing_is_minted("scope.needs-elevation").await;
    let passkeys = house.read("/v1/passkeys").await;
    assert_eq!(passkeys["items"][0]["state"], "revoked", "{passkeys}");
}

/// E-15: an approval that needs more than a sign-in is not given for less: without the passkey, by an authenticator that verified nobody,
/// by one that is somebody else's, or with a signature over something else.
#[tokio::test(flavor = "multi_thread")]
async fn e_15_a_signature_that_does_not_hold_approves_nothing() {
    let house = House::signed().await;
    let browser = &house.browser;
    browser.tell("authenticator", &[]).await;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    browser.tell("verified", &[json!(false)]).await;
    browser.goto(&house.at("/console/passkeys")).await;
    browser.fill("#label", "unverified").await;
    browser.click("form[data-create] button").await;
    for _ in 0..100 {
        if browser.text().await.contains("gave no answer") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(browser.text().await.contains("gave no answer"), "{}", browser.text().await);
    browser.tell("verified", &[json!(true)]).await;
    assert_eq!(house.registered("my laptop").await, 200);

    // Without a signature, by whatever sends it: the API says where it is signed.
    let told = house.read(&format!("/v1/elevations/{id}")).await;
    assert_eq!((&told["signed"], &told["page"]), (&json!(true), &json!(house.page(&id))), "{told}");
    let body = json!({"verdict": "approve", "reason": "x", "version": told["version"]}).to_string();
    let cookie = browser.cookie().await;
    let headers = [("cookie", cookie.as_str()), ("content-type", "application/json"), ("origin", house.console.as_str())];
    for path in [format!("/v1/elevations/{id}/reviews"), format!("/v1/approvals/{id}/reviews")] {
        let answer = crate::world::send(house.world.admin, "POST", &path, &headers, body.as_bytes()).await;
        assert_eq!((answer.status, answer.json()["reason"].as_str()), (422, Some("elevation.signature-missing")));
    }

    // Over something else: the approver saw and signed ten minutes, and half an hour is sent.
    browser.goto(&house.page(&id)).await;
    browser.fill("#duration", "10m").await;
    browser.fill("#reason", "looked at").await;
    browser.follow("button[value=approve]").await;
    browser.tell("set", &[json!("input[name=duration]"), json!("30m")]).await;
    assert_eq!(browser.follow("form[data-get] button").await, 422);
    assert!(browser.text().await.contains("elevation.signature-invalid"));

    // What the authenticator said for one elevation, sent with another.
    let other = house.asked(|_| {}).await;
    house.to_sign(&id).await;
    let seen = house.read(&format!("/v1/elevations/{other}")).await;
    browser
        .tell("retarget", &[json!("form[data-get]"), json!(format!("/console/approvals/{other}")), seen["version"].clone()])
        .await;
    assert_eq!(browser.follow("form[data-get] button").await, 422);
    assert!(browser.text().await.contains("elevation.signature-invalid"));

    // Who is against needs none.
    house.nothing_is_minted("scope.needs-elevation").await;
    browser.goto(&house.page(&other)).await;
    browser.fill("#reason", "no").await;
    browser.follow("button[value=deny]").await;
    assert!(browser.text().await.contains("deny by sven: no"));

    // Somebody else with sven's authenticator in hand: it is not theirs.
    browser.tell("forget", &[]).await;
    house.sign_in("sara").await;
    house.to_sign(&id).await;
    assert_eq!(browser.url().await, house.at("/console/passkeys"));
    house.nothing_is_minted("scope.needs-elevation").await;
    let entries = house.read("/v1/journal?kind=elevation.reviewed").await;
    assert_eq!(entries["items"].as_array().expect("items").len(), 1, "the denial alone: {entries}");
}

/// A second passkey is let in by the first: a sign-in alone, however it was come by, makes no new signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_further_passkey_needs_the_word_of_one_that_is_there() {
    let house = House::signed().await;
    let browser = &house.browser;
    browser.tell("authenticator", &[]).await;
    house.sign_in("sven").await;
    assert_eq!(house.registered("my laptop").await, 200);
    // The thief has the session and an authenticator of their own.
    browser.tell("remove", &[]).await;
    browser.tell("authenticator", &[]).await;
    browser.goto(&house.at("/console/passkeys")).await;
    browser.tell("attribute", &[json!("form[data-create]"), json!("data-get"), json!("")]).await;
    browser.fill("#label", "the thief's").await;
    assert_eq!(browser.follow("form[data-create] button").await, 403);
    assert!(browser.text().await.contains("passkey.signature-missing"));
    let passkeys = house.read("/v1/passkeys").await;
    assert_eq!(passkeys["items"].as_array().expect("items").len(), 1, "{passkeys}");
    // An answer to a registration is taken once, and only in the session that began it.
    let stale = house.post("/console/passkeys", &[("origin", house.console.as_str())], "token=x&label=y&answer=%7B%7D").await;
    assert_eq!(stale.status, 403);
}

/// A row that is edited in the database, and one that is forged with the key-encryption key in hand: neither elevates anybody, and the
/// journal check names it.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_and_a_forged_approval_elevate_nobody_and_are_named() {
    let mut house = House::signed().await;
    house.browser.tell("authenticator", &[]).await;
    let short = house.asked(|wish| wish["duration"] = json!("5m")).await;
    house.sign_in("sven").await;
    assert_eq!(house.registered("my laptop").await, 200);
    house.to_sign(&short).await;
    assert_eq!(house.browser.follow("form[data-get] button").await, 200);
    assert_eq!(house.exchanged().await.status, 200);
    let wanted = house.asked(|wish| wish["duration"] = json!("1h")).await;
    // The first approval runs out.
    house.world.advance(5 * 60).await;
    house.nothing_is_minted("scope.needs-elevation").await;
    house.world.stop().await;
    let file = house.world.folder.path().join("carnet.toml");
    house.verify().await.ended(0);

    // With everything in hand but sven's authenticator: a sound entry, sealed by the journal itself, that carries his true signature over
    // the other elevation.
    house.world.leaves_unverified("it forges an approval, and edits an entry");
    let forged = house.forge(&short, &wanted).await;
    house.world.boot().await;
    house.world.advance(0).await;
    // The state takes it for approved; what is signed is asked before anything is issued.
    let answer = house.exchanged().await;
    assert_eq!(
        (answer.status, answer.json()["reason"].as_str()),
        (400, Some("elevation.signature-invalid")),
        "{}",
        answer.text()
    );
    house.world.stop().await;
    let ran = house.verify().await.ended(1);
    assert!(ran.stderr.contains(&forged.to_string()) && ran.stderr.contains("not signed by the passkey"), "{}", ran.stderr);

    // An auditor with an export and its key alone finds the same.
    let program = crate::cli::program::Program::alone();
    let (config, export) = (file.display().to_string(), house.world.folder.path().join("export").display().to_string());
    program.run(&["journal", "export", &export, "-c", &config]).await.ended(0);
    let key = program.run(&["key", "show", "--checkpoint", "-c", &config]).await.ended(0).stdout;
    let ran = program.run(&["journal", "verify", &export, "--key", key.trim()]).await.ended(1);
    assert!(ran.stderr.contains(&forged.to_string()) && ran.stderr.contains("not signed by the passkey"), "{}", ran.stderr);

    // And a row that is only edited: the node does not begin on it, and the check names it.
    let database = house.world.folder.path().join("journal.db");
    let edited = std::process::Command::new("python3")
        .args(["-c", "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); print(c.execute(\"update entries set body=replace(body,'\\\"duration\\\":300','\\\"duration\\\":3600') where kind='elevation.asked' and body like '%\\\"duration\\\":300%'\").rowcount); c.commit()"])
        .arg(&database)
        .output()
        .expect("python runs");
    assert_eq!(String::from_utf8_lossy(&edited.stdout).trim(), "1", "{}", String::from_utf8_lossy(&edited.stderr));
    let ran = house.verify().await.ended(1);
    assert!(ran.stderr.contains("entry"), "{}", ran.stderr);
    let system = carnet::serve::System {
        clock: std::sync::Arc::clone(&house.world.clock) as std::sync::Arc<dyn carnet::domain::value::clock::Clock>,
        entropy: std::sync::Arc::new(carnet::server::OsEntropy),
    };
    let config = carnet::config::load(&file).expect("a configuration");
    assert!(carnet::serve::start(config, system).await.is_err(), "a node does not begin on an edited entry");
}

/// Where two people must agree, the true signature of one, entered twice by who can seal entries, is one person's word still.
#[tokio::test(flavor = "multi_thread")]
async fn one_signature_entered_twice_is_one_persons_word() {
    let mut house = House::with(|records| {
        let records = records.replacen("owner: team:orders\n", "owner: team:orders\napproval: signed\n", 1);
        records.replace("approvers: {role: security, count: 1}", "approvers: {role: security, count: 2}")
    })
    .await;
    house.browser.tell("authenticator", &[]).await;
    let id = house.asked(|_| {}).await;
    house.sign_in("sven").await;
    assert_eq!(house.registered("my laptop").await, 200);
    house.to_sign(&id).await;
    assert_eq!(house.browser.follow("form[data-get] button").await, 200);
    assert!(house.browser.text().await.contains("pending"));
    house.nothing_is_minted("scope.needs-elevation").await;
    house.world.stop().await;
    house.world.leaves_unverified("it forges an approval");
    let forged = house.forge(&id, &id).await;
    house.world.boot().await;
    house.world.advance(0).await;
    house.nothing_is_minted("scope.needs-elevation").await;
    house.world.stop().await;
    let ran = house.verify().await.ended(1);
    assert!(ran.stderr.contains(&forged.to_string()), "{}", ran.stderr);
}

/// A copy of an authenticator is known by its counter, which is behind (Web Authentication Level 2, section 6.1.1).
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_authenticator_signs_nothing() {
    let house = House::signed().await;
    let browser = &house.browser;
    browser.tell("authenticator", &[]).await;
    let (first, second) = (house.asked(|_| {}).await, house.asked(|_| {}).await);
    house.sign_in("sven").await;
    assert_eq!(house.registered("my laptop").await, 200);
    house.to_sign(&first).await;
    assert_eq!(browser.follow("form[data-get] button").await, 200);
    browser.tell("copy", &[]).await;
    house.to_sign(&second).await;
    assert_eq!(browser.follow("form[data-get] button").await, 422);
    assert!(browser.text().await.contains("elevation.signature-invalid"));
    assert_eq!(house.read(&format!("/v1/elevations/{second}")).await["state"], "pending");
}

/// Who may revoke a passkey: its owner, security and administrators. And what starts without an approval has no signature: at an API that
/// takes signed ones alone no glass is broken, whatever the record says.
#[tokio::test(flavor = "multi_thread")]
async fn passkeys_are_revoked_by_who_may_and_no_glass_is_broken_without_one() {
    let house = House::with(|records| {
        let records = records.replacen("owner: team:orders\n", "owner: team:orders\napproval: signed\n", 1);
        records.replace("        require: [reason]\n", "        require: [reason]\n        breakGlass: true\n")
    })
    .await;
    let browser = &house.browser;
    browser.tell("authenticator", &[]).await;
    house.sign_in("sven").await;
    assert_eq!(house.registered("my laptop").await, 200);
    let glass = json!({
        "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
        "duration": "30m", "reason": "fire", "breakGlass": true,
    });
    let refused = house.send_json("/v1/elevations", &house.console, &glass).await;
    assert_eq!(
        (refused.status, refused.json()["reason"].as_str()),
        (422, Some("elevation.no-break-glass")),
        "{}",
        refused.text()
    );
    house.nothing_is_minted("scope.needs-elevation").await;
    let passkeys = house.read("/v1/passkeys?person=sven").await;
    let path = format!("/v1/passkeys/{}/revoke", passkeys["items"][0]["id"].as_str().expect("an id"));
    let why = json!({"reason": "lost"});
    // A-05 at the API: the session's cookie with a request of another site is nobody.
    for origin in ["http://evil.example", "null"] {
        let answer = house.send_json(&path, origin, &why).await;
        assert_eq!((answer.status, answer.json()["reason"].as_str()), (403, Some("staff.other-site")), "{origin}");
    }
    for (person, status) in [("olga", 403), ("alan", 403), ("adam", 204), ("adam", 404)] {
        browser.tell("forget", &[]).await;
        house.sign_in(person).await;
        let answer = house.send_json(&path, &house.console, &why).await;
        assert_eq!(answer.status, status, "{person}: {}", answer.text());
    }
}
