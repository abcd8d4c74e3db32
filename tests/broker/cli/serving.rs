//! `carnet serve` and `doctor` as processes of their own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use super::program::Program;

/// A configuration on free ports, with no Redis and a staff issuer that is away.
fn configuration(program: &Program) {
    let text = format!(
        "[listen]\npublic = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nmtls = \"127.0.0.1:0\"\n[journal]\nurl = \"sqlite://{}/journal.db\"\n\
         [keys]\nkek_file = \"kek\"\n[staff]\nissuer = \"http://127.0.0.1:9/idp\"\naudience = \"carnet\"\n\
         roles = {{ security = [\"security\"] }}\n[outbound]\nissuers = [\"http://127.0.0.1:9\"]\n\
         [environments.production]\nissuer = \"https://sts.acme.example/production\"\nmax_ttl = \"10m\"\n",
        program.home().display()
    );
    program.file("carnet.toml", &text);
}

/// Starts a server and waits for its addresses.
fn start(program: &Program) -> (Child, Value) {
    let mut child = program.command(&["serve", "-c", "carnet.toml", "-o", "json"]).spawn().expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("stdout")).read_line(&mut line).expect("a line");
    let addresses = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (child, addresses)
}

fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

#[tokio::test]
async fn a_server_tells_its_addresses_once_they_answer_and_drains_on_a_signal() {
    for name in ["-TERM", "-INT"] {
        let program = Program::alone();
        configuration(&program);
        program.run(&["key", "init", "kek"]).await.ended(0);
        let (mut child, addresses) = start(&program);
        for socket in ["public", "admin"] {
            let address = addresses[socket].as_str().expect("an address").strip_prefix("http://").expect("http");
            let answer = crate::world::send(address.parse().expect("an address"), "GET", "/livez", &[], b"").await;
            assert_eq!(answer.status, 200, "{socket}");
        }
        assert!(addresses["mtls"].as_str().expect("an address").starts_with("https://127.0.0.1:"));
        signal(&child, name);
        let ended = tokio::task::spawn_blocking(move || {
            let status = child.wait().expect("it ends");
            let mut rest = String::new();
            child.stdout.take().expect("stdout").read_to_string(&mut rest).expect("text");
            (status.code(), rest)
        });
        let (code, rest) = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("in time").expect("it ended");
        assert_eq!((code, rest.as_str()), (Some(0), ""), "{name}");
    }
}

/// The people directory has a socket of its own, which the server names beside the others.
#[tokio::test]
async fn a_server_tells_the_address_of_its_directory() {
    let program = Program::alone();
    configuration(&program);
    let file = program.home().join("carnet.toml");
    let section = "[directory]\nlisten = \"127.0.0.1:0\"\ntoken_files = [\"source\", \"next\"]\n";
    std::fs::write(&file, std::fs::read_to_string(&file).expect("a text") + section).expect("written");
    program.run(&["key", "init", "kek"]).await.ended(0);
    for (next, reason) in [("too short", "holds no token"), ("source-token-0123456789-0123456789", "the same token")] {
        program.file("source", "source-token-0123456789-0123456789\n");
        program.file("next", next);
        let ran = program.run(&["serve", "-o", "json"]).await.ended(2);
        let faults = ran.error()["faults"].clone();
        let told = faults[0]["reason"].as_str().unwrap_or_default();
        assert!(faults[0]["field"] == "directory.token_files" && told.contains(reason), "{faults}");
        assert!(!faults.to_string().contains("source-token"), "a token is never told");
    }
    program.file("next", "next-token-0123456789-0123456789-01");
    let (mut child, addresses) = start(&program);
    let address = addresses["directory"].as_str().expect("an address").strip_prefix("http://").expect("http");
    let headers = [("authorization", "Bearer next-token-0123456789-0123456789-01")];
    let answer = crate::world::send(address.parse().expect("an address"), "GET", "/scim/v2/Users", &headers, b"").await;
    assert_eq!((answer.status, &answer.json()["totalResults"]), (200, &serde_json::json!(0)), "{}", answer.text());
    signal(&child, "-TERM");
    let ended = tokio::task::spawn_blocking(move || child.wait().expect("it ends").code());
    assert_eq!(ended.await.expect("it ended"), Some(0));
}

