//! A database that was put back to an older state under nodes that run: they stop, and go on in the same process once an operator has
//! reopened the journal, and not before (docs/how-to/operate/backup.md).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::program::Program;
use crate::nodes::{Fellow, is_active, minted, revoked, world};
use crate::webhooks::until;
use crate::world::store::Database;
use crate::world::{Answer, TOKEN_EXCHANGE, TYPE_JWT, World, client, get};

/// How long a reopened journal rests.
const REST: u32 = carnet::journal::LONGEST_ASSERTION.0;

/// Two nodes, and a backup from before a revocation that both know.
struct Pair {
    world: World,
    second: Fellow,
    /// Of before the revocation.
    backup: String,
    /// A token of before the backup.
    token: String,
    /// It goes last: the journal is verified as the world ends.
    database: Database,
}

/// The revocation: what works in production is not touched by it.
fn revocation() -> Value {
    json!({"environment": "globex/order-sync/sandbox", "reason": "stolen laptop"})
}

fn tail(folder: &Path) -> PathBuf {
    folder.join("journal.tail")
}

fn tells_revocation(folder: &Path) -> bool {
    std::fs::read_to_string(tail(folder)).is_ok_and(|lines| lines.contains("revocation.added"))
}

/// An exchange in the sandbox, at a node.
async fn in_sandbox(world: &World, node: SocketAddr) -> Answer {
    let assertion = world.assertion("sandbox");
    let form = [
        ("grant_type", TOKEN_EXCHANGE),
        ("subject_token", assertion.as_str()),
        ("subject_token_type", TYPE_JWT),
        ("audience", "orders-api"),
        ("scope", "orders:read"),
    ];
    client::raw(node, &client::form_request(world.public, "/sandbox/token", &form)).await
}

/// What a check of `/readyz?verbose` says of a node that is not ready because of it.
async fn lacks(admin: SocketAddr, check: &str) -> Option<String> {
    let told = get(admin, "/readyz?verbose").await.json();
    let checks = told["checks"].as_array().expect("checks");
    let found = checks.iter().find(|found| found["name"] == check && found["ok"] == false)?;
    Some(found["detail"].as_str().unwrap_or_default().to_owned())
}

impl Pair {
    async fn start() -> Self {
        let (database, world) = world().await;
        world.clock.synchronise();
        let second = Fellow::started(&world, "sts-2").await;
        let token = minted(&world, second.public).await;
        let granted = in_sandbox(&world, second.public).await;
        assert_eq!(granted.status, 200, "{}", granted.text());
        let backup = database.backup();
        Self { world, second, backup, token, database }
    }

    fn nodes(&self) -> [(SocketAddr, SocketAddr); 2] {
        [(self.world.public, self.world.admin), (self.second.public, self.second.admin)]
    }

    /// Entries, and how many of them are tokens, as another hand reads them.
    fn log(&self) -> String {
        self.database.ask("SELECT count(*) || ' ' || count(*) FILTER (WHERE kind = 'issued') FROM entries")
    }

