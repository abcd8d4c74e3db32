//! What the number of partners costs: exchanges, refusals, changes, pages, start and memory with few and with many integrations.
//!
//! `make bench-scale`, or `cargo bench --bench scale -- integrations=1,10000 revocations=0 issued=0`. An installation is written
//! through the broker's own journal: integrations over many partners on three issuers, each recognised by its repository, `of_one` more of
//! one partner, which is suspended in one environment at the end, then `revocations` living ones of single tokens. `carnet serve` then runs over it on a core of its own, as in the bench `exchange`;
//! `issued` tokens are exchanged before anything is measured. CPU time is the server's, for one request; wall time is the caller's.
//! Compare columns of one run; absolute figures of a shared machine say little. Nothing is asserted about speed.

mod bench;
#[path = "scale/installation.rs"]
mod installation;
#[path = "exchange/load.rs"]
#[expect(dead_code, reason = "the bench of exchanges uses more of it")]
mod load;
#[path = "change/registry.rs"]
#[expect(dead_code, reason = "the bench of changes uses more of it")]
mod registry;
#[path = "exchange/server.rs"]
#[expect(dead_code, reason = "the bench of exchanges uses more of it")]
mod server;
#[path = "../tests/broker/world/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod world;

use std::process::Command;
use std::time::{Duration, Instant};

use bench::clock;
use bench::floor::{self, median};
use carnet::domain::record::Record;
use installation::Installation;
use load::Load;
use serde_json::{Value, json};
use server::Server;
use world::{World, days};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests of a measurement, after a tenth of them that is thrown away.
const REQUESTS: usize = 10_000;

/// Connections of the load.
const CONNECTIONS: usize = 16;

/// Integrations that the load uses, spread over all.
const USED: usize = 1_000;

/// Tokens that are introspected, how often in all, and at what rate.
const INTROSPECTED: usize = 100;
const INTROSPECTIONS: usize = 2_000;
const INTROSPECTIONS_PER_SECOND: f64 = 200.0;

/// Changes of each kind, of which the median counts.
const CHANGES: usize = 9;

/// The requests that are made ready at a time where many tokens are issued first.
const PORTION: usize = 50_000;

/// How long those who follow the journal get after a suspension.
const FOLLOWED: Duration = Duration::from_millis(300);

/// The most that one load may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The looks at a server that has just started, the time between two, and the CPU milliseconds between them that count as nothing.
const MOST_LOOKS: usize = 120;
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);
const LITTLE: f64 = 20.0;

