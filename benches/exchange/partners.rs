//! K-22 and K-23: what an issuer that is slow, or asked by everybody at once, does to others.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::load::{self, Load};
use crate::server::Server;
use crate::world::{Options, World, records};

/// Tokens that arrive at once at a node that has no keys yet.
const CROWD: usize = 1000;

/// K-22: a cold cache and a thousand valid tokens at once.
pub async fn stampede() {
    // A thousand connections from one address: the cap on those is another row's (ABUSE S11).
    let configuration = "connections_per_address = 4096\n".to_owned();
    let mut world = World::with(Options { configuration, ..Options::default() }).await;
    world.onboard(&records::busy(&world.partner.issuer)).await;
    world.stop().await;
    world.clock.synchronise();
    let before = world.partner.hits();
    let server = Server::start(&world).await;
    let requests: Vec<_> = (0..CROWD).map(|_| load::request(&world, &world.assertion("production"))).collect();
    let crowd: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let to = world.public;
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(to).await.expect("connects");
                stream.write_all(&request).await.expect("written");
                load::answer(&mut stream, &mut Vec::new()).await.expect("an answer")
            })
        })
        .collect();
    let mut tokens = 0;
    for client in crowd {
        tokens += usize::from(client.await.is_ok_and(|status| status == 200));
    }
    let fetches = world.partner.hits() - before;
    println!("\nK-22  {CROWD} valid tokens at once at a cold node: {tokens} tokens, {fetches} fetches (discovery and keys)");
    drop(server);
}

/// K-23: one issuer takes connections and says nothing; the other's partners notice nothing.
pub async fn hanging_issuer() {
    let hanging = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let issuer = format!("http://{}", hanging.local_addr().expect("bound"));
    let options = Options { redis: true, issuers: vec![issuer.clone()], ..Options::default() };
    let mut world = World::with(options).await;
    world.onboard(&records::busy(&world.partner.issuer)).await;
    world.onboard(&records::integration(&issuer, "slow-sync", "1")).await;
    world.stop().await;
    world.clock.synchronise();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = hanging.accept().await {
            held.push(stream);
        }
    });
    let server = Server::start(&world).await;
    let calm = Load::paced(Duration::from_secs(5), 200.0);
    calm.run(world.public, calm.requests(&world), 16).await;
    let alone = calm.run(world.public, calm.requests(&world), 16).await;
    let slow = tokio::spawn(slow_partners(world.public, unanswered(&world, &issuer)));
    let beside = calm.run(world.public, calm.requests(&world), 16).await;
    slow.abort();
    println!(
        "K-23  200 per second of a healthy issuer: p99 {:.2} ms alone, {:.2} ms while another issuer hangs; {} failed",
        alone.quantile(0.99),
        beside.quantile(0.99),
        beside.failed
    );
    drop(server);
}

/// Requests whose issuer does not answer: twenty a second while the healthy one is looked at.
fn unanswered(world: &World, issuer: &str) -> Vec<Vec<u8>> {
    let one = |_| {
        let mut claims = world.claims("production");
        claims["iss"] = issuer.into();
        claims["repository_id"] = "1".into();
        load::request(world, &world.partner.sign(&claims))
    };
    (0..100).map(one).collect()
}

async fn slow_partners(to: std::net::SocketAddr, requests: Vec<Vec<u8>>) {
    let mut waiting = tokio::task::JoinSet::new();
    for request in requests {
        waiting.spawn(async move {
            let mut stream = TcpStream::connect(to).await.ok()?;
            stream.write_all(&request).await.ok()?;
            tokio::time::timeout(Duration::from_secs(20), load::answer(&mut stream, &mut Vec::new())).await.ok()?.ok()
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while waiting.join_next().await.is_some() {}
}