#[tokio::test]
async fn a_server_refuses_with_every_fault_of_its_configuration() {
    let program = Program::alone();
    program.file("carnet.toml", "[listen]\npublic = \"nowhere\"\n[keys]\nkek = \"x\"\n");
    let ran = program.run(&["serve", "-o", "json"]).await.ended(2);
    assert!(ran.stdout.is_empty(), "{ran:?}");
    let faults = ran.error()["faults"].clone();
    let fields: Vec<_> = faults.as_array().expect("faults").iter().filter_map(|fault| fault["field"].as_str()).collect();
    for field in ["listen.public", "keys.kek", "keys.kek_file", "journal", "staff", "environments"] {
        assert!(fields.contains(&field), "{field}: {fields:?}");
    }
    for fault in faults.as_array().expect("faults") {
        assert!(fault["reason"].as_str().is_some_and(|text| !text.is_empty()) && fault["fix"].is_string(), "{fault}");
    }
    // What the files are is told with what the addresses are.
    configuration(&program);
    program.file("kek", "too short");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = program.run(&["serve", "--admin", &address, "-o", "json"]).await.ended(2);
    let faults = ran.error()["faults"].clone();
    assert_eq!((faults[0]["field"].as_str(), faults[1]["field"].as_str()), (Some("keys.kek_file"), Some("listen.admin")));
}

/// S-6: a staff issuer that is an environment's own would make every token of ours a staff token: no server starts, and doctor says why.
#[tokio::test]
async fn s_6_our_own_issuer_is_no_staff_issuer() {
    let program = Program::alone();
    configuration(&program);
    program.run(&["key", "init", "kek"]).await.ended(0);
    let text = std::fs::read_to_string(program.home().join("carnet.toml")).expect("the configuration");
    let text = text.replace("https://sts.acme.example/production", "http://127.0.0.1:9/production");
    let told = "[environments.production]";
    for below in ["", "/", "/staff"] {
        program.file("carnet.toml", &text.replace("http://127.0.0.1:9/idp", &format!("http://127.0.0.1:9/production{below}")));
        let ran = program.run(&["serve", "-o", "json"]).await.ended(2);
        let faults = ran.error()["faults"].clone();
        let fault = faults.as_array().expect("faults").iter().find(|fault| fault["field"] == "staff.issuer");
        let fault = fault.unwrap_or_else(|| panic!("{below}: {faults}"));
        assert!(fault["reason"].as_str().is_some_and(|reason| reason.contains(told)), "{below}: {fault}");
        let checks = program.run(&["doctor", "-o", "json"]).await.ended(1).json();
        assert!(wrong(&checks, "staff issuer").iter().any(|one| one.contains(told)), "{below}: {checks}");
    }
    // Beside it, on the same host, may be whatever the company likes.
    program.file("carnet.toml", &text.replace("http://127.0.0.1:9/idp", "http://127.0.0.1:9/productions"));
    let checks = program.run(&["doctor", "-o", "json"]).await.ended(1).json();
    assert!(wrong(&checks, "staff issuer").iter().all(|one| !one.contains(told)), "{checks}");
}

#[tokio::test]
async fn the_doctor_tells_what_is_wrong_and_how_to_right_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::alone();
    program.run(&["doctor"]).await.ended(2);
    configuration(&program);
    program.run(&["key", "init", "kek"]).await.ended(0);
    std::fs::set_permissions(program.home().join("kek"), std::fs::Permissions::from_mode(0o644)).expect("a mode");
    let ran = program.run(&["doctor"]).await.ended(1);
    let lines: Vec<_> = ran.stdout.lines().map(str::trim).collect();
    for wanted in ["ok  configuration", "NO  kek", "ok  journal", "NO  staff issuer", "ok  live index"] {
        assert!(lines.iter().any(|line| line.starts_with(wanted)), "{wanted}: {ran:?}");
    }
    assert_eq!(lines.iter().filter(|line| line.starts_with("fix: ")).count(), 2, "{ran:?}");
    let told = program.run(&["doctor", "-o", "json"]).await.ended(1).json();
    assert_eq!(told["ok"], false);
}

