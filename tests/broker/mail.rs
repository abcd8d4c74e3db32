//! Mail: who is told what, when, and how often; by a stock mail server (PyPI aiosmtpd), with TLS and a password, and by one that is away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use carnet::domain::log::text::TextChange;
use carnet::domain::people::actor::Actor;
use carnet::domain::value::names::IntegrationId;
use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::interop::process::{Server, python};
use crate::webhooks::until;
use crate::world::client::free_port;
use crate::world::{Options, World, get, records};

/// A word that stands in every free text of these tests.
const MARK: &str = "marker-of-free-text";

/// A mail server, and the file of what it took.
struct Post {
    port: u16,
    file: PathBuf,
    running: Option<Server>,
}

impl Post {
    fn at(port: u16, folder: &Path) -> Self {
        Self { port, file: folder.join("mails.log"), running: None }
    }

    async fn start(&mut self, wanted: &Value) {
        let mut command = python("tests/broker/interop/mail.py");
        command.arg(self.port.to_string()).arg(&self.file).arg(wanted.to_string());
        self.running = Some(Server::start(command).await);
    }

    fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    /// What it took, by recipient, in order.
    fn taken(&self) -> BTreeMap<String, Vec<String>> {
        let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for mail in self.lines() {
            let (to, text) = (mail["to"][0].as_str().expect("a recipient"), mail["mail"].as_str().expect("a mail"));
            assert_eq!((mail["to"].as_array().map(Vec::len), &mail["from"]), (Some(1), &json!("carnet@acme.example")));
            assert_plain(to, text);
            taken.entry(to.to_owned()).or_default().push(text.to_owned());
        }
        taken
    }

    fn count(&self) -> usize {
        self.lines().len()
    }

    async fn has(&self, number: usize) {
        until(&format!("{number} mails"), async || self.count() >= number).await;
        assert_eq!(self.count(), number, "{:#?}", self.subjects());
    }

    fn subjects(&self) -> Vec<(String, String)> {
        let all = self.taken().into_iter();
        all.flat_map(|(to, mails)| mails.into_iter().map(move |mail| (to.clone(), subject(&mail)))).collect()
    }
}

/// Plain text in ASCII, with no word of a person, and each header once.
fn assert_plain(to: &str, mail: &str) {
    assert!(!mail.contains(MARK), "{mail}");
    assert!(mail.is_ascii() && !mail.to_lowercase().contains("html"), "{mail}");
    let (head, _) = mail.split_once("\r\n\r\n").expect("a head and a text");
    let names: Vec<&str> = head.split("\r\n").map(|line| line.split(": ").next().expect("a name")).collect();
    let wanted = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Auto-Submitted",
    ];
    assert_eq!(names, wanted);
    assert!(head.contains(&format!("To: {to}\r\n")) && head.contains("Content-Type: text/plain; charset=us-ascii"), "{head}");
    jiff::fmt::rfc2822::parse(&header(mail, "Date")).expect("a date");
}

fn header(mail: &str, name: &str) -> String {
    let line = mail.split("\r\n").find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_else(|| panic!("no {name}: {mail}")).to_owned()
}

fn subject(mail: &str) -> String {
    header(mail, "Subject")
}

/// A world that tells people by the mail server at `port`. What was before is not told.
async fn world(port: u16, section: &str, records: Option<String>) -> World {
    let mut world = World::with(Options { records, ..Options::default() }).await;
    world.stop().await;
    configure(&world, port, section);
    world.boot().await;
    world
}

fn configure(world: &World, port: u16, section: &str) {
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let text = text.split("[mail]").next().expect("the rest").to_owned();
    let listed = format!("[outbound]\nmail = [\"127.0.0.1:{port}\"]\n");
    let text = if text.contains("\nmail = ") { text } else { text.replace("[outbound]\n", &listed) };
    let mail = format!(
        "[mail]\nserver = \"127.0.0.1:{port}\"\nfrom = \"carnet@acme.example\"\nsecurity = [\"secops@acme.example\"]\n{section}\n"
    );
    std::fs::write(&file, text + &mail).expect("written");
}

const PLAIN: &str = "tls = \"none\"";

