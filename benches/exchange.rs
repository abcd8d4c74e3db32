//! The whole exchange over HTTP with durable records: `carnet serve` on one core, Redis and a bounded load on the other.
//!
//! A partner's ES256 assertion with a fresh `jti` in, an ES256 `at+jwt` out, 16 and then 128 keep-alive connections, SQLite with
//! `synchronous=FULL`. CPU is that of the server's process. "Share of the limit" compares with one verify plus one sign in the same run;
//! absolute figures of a shared machine say little (docs/security/stack.md#how-speed-is-measured). Both are measured on the server's core with the other core awake:
//! the thread of the load never sleeps, because on one machine it is the server's CPU that would have to wake it.
//!
//! `cargo bench --bench exchange -- seconds=10` sets the length of a phase; `hold` keeps the server under load for a profiler.
//! `rate=1000` measures that many exchanges a second, and nothing else.
//! `compare` with `CARNET_BENCH_PROGRAM` set to another build's program measures the two in turns, a second each, and prints their ratio.
//! npm `oidc-provider` is measured in the same run; `peer` measures it alone.
//! Introspection, verdicts, key sets and OCSP, new mTLS connections, approvals of elevations, and ABUSE K-22 and K-23, are measured at the
//! end; `paths`, `certificates` and `elevations` measure the first three alone. Nothing is asserted about speed.

mod bench;
#[path = "exchange/certificates.rs"]
mod certificates;
#[path = "exchange/compare.rs"]
mod compare;
#[path = "exchange/elevation.rs"]
mod elevation;
#[path = "exchange/load.rs"]
mod load;
#[path = "exchange/partners.rs"]
mod partners;
#[path = "exchange/paths.rs"]
mod paths;
#[path = "exchange/peer.rs"]
mod peer;
#[path = "../tests/broker/interop/process.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod process;
#[path = "exchange/server.rs"]
mod server;
#[path = "../tests/broker/certificates/tool.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod tool;
#[path = "../tests/broker/world/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod world;

use std::time::Duration;

use bench::{clock, floor};
use load::{Load, Outcome};
use server::Server;
use world::{Options, World, records};

/// Connections of the load, as in comparisons with other brokers.
const CONNECTIONS: usize = 16;

/// Connections of a load at which the journal's batches, and so the cost of one `fdatasync`, are shared by many.
const MANY_CONNECTIONS: usize = 128;

/// From here on a server is as it will be.
const WARM: Duration = Duration::from_secs(8);

/// The share of the highest rate at which response times are taken.
const CALM: f64 = 0.7;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    if std::env::args().any(|argument| argument == server::FLOOR) {
        return println!("{}", floor::microseconds());
    }
    if std::env::args().any(|argument| argument == paths::TWO_VERIFIES) {
        return println!("{}", paths::two_verifies());
    }
    // Before a thread is started: they inherit it, and so does Redis.
    server::pin_self();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

