//! What many clients do to a node: all of them come back at once after it was killed, and one sends twenty times what its quota lets through,
//! beside others. Part of `make bench-nodes`.
//!
//! How soon who gets a token is a figure of the machine, and is printed; nothing of it is asserted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clients::Reach;
use super::dice::Dice;
use super::records::{self, FLEET, NEVER_BARRED};
use super::speed::whole;
use super::stage::{Shape, Stage};
use super::wire::{self, Answer, Request};

/// The clients that come back.
const CLIENTS: usize = 10_000;

/// How many of them ask for their first token at the same time, which is no part of the figure.
const AT_FIRST: usize = 64;

/// The longest time that a client waits for an answer.
const ANSWERED: Duration = Duration::from_secs(10);

/// The longest time until everybody has a token.
const LONGEST: Duration = Duration::from_secs(120);

/// What the clients share.
struct Crowd {
    reach: Arc<Reach>,
    first: Semaphore,
    /// How many have their first token.
    there: AtomicUsize,
    /// When the node was killed.
    killed: watch::Sender<Option<Instant>>,
}

/// Prints how soon clients have a token again after their node was killed, and started again at once.
///
/// Each has a connection that stays open, and a proof that it has not shown yet. It connects again after a tenth of a second, then after twice as
/// long, up to three seconds, each time by up to a half less; an answer with `Retry-After` is done as that says. A try ends after ten seconds.
pub async fn come_back(shape: &Shape) {
    let mut stage = Stage::start(shape.clone()).await;
    let crowd = Arc::new(Crowd {
        reach: Arc::clone(&stage.reach),
        first: Semaphore::new(AT_FIRST),
        there: AtomicUsize::new(0),
        killed: watch::channel(None).0,
    });
    // On threads of their own: the issuers and the proxies before the stores run on those of the stage, and are not what is measured.
    let apart = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    // A runtime cannot end inside another one. The process ends soon.
    let apart = Box::leak(Box::new(apart));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS as u64 {
        clients.spawn_on(comes_back(Arc::clone(&crowd), Dice::of(number, 0)), apart.handle());
    }
    let begun = Instant::now();
    while crowd.there.load(Ordering::SeqCst) < CLIENTS {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(begun.elapsed() < LONGEST, "{} clients have their first token", crowd.there.load(Ordering::SeqCst));
    }
    stage.nodes[0].kill();
    stage.nodes[0].start();
    let killed = Instant::now();
    crowd.killed.send_replace(Some(killed));
    assert!(stage.becomes_ready(0, LONGEST).await, "{}", stage.told(0).await);
    let ready = killed.elapsed().as_secs_f64();
    let (waits, tries): (Vec<Result<Duration, String>>, Vec<u32>) = clients.join_all().await.into_iter().unzip();
    let mut without: BTreeMap<&str, usize> = BTreeMap::new();
    waits.iter().filter_map(|wait| wait.as_ref().err()).for_each(|last| *without.entry(last).or_default() += 1);
    let mut all: Vec<Duration> = waits.iter().map(|wait| *wait.as_ref().unwrap_or(&LONGEST)).collect();
    let [p50, p99, max] = percentiles(&mut all).map(|wait| wait.as_secs_f64());
    println!(
        "{CLIENTS} clients of a node that was killed and started again at once: seconds until each has a token (goal: p99 30)"
    );
    let tries = f64::from(tries.iter().sum::<u32>()) / CLIENTS as f64;
    println!("ready {ready:.2}, p50 {p50:.2}, p99 {p99:.2}, max {max:.2}; {tries:.1} tries of a client");
    println!("without a token after {LONGEST:?}, by what they were told last: {without:?}");
}

async fn comes_back(crowd: Arc<Crowd>, mut dice: Dice) -> (Result<Duration, String>, u32) {
    let (first, next) = (crowd.reach.form(NEVER_BARRED), crowd.reach.form(NEVER_BARRED));
    let mut next = Some(next);
    let turn = crowd.first.acquire().await.expect("nobody closes it");
    let mut open = loop {
        let stream = TcpStream::connect(crowd.reach.public(0)).await.expect("connects");
        let (open, answer) = ask(stream, &crowd.reach, &first).await.expect("an answer");
        match answer.status {
            200 => break open,
            503 => tokio::time::sleep(Duration::from_secs(1)).await,
            status => panic!("{status} {}", answer.body),
        }
    };
    drop(turn);
    crowd.there.fetch_add(1, Ordering::SeqCst);
    let mut killed = crowd.killed.subscribe();
    let killed = killed.wait_for(Option::is_some).await.expect("it is killed").expect("some");
    assert!(!matches!(open.read(&mut [0]).await, Ok(1..)), "the connection ends");
    let mut last = String::new();
    for tries in 1.. {
        if killed.elapsed() > LONGEST {
            return (Err(last), tries);
        }
        let full = 100 << tries.min(6) >> 1;
        let pause = Duration::from_millis(dice.between(full / 2, full));
        let Ok(Ok(stream)) = timeout(ANSWERED, TcpStream::connect(crowd.reach.public(0))).await else {
            tokio::time::sleep(pause).await;
            continue;
        };
        // Whether a proof whose answer was lost is spent nobody knows: the next try has a fresh one.
        let form = next.take().unwrap_or_else(|| crowd.reach.form(NEVER_BARRED));
        let answer = timeout(ANSWERED, ask(stream, &crowd.reach, &form)).await;
        let wait = match answer.ok().flatten() {
            Some((_open, Answer { status: 200, .. })) => return (Ok(killed.elapsed()), tries),
            Some((_, Answer { status: 503, retry_after: Some(seconds), body, .. })) => {
                last = format!("{} {}", body["reason"], body["error_description"]);
                Duration::from_secs(seconds)
            }
            Some((_, answer)) => panic!("{} {}", answer.status, answer.body),
            None => pause,
        };
        tokio::time::sleep(wait).await;
    }
    unreachable!("it asks until it has a token")
}

