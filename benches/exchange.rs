//! The whole exchange over HTTP with durable records: the real program on one core, its load on the other (PEERS.md's setting).
//!
//! Prints exchanges per second and core, CPU time per exchange of the program and of Redis, the ratio to "one verify plus one sign"
//! of the same run, latency at full load and at 70 % of it, memory, and the time from start to ready. Nothing is asserted about speed.
//! `CARNET_BENCH_SECONDS` (default 8) bounds each phase; `CARNET_BENCH_HOLD` keeps the program under full load for a profiler.

#[path = "house/mod.rs"]
mod house;

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use house::{Issuers, Process, cpu_of, crypto_floor, memory_of, quantile};

/// Keep-alive connections of the load.
const CONNECTIONS: usize = 16;

fn main() {
    let seconds = std::env::var("CARNET_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    // The load and all else of this process on one core, the program on the other.
    pin(std::process::id(), "1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(run(Duration::from_secs(seconds)));
}

fn pin(pid: u32, core: &str) {
    let pinned = Command::new("taskset").args(["-acp", core, &pid.to_string()]).stdout(Stdio::null()).status();
    if !pinned.is_ok_and(|status| status.success()) {
        eprintln!("taskset is missing or there is one core: the figures are not those of one core");
    }
}

async fn run(phase: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let issuers = Issuers::start().await;
    let (redis, url) = house::redis(folder.path()).await;
    pin(redis.0.id(), "1");
    let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (public, admin) = (loopback(house::free_port()), loopback(house::free_port()));
    house::configure(folder.path(), (public, admin), &issuers, Some(&url));
    let started = Instant::now();
    let program = Process(
        Command::new("taskset")
            .args(["-c", "0", env!("CARGO_BIN_EXE_carnet"), "serve", "-c"])
            .arg(folder.path().join("carnet.toml"))
            .env("CARNET_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts"),
    );
    // taskset replaces itself by the program.
    let pid = program.0.id();
    while !ready(public).await {
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert!(started.elapsed() < Duration::from_secs(20), "the program is ready");
    }
    let start = started.elapsed();
    house::onboard(&format!("http://{admin}"), &issuers).await;
    let idle = memory_of(pid, "VmRSS");
    let floor = crypto_floor();
    println!("start to ready              {:>9.0} ms", start.as_secs_f64() * 1e3);
    println!("one verify plus one sign    {floor:>9.1} µs CPU (ES256, aws-lc-rs, this run)");
    // Warm: keys fetched, connections to stores open, allocator grown.
    load(public, &issuers, Duration::from_millis(500), None).await;
    let (cpu, of_redis) = (cpu_of(pid), cpu_of(redis.0.id()));
    let full = load(public, &issuers, phase, None).await;
    let (cpu, of_redis) = (cpu_of(pid) - cpu, cpu_of(redis.0.id()) - of_redis);
    let count = full.samples.len() as f64;
    let each = cpu.as_secs_f64() * 1e6 / count;
    let rate = count / full.took.as_secs_f64();
    println!(
        "exchanges                   {count:>9.0} in {:.1} s, {CONNECTIONS} connections, {} refused",
        full.took.as_secs_f64(),
        full.refused
    );
    println!("per second on one core      {rate:>9.0}");
    println!("CPU per exchange            {each:>9.1} µs (Redis besides: {:.1} µs)", of_redis.as_secs_f64() * 1e6 / count);
    println!("share of the crypto floor   {:>9.2} by CPU time, {:.2} by wall clock", floor / each, floor * rate / 1e6);
    println!("p50 / p99 at full load      {:>9.2} / {:.2} ms", quantile(&full.samples, 0.5), quantile(&full.samples, 0.99));
    let paced = load(public, &issuers, phase, Some(rate * 0.7)).await;
    println!(
        "p50 / p99 at 70 % load      {:>9.2} / {:.2} ms ({} exchanges, {} refused)",
        quantile(&paced.samples, 0.5),
        quantile(&paced.samples, 0.99),
        paced.samples.len(),
        paced.refused
    );
    println!("RSS idle / peak             {:>9.1} / {:.1} MB", idle as f64 / 1024.0, memory_of(pid, "VmHWM") as f64 / 1024.0);
    drop(program);
}

async fn ready(public: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(public).await else { return false };
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {public}\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_end(&mut answer).await.is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

/// What a phase saw.
struct Seen {
    samples: Vec<Duration>,
    refused: usize,
    took: Duration,
}

/// Loads for `phase`: each connection as fast as it is answered, or all together at `rate` a second. Assertions are signed beforehand.
async fn load(public: SocketAddr, issuers: &Issuers, phase: Duration, rate: Option<f64>) -> Seen {
    static RUN: AtomicUsize = AtomicUsize::new(0);
    let run = RUN.fetch_add(1, Ordering::Relaxed);
    let audience = format!("http://{public}/production");
    let now = house::now();
    // More than any rate that can be reached.
    let wanted = rate.unwrap_or(16_000.0) * phase.as_secs_f64();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let wanted = wanted as usize + CONNECTIONS;
    let requests: Vec<Vec<u8>> = (0..wanted)
        .map(|n| {
            let assertion = issuers.assertion(&audience, &format!("r{run}-{n}"), now);
            let body = format!(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token={assertion}\
                 &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&audience=orders-api&scope=orders%3Aread"
            );
            let head = format!(
                "POST /production/token HTTP/1.1\r\nhost: {public}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            [head.into_bytes(), body.into_bytes()].concat()
        })
        .collect();
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(connection(public, Arc::clone(&requests), Arc::clone(&next), (started, phase, rate))))
        .collect();
    let mut seen = Seen { samples: Vec::new(), refused: 0, took: Duration::ZERO };
    for worker in workers {
        let (samples, refused) = worker.await.expect("no panic");
        seen.samples.extend(samples);
        seen.refused += refused;
    }
    seen.took = started.elapsed();
    seen.samples.sort_unstable();
    seen
}

async fn connection(
    public: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    (started, phase, rate): (Instant, Duration, Option<f64>),
) -> (Vec<Duration>, usize) {
    let mut stream = TcpStream::connect(public).await.expect("connects");
    stream.set_nodelay(true).expect("a socket");
    let (mut samples, mut refused) = (Vec::new(), 0);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number) else { break };
        // At a pace, latency counts from when the request was due: a slow answer delays nobody's clock but its own.
        let due = match rate {
            Some(rate) => started + Duration::from_secs_f64(number as f64 / rate),
            None => Instant::now(),
        };
        if due.duration_since(started) >= phase {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        stream.write_all(request).await.expect("written");
        if answer(&mut stream, &mut buffer).await { samples.push(due.elapsed()) } else { refused += 1 }
    }
    (samples, refused)
}

/// Reads one answer; whether it is a token.
async fn answer(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await.expect("read");
        assert!(read > 0, "the program closed a connection");
        filled += read;
        let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok()).unwrap_or(0);
        if filled >= end + 4 + length {
            return head.starts_with("http/1.1 200");
        }
    }
}
