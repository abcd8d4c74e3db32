//! Commands against a whole server: every exit code by a real run.

use super::program::Program;
use crate::world::issuer::twin;
use crate::world::{Options, World, records};

const TOKEN: [&str; 9] =
    ["token", "-i", "globex/order-sync", "--env", "production", "--api", "orders-api", "--scope", "orders:read"];

fn token<'a>(more: &[&'a str]) -> Vec<&'a str> {
    TOKEN.iter().copied().chain(more.iter().copied()).collect()
}

#[tokio::test]
async fn a_token_is_printed_bare_and_nothing_else() {
    let world = World::start().await;
    let program = Program::of(&world, "sven");
    let assertion = world.assertion("production");
    program.file("jwt", &assertion);
    let ran = program.run(&token(&["--assertion-file", "jwt"])).await.ended(0);
    assert!(ran.stderr.is_empty(), "{ran:?}");
    let bare = ran.stdout.strip_suffix('\n').expect("one line");
    assert!(bare.split('.').count() == 3 && !bare.contains(char::is_whitespace), "{ran:?}");

    // The same by stdin and by environment, and the whole response as data.
    let ran = program.run_with(&token(&["--assertion-file", "-", "-o", "json"]), &world.assertion("production")).await.ended(0);
    assert_eq!(ran.json()["token_type"], "Bearer");
    let mut by_variable = Program::of(&world, "sven");
    by_variable.set("CARNET_ID_TOKEN", &world.assertion("production"));
    by_variable.run(&TOKEN).await.ended(0);

    // What it says, and who signed it.
    let told = program.run_with(&["inspect", "-", "-o", "json"], bare).await.ended(0).json();
    assert_eq!((told["signature"].as_str(), told["claims"]["sub"].as_str()), (Some("good"), Some("globex/order-sync")));
    let bent = bare.replace(bare.split('.').next_back().expect("a signature"), &"A".repeat(86));
    let told = program.run_with(&["inspect", "-o", "json"], &bent).await.ended(1).json();
    assert_eq!(told["signature"], "bad");
    let told = program.run_with(&["inspect", "-o", "json"], &twin(bare)).await.ended(1).json();
    assert_eq!(told["signature"], "bad", "the broker takes this text for no token of its own");
    let stranger = Program::alone().run_with(&["inspect", "-o", "json"], bare).await.ended(0).json();
    assert_eq!(stranger["signature"], "unchecked");
}

#[tokio::test]
async fn a_denial_is_exit_3_with_its_reason_and_explained_by_its_request() {
    let world = World::start().await;
    let program = Program::of(&world, "sven");
    let mut claims = world.claims("production");
    claims["ref"] = "refs/heads/dev".into();
    program.file("jwt", &world.partner.sign(&claims));
    let ran = program.run(&token(&["--assertion-file", "jwt", "-o", "json"])).await.ended(3);
    assert!(ran.stdout.is_empty(), "{ran:?}");
    let error = ran.error();
    assert_eq!(error["reason"], "binding.no-match");
    let place = error["where"].as_str().expect("a request").to_owned();
    let request = place.strip_prefix("request ").expect("a request");

    let explained = program.run(&["explain", request]).await.ended(0);
    assert!(explained.stdout.starts_with("refused binding.no-match"), "{explained:?}");
    let line = explained.stdout.lines().find(|line| line.contains("claim.ref")).expect("the condition");
    assert!(line.trim().starts_with("NO") && line.contains("got refs/heads/dev"), "{line}");
    let told = program.run(&["explain", request, "-o", "json"]).await.ended(0).json();
    assert_eq!(told["client"], "globex/order-sync");

    // A stranger is told nothing but whom to ask.
    let mut claims = world.claims("production");
    claims["repository_owner_id"] = "1".into();
    program.file("jwt", &world.partner.sign(&claims));
    let ran = program.run(&token(&["--assertion-file", "jwt"])).await.ended(3);
    assert!(ran.stderr.contains("carnet explain ") && !ran.stderr.contains("binding."), "{ran:?}");
}

