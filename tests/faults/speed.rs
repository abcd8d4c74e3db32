//! What an exchange costs on one node and on three: CPU of brokers, PostgreSQL and Redis together (`make bench-nodes`).
//!
//! Proofs are signed before, and connections stay open. What the clients and the proxies between nodes and stores cost is in the way on a
//! machine of few cores, and is not counted. A figure is that of one run; a ratio of two stages of one run says more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::records::NEVER_BARRED;
use super::stage::{Index, Shape, Stage, Store, variable};

/// Exchanges that are measured, and those before them.
const EXCHANGES: usize = 6000;
const WARM: usize = 600;

/// The programs whose CPU counts, as the kernel names their processes.
const PROGRAMS: [&str; 3] = ["carnet", "postgres", "redis-server"];

/// What a run took.
struct Run {
    took: Duration,
    cpu: BTreeMap<&'static str, Duration>,
    /// Commits of all nodes, and the time that they took.
    commits: (f64, f64),
}

impl Run {
    /// Microseconds of CPU for an exchange.
    fn each(&self) -> f64 {
        self.cpu.values().sum::<Duration>().as_secs_f64() * 1e6 / EXCHANGES as f64
    }
}

/// Prints the table. It asserts nothing but that every exchange has a token.
pub async fn compare() {
    let program = variable("PROGRAM").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_carnet")), PathBuf::from);
    let shape = |nodes, store| Shape { store, index: Index::Single, program: program.clone(), ..Shape::of_nodes(nodes) };
    println!(
        "CPU of an exchange in microseconds, {EXCHANGES} exchanges; `commit` is the time of one, from the lock to the answer"
    );
    println!(
        "{:<28}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>11}",
        "", "in flight", "broker", "postgres", "redis", "all", "a second", "batch", "commit, us"
    );
    let mut told = Vec::new();
    for (name, nodes, store, flights) in [
        ("one node, SQLite", 1, Store::Sqlite, [16, 256]),
        ("one node, PostgreSQL", 1, Store::Postgres, [16, 256]),
        ("three nodes, PostgreSQL", 3, Store::Postgres, [16, 256]),
    ] {
        let stage = Stage::start(shape(nodes, store)).await;
        run(&stage, WARM, 16).await;
        for flight in flights {
            let run = run(&stage, EXCHANGES, flight).await;
            let us = |program| run.cpu.get(program).map_or(0.0, |cpu| cpu.as_secs_f64() * 1e6 / EXCHANGES as f64);
            let (batch, commit) = (EXCHANGES as f64 / run.commits.0, run.commits.1 * 1e6 / run.commits.0);
            println!(
                "{name:<28}{flight:>9}{:>9.0}{:>9.0}{:>9.0}{:>9.0}{:>9.0}{batch:>9.1}{commit:>11.0}",
                us(PROGRAMS[0]),
                us(PROGRAMS[1]),
                us(PROGRAMS[2]),
                run.each(),
                EXCHANGES as f64 / run.took.as_secs_f64(),
            );
            told.push((run.each(), batch, commit));
        }
    }
    println!("one node on PostgreSQL by one on SQLite, at 256: {:.2} of its speed (goal 0.75)", told[1].0 / told[3].0);
    println!("three nodes by one, at 256: {:.2} of its cost (goal 1.2)", told[5].0 / told[3].0);
    let ((_, b, t), (_, many, longer)) = (told[2], told[3]);
    let row = (longer - t) / (many - b);
    println!(
        "one node on PostgreSQL: a commit of {b:.1} rows takes {t:.0} us and one of {many:.1} takes {longer:.0}: {row:.1} us for a row, {:.0} for \
         a batch; with batches of {many:.0} the head lets through {:.0} a second",
        t - b * row,
        many * 1e6 / longer
    );
}

/// Exchanges that many proofs, so many at a time, at all nodes in turn.
async fn run(stage: &Stage, number: usize, flight: usize) -> Run {
    let proofs: Arc<Vec<String>> = Arc::new((0..number).map(|_| stage.reach.form(NEVER_BARRED)).collect());
    let (next, host) = (Arc::new(AtomicUsize::new(0)), stage.reach.host().to_owned());
    let (before, commits, begun) = (cpu(), commits(stage).await, Instant::now());
    let clients = (0..flight).map(|client| {
        let to = stage.nodes[client % stage.nodes.len()].public;
        tokio::spawn(exchange(to, host.clone(), Arc::clone(&proofs), Arc::clone(&next)))
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("every exchange has a token");
    }
    let (took, after, later) = (begun.elapsed(), cpu(), self::commits(stage).await);
    let spent =
        after.into_iter().map(|(name, total)| (name, total.saturating_sub(before.get(name).copied().unwrap_or_default())));
    Run { took, cpu: spent.collect(), commits: (later.0 - commits.0, later.1 - commits.1) }
}

/// One client: a connection that stays open.
async fn exchange(to: SocketAddr, host: String, forms: Arc<Vec<String>>, next: Arc<AtomicUsize>) {
    let mut stream = TcpStream::connect(to).await.expect("connects");
    stream.set_nodelay(true).expect("a socket");
    let mut read = Vec::new();
    while let Some(form) = forms.get(next.fetch_add(1, Ordering::Relaxed)) {
        let request = format!(
            "POST /production/token HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        stream.write_all(request.as_bytes()).await.expect("sends");
        read.clear();
        let whole = loop {
            assert!(stream.read_buf(&mut read).await.expect("answers") > 0, "the connection ended");
            if let Some(whole) = whole(&read) {
                break whole;
            }
        };
        assert!(whole.starts_with("HTTP/1.1 200"), "{whole}");
    }
}

/// An answer with a length, once all of it is there.
pub fn whole(read: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(read).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length =
        head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    (body.len() >= length.1.trim().parse().ok()?).then_some(text)
}

/// The commits of all nodes, and their time in seconds.
async fn commits(stage: &Stage) -> (f64, f64) {
    let mut sum = (0.0, 0.0);
    for node in &stage.nodes {
        let text = super::wire::text(node.admin, "/metrics").await;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            line.unwrap_or_else(|| panic!("no {name}: {text}"))
        };
        sum = (sum.0 + value("carnet_journal_commits_total "), sum.1 + value("carnet_journal_commit_seconds_total "));
    }
    sum
}

/// The CPU that the processes of each program have used, those of this stage alone: children of this process and theirs.
fn cpu() -> BTreeMap<&'static str, Duration> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(open), Some(close)) = (text.find('('), text.rfind(')')) else { continue };
        let fields: Vec<u64> = text[close + 2..].split(' ').skip(1).filter_map(|field| field.trim().parse().ok()).collect();
        let (Ok(id), Some(parent)) = (text[..open].trim().parse::<u64>(), fields.first().copied()) else { continue };
        // Fields 14 to 17 of proc(5): own user and system time, and those of children that were waited for.
        let ticks: u64 = fields.get(10..14).map_or(0, |times| times.iter().sum());
        all.insert(id, (text[open + 1..close].to_owned(), parent, ticks));
    }
    let own = u64::from(std::process::id());
    let is_ours = |mut id: u64| loop {
        match all.get(&id) {
            Some((_, parent, _)) if *parent == own => return true,
            Some((_, parent, _)) => id = *parent,
            None => return false,
        }
    };
    let mut spent = BTreeMap::new();
    for (id, (name, _, ticks)) in &all {
        if let Some(program) = PROGRAMS.iter().find(|program| name == *program).filter(|_| is_ours(*id)) {
            *spent.entry(*program).or_default() += Duration::from_millis(ticks * 10);
        }
    }
    spent
}