#[tokio::test]
async fn a_whole_world_is_healthy_to_the_doctor() {
    let world = crate::world::World::start().await;
    let program = Program::alone();
    let config = world.folder.path().join("carnet.toml");
    let ran = program.run(&["doctor", "-c", config.to_str().expect("a path")]).await;
    // The fake identity provider publishes keys and no sign-in endpoints; everything else holds.
    let wrong: Vec<_> = ran.stdout.lines().filter(|line| line.trim_start().starts_with("NO")).collect();
    assert!(wrong.iter().all(|line| line.contains("staff issuer")), "{ran:?}");
    assert!(ran.stdout.contains("ok  server") && ran.stdout.contains("ok  clock"), "{ran:?}");
}

/// What doctor says of one check, with its fix; nothing where it is well.
fn wrong(told: &Value, check: &str) -> Vec<String> {
    let of_check = told["checks"].as_array().expect("checks").iter().filter(|one| one["check"] == check);
    let told = of_check.filter(|one| one["ok"] == false || one["warning"] == true);
    told.map(|one| {
        assert!(one["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{one}");
        format!("{} {} {}", one["field"].as_str().unwrap_or_default(), one["detail"].as_str().expect("a detail"), one["fix"])
    })
    .collect()
}

/// E-6: a journal that was put back is a fault for doctor as it is for serve, with one fix.
#[tokio::test]
async fn e_6_a_restored_journal_is_a_fault_for_both() {
    let mut world = crate::world::World::in_file().await;
    let program = Program::alone();
    let (config, database) = (world.folder.path().join("carnet.toml"), world.folder.path().join("journal.db"));
    let config = config.to_str().expect("a path").to_owned();
    world.stop().await;
    let kept = std::fs::read(&database).expect("the journal");
    world.boot().await;
    world.minted().await;
    world.stop().await;
    let good = program.run(&["doctor", "-c", &config, "-o", "json"]).await.json();
    assert!(wrong(&good, "journal").is_empty(), "{good}");
    let newest = std::fs::read(&database).expect("the journal");
    let put_back = |bytes: &[u8]| {
        std::fs::write(&database, bytes).expect("put back");
        for rest in ["journal.db-wal", "journal.db-shm"] {
            let _absent = std::fs::remove_file(world.folder.path().join(rest));
        }
    };
    put_back(&kept);
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
    let words = wrong(&told, "journal").join(" ");
    assert!(words.contains("does not extend its anchored checkpoint") && words.contains("carnet journal reopen"), "{words}");
    let refused = program.run(&["serve", "-c", &config, "-o", "json"]).await.ended(1).error();
    assert!(words.contains(refused["why"].as_str().expect("a cause")), "{refused}");
    assert!(words.contains(refused["fix"].as_str().expect("a fix")), "{refused}");
    // Neither has moved the anchor or the journal.
    let again = program.run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
    assert_eq!(wrong(&again, "journal").join(" "), words);
    // The fix that is named: the newest journal is put back, and holds.
    put_back(&newest);
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.json();
    assert!(wrong(&told, "journal").is_empty(), "{told}");
}

/// E-6: a node that would mint nothing because of its journal is told by doctor while no server runs.
#[tokio::test]
async fn e_6_a_journal_that_rests_or_is_ahead_of_the_clock_is_told_by_doctor() {
    let mut world = crate::world::World::start().await;
    let program = Program::alone();
    let config = world.folder.path().join("carnet.toml").to_str().expect("a path").to_owned();
    world.stop().await;
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.json();
    assert!(wrong(&told, "journal time").is_empty(), "{told}");
    // An entry of tomorrow, under a clock that was wrong.
    world.clock.jump(86_400);
    world.boot().await;
    world.minted().await;
    world.stop().await;
    world.clock.jump(-86_400);
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
    let words = wrong(&told, "journal time").join(" ");
    assert!(
        words.contains("behind the journal's newest entry") && words.contains("carnet journal correct-clock --help"),
        "{words}"
    );
    world.clock.synchronise();
    let now = carnet::domain::value::clock::Timestamp::from_seconds(world.clock.seconds()).expect("a time").to_string();
    let confirm = ["-c", &config, "--confirm", "test.example/carnet", "-o", "json"];
    program.run(&[&["journal", "correct-clock", "--now", &now], &confirm[..]].concat()).await.ended(0);
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.json();
    assert!(wrong(&told, "journal time").is_empty(), "{told}");
    // It rests.
    let reopened = program.run(&[&["journal", "reopen"], &confirm[..]].concat()).await.ended(0).json();
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
    let (words, from) = (wrong(&told, "journal time").join(" "), reopened["mintsFrom"].as_str().expect("a time"));
    assert!(words.contains(&format!("nothing is minted before {from}")), "{words}");
}

/// S-7, E-6: a record that an environment takes something from is told by doctor, before a server has the environment and while one does.
#[tokio::test]
async fn s_7_what_a_new_environment_takes_from_records_is_told_by_doctor() {
    let mut world = crate::world::World::start().await;
    let staging = format!("http://{}/staging", world.public);
    let binding = format!(
        "oidc: {{issuer: \"{}\", match: {{sub: {{prefix: \"repo:\"}}, repository_id: \"4711\"}}, owner: [repository_id], audience: \"{staging}\"}}",
        world.partner.issuer
    );
    world.onboard(&crate::uniqueness::integration("second", "production", &binding)).await;
    let program = Program::alone();
    let file = world.folder.path().join("carnet.toml");
    let config = file.to_str().expect("a path").to_owned();
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.json();
    assert!(wrong(&told, "records").is_empty(), "{told}");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    std::fs::write(&file, format!("{text}\n[environments.staging]\nissuer = \"{staging}\"\nmax_ttl = \"5m\"\n"))
        .expect("written");
    for has_it in [false, true] {
        if has_it {
            world.stop().await;
            world.boot().await;
        }
        let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
        let words = wrong(&told, "records").join(" ");
        let expected = format!("{staging} belongs to the environment staging");
        assert!(words.contains("globex/second environments.production.bindings[0]: ") && words.contains(&expected), "{words}");
    }
}

/// E-6, S-11: Redis that is ahead is told by doctor, with its key, whether a server runs or not.
#[tokio::test]
async fn e_6_a_live_index_that_is_ahead_is_told_by_doctor() {
    let mut world = crate::world::World::with(crate::world::Options { redis: true, ..Default::default() }).await;
    let program = Program::alone();
    let config = world.folder.path().join("carnet.toml").to_str().expect("a path").to_owned();
    let key = "carnet:{production}:complete";
    world.minted().await;
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.json();
    assert!(wrong(&told, "live index").is_empty() && wrong(&told, "server").is_empty(), "{told}");
    // A Redis that may drop what it was told.
    let policy = ["CONFIG", "SET", "maxmemory-policy"];
    world.redis.as_ref().expect("redis").command(&[&policy[..], &["allkeys-lru"]].concat());
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
    assert!(wrong(&told, "live index").join(" ").contains("maxmemory-policy is not noeviction"), "{told}");
    world.redis.as_ref().expect("redis").command(&[&policy[..], &["noeviction"]].concat());
    world.redis.as_ref().expect("redis").command(&["HSET", key, "index", "999999"]);
    for runs in [true, false] {
        if !runs {
            world.stop().await;
        }
        let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.ended(1).json();
        let words = wrong(&told, "live index").join(" ");
        assert!(words.contains(key) && words.contains("index 999999") && words.contains("DEL "), "{runs}: {words}");
    }
}

/// Two lists that meet: an address that ends TLS for strangers gets no verdict for itself, and doctor says so before anybody wonders.
#[tokio::test]
async fn a_proxy_on_both_lists_is_told_by_doctor() {
    for (callers, meets) in [("10.0.7.0/24", true), ("10.0.0.0/7", true), ("10.9.0.0/16", false)] {
        let configuration = format!("trusted_proxies = [\"10.0.0.0/13\"]\nverify_callers = [\"{callers}\"]\n");
        let world = crate::world::World::with(crate::world::Options { configuration, ..Default::default() }).await;
        let config = world.folder.path().join("carnet.toml").to_str().expect("a path").to_owned();
        let told = Program::alone().run(&["doctor", "-c", &config, "-o", "json"]).await.json();
        let words = wrong(&told, "proxies").join(" ");
        assert_eq!(
            words.contains(&format!("listen.verify_callers {callers} lies in trusted_proxies as well")),
            meets,
            "{told}"
        );
        assert_eq!(words.is_empty(), !meets, "{told}");
    }
}

/// E-6: every file that holds a secret is looked at, and tokens in plain http on an address that others reach are told.
#[tokio::test]
async fn e_6_every_secret_that_others_may_read_and_a_plain_public_socket_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::alone();
    configuration(&program);
    program.run(&["key", "init", "kek"]).await.ended(0);
    let text = std::fs::read_to_string(program.home().join("carnet.toml")).expect("a configuration");
    let secrets = [
        ("staff.client_secret_file", "client-secret"),
        ("tickets.token_file", "ticket-token"),
        ("listen.public_tls.key", "public.key"),
        ("listen.mtls_tls.key", "mtls.key"),
    ];
    for name in secrets.map(|(_, name)| name).into_iter().chain(["chain.pem"]) {
        program.file(name, "x\n");
    }
    let all = text
        .replace("[journal]", "public_tls = {cert = \"chain.pem\", key = \"public.key\"}\nmtls_tls = {cert = \"chain.pem\", key = \"mtls.key\"}\n[journal]")
        .replace("audience = \"carnet\"", "audience = \"carnet\"\nclient_secret_file = \"client-secret\"")
        + "[tickets]\nurl = \"https://tickets.acme.example/{ticket}\"\ntoken_file = \"ticket-token\"\npointer = \"/state\"\nopen = [\"open\"]\n";
    program.file("carnet.toml", &all);
    for (mode, readable) in [(0o644, true), (0o600, false)] {
        for (_, name) in secrets {
            std::fs::set_permissions(program.home().join(name), std::fs::Permissions::from_mode(mode)).expect("a mode");
        }
        let told = program.run(&["doctor", "-o", "json"]).await.json();
        let found = wrong(&told, "secret files");
        for (field, name) in secrets {
            let named = found.iter().any(|one| {
                one.starts_with(field) && one.contains(&format!("chmod 600 {}", program.home().join(name).display()))
            });
            assert_eq!(named, readable, "{field}: {told}");
        }
    }
    let plain = text.replace("public = \"127.0.0.1:0\"", "public = \"0.0.0.0:0\"");
    for (configuration, warned) in [
        (plain.clone(), true),
        (plain.replace("[journal]", "trusted_proxies = [\"10.0.0.0/8\"]\n[journal]"), false),
        (all.replace("public = \"127.0.0.1:0\"", "public = \"0.0.0.0:0\""), false),
        (text, false),
    ] {
        program.file("carnet.toml", &configuration);
        let told = program.run(&["doctor", "-o", "json"]).await.json();
        let found = wrong(&told, "public socket").iter().any(|one| one.contains("tokens are given in plain http at 0.0.0.0:0"));
        assert_eq!(found, warned, "{configuration}: {told}");
    }
}