/// One column of the table: a name and a figure for each row, in the order of the rows.
type Column = Vec<(&'static str, f64)>;

fn main() {
    if std::env::args().any(|argument| argument == server::FLOOR) {
        return println!("{}", floor::microseconds());
    }
    server::pin_self();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

fn numbers(name: &str, otherwise: &[usize]) -> Vec<usize> {
    let told = std::env::args().find_map(|argument| Some(argument.strip_prefix(name)?.strip_prefix('=')?.to_owned()));
    told.map_or_else(|| otherwise.to_vec(), |text| text.split(',').map(|one| one.parse().expect("a number")).collect())
}

async fn run() {
    let issued = numbers("issued", &[0])[0];
    let mut columns = Vec::new();
    for revocations in numbers("revocations", &[0]) {
        for integrations in numbers("integrations", &[1, 1_000, 10_000]) {
            for of_one in numbers("of_one", &[0]) {
                let column = measured((integrations, of_one), revocations, issued).await;
                columns.push((integrations, revocations, of_one, column));
            }
        }
    }
    let line = |name: &str, figures: Vec<String>| {
        println!("{name:<40}{}", figures.iter().map(|figure| format!("{figure:>12}")).collect::<String>());
    };
    println!("\n{issued} tokens issued before");
    line("integrations", columns.iter().map(|(number, ..)| number.to_string()).collect());
    line("living revocations of tokens", columns.iter().map(|(_, number, ..)| number.to_string()).collect());
    line("integrations of one more partner", columns.iter().map(|(_, _, number, _)| number.to_string()).collect());
    for row in 0..columns[0].3.len() {
        line(columns[0].3[row].0, columns.iter().map(|(.., column)| format!("{:.1}", column[row].1)).collect());
    }
}

/// Makes an installation, starts the server over it, and takes every figure.
async fn measured((integrations, of_one): (usize, usize), revocations: usize, issued: usize) -> Column {
    let begun = Instant::now();
    let mut installation = Installation::with(integrations, revocations, of_one).await;
    installation.world.stop().await;
    installation.world.clock.synchronise();
    eprintln!(
        "{integrations} integrations and {revocations} revocations on record after {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    let server = Server::start(&installation.world).await;
    let bench = Bench { installation, server };
    let mut column = vec![
        ("start to ready, ms", bench.server.ready_after()),
        ("RSS when ready, MB", clock::status_kilobytes(bench.server.pid(), "VmRSS") as f64 / 1e3),
    ];
    column.push(("CPU after that, until it is quiet, ms", quiet(&bench.server).await));
    let mut left = issued;
    while left > 0 {
        let portion = left.min(PORTION);
        bench.load(bench.exchanges(portion)).await;
        left -= portion;
    }
    bench.load(bench.exchanges(REQUESTS / 10)).await;
    column.push(("exchange, CPU us", bench.load(bench.exchanges(REQUESTS)).await));
    for (name, refusal) in REFUSALS {
        bench.load(bench.refused(refusal, REQUESTS / 10)).await;
        column.push((name, bench.load(bench.refused(refusal, REQUESTS / 2)).await));
    }
    column.push(("introspection at 200 a second, p99 ms", bench.introspections().await));
    column.extend(bench.pages().await);
    column.extend(bench.changes().await);
    column.extend(bench.crowd().await);
    column.push(("one verify + one sign, us", server::floor()));
    column.push(("RSS at the end, MB", clock::status_kilobytes(bench.server.pid(), "VmRSS") as f64 / 1e3));
    let Bench { installation, server } = bench;
    drop(server);
    installation.world.clock.synchronise();
    let again = Server::start(&installation.world).await;
    column.push(("start again, with what was issued, ms", again.ready_after()));
    drop(again);
    column.push(("carnet journal verify, s", verified(&installation.world)));
    column
}

/// Waits until the server does nothing by itself any more: it counts what the log has since its last start. Returns what that took.
///
/// Otherwise that work would be counted as part of the first requests.
async fn quiet(server: &Server) -> f64 {
    let used = || {
        let (user, kernel) = clock::user_and_system(server.pid());
        (user + kernel) / 1e3
    };
    let (begun, mut before) = (used(), used());
    for _ in 0..MOST_LOOKS {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = used();
        if now - before < LITTLE {
            return before - begun;
        }
        before = now;
    }
    panic!("the server is still at work after two minutes");
}

/// Seconds that a proof of the whole journal takes.
fn verified(world: &World) -> f64 {
    let begun = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_carnet"));
    let ended = command.args(["journal", "verify", "-c"]).arg(world.folder.path().join("carnet.toml")).output();
    assert!(ended.is_ok_and(|ended| ended.status.success()), "the journal is whole");
    begun.elapsed().as_secs_f64()
}

/// A way in which an exchange is refused.
#[derive(Clone, Copy)]
enum Refusal {
    BadSignature,
    UnknownIssuer,
    KnownCaller,
    Stranger,
}

const REFUSALS: [(&str, Refusal); 4] = [
    ("refused: bad signature, CPU us", Refusal::BadSignature),
    ("refused: unknown issuer, CPU us", Refusal::UnknownIssuer),
    ("refused: known caller, CPU us", Refusal::KnownCaller),
    ("refused: stranger, CPU us", Refusal::Stranger),
];

/// The lists whose first pages are taken.
const PAGES: [(&str, &str); 11] = [
    ("list of 50 integrations, ms", "/v1/integrations?limit=50"),
    ("list of 50 partners, ms", "/v1/partners?limit=50"),
    ("list of 50 approvals, ms", "/v1/approvals?limit=50"),
    ("list of 50 revocations, ms", "/v1/revocations?limit=50"),
    ("50 entries of the journal, ms", "/v1/journal?limit=50"),
    ("50 entries of one kind, ms", "/v1/journal?kind=partner.verified&limit=50"),
    ("50 newest entries of a partner, ms", "/v1/journal?partner=p0&order=newest&limit=50"),
    ("entries of a partner without any, ms", "/v1/journal?partner=nobody&order=newest&limit=50"),
    ("activity of a partner, a day, ms", "/v1/partners/p0/activity?since=24h&limit=50"),
    ("list of 50 ways in, ms", "/v1/inventory?limit=50"),
    ("ways in that end within 60 days, ms", "/v1/inventory?endsWithin=60d&limit=50"),
];

struct Bench {
    installation: Installation,
    server: Server,
}

impl Bench {
    /// Good exchanges of many integrations.
    fn exchanges(&self, number: usize) -> Vec<Vec<u8>> {
        let step = self.installation.number.div_ceil(USED).max(1);
        let used = (0..self.installation.number).step_by(step).cycle();
        used.take(number).map(|at| self.request(at, &self.installation.claims(at))).collect()
    }

    fn refused(&self, refusal: Refusal, number: usize) -> Vec<Vec<u8>> {
        (0..number).map(|nth| self.refused_request(refusal, nth % self.installation.number)).collect()
    }

    fn refused_request(&self, refusal: Refusal, at: usize) -> Vec<u8> {
        let mut claims = self.installation.claims(at);
        match refusal {
            Refusal::BadSignature => {
                // Another issuer's key.
                let assertion = self.installation.sign(at + 1, &claims);
                return load::request(&self.installation.world, &assertion);
            }
            Refusal::UnknownIssuer => claims["iss"] = json!("https://nobody.example"),
            Refusal::KnownCaller => claims["ref"] = json!("refs/heads/other"),
            Refusal::Stranger => {
                claims["repository_id"] = json!("7");
                claims["repository_owner_id"] = json!("7");
            }
        }
        self.request(at, &claims)
    }

    fn request(&self, at: usize, claims: &Value) -> Vec<u8> {
        load::request(&self.installation.world, &self.installation.sign(at, claims))
    }

    /// Sends all of them; the server's CPU time for one, in microseconds.
    async fn load(&self, requests: Vec<Vec<u8>>) -> f64 {
        let number = requests.len() as f64;
        let (user, kernel) = clock::user_and_system(self.server.pid());
        Load::full(PATIENCE).run(self.installation.world.public, requests, CONNECTIONS).await;
        // A long load leaves the clock of the proofs behind the server's.
        self.installation.world.clock.synchronise();
        let (user_after, kernel_after) = clock::user_and_system(self.server.pid());
        (user_after - user + kernel_after - kernel) / number
    }

    async fn pages(&self) -> Column {
        let mut column = Vec::new();
        let past = format!("/v1/journal/at?time={}&partner=p0", self.installation.world.clock.seconds() - 1);
        let suggested = format!("/v1/integrations/{}/suggestion", self.installation.integration(0).id);
        let more = [("who could do what, of a partner, ms", past.as_str()), ("a narrower record, ms", suggested.as_str())];
        for (name, path) in PAGES.into_iter().chain(more) {
            let mut times = Vec::new();
            for _ in 0..CHANGES {
                let begun = Instant::now();
                self.installation.world.admin_get(path, "alan").await;
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            column.push((name, median(times)));
        }
        // It reads the whole log: once.
        for (name, path) in [("evidence of now, ms", "/v1/evidence"), ("evidence since 1970, ms", "/v1/evidence?from=0")] {
            let begun = Instant::now();
            self.installation.world.admin_get(path, "alan").await;
            column.push((name, begun.elapsed().as_secs_f64() * 1e3));
        }
        column
    }

    /// One change of each kind by the admin API: the time until it is answered.
    async fn changes(&self) -> Column {
        let mut rows: Vec<(&'static str, Vec<f64>)> =
            ["submit, ms", "two reviews, ms", "suspend, ms", "revoke an integration, ms", "revoke a token, ms"]
                .map(|name| (name, Vec::new()))
                .into();
        let world = &self.installation.world;
        for round in 0..CHANGES {
            let draft = registry::drafts(&world.partner.issuer, round).remove(0);
            let applied = carnet::domain::record::document(&Record::Integration(draft.clone())).to_string();
            let answer = world.admin_send("POST", "/v1/records/apply", "ann", Some(("application/yaml", applied))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let path = format!("/v1/integrations/{}", draft.id);
            let submitted = self.timed(&mut rows[0].1, "ann", &format!("{path}/submit"), &json!({"reason": "ready"})).await;
            let approval = submitted["approval"]["id"].as_str().or(submitted["approval"].as_str()).expect("an id").to_owned();
            let shown = world.admin_get(&format!("/v1/approvals/{approval}"), "sven").await;
            let review = json!({"verdict": "approve", "reason": "looked at", "version": shown["version"]});
            let begun = Instant::now();
            for person in ["olga", "sven"] {
                let answer = world.admin_post(&format!("/v1/approvals/{approval}/reviews"), person, &review).await;
                assert!(answer.status < 300, "{}", answer.text());
            }
            rows[1].1.push(begun.elapsed().as_secs_f64() * 1e3);
            self.timed(&mut rows[2].1, "sven", &format!("{path}/suspend"), &json!({"reason": "odd"})).await;
            let cut = json!({"integration": draft.id, "tokensOnly": true, "reason": "odd"});
            self.timed(&mut rows[3].1, "sven", "/v1/revocations", &cut).await;
            let token = self.token().await;
            self.timed(&mut rows[4].1, "sven", "/v1/revocations", &json!({"token": token, "reason": "odd"})).await;
        }
        rows.into_iter().map(|(name, times)| (name, median(times))).collect()
    }

    /// The partner with many integrations is suspended in one environment, and another one's exchange after it.
    async fn crowd(&self) -> Column {
        let (mut times, mut costs) = (Vec::new(), Vec::new());
        let path = format!("/v1/partners/p{}/suspend", registry::CROWDED);
        for _ in 0..CHANGES {
            let before = clock::user_and_system(self.server.pid());
            let wanted = json!({"reason": "odd", "environments": ["production"]});
            self.timed(&mut times, "sven", &path, &wanted).await;
            tokio::time::sleep(FOLLOWED).await;
            let after = clock::user_and_system(self.server.pid());
            costs.push((after.0 - before.0 + after.1 - before.1) / 1e3);
        }
        self.load(self.exchanges(REQUESTS / 10)).await;
        let exchange = self.load(self.exchanges(REQUESTS)).await;
        vec![
            ("suspend that partner in production, ms", median(times)),
            ("the same, CPU ms", median(costs)),
            ("exchange of another after it, CPU us", exchange),
        ]
    }

    /// The `jti` of a fresh token.
    async fn token(&self) -> String {
        let assertion = self.installation.sign(0, &self.installation.claims(0));
        let answer = self.installation.world.exchange("production", &assertion, "orders:read").await;
        world::jti(answer.json()["access_token"].as_str().expect("a token"))
    }

    /// Introspections of living tokens by their API, with a fresh proof each, below its quota: the time that one in a hundred takes longer than.
    async fn introspections(&self) -> f64 {
        let world = &self.installation.world;
        let mut tokens = Vec::new();
        for at in 0..INTROSPECTED.min(self.installation.number) {
            let assertion = self.installation.sign(at, &self.installation.claims(at));
            let answer = world.exchange("production", &assertion, "orders:read").await;
            tokens.push(answer.json()["access_token"].as_str().expect("a token").to_owned());
        }
        let request = |token: &String| {
            let proof = world.api_proof("production");
            let kind = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
            let body = format!("token={token}&{kind}&client_assertion={proof}");
            let head = format!("POST /production/introspect HTTP/1.1\r\nhost: {}\r\n", world.public);
            let form = "content-type: application/x-www-form-urlencoded";
            format!("{head}{form}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        let requests = tokens.iter().cycle().take(INTROSPECTIONS).map(request).collect();
        let outcome = Load::paced(PATIENCE, INTROSPECTIONS_PER_SECOND).run(world.public, requests, CONNECTIONS).await;
        assert_eq!(outcome.failed, 0, "each is answered");
        outcome.quantile(0.99)
    }

    async fn timed(&self, times: &mut Vec<f64>, person: &str, path: &str, body: &Value) -> Value {
        let begun = Instant::now();
        let answer = self.installation.world.admin_post(path, person, body).await;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer.json()
    }
}