#[tokio::test]
async fn can_i_answers_by_exit_code() {
    let world = World::start().await;
    let program = Program::of(&world, "alan");
    let ask = |scope: &'static str, env: &'static str| {
        ["can-i", scope, "--api", "orders-api", "-i", "globex/order-sync", "--env", env]
    };
    let yes = program.run(&ask("orders:read", "production")).await.ended(0);
    assert_eq!(yes.stdout, "yes\n");
    let elevation = program.run(&ask("orders:write", "production")).await.ended(3);
    assert!(elevation.stdout.starts_with("no  scope.needs-elevation"), "{elevation:?}");
    program.run(&ask("orders:write", "sandbox")).await.ended(0);
    program.run(&ask("orders:nope", "sandbox")).await.ended(3);
    Program::of(&world, "sven").run(&["integration", "suspend", "globex/order-sync", "--reason", "odd calls"]).await.ended(0);
    let suspended = program.run(&ask("orders:read", "production")).await.ended(3);
    assert!(suspended.stdout.starts_with("no  integration.suspended"), "{suspended:?}");
}

#[tokio::test]
async fn sign_in_roles_and_absence_have_their_exit_codes() {
    let world = World::start().await;
    let mut nobody = Program::of(&world, "sven");
    nobody.set("CARNET_STAFF_TOKEN_FILE", "");
    let ran = nobody.run(&["partner", "list"]).await.ended(4);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("CARNET_STAFF_TOKEN_FILE"), "{ran:?}");
    let stranger = Program::of(&world, "sven");
    stranger.file("staff", "not a token");
    stranger.run(&["partner", "list"]).await.ended(4);

    let auditor = Program::of(&world, "alan");
    let denied = auditor.run(&["partner", "suspend", "globex", "--reason", "x", "-o", "json"]).await.ended(3);
    assert_eq!(denied.error()["reason"], "staff.role");
    auditor.run(&["partner", "show", "nobody"]).await.ended(5);
    auditor.run(&["explain", "AAAAAAAAAAAAAAAAAAAAAA"]).await.ended(5);

    let nowhere = ["token", "--env", "nowhere", "--api", "orders-api", "--scope", "orders:read", "--assertion-file", "-"];
    let ran = auditor.run_with(&nowhere, "x").await.ended(5);
    assert!(ran.stderr.contains("is no environment of this broker"), "{ran:?}");

    let mut away = Program::of(&world, "sven");
    away.set("CARNET_SERVER", "http://127.0.0.1:9");
    away.set("CARNET_PUBLIC_SERVER", "http://127.0.0.1:9");
    away.run(&["partner", "list"]).await.ended(7);
    away.run_with(&token(&["--assertion-file", "-"]), "x").await.ended(7);
    away.run(&["status"]).await.ended(7);
    let status = Program::of(&world, "sven").run(&["status", "-o", "json"]).await.ended(0).json();
    assert_eq!((status["ready"].as_bool(), status["staff"].as_str()), (Some(true), Some("signed in")));
    let told = Program::of(&world, "sven").run(&["status"]).await.ended(0).stdout;
    assert_eq!(told.lines().next(), Some(format!("server  http://{}", world.admin).as_str()), "W-3: {told}");
}

#[tokio::test]
async fn records_are_planned_applied_and_approved_by_four_eyes() {
    let world = World::start().await;
    let (ann, olga, sven) = (Program::of(&world, "ann"), Program::of(&world, "olga"), Program::of(&world, "sven"));
    let usual = records::usual(&world.partner.issuer);
    ann.file("records/all.yaml", &usual);
    let same = ann.run(&["plan", "-f", "records"]).await.ended(0);
    assert!(same.stdout.contains("0 to change"), "{same:?}");

    let wider = usual.replace("refs/heads/main, refs/heads/release", "refs/heads/main, refs/heads/release, refs/heads/dev");
    ann.file("records/all.yaml", &wider);
    let plan = ann.run(&["plan", "-f", "records"]).await.ended(6);
    let first = plan.stdout.lines().nth(1).expect("a difference");
    assert!(first.trim_start().starts_with("WIDENS"), "{plan:?}");
    let id = ann.run(&["plan", "-f", "records", "-o", "json"]).await.ended(6).json()["id"].as_str().expect("an id").to_owned();

    let stale = ann.run(&["apply", "-f", "records", "--plan", "plan_000000000000000000000000", "-o", "json"]).await.ended(1);
    assert_eq!(stale.error()["reason"], "plan.stale");
    ann.run(&["apply", "-f", "records", "--plan", &id]).await.ended(0);

    let pending = olga.run(&["approvals", "-o", "json"]).await.ended(0).json();
    assert_eq!(pending.as_array().expect("a list").len(), 1, "{pending}");
    let approval = pending[0]["id"].as_str().expect("an id").to_owned();
    let version = pending[0]["version"].as_str().expect("a version").to_owned();
    let own = ann.review("approve", &approval, &["--reason", "mine", "-o", "json"]).await.ended(1);
    assert_eq!(own.error()["reason"], "approval.own-request");
    olga.run(&["approve", &approval, "--version", &version, "--reason", "looked at"]).await.ended(0);
    olga.run(&["approve", &approval, "--version", &version, "--reason", "again"]).await.ended(1);
    let done = sven.review("approve", &approval, &["--reason", "looked at"]).await.ended(0);
    assert!(done.stdout.ends_with("approved\n") && done.stderr.contains("globex/order-sync"), "{done:?}");
    ann.run(&["plan", "-f", "records"]).await.ended(0);
}