async fn suspend(world: &World) {
    let path = "/v1/integrations/globex/order-sync/suspend";
    let answer = world.admin_post(path, "sara", &json!({"reason": MARK})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

async fn detail(world: &World) -> String {
    let told = get(world.admin, "/readyz?verbose").await.json();
    let check = told["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "mail").cloned();
    let check = check.expect("mail is configured");
    assert_eq!(check["ok"], true, "mail decides nothing");
    check["detail"].as_str().unwrap_or_default().to_owned()
}

/// Nothing comes for a while that is long for a task that looks each second.
async fn nothing_more(post: &Post, number: usize) {
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(post.count(), number, "{:#?}", post.subjects());
}

/// Records whose free texts all have the mark.
fn marked(world: &str) -> String {
    world.replace("Copies orders.", MARK).replace("Globex Corporation", MARK).replace("MSA-1", MARK)
}

/// One digest an hour to each, at once what is compromised, nothing twice after a restart, and no word of anybody.
#[tokio::test(flavor = "multi_thread")]
async fn owners_and_security_get_a_digest_an_hour_and_what_is_compromised_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut post = Post::at(free_port(), folder.path());
    post.start(&json!({})).await;
    let mut world = world(post.port, PLAIN, None).await;
    world.onboard(&marked(&records::usual(&world.partner.issuer))).await;
    // The records that waited for people were told, and decided meanwhile; from here on the hour of all three is over.
    world.advance(3601).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    world.advance(3601).await;
    let before = post.count();

    suspend(&world).await;
    post.has(before + 3).await;
    let newest = |post: &Post| post.lines().split_off(post.count() - 3);
    let mut to: Vec<Value> = newest(&post).iter().map(|mail| mail["to"][0].clone()).collect();
    to.sort_by_key(ToString::to_string);
    assert_eq!(to, ["jane@acme.example", "raj@acme.example", "secops@acme.example"]);
    for mail in newest(&post) {
        let mail = mail["mail"].as_str().expect("a mail");
        assert_eq!(subject(mail), "[carnet] globex/order-sync: suspended");
        // Nobody signs in by a browser here: there is no page to lead to.
        assert!(mail.contains("carnet integration show globex/order-sync") && !mail.contains("http"), "{mail}");
    }

    // The second one waits for the hour, through a restart; what is compromised does not.
    suspend(&world).await;
    nothing_more(&post, before + 3).await;
    world.stop().await;
    world.boot().await;
    nothing_more(&post, before + 3).await;
    let signal = json!({"subject": "globex/order-sync", "kind": "compromised", "reason": MARK, "reference": MARK});
    assert_eq!(world.admin_post("/v1/signals", "sven", &signal).await.status, 201);
    post.has(before + 6).await;
    for mail in newest(&post) {
        let mail = mail["mail"].as_str().expect("a mail");
        assert_eq!(subject(mail), "[carnet] globex/order-sync: signal compromised, access is suspended");
    }
    world.stop().await;
    world.boot().await;
    nothing_more(&post, before + 6).await;
    world.clock.advance(3500);
    nothing_more(&post, before + 6).await;
    world.advance(101).await;
    post.has(before + 9).await;
    for mail in newest(&post) {
        let mail = mail["mail"].as_str().expect("a mail");
        assert_eq!(subject(mail), "[carnet] globex/order-sync: suspended");
    }

    // What waits for a word is told until somebody decides; what asks, and why, stays inside.
    world.advance(3601).await;
    let wish = json!({"reason": MARK});
    let path = "/v1/integrations/globex/order-sync/resume";
    let asked = world.admin_post(path, "ann", &wish).await;
    assert_eq!(asked.status, 201, "{}", asked.text());
    post.has(before + 10).await;
    let told = post.taken()["secops@acme.example"].last().expect("a mail").clone();
    let id = asked.json()["id"].as_str().expect("an id").to_owned();
    assert!(subject(&told).starts_with("[carnet] globex/order-sync: an approval waits (resume), until "), "{told}");
    assert!(told.contains(&format!("carnet approvals show {id}")), "{told}");
    // Each mail has an id of its own.
    let ids: std::collections::BTreeSet<String> =
        post.taken().values().flatten().map(|mail| header(mail, "Message-ID")).collect();
    assert_eq!(ids.len(), post.count());
    let metrics = get(world.admin, "/metrics").await.text();
    assert!(metrics.contains("carnet_mail_nobody 0") && metrics.contains("carnet_mails_total{result=\"sent\"}"), "{metrics}");
    assert_eq!(detail(&world).await, "");
    // No address lies beside the configuration.
    let cursor = std::fs::read_to_string(world.folder.path().join("mail.cursor")).expect("a cursor");
    assert!(!cursor.contains('@') && cursor.contains("\"next\":"), "{cursor}");
}

/// Away, then refusing, then well: nothing is lost. Away for a week: given up, on record, and told to those who can be told.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_refuses_is_tried_again_and_given_up_after_a_week() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut post = Post::at(free_port(), folder.path());
    let world = world(post.port, PLAIN, None).await;
    suspend(&world).await;
    until("it fails", async || detail(&world).await.contains("no connection could be made")).await;
    post.start(&json!({"refuse": "451 later, marker-of-the-server"})).await;
    until("it is refused", async || detail(&world).await.contains("the server refuses with status 451")).await;
    assert!(!detail(&world).await.contains("marker-of-the-server"), "the server's words stay there");
    assert_eq!(post.count(), 0);
    let metrics = get(world.admin, "/metrics").await.text();
    assert!(metrics.contains("carnet_mail_waiting 3"), "{metrics}");
    post.running = None;
    post.start(&json!({})).await;
    post.has(3).await;
    until("it is well", async || detail(&world).await.is_empty()).await;
    post.running = None;
    world.advance(3601).await;
    suspend(&world).await;
    until("it fails again", async || detail(&world).await.contains("mail fails since")).await;
    let given_up = async || {
        let told = world.admin_get("/v1/journal?kind=mail.given-up&limit=100", "alan").await;
        told["items"].as_array().expect("items").clone()
    };
    assert!(given_up().await.is_empty());
    world.clock.advance(7 * 86_400 - 3600);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(given_up().await.is_empty(), "not yet a week");
    world.advance(2 * 3600).await;
    until("three mails are given up", async || given_up().await.len() == 3).await;
    let mut whom: Vec<Value> = given_up().await.iter().map(|entry| entry["recipient"].clone()).collect();
    whom.sort_by_key(ToString::to_string);
    let sync = "globex/order-sync";
    assert_eq!(whom, [json!("security"), json!({"application": sync}), json!({"business": sync})]);
    assert!(given_up().await.iter().all(|entry| entry["notices"] == 1 && entry["by"] == "broker"), "{:?}", given_up().await);

    // The server is back: what was given up stays so, and security learns whom nobody told.
    post.start(&json!({})).await;
    until("security is told", async || post.count() > 3).await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let later = post.lines().split_off(3);
    assert!(later.iter().all(|mail| mail["to"][0] == "secops@acme.example"), "{later:#?}");
    let text: String = later.iter().filter_map(|mail| mail["mail"].as_str()).collect();
    assert!(text.contains("mail to the business owner of globex/order-sync was given up"), "{text}");
    assert!(!text.contains("order-sync: suspended"), "{text}");
}

/// A server that takes the connection and never answers costs its time, and holds up nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_holds_up_nothing() {
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let world = world(deaf.local_addr().expect("bound").port(), PLAIN, None).await;
    suspend(&world).await;
    let begun = Instant::now();
    let path = "/v1/integrations/globex/order-sync/resume";
    assert_eq!(world.admin_post(path, "ann", &json!({"reason": MARK})).await.status, 201);
    world.approve_all().await;
    world.minted().await;
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    until("its time is over", async || detail(&world).await.contains("no complete answer within 30 seconds")).await;
}