    /// Both nodes get what their owner does about once a second.
    async fn tick(&mut self) {
        for running in [&mut self.world.running, &mut self.second.running].into_iter().flatten() {
            running.go_on().await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    /// Nothing is minted, recorded or called active at a node, which lives and says why.
    async fn stands_still(&self, (public, admin): (SocketAddr, SocketAddr)) {
        let log = self.log();
        assert_eq!(get(public, "/livez").await.status, 200);
        assert_eq!(get(public, "/readyz").await.status, 503);
        let refused = self.world.exchange_proof_at(public, &self.world.assertion("production")).await;
        let error = refused.json()["error"].as_str().map(str::to_owned);
        assert_eq!((refused.status, error.as_deref()), (503, Some("temporarily_unavailable")), "{}", refused.text());
        assert_eq!(self.world.introspect_at(public, &self.token).await.status, 503);
        let said = lacks(admin, "journal").await.expect("it says why");
        assert!(said.contains("does not extend what this node wrote") && said.contains("carnet journal reopen"), "{said}");
        assert_eq!(self.log(), log, "nothing was recorded");
    }

    /// The database is put back, and both nodes find it.
    async fn put_back(&self) {
        self.database.put_back(&self.backup);
        for node in self.nodes() {
            until("the node stops", async || lacks(node.1, "journal").await.is_some_and(|said| said.contains("reopen"))).await;
            self.stands_still(node).await;
        }
    }

    fn reopen(&self) -> Vec<String> {
        let config = self.world.folder.path().join("carnet.toml").display().to_string();
        ["journal", "reopen", "-c", &config, "--confirm", "test.example/carnet"].map(str::to_owned).to_vec()
    }

    /// Runs `carnet journal reopen` at the first node's host with these tails.
    async fn reopened(&self, tails: &[PathBuf]) -> Value {
        let mut arguments = self.reopen();
        arguments.extend(["-o".to_owned(), "json".to_owned(), "--tail".to_owned()]);
        arguments.extend(tails.iter().map(|tail| tail.display().to_string()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Program::alone().run(&arguments).await.ended(0).json()
    }

    /// Both nodes go on; what was revoked stays so, and the rest works again once the journal has rested.
    async fn goes_on(&mut self) {
        let addresses = self.nodes();
        for (_, admin) in addresses {
            for _ in 0..150 {
                if lacks(admin, "journal").await.is_none() {
                    break;
                }
                self.tick().await;
            }
            assert_eq!(lacks(admin, "journal").await, None, "{admin}");
        }
        assert_eq!(self.nodes(), addresses);
        let log = self.log();
        for (public, admin) in addresses {
            assert!(lacks(admin, "minting").await.is_some_and(|said| said.contains("the journal was reopened")));
            let refused = self.world.exchange_proof_at(public, &self.world.assertion("production")).await;
            assert_eq!(refused.status, 503, "it rests: {}", refused.text());
        }
        assert_eq!(self.log(), log, "nothing was minted");
        self.world.clock.synchronise();
        self.world.advance(i64::from(REST) + 120).await;
        self.second.until_ready().await;
        let keys = json!({"alg": "ES256", "acceptOutage": true});
        for environment in ["production", "sandbox"] {
            let rotated = self.world.admin_post(&format!("/v1/keys/{environment}/rotate"), "adam", &keys).await;
            assert!(rotated.status < 300, "{}", rotated.text());
        }
        for (public, _) in addresses {
            until("it has the new keys", async || {
                self.world.exchange_proof_at(public, &self.world.assertion("production")).await.status == 200
            })
            .await;
            let log = self.log();
            let refused = in_sandbox(&self.world, public).await;
            assert_eq!((refused.status, refused.json()["reason"].as_str()), (400, Some("trust.revoked")), "{}", refused.text());
            assert_eq!(self.log().split(' ').next_back(), log.split(' ').next_back(), "nothing was minted");
            assert!(!is_active(&self.world, public, &self.token).await, "its key is tainted");
        }
        let [one, other] = addresses.map(|(public, _)| public);
        for (here, there) in [(one, other), (other, one)] {
            let token = minted(&self.world, here).await;
            assert!(is_active(&self.world, there, &token).await, "one state again");
        }
    }

    async fn end(mut self) {
        self.second.stop().await;
        self.world.stop().await;
        let recorded = self.database.ask("SELECT count(*) FROM entries WHERE kind = 'revocation.added'");
        assert_ne!(recorded, "0");
    }
}

/// NODES 4, I-8: the nodes that ran begin anew behind their sockets, with what was revoked in the lost part. Without an operator they never do,
/// however often an older database is put back.
#[tokio::test]
async fn i_8_nodes_go_on_with_a_database_that_lost_its_end_once_it_was_reopened() {
    let mut pair = Pair::start().await;
    revoked(&pair.world, &revocation()).await;
    let lost = minted(&pair.world, pair.second.public).await;
    until("both tails have it", async || {
        tells_revocation(pair.second.folder.path()) && tells_revocation(pair.world.folder.path())
    })
    .await;
    pair.put_back().await;
    // Attack: whoever puts older databases back, or waits, makes no node go on.
    for again in [false, true] {
        if again {
            pair.database.put_back(&pair.backup);
        }
        for _ in 0..15 {
            pair.tick().await;
        }
        for node in pair.nodes() {
            pair.stands_still(node).await;
        }
    }
    let arguments = pair.reopen();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let told = Program::alone().run(&arguments).await.ended(2).stderr;
    assert!(told.contains("lost 1 revocations"), "{told}");
    let reopened = pair.reopened(&[tail(pair.second.folder.path())]).await;
    assert_eq!((&reopened["epoch"], &reopened["again"]), (&json!(2), &json!(1)), "{reopened}");
    pair.goes_on().await;
    assert!(!is_active(&pair.world, pair.second.public, &lost).await);
    // They are nodes like any others: what one records now, the other follows.
    revoked(&pair.world, &json!({"integration": "globex/order-sync", "reason": "stolen laptop"})).await;
    let refused = pair.world.exchange_proof_at(pair.second.public, &pair.world.assertion("production")).await;
    assert_eq!(refused.json()["reason"], "trust.revoked", "{}", refused.text());
    pair.end().await;
}

/// An operator who does not know of a revocation revives nothing: the node that has seen it goes on only with it, whether it runs or starts.
#[tokio::test]
async fn i_8_a_node_that_knows_more_than_the_operator_does_not_go_on_without_it() {
    let mut pair = Pair::start().await;
    // The first node is down while it happens, so that neither its anchor nor its tail knows of it.
    let first = pair.world.admin;
    pair.world.stop().await;
    pair.world.admin = pair.second.admin;
    revoked(&pair.world, &revocation()).await;
    until("its tail has it", async || tells_revocation(pair.second.folder.path())).await;
    pair.world.admin = first;
    pair.database.put_back(&pair.backup);
    let second = (pair.second.public, pair.second.admin);
    until("it stops", async || lacks(second.1, "journal").await.is_some_and(|said| said.contains("reopen"))).await;
    let known = tail(pair.world.folder.path());
    let reopened = pair.reopened(std::slice::from_ref(&known)).await;
    assert_eq!((&reopened["epoch"], &reopened["again"]), (&json!(2), &json!(0)), "{reopened}");
    pair.world.boot().await;
    let words = "lacks 1 revocations, suspensions, taints, ends or denials that this node has seen";
    let file = tail(pair.second.folder.path()).display().to_string();
    for _ in 0..15 {
        pair.tick().await;
    }
    pair.stands_still(second).await;
    let said = lacks(second.1, "journal").await.expect("it says why");
    assert!(said.contains(words) && said.contains(&format!("--tail {file}")), "{said}");
    // Nor does it start.
    pair.second.stop().await;
    let refused = pair.second.try_boot(&pair.world).await.expect_err("it does not start").to_string();
    assert!(refused.contains(words), "{refused}");
    // Its tail is recorded while the other node runs, which follows.
    let reopened = pair.reopened(&[PathBuf::from(file)]).await;
    assert_eq!((&reopened["epoch"], &reopened["again"]), (&json!(3), &json!(1)), "{reopened}");
    pair.second.try_boot(&pair.world).await.expect("it starts");
    pair.goes_on().await;
    pair.end().await;
}