#[tokio::test]
async fn faults_of_records_are_told_in_their_files() {
    let world = World::start().await;
    let ann = Program::of(&world, "ann");
    ann.file("records/a.yaml", "apiVersion: carnet/v1\nkind: Nothing\n");
    let ran = ann.run(&["plan", "-f", "records"]).await.ended(2);
    assert!(
        ran.stdout.is_empty() && ran.stderr.contains("records/a.yaml:2:") && ran.stderr.contains("nothing was sent"),
        "{ran:?}"
    );

    // What only the server knows: that there is no such scope.
    ann.file("records/a.yaml", "# nothing here but a remark\n");
    let odd = records::integration(&world.partner.issuer, "other", "777").replace("scope: orders:list", "scope: orders:nope");
    ann.file("records/b.yaml", &odd);
    let line = odd.lines().position(|line| line.contains("orders:nope")).expect("a line") + 1;
    let ran = ann.run(&["apply", "-f", "records/b.yaml", "-o", "json"]).await.ended(2);
    let at = ran.error()["faults"][0]["at"].as_str().expect("a place").to_owned();
    assert!(at.starts_with(&format!("records/b.yaml:{line} ")), "{at}");
}

#[tokio::test]
async fn the_inventory_is_listed_suspended_resumed_and_revoked() {
    let world = World::start().await;
    let (sven, sara, adam) = (Program::of(&world, "sven"), Program::of(&world, "sara"), Program::of(&world, "adam"));
    let list = sven.run(&["partner", "list"]).await.ended(0);
    assert!(list.stdout.starts_with("PARTNER") && list.stdout.contains("globex   active"), "{list:?}");
    let shown = sven.run(&["integration", "show", "globex/order-sync", "-o", "json"]).await.ended(0).json();
    assert_eq!(shown["state"], "active");
    let listed = sven.run(&["integration", "list", "--partner", "globex", "-o", "json"]).await.ended(0).json();
    assert_eq!(listed.as_array().expect("a list").len(), 1);

    sven.run(&["partner", "suspend", "globex", "--reason", "breach"]).await.ended(0);
    let refused =
        sven.run_with(&token(&["--assertion-file", "-", "-o", "json"]), &world.assertion("production")).await.ended(3);
    assert_eq!(refused.error()["reason"], "partner.suspended");
    let asked = sven.run(&["partner", "resume", "globex", "--reason", "over", "-o", "json"]).await.ended(0).json();
    let approval = asked["approval"].as_str().expect("an approval").to_owned();
    sven.review("approve", &approval, &["--reason", "mine"]).await.ended(1);
    sara.review("approve", &approval, &["--reason", "looked at"]).await.ended(0);
    sven.run_with(&token(&["--assertion-file", "-"]), &world.assertion("production")).await.ended(0);

    let cut = sven.run(&["revoke", "binding", "globex/order-sync/production/ci-main", "--reason", "taken over", "-o", "json"]);
    let id = cut.await.ended(0).json()["id"].as_str().expect("an id").to_owned();
    sven.run_with(&token(&["--assertion-file", "-"]), &world.assertion("production")).await.ended(3);
    let list = sven.run(&["revoke", "list"]).await.ended(0);
    assert!(list.stdout.contains(&id) && list.stdout.contains("standing"), "{list:?}");
    let lift = sven.run(&["revoke", "lift", &id, "--reason", "recovered"]).await.ended(0);
    assert!(lift.stdout.contains("waits for approval"), "{lift:?}");
    sven.run(&["revoke", "partner", "nobody", "--reason", "x"]).await.ended(5);

    let keys = adam.run(&["key", "list", "-o", "json"]).await.ended(0).json();
    let kid =
        keys.as_array().expect("keys").iter().find(|key| key["environment"] == "production").expect("a key")["kid"].clone();
    let made = adam.run(&["key", "rotate", "production", "-o", "json"]).await.ended(0).json();
    assert_eq!(made["state"], "next");
    sven.run(&["key", "rotate", "production"]).await.ended(3);
    adam.run(&["key", "taint", "production", kid.as_str().expect("a kid"), "--reason", "stolen"]).await.ended(0);
}

