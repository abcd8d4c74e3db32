//! Several nodes on one journal in PostgreSQL and one Redis: what one has done, every other knows.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use carnet::domain::log::change::Change;
use carnet::domain::log::passkey::PasskeyChange;
use carnet::domain::people::actor::{Actor, Person};
use carnet::domain::value::clock::Clock;
use carnet::journal::Proposal;
use serde_json::{Value, json};

use crate::webhooks::{Receiver, configuration, elevation, end, until};
use crate::world::client::{free_port, get};
use crate::world::node::served;
use crate::world::store::Database;
use crate::world::{Options, World, jti};

/// One more node of a world, with a folder of its own.
pub struct Fellow {
    /// The public socket.
    pub public: SocketAddr,
    /// The admin socket.
    pub admin: SocketAddr,
    pub folder: tempfile::TempDir,
    pub running: Option<carnet::serve::Running>,
}

/// A world whose journal is in PostgreSQL, and which is the node `sts-1`.
pub async fn world() -> (Database, World) {
    let database = Database::new();
    let journal = Some(format!("url = \"{}\"\n", database.url));
    let configuration = "\n[node]\nid = \"sts-1\"\n".to_owned();
    let world = World::with(Options { journal, configuration, ..Options::default() }).await;
    (database, world)
}

impl Fellow {
    /// The files of a node: the configuration of the first with its own addresses and id, and the same key.
    pub fn of(world: &World, id: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (public, admin) = (free_port(), free_port());
        let text = std::fs::read_to_string(world.folder.path().join("carnet.toml")).expect("a configuration");
        let text = text
            .replace(&format!("public = \"{}\"", world.public), &format!("public = \"127.0.0.1:{public}\""))
            .replace(&format!("admin = \"{}\"", world.admin), &format!("admin = \"127.0.0.1:{admin}\""))
            .replace("id = \"sts-1\"", &format!("id = \"{id}\""));
        std::fs::write(folder.path().join("carnet.toml"), text).expect("written");
        std::fs::copy(world.folder.path().join("kek"), folder.path().join("kek")).expect("copied");
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { public: address(public), admin: address(admin), folder, running: None }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("carnet.toml")
    }

    pub async fn try_boot(&mut self, world: &World) -> Result<(), carnet::serve::StartFault> {
        let config = carnet::config::load(&self.file()).expect("a valid configuration");
        let system = carnet::serve::System {
            clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
            entropy: Arc::new(carnet::server::OsEntropy),
        };
        self.running = Some(carnet::serve::start(config, system).await?);
        Ok(())
    }

    /// A node that is ready.
    pub async fn started(world: &World, id: &str) -> Self {
        let mut fellow = Self::of(world, id);
        fellow.try_boot(world).await.expect("the node starts");
        fellow.until_ready().await;
        fellow
    }