fn argument(name: &str) -> Option<u64> {
    std::env::args().find_map(|argument| argument.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

async fn run() {
    let phase = Duration::from_secs(argument("seconds").unwrap_or(10));
    if std::env::args().any(|argument| argument == "certificates") {
        return certificates::new_connections(phase).await;
    }
    if std::env::args().any(|argument| argument == "peer") {
        return peer::measure(phase).await;
    }
    if std::env::args().any(|argument| argument == "paths") {
        return paths::measure().await;
    }
    if std::env::args().any(|argument| argument == "elevations") {
        return elevation::approvals().await;
    }
    if std::env::args().any(|argument| argument == "compare") {
        return compare::two_programs().await;
    }
    let world = onboarded().await;
    let server = Server::start(&world).await;
    let idle = clock::status_kilobytes(server.pid(), "VmRSS");
    let first = server.first_token(&world).await;
    println!("start to ready {:.0} ms, to the first token {first:.0} ms", server.ready_after());

    // Thrown away: caches, prepared statements, the journal's pages, and as many spent proofs as it keeps in memory.
    measure(&world, &server, Load::full(WARM), CONNECTIONS).await;
    if std::env::args().any(|argument| argument == "hold") {
        println!("the server is process {}", server.pid());
    }
    if let Some(rate) = argument("rate") {
        let at_rate = measure(&world, &server, Load::paced(phase, rate as f64), CONNECTIONS).await;
        return table(&[("paced", CONNECTIONS, &at_rate)]);
    }
    let few = measure(&world, &server, Load::full(phase), CONNECTIONS).await;
    let calm = measure(&world, &server, Load::paced(phase, few.per_second() * CALM), CONNECTIONS).await;
    let many = measure(&world, &server, Load::full(phase), MANY_CONNECTIONS).await;
    table(&[("full load", CONNECTIONS, &few), ("at 70 %", CONNECTIONS, &calm), ("full load", MANY_CONNECTIONS, &many)]);
    println!(
        "RSS idle {:.1} MB, peak {:.1} MB",
        idle as f64 / 1e3,
        clock::status_kilobytes(server.pid(), "VmHWM") as f64 / 1e3
    );
    drop(server);
    peer::measure(phase).await;
    paths::measure().await;
    certificates::new_connections(phase).await;
    elevation::approvals().await;
    partners::stampede().await;
    partners::hanging_issuer().await;
}

/// Prints a column for each phase: its name, its connections and what was measured.
fn table(phases: &[(&str, usize, &Measured)]) {
    let line = |name: &str, of: &dyn Fn(&Measured) -> String| {
        let figures: Vec<String> = phases.iter().map(|(_, _, measured)| format!("{:>12}", of(measured))).collect();
        println!("{name:<34} {}", figures.join(" "));
    };
    let heads: Vec<String> = phases.iter().map(|(name, ..)| format!("{name:>12}")).collect();
    let connections: Vec<String> = phases.iter().map(|(_, connections, _)| format!("{connections:>12}")).collect();
    println!("\n{:<34} {}\n{:<34} {}", "", heads.join(" "), "connections", connections.join(" "));
    line("exchanges per second", &|it| format!("{:.0}", it.per_second()));
    line("server CPU, us per exchange", &|it| format!("{:.1}", it.cpu()));
    line("  of these in the kernel", &|it| format!("{:.1}", it.kernel / it.count()));
    line("exchanges per second and core", &|it| format!("{:.0}", 1e6 / it.cpu()));
    line("one verify + one sign, us", &|it| format!("{:.1}", it.floor));
    line("share of the limit", &|it| format!("{:.2}", it.floor / it.cpu()));
    line("Redis CPU, us per exchange", &|it| format!("{:.1}", it.redis / it.count()));
    line("tokens per commit", &|it| format!("{:.1}", it.count() / it.commits));
    line("p50, ms", &|it| format!("{:.2}", it.outcome.quantile(0.5)));
    line("p99, ms", &|it| format!("{:.2}", it.outcome.quantile(0.99)));
    line("not answered with a token", &|it| it.outcome.failed.to_string());
}

/// A broker's folder, Redis and busy integration, ready for a server.
async fn onboarded() -> World {
    let mut world = World::with(Options { redis: true, records: None, ..Options::default() }).await;
    world.onboard(&records::busy(&world.partner.issuer)).await;
    world.stop().await;
    world.clock.synchronise();
    world
}

/// One phase of load with the server's costs.
struct Measured {
    outcome: Outcome,
    user: f64,
    kernel: f64,
    redis: f64,
    commits: f64,
    floor: f64,
}

impl Measured {
    fn count(&self) -> f64 {
        self.outcome.times.len() as f64
    }

    fn per_second(&self) -> f64 {
        self.count() / self.outcome.took.as_secs_f64()
    }

    fn cpu(&self) -> f64 {
        (self.user + self.kernel) / self.count()
    }
}

async fn measure(world: &World, server: &Server, load: Load, connections: usize) -> Measured {
    world.clock.synchronise();
    let requests = load.requests(world);
    let redis = world.redis.as_ref().map_or(0, |redis| redis.child.id());
    let floor_before = server::floor();
    let commits = server.commits(world).await;
    let (user, kernel) = clock::user_and_system(server.pid());
    let (redis_user, redis_kernel) = clock::user_and_system(redis);
    let outcome = load.run(world.public, requests, connections).await;
    let (user_after, kernel_after) = clock::user_and_system(server.pid());
    let (redis_user_after, redis_kernel_after) = clock::user_and_system(redis);
    let commits = server.commits(world).await - commits;
    Measured {
        outcome,
        user: user_after - user,
        kernel: kernel_after - kernel,
        redis: redis_user_after - redis_user + redis_kernel_after - redis_kernel,
        commits,
        floor: (floor_before + server::floor()) / 2.0,
    }
}