#[tokio::test]
async fn a_partner_that_is_exported_is_applied_again_unchanged() {
    let world = World::start().await;
    let ann = Program::of(&world, "ann");
    let exported = ann.run(&["partner", "export", "globex"]).await.ended(0);
    assert!(exported.stdout.starts_with("apiVersion: carnet/v1\nkind: Partner\n"), "{exported:?}");
    assert_eq!(ann.run(&["partner", "export", "globex", "-o", "yaml"]).await.ended(0).stdout, exported.stdout);
    let plan = ann.run_with(&["plan", "-f", "-"], &exported.stdout).await.ended(0);
    assert!(plan.stdout.contains("= Partner globex") && plan.stdout.contains("= Integration globex/order-sync"), "{plan:?}");
    let data = ann.run(&["partner", "export", "globex", "-o", "json"]).await.ended(0).json();
    assert_eq!(data[1]["kind"], "Integration");
}

#[tokio::test]
async fn l_04_no_secret_reaches_stderr_or_the_data_of_a_failure() {
    let world = World::start().await;
    let program = Program::of(&world, "sven");
    let canary = "KANARIE0123456789";
    // A proof, a staff bearer and a token service that hold it, each refused in its own way.
    let mut claims = world.claims("production");
    claims["ref"] = "refs/heads/dev".into();
    let refused = world.partner.sign(&claims);
    let bearer = world.staff_token("nobody");
    for (proof, staff) in [(refused.as_str(), bearer.as_str()), (canary, canary)] {
        program.file("jwt", proof);
        program.file("staff", staff);
        let runs = [
            program.run(&token(&["--assertion-file", "jwt"])).await,
            program.run(&token(&["--assertion-file", "jwt", "-o", "json"])).await,
            program.run(&["partner", "list"]).await,
            program.run(&["partner", "suspend", "globex", "--reason", "x", "-o", "yaml"]).await,
            program.run(&["inspect", "jwt"]).await,
            program.run(&["status"]).await,
        ];
        for ran in runs {
            let signature = |text: &str| text.split('.').next_back().unwrap_or_default().to_owned();
            for secret in [canary.to_owned(), signature(proof), signature(staff)] {
                assert!(!ran.stderr.contains(&secret) && !ran.stdout.contains(&secret), "{ran:?}");
            }
        }
    }
}

/// a cut that is on record and not confirmed is asked for again with its key, until it is, and is one cut.
#[tokio::test]
async fn r_03_a_cut_is_waited_for_and_made_once() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let mut redis = world.redis.take().expect("redis");
    redis.kill();
    let sven = Program::of(&world, "sven");
    let cut = sven.run(&["revoke", "partner", "globex", "--reason", "taken over", "-o", "json"]);
    let entries = async || world.admin_get("/v1/journal?kind=revocation.added", "alan").await["items"].as_array().map(Vec::len);
    let back = async {
        while entries().await != Some(1) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        // The first answer is that it is not confirmed, after a second.
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
        redis.restart_empty().await;
    };
    let (cut, ()) = tokio::join!(cut, back);
    let told = cut.ended(0).json();
    assert!(told["id"].is_string(), "{told}");
    assert_eq!(entries().await, Some(1));
}

/// A token service that answers 503 so many times, and then `proof`. Says how often it was asked.
async fn token_service(away: usize, proof: String) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/token?api-version=2", listener.local_addr().expect("an address"));
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4096];
            let read = connection.read(&mut request).await.expect("a request");
            assert!(String::from_utf8_lossy(&request[..read]).contains("&audience=http"), "the issuer is its audience");
            let number = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let body = serde_json::json!({"value": proof}).to_string();
            let answer = if number < away {
                "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
            } else {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
            };
            connection.write_all(answer.as_bytes()).await.expect("written");
        }
    });
    (url, asked)
}

/// C-11, cases/github-token-service-503: one 503 of a token service ends no job; one that stays away is exit 7.
#[tokio::test]
async fn c_11_a_token_service_that_is_away_is_asked_again() {
    let world = World::start().await;
    for (away, code, asks) in [(0, 0, 1), (2, 0, 3), (99, 7, 5)] {
        let (service, asked) = token_service(away, world.assertion("production")).await;
        let mut job = Program::of(&world, "sven");
        job.set("GITHUB_ACTIONS", "true");
        job.set("ACTIONS_ID_TOKEN_REQUEST_URL", &service);
        job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "KANARIE0123456789");
        let ran = job.run(&token(&["-o", "json"])).await.ended(code);
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), asks, "{away}: {ran:?}");
        assert!(!ran.stderr.contains("KANARIE"), "{ran:?}");
        if code == 7 {
            assert!(ran.error()["why"].as_str().expect("a cause").contains("503"), "{ran:?}");
        }
    }
    // One that says no is not asked again: a new proof is needed.
    let mut job = Program::of(&world, "sven");
    job.set("ACTIONS_ID_TOKEN_REQUEST_URL", &format!("http://{}/nowhere?x=1", world.public));
    job.run(&token(&[])).await.ended(4);
}