/// An owner whose address was erased, and one who never had any: nobody is told in their place but security, who learns it.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_erased_is_nobody_to_tell() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut post = Post::at(free_port(), folder.path());
    post.start(&json!({})).await;
    let mut world = world(post.port, PLAIN, None).await;
    let journal = &world.running.as_ref().expect("running").broker.journal;
    let view = journal.view();
    let id: IntegrationId = "globex/order-sync".parse().expect("an integration");
    let record = &view.state.integrations.get(&id).expect("known").current.as_ref().expect("in force").record;
    let text = record.owners.business.clone();
    let erased = TextChange::Erased { texts: vec![text], reason: MARK.into() }.by(Actor::Operator);
    let done = journal.change(None, |_, _| Ok::<_, ()>(erased.clone().into())).await;
    assert!(done.is_ok_and(|done| done.is_ok()));
    drop(view);
    world.stop().await;
    world.boot().await;
    until("it is told", async || detail(&world).await == "nobody to tell: business owner of globex/order-sync").await;
    suspend(&world).await;
    post.has(2).await;
    let taken = post.taken();
    assert_eq!(taken.keys().collect::<Vec<_>>(), ["raj@acme.example", "secops@acme.example"]);
    assert!(taken["secops@acme.example"][0].contains("nobody to tell: business owner of globex/order-sync"), "{taken:#?}");
    until("it is measured", async || get(world.admin, "/metrics").await.text().contains("carnet_mail_nobody 1")).await;
    let config = world.folder.path().join("carnet.toml").display().to_string();
    let doctor = Program::alone().run(&["doctor", "-c", &config]).await;
    assert!(doctor.stdout.contains("nobody to tell: business owner of globex/order-sync"), "{doctor:?}");
}