/// One exchange on a connection, which stays open.
async fn ask(mut stream: TcpStream, reach: &Reach, form: &str) -> Option<(TcpStream, Answer)> {
    let head =
        format!("POST /production/token HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-www-form-urlencoded", reach.host());
    stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{form}", form.len()).as_bytes()).await.ok()?;
    let mut read = Vec::new();
    while stream.read_buf(&mut read).await.ok()? > 0 {
        if let Some(answer) = whole(&read) {
            let answer = wire::parse(answer.as_bytes());
            return Some((stream, answer?));
        }
    }
    None
}

/// The median, the 99th of a hundred, and the longest.
fn percentiles(times: &mut [Duration]) -> [Duration; 3] {
    times.sort();
    [50, 99, 100].map(|part| times[(times.len() * part / 100).min(times.len() - 1)])
}

/// The partner's integration that asks for too much, and its quota: tokens a minute, as a record that names none has it.
const GREEDY: &str = FLEET[6];
const QUOTA: u64 = 600;

/// Exchanges a second of the others, of whom each has its own proof.
const STEADY: u64 = 100;

/// Pairs of runs, and the length of one.
const PAIRS: usize = 5;
const RUN: Duration = Duration::from_secs(10);

/// Prints what the others wait for a token while one partner sends twenty times its quota, and while it does not, in turns.
pub async fn beside_the_greedy(shape: &Shape) {
    let stage = Stage::start(shape.clone()).await;
    let (reach, issuer) = (&stage.reach, &stage.reach.partner.issuer);
    let record = records::integration(issuer, GREEDY, false).replace("1000000", &QUOTA.to_string());
    let apply =
        Request { line: "POST /v1/records/apply".into(), headers: Vec::new(), body: Some(("application/yaml", record)) };
    let applied = reach.staff(0, "ann", apply).await;
    assert_eq!(applied.status, 200, "{}", applied.body);
    records::approve_all(reach).await;
    println!("{STEADY} exchanges a second of others beside one partner with twenty times its quota; milliseconds");
    println!("{:<12}{:>8}{:>8}{:>8}   answers to the partner", "", "p50", "p99", "max");
    let mut ratios = Vec::new();
    for _ in 0..PAIRS {
        let alone = steady(reach).await;
        let greedy = tokio::spawn(at_a_rate(Arc::clone(reach), QUOTA * 20 / 60, |_| GREEDY));
        let beside = steady(reach).await;
        let mut answers: BTreeMap<u16, usize> = BTreeMap::new();
        for (status, _) in greedy.await.expect("it asks") {
            *answers.entry(status).or_default() += 1;
        }
        assert!(answers.keys().all(|status| [200, 429].contains(status)) && answers.contains_key(&429), "{answers:?}");
        tell("alone", alone, &BTreeMap::new());
        tell("beside it", beside, &answers);
        ratios.push(beside[1].as_secs_f64() / alone[1].as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    println!("p99 beside it by p99 alone: {ratios:.2?}, the median is {:.2} (goal 1.1)", ratios[PAIRS / 2]);
}

fn tell(name: &str, times: [Duration; 3], answers: &BTreeMap<u16, usize>) {
    let [p50, p99, max] = times.map(|time| time.as_secs_f64() * 1e3);
    println!("{name:<12}{p50:>8.1}{p99:>8.1}{max:>8.1}   {answers:?}");
}

/// The exchanges of the others, all of which have a token.
async fn steady(reach: &Arc<Reach>) -> [Duration; 3] {
    let of = |number: usize| FLEET[number % 6];
    let mut times = Vec::new();
    for (status, time) in at_a_rate(Arc::clone(reach), STEADY, of).await {
        assert_eq!(status, 200, "others have their tokens");
        times.push(time);
    }
    percentiles(&mut times)
}

/// So many exchanges a second, whether those before are answered or not: each with its status and the time that it took.
async fn at_a_rate(reach: Arc<Reach>, each_second: u64, of: impl Fn(usize) -> &'static str) -> Vec<(u16, Duration)> {
    let (begun, pause) = (Instant::now(), Duration::from_secs(1) / u32::try_from(each_second).expect("a small number"));
    let mut asked = JoinSet::new();
    for number in 0_u32.. {
        let at = pause * number;
        if at >= RUN {
            break;
        }
        tokio::time::sleep(at.saturating_sub(begun.elapsed())).await;
        let (reach, integration) = (Arc::clone(&reach), of(number as usize));
        let proof = reach.proof(integration);
        asked.spawn(async move {
            let sent = Instant::now();
            let answer = reach.exchange(0, integration, "orders:read", &proof).await;
            (answer.status, sent.elapsed())
        });
    }
    asked.join_all().await
}