/// W-4: a proof that is plainly wrong is told in words, and stays at home.
#[tokio::test]
async fn w_4_a_proof_for_somebody_else_is_not_sent() {
    let world = World::start().await;
    let program = Program::of(&world, "sven");
    let wanted = world.issuer("production");
    let change = |name: &str, value: serde_json::Value| {
        let mut claims = world.claims("production");
        claims[name] = value;
        world.partner.sign(&claims)
    };
    let cases = [
        (world.assertion("sandbox"), format!("its aud is {}; wanted is {wanted}", world.issuer("sandbox"))),
        (change("exp", (world.clock.seconds() - 60).into()), "the proof is expired".to_owned()),
        (change("iss", serde_json::Value::Null), "names no issuer".to_owned()),
        ("KANARIE0123456789".to_owned(), "the proof is no JWT".to_owned()),
    ];
    for (proof, words) in cases {
        let ran = program.run_with(&token(&["--assertion-file", "-"]), &proof).await.ended(4);
        assert!(ran.stderr.contains(&words) && ran.stdout.is_empty(), "{words}: {ran:?}");
        let signature = proof.split('.').next_back().expect("a part");
        assert!(!ran.stderr.contains(signature), "{ran:?}");
    }
    // Nobody was asked: no refusal is on record.
    let noted = world.admin_get("/v1/journal?kind=refused&limit=1000", "alan").await;
    assert_eq!(noted["items"].as_array().map(Vec::len), Some(0), "{noted}");
}

/// How a broker, or what stands before it, ends a request for a token.
#[derive(Clone, Copy, Debug)]
enum Ends {
    With(&'static str),
    Midway,
    Never,
}

/// An issuer whose token endpoint takes every proof and gives no token. Says how many it took.
async fn spender(ends: Ends) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://{}/production", listener.local_addr().expect("an address"));
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (count, own) = (std::sync::Arc::clone(&taken), issuer.clone());
    tokio::spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut connection, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 8192];
            let read = connection.read(&mut request).await.expect("a request");
            let answer = if request[..read].starts_with(b"GET ") {
                let metadata = serde_json::json!({"issuer": own, "token_endpoint": format!("{own}/token")}).to_string();
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{metadata}", metadata.len())
            } else {
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                match ends {
                    Ends::With(status) => format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"),
                    Ends::Midway => String::new(),
                    Ends::Never => {
                        held.push(connection);
                        continue;
                    }
                }
            };
            connection.write_all(answer.as_bytes()).await.expect("written");
        }
    });
    (issuer, taken)
}

/// A proof that may be spent was sent again, and its owner was told that it is replayed. The last case waits until the command gives up.
#[tokio::test]
async fn a_proof_that_may_be_spent_is_sent_once() {
    let cases = [
        (Ends::With("504 Gateway Timeout"), 7),
        (Ends::With("502 Bad Gateway"), 7),
        (Ends::With("500 Internal Server Error"), 7),
        (Ends::Midway, 1),
        (Ends::Never, 7),
    ];
    let key = crate::world::Provider::start().await;
    let runs = cases.map(|(ends, code)| {
        let key = &key;
        async move {
            let (issuer, taken) = spender(ends).await;
            let now = std::time::UNIX_EPOCH.elapsed().expect("a time").as_secs();
            let proof =
                key.sign(&serde_json::json!({"iss": key.issuer, "sub": "x", "aud": issuer, "exp": now + 600, "jti": "1"}));
            let ran =
                Program::alone().run_with(&token(&["--issuer", &issuer, "--assertion-file", "-"]), &proof).await.ended(code);
            assert_eq!(taken.load(std::sync::atomic::Ordering::SeqCst), 1, "{ends:?}: {ran:?}");
            assert!(ran.stderr.contains("ask for a fresh proof"), "{ends:?}: {ran:?}");
        }
    });
    let [a, b, c, d, e] = runs;
    tokio::join!(a, b, c, d, e);
}