    pub async fn until_ready(&self) {
        let begun = Instant::now();
        while get(self.public, "/readyz").await.status != 200 {
            let why = get(self.admin, "/readyz?verbose").await;
            assert!(begun.elapsed() < Duration::from_secs(60), "not ready: {}", why.text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An orderly end.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }
}

/// A token of the node at this address.
pub async fn minted(world: &World, node: SocketAddr) -> String {
    let answer = served(|| async { world.exchange_proof_at(node, &world.assertion("production")).await }).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

/// What the node at this address says of a token.
pub async fn is_active(world: &World, node: SocketAddr, token: &str) -> bool {
    let answer = served(|| world.introspect_at(node, token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["active"].as_bool().expect("a word")
}

/// What the nodes say of each other.
async fn nodes(world: &World) -> Vec<(String, String)> {
    let listed = world.admin_get("/v1/nodes", "alan").await;
    let text = |node: &Value, name: &str| node[name].as_str().expect("a text").to_owned();
    listed["items"].as_array().expect("items").iter().map(|node| (text(node, "id"), text(node, "state"))).collect()
}

fn those(nodes: &[(&str, &str)]) -> Vec<(String, String)> {
    nodes.iter().map(|(id, state)| ((*id).to_owned(), (*state).to_owned())).collect()
}

/// Revokes at the world's own admin socket.
pub async fn revoked(world: &World, body: &Value) {
    let answer = world.admin_post("/v1/revocations", "sven", body).await;
    assert!(answer.status < 300, "{}", answer.text());
}

/// Puts a passkey on record as if the person had registered it, and returns its id.
async fn registered_passkey(world: &World, person: &str) -> String {
    let id = format!("key-of-{person}");
    let by = Person { iss: world.staff.issuer.parse().expect("an issuer"), id: person.into(), name: None };
    let registered = PasskeyChange::Registered {
        passkey: id.parse().expect("an id"),
        label: "the key on the desk".into(),
        credential: json!({}),
    };
    let registered = Change::from(registered).by(Actor::Staff(by));
    let journal = &world.running.as_ref().expect("running").broker.journal;
    let done = journal.change(None, |_, _| Ok::<_, ()>(Proposal::from(registered.clone()))).await;
    done.expect("the journal writes").expect("a change");
    id
}

/// a node that no message of Redis reaches looks at the log by itself, so a revocation is acknowledged in time all the same: of
/// tokens, and of a passkey.
#[tokio::test]
async fn r_10_a_node_that_gets_no_message_finds_a_revocation_by_looking() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let redis = world.redis.as_ref().expect("a Redis");
    let heard = || redis.command(&["PUBSUB", "CHANNELS"]).trim().to_owned();
    assert_ne!(heard(), "", "nodes listen");
    // Redis closes the connections of all subscribers, and refuses new ones.
    redis.command(&["ACL", "SETUSER", "default", "resetchannels"]);
    for node in [second.public, world.public] {
        let token = minted(&world, node).await;
        assert!(is_active(&world, second.public, &token).await);
        revoked(&world, &json!({"token": jti(&token), "reason": "leaked"})).await;
        assert!(!is_active(&world, second.public, &token).await);
        assert_eq!(heard(), "", "no node subscribes");
    }
    let passkeys = [registered_passkey(&world, "sven").await, registered_passkey(&world, "olga").await];
    let nodes = [world.admin, second.admin];
    for (passkey, (node, other)) in passkeys.iter().zip([(nodes[0], nodes[1]), (nodes[1], nodes[0])]) {
        world.admin = node;
        let revoked = world.admin_post(&format!("/v1/passkeys/{passkey}/revoke"), "adam", &json!({"reason": "lost"})).await;
        assert_eq!(revoked.status, 204, "{}", revoked.text());
        world.admin = other;
        let listed = world.admin_get("/v1/passkeys", "alan").await;
        let known = listed["items"].as_array().expect("items").iter().find(|one| one["id"] == **passkey);
        assert_eq!(known.map(|known| &known["state"]), Some(&json!("revoked")), "{listed}");
    }
    second.stop().await;
}

/// A proof is spent once, and a token is revoked, whichever node is asked.
#[tokio::test]
async fn what_one_node_did_every_other_knows() {
    let (_database, mut world) = world().await;
    let (first, admin) = (world.public, world.admin);
    let mut second = Fellow::started(&world, "sts-2").await;
    assert_eq!(nodes(&world).await, those(&[("sts-1", "live"), ("sts-2", "live")]));
    let proof = world.assertion("production");
    let answer = world.exchange_proof_at(first, &proof).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    let again = world.exchange_proof_at(second.public, &proof).await;
    assert_eq!((again.status, again.json()["reason"].as_str()), (400, Some("assertion.replayed")), "{}", again.text());
    assert!(is_active(&world, second.public, &token).await, "it knows the other's tokens");
    let own = minted(&world, second.public).await;

    world.admin = second.admin;
    revoked(&world, &json!({"token": jti(&token), "reason": "stolen laptop"})).await;
    for node in [first, second.public] {
        assert!(!is_active(&world, node, &token).await, "as soon as it is acknowledged");
        assert!(is_active(&world, node, &own).await, "nothing cuts it");
    }
    // What one would grant is refused by what the other recorded.
    world.admin = admin;
    let issued = world.issued().await;
    revoked(&world, &json!({"integration": "globex/order-sync", "reason": "stolen laptop"})).await;
    for node in [second.public, first] {
        let refused = world.exchange_proof_at(node, &world.assertion("production")).await;
        assert_eq!((refused.status, refused.json()["reason"].as_str()), (400, Some("trust.revoked")), "{}", refused.text());
        assert!(!is_active(&world, node, &own).await);
    }
    assert_eq!(world.issued().await, issued, "nothing was minted");
    second.stop().await;
    assert_eq!(nodes(&world).await, those(&[("sts-1", "live"), ("sts-2", "gone")]));
    world.stop().await;
}

/// Both mint at the same time: one log, and each proof counts once.
#[tokio::test]
async fn two_nodes_mint_at_the_same_time_and_make_one_log() {
    let (_database, mut world) = world().await;
    let first = world.public;
    let mut second = Fellow::started(&world, "sts-2").await;
    let before = world.issued().await;
    let other = second.public;
    let mut all = Vec::new();
    for _ in 0..30 {
        // The same proof at both: one of them wins.
        let shared = world.assertion("production");
        let (here, there) = (world.assertion("production"), world.assertion("production"));
        let (a, b, c, d) = tokio::join!(
            world.exchange_proof_at(first, &shared),
            world.exchange_proof_at(other, &shared),
            world.exchange_proof_at(first, &here),
            world.exchange_proof_at(other, &there),
        );
        all.push([a.status, b.status, c.status, d.status]);
    }
    for statuses in &all {
        let won = statuses[..2].iter().filter(|status| **status == 200).count();
        assert_eq!((won, &statuses[2..]), (1, &[200, 200][..]), "{all:?}");
    }
    assert_eq!(world.issued().await - before, 90);
    second.stop().await;
    world.stop().await;
}

/// Events go on at the node that takes the tasks over, and a person moves the cursor at any node.
#[tokio::test]
async fn receivers_are_told_by_whichever_node_runs_the_tasks() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_database, mut world) = world().await;
    world.stop().await;
    let mut receiver = Receiver::at(free_port(), folder.path(), "siem");
    receiver.accepts_any_time();
    receiver.start().await;
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    let events = format!("[outbound]\nevents = [\"http://127.0.0.1:{}\"]\n", receiver.port);
    let text = text.replace("[outbound]\n", &events);
    let hook = configuration(folder.path(), &[("siem", receiver.port, "kinds = [\"elevation\"]")]);
    std::fs::write(&file, text + &hook).expect("written");
    world.boot().await;
    let admin = world.admin;
    let mut second = Fellow::started(&world, "sts-2").await;
    let happens = async |world: &World| {
        let id = elevation(world).await;
        end(world, &id).await;
    };
    happens(&world).await;
    until("the first node tells", async || receiver.indexes().len() >= 2).await;
    let first = receiver.indexes()[0];
    // While nobody listens something happens, and then the node that tried to tell it is gone.
    receiver.kill();
    world.admin = second.admin;
    happens(&world).await;
    world.stop().await;
    receiver.start().await;
    until("the second node tells what the first could not", async || {
        let all: BTreeSet<u64> = receiver.indexes().into_iter().collect();
        all.len() >= 4
    })
    .await;
    world.boot().await;
    let told = receiver.indexes().len();
    world.admin = admin;
    let replay = world.admin_post("/v1/webhooks/siem/replay", "adam", &json!({"from": first})).await;
    assert_eq!(replay.status, 200, "{}", replay.text());
    until("it is told again, by the other node", async || receiver.indexes()[told..].contains(&first)).await;
    let order: Vec<u64> = receiver.indexes()[told..].to_vec();
    assert!(order.windows(2).all(|pair| pair[0] <= pair[1]), "{order:?}");
    second.stop().await;
    world.stop().await;
}

/// F-22: two nodes with one id.
#[tokio::test]
async fn a_second_live_node_with_one_id_is_refused_and_takes_it_over_later() {
    let (_database, mut world) = world().await;
    let mut second = Fellow::of(&world, "sts-1");
    let anchor = |of: &std::path::Path| of.join("journal.anchor");
    let (here, there) = (anchor(world.folder.path()), anchor(second.folder.path()));
    // Its folder has no anchor, and the id is known: it is one that lost it.
    let refused = second.try_boot(&world).await.expect_err("refused");
    assert!(refused.to_string().contains("the file is not there, although the journal has a past"), "{refused}");
    std::fs::copy(&here, &there).expect("copied");
    let refused = second.try_boot(&world).await.expect_err("refused");
    assert!(refused.to_string().contains("a node with the id sts-1 lives"), "{refused}");
    minted(&world, world.public).await;
    world.stop().await;
    std::fs::copy(&here, &there).expect("copied");
    second.try_boot(&world).await.expect("it takes the id over");
    second.until_ready().await;
    minted(&world, second.public).await;
    world.admin = second.admin;
    assert_eq!(nodes(&world).await, those(&[("sts-1", "live")]));
    second.stop().await;
    std::fs::copy(&there, &here).expect("copied");
}
