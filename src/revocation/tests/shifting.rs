//! What a connection that answers wrongly does: nobody is told what another asked.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A way to the server that puts an answer of its own before the next one whenever it is told to.
async fn way(to: u16, shifts: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", to)).await.expect("connects");
            let ((mut asks, mut told), (mut answers, mut asked)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut asked).await });
            let shifts = Arc::clone(&shifts);
            tokio::spawn(async move {
                let mut buffer = vec![0; 65_536];
                while let Ok(read @ 1..) = answers.read(&mut buffer).await {
                    if shifts.swap(false, Ordering::SeqCst) && told.write_all(b"$4\r\nstay\r\n").await.is_err() {
                        return;
                    }
                    if told.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// Answers that are shifted are told to nobody, and the next connection is sound.
#[tokio::test]
async fn answers_that_are_shifted_are_told_to_nobody() {
    let server = Running::start(Kind::One);
    let shifts = Arc::new(AtomicBool::new(false));
    let index = at(way(server.ports[0], Arc::clone(&shifts)).await);
    index.rebuild(&snapshot(marker(1, 3), vec![token("cut")])).await.expect("rebuilt");
    for round in 0..20 {
        assert_eq!(liveness(&index, "cut", 5).await, Liveness::Cut, "round {round}");
        shifts.store(true, Ordering::SeqCst);
        let (mut asked, mut refused) = (tokio::task::JoinSet::new(), 0);
        for n in 0..20 {
            let index = index.clone();
            asked.spawn(async move {
                let (id, expected) = if n % 2 == 0 { ("cut", Liveness::Cut) } else { ("living", Liveness::Live) };
                let told = index.is_cut(&environment(), &id.parse().expect("an id"), &keys(), 5, now()).await;
                assert!(told.is_err() || told == Ok(expected), "{id}: {told:?}");
                told.is_err()
            });
        }
        while let Some(told) = asked.join_next().await {
            refused += usize::from(told.expect("no other answer"));
        }
        assert!(refused > 0, "round {round}: one pipeline was shifted");
    }
}

/// A server that may evict is away, and so is one that is a replica. Neither asks for the right to configure it.
#[tokio::test]
async fn a_server_that_may_lose_revocations_is_away() {
    let (server, [memory, redis]) = both();
    assert_eq!(memory.keeps_all().await, Ok(()));
    server.command(&["ACL", "SETUSER", "default", "-config"]);
    assert_eq!(redis.keeps_all().await, Ok(()));
    server.command(&["ACL", "SETUSER", "default", "+config"]);
    for policy in ["allkeys-lru", "volatile-ttl", "allkeys-random"] {
        server.command(&["CONFIG", "SET", "maxmemory-policy", policy]);
        assert_eq!(redis.keeps_all().await, Err(Away::Evicts), "{policy}");
    }
    server.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    assert_eq!(redis.keeps_all().await, Ok(()));
    redis.rebuild(&snapshot(marker(1, 3), vec![])).await.expect("rebuilt");
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert_eq!(redis.renew(&environment(), &marker(1, 3)).await, Err(Away::ReadOnly));
    // By then it was left. A replica may be read, and what it says may be old.
    assert_eq!(redis.marker(&environment()).await, Err(Away::ReadOnly));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(redis.renew(&environment(), &marker(1, 3)).await, Ok(Applied::AlreadyThere));
}