/// TLS from the first byte and by STARTTLS, with a password; and no mail and no password where the server is not the one.
#[tokio::test(flavor = "multi_thread")]
async fn mail_and_password_go_by_tls_to_a_server_with_the_right_certificate_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let own = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name").self_signed(&key).expect("signed");
    let other = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let other = other.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("signed");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (cert, key) = (file("server.pem", own.pem()), file("server.key", key.serialize_pem()));
    let (wrong, password) = (file("other.pem", other.pem()), file("password", "s3cret pass\n".to_owned()));
    let section = |tls: &str, ca: &str| {
        format!("tls = \"{tls}\"\nca_file = \"{ca}\"\nusername = \"carnet\"\npassword_file = \"{password}\"")
    };
    let mut post = Post::at(free_port(), folder.path());
    let mut world = world(post.port, &section("implicit", &cert), None).await;
    let mut taken = 0;
    for tls in ["implicit", "starttls"] {
        let wanted = json!({"tls": tls, "cert": cert, "key": key, "auth": ["carnet", "s3cret pass"]});
        post.start(&wanted).await;
        // A certificate that no root of ours signed: the mail waits, and is taken once the right one is known.
        world.stop().await;
        configure(&world, post.port, &section(tls, &wrong));
        world.boot().await;
        world.advance(3601).await;
        suspend(&world).await;
        until("it fails", async || detail(&world).await.contains("no connection could be made")).await;
        assert_eq!(post.count(), taken);
        world.stop().await;
        configure(&world, post.port, &section(tls, &cert));
        world.boot().await;
        taken += 3;
        post.has(taken).await;
        let newest = post.lines().split_off(taken - 3);
        assert!(newest.iter().all(|mail| mail["tls"] == true && mail["user"] == "carnet"), "{newest:#?}");
        post.running = None;
    }
    // A server without STARTTLS, such as one that somebody stands before, gets neither mail nor password.
    post.start(&json!({"auth": ["carnet", "s3cret pass"]})).await;
    world.advance(3601).await;
    suspend(&world).await;
    until("it fails", async || detail(&world).await.contains("mail fails since")).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(post.count(), taken, "{:#?}", post.lines());
}

/// A mail server that nobody allowed, plain text beyond the loopback, and half a sign-in are configuration faults.
#[tokio::test]
async fn k_03_a_mail_server_that_nobody_allowed_is_a_fault() {
    let mut world = World::with(Options::default()).await;
    world.stop().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let end = "from = \"carnet@acme.example\"\nsecurity = [\"secops@acme.example\"]\n";
    for (section, field) in [
        (format!("server = \"127.0.0.1:25\"\ntls = \"none\"\n{end}"), "mail.server"),
        (format!("server = \"10.0.0.7:587\"\n{end}"), "mail.server"),
        (format!("server = \"mail.acme.example:25\"\ntls = \"none\"\n{end}"), "mail.tls"),
        (format!("server = \"mail.acme.example\"\n{end}"), "mail.server"),
        (format!("server = \"mail.acme.example:587\"\nusername = \"carnet\"\n{end}"), "mail.username"),
        (format!("server = \"mail.acme.example:587\"\nca_file = \"kek\"\n{end}"), "mail.ca_file"),
        (
            "server = \"mail.acme.example:587\"\nfrom = \"a@b.example\\r\\nBcc: c@d.example\"\nsecurity = [\"s@b.example\"]\n"
                .to_owned(),
            "mail.from",
        ),
        ("server = \"mail.acme.example:587\"\nfrom = \"a@b.example\"\n".to_owned(), "mail.security"),
    ] {
        std::fs::write(&file, format!("{text}[mail]\n{section}")).expect("written");
        let ran = Program::alone().run(&["serve", "-c", file.to_str().expect("a path")]).await.ended(2);
        assert!(ran.stderr.contains(field), "{section}: {ran:?}");
    }
    std::fs::write(&file, text).expect("written");
}