/// E-6: doctor asks the server of this journal, and says who holds a socket that it cannot have.
#[tokio::test]
async fn e_6_doctor_tells_its_own_server_from_others() {
    let (ours, other) = (crate::world::World::start().await, crate::world::World::start().await);
    let program = Program::alone();
    let config = ours.folder.path().join("carnet.toml").to_str().expect("a path").to_owned();
    let anchor = ours.folder.path().join("journal.anchor");
    let (before, size) = (std::fs::read(&anchor).expect("an anchor"), ours.issued().await);
    let told = program.run(&["doctor", "-c", &config, "-o", "json"]).await.json();
    let held = told["checks"].as_array().expect("checks").iter().filter(|one| {
        one["detail"].as_str().is_some_and(|detail| detail.ends_with("is held by the running server")) && one["ok"] == true
    });
    assert_eq!(held.count(), 2, "public and admin; mtls took a free port: {told}");
    assert_eq!((std::fs::read(&anchor).expect("an anchor"), ours.issued().await), (before, size));

    let admin = other.admin.to_string();
    let told = program.run(&["doctor", "-c", &config, "--admin", &admin, "-o", "json"]).await.ended(1).json();
    let words = wrong(&told, "admin socket").join(" ");
    assert!(words.contains("held by another carnet") && words.contains("test.example/carnet"), "{words}");
    let server = told["checks"].as_array().expect("checks").iter().find(|one| one["check"] == "server").expect("a server");
    assert!(server["detail"].as_str().expect("a detail").starts_with("none of this journal"), "{server}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let arguments = ["doctor", "-c", &config, "--public", &address, "-o", "json"];
    let told = program.run(&arguments).await.ended(1).json();
    assert!(wrong(&told, "public socket").join(" ").contains("another program"), "{told}");
}

/// E-6: what should not stay as it is is told by both, and stops neither.
#[tokio::test]
async fn e_6_warnings_are_told_by_doctor_and_logged_by_serve() {
    let program = Program::alone();
    configuration(&program);
    program.run(&["key", "init", "kek"]).await.ended(0);
    let secret = program.file("hook", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).expect("a mode");
    };
    mode(0o644);
    let file = program.home().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let hook = "[webhooks.siem]\nurl = \"https://siem.acme.example/\"\nsecret_file = \"hook\"\n";
    std::fs::write(&file, text.replace("admin = \"127.0.0.1:0\"", "admin = \"0.0.0.0:0\"") + hook).expect("written");
    let told = program.run(&["doctor", "-o", "json"]).await.json();
    let wanted = [
        ("admin socket", "listen.admin admin API and console are served in plain http"),
        ("staff roles", "staff.roles.owner no group has the role owner"),
        ("secret files", "webhooks.siem.secret_file other users of this machine may read"),
    ];
    for (check, words) in wanted {
        assert!(wrong(&told, check).iter().any(|one| one.starts_with(words)), "{check}: {told}");
    }
    let (mut child, _) = start(&program);
    signal(&child, "-TERM");
    let mut log = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut log).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "warnings stop nothing: {log}");
    for (check, words) in wanted {
        let words = words.split_once(' ').expect("a field").1;
        assert!(log.lines().any(|line| line.contains(check) && line.contains(words)), "{check}: {log}");
    }
    mode(0o600);
    let told = program.run(&["doctor", "-o", "json"]).await.json();
    assert!(wrong(&told, "secret files").is_empty(), "{told}");

    // An event of no such kind would never be sent: both refuse the file.
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text + "kinds = [\"elevation\", \"elevaton.asked\"]\n").expect("written");
    for command in ["doctor", "serve"] {
        let faults = program.run(&[command, "-o", "json"]).await.ended(2).error()["faults"].clone();
        assert_eq!(faults[0]["field"], "webhooks.siem.kinds", "{faults}");
        assert!(faults[0]["reason"].as_str().expect("a reason").contains("elevaton.asked"), "{faults}");
    }
}
