//! A bounded load: requests made before the clock runs, a fixed number of keep-alive connections, an end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::client::escape;
use crate::world::{TOKEN_EXCHANGE, TYPE_JWT, World};

/// More than any machine of today exchanges in a second on one core: bounds what is signed ahead.
const MOST_PER_SECOND: f64 = 14_000.0;

/// How hard, and how long.
#[derive(Clone, Copy)]
pub struct Load {
    time: Duration,
    per_second: Option<f64>,
}

/// What came of it.
pub struct Outcome {
    /// Milliseconds of each exchange, sorted.
    pub times: Vec<f64>,
    /// Answers that were no token.
    pub failed: usize,
    /// From the first request to the last answer.
    pub took: Duration,
}

impl Outcome {
    /// The time within which this share was answered.
    pub fn quantile(&self, share: f64) -> f64 {
        let at = (self.times.len() as f64 * share) as usize;
        self.times.get(at.min(self.times.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    }
}

impl Load {
    /// As much as the server takes.
    pub fn full(time: Duration) -> Self {
        Self { time, per_second: None }
    }

    /// At this rate. A request that had to wait for a free connection counts from when it was due.
    pub fn paced(time: Duration, per_second: f64) -> Self {
        Self { time, per_second: Some(per_second) }
    }

    /// A request for each exchange that there may be, each with an assertion of its own.
    pub fn requests(&self, world: &World) -> Vec<Vec<u8>> {
        let number = self.per_second.unwrap_or(MOST_PER_SECOND) * self.time.as_secs_f64();
        (0..number as usize).map(|_| request(world, &world.assertion("production"))).collect()
    }

    /// Sends `requests` until they or the time are used up.
    pub async fn run(self, to: SocketAddr, requests: Vec<Vec<u8>>, connections: usize) -> Outcome {
        let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
        let begun = Instant::now();
        let one = |_| tokio::spawn(connection(to, self, begun, Arc::clone(&requests), Arc::clone(&next)));
        let clients: Vec<_> = (0..connections).map(one).collect();
        // The thread of the load does not sleep: on one machine it is the server's CPU that would wake it, for every answer. A peer on
        // another machine costs nobody that.
        let awake = tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        let (mut times, mut failed) = (Vec::new(), 0);
        for client in clients {
            let (answered, refused) = client.await.expect("a connection of the load");
            times.extend(answered);
            failed += refused;
        }
        let took = begun.elapsed();
        awake.abort();
        times.sort_by(f64::total_cmp);
        Outcome { times, failed, took }
    }
}

/// The bytes of an exchange on a connection that is kept.
pub fn request(world: &World, assertion: &str) -> Vec<u8> {
    let body = format!(
        "grant_type={}&subject_token={assertion}&subject_token_type={}&audience=orders-api&scope=orders%3Aread",
        escape(TOKEN_EXCHANGE),
        escape(TYPE_JWT)
    );
    let head = format!("POST /production/token HTTP/1.1\r\nhost: {}\r\n", world.public);
    let kind = "content-type: application/x-www-form-urlencoded";
    format!("{head}{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn connection(
    to: SocketAddr,
    load: Load,
    begun: Instant,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
) -> (Vec<f64>, usize) {
    let mut stream = TcpStream::connect(to).await.expect("connects");
    stream.set_nodelay(true).expect("an option");
    let (mut times, mut failed, mut buffer) = (Vec::new(), 0, Vec::with_capacity(4096));
    while begun.elapsed() < load.time {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number) else { break };
        let due = load.per_second.map(|rate| begun + Duration::from_secs_f64(number as f64 / rate));
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let due = due.unwrap_or_else(Instant::now);
        stream.write_all(request).await.expect("written");
        if answer(&mut stream, &mut buffer).await.expect("the server keeps the load's connections") == 200 {
            times.push(due.elapsed().as_secs_f64() * 1e3);
        } else {
            if failed == 0 {
                eprintln!("{}", String::from_utf8_lossy(&buffer));
            }
            failed += 1;
        }
    }
    (times, failed)
}

/// Reads one answer with a `content-length`; returns its status.
pub async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<u16> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&buffer[..head]);
        let lengths = text.lines().filter_map(|line| line.split_once(": "));
        let mut lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let length = lengths.find_map(|(_, length)| length.parse::<usize>().ok());
        if buffer.len() >= head + 4 + length.expect("a content-length") {
            return Ok(text.get(9..12).and_then(|status| status.parse().ok()).expect("a status"));
        }
    }
}
