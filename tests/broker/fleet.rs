//! Three nodes on one journal and one Redis, asked at the same time: the rows of abuse that need more than one node.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

use crate::elevation::{asked, wish};
use crate::nodes::{Fellow, is_active, minted, revoked, world};
use crate::world::client::{self, get, send};
use crate::world::node::served;
use crate::world::store::Database;
use crate::world::{World, claims, jti, records};

/// Three nodes.
struct Fleet {
    world: World,
    fellows: [Fellow; 2],
    /// The public and the admin socket of each.
    nodes: [(SocketAddr, SocketAddr); 3],
    /// After the world, which verifies the journal as it goes.
    database: Database,
}

impl Fleet {
    async fn start() -> Self {
        let (database, world) = world().await;
        let fellows = [Fellow::started(&world, "sts-2").await, Fellow::started(&world, "sts-3").await];
        let [second, third] = [&fellows[0], &fellows[1]].map(|fellow| (fellow.public, fellow.admin));
        let nodes = [(world.public, world.admin), second, third];
        Self { world, fellows, nodes, database }
    }

    /// Ends the nodes, so that the journal is verified as the last one left it.
    async fn stop(self) {
        let Self { mut world, mut fellows, nodes: _, database } = self;
        for fellow in &mut fellows {
            fellow.stop().await;
        }
        world.stop().await;
        drop(world);
        drop(database);
    }

    /// Exchanges these proofs at all nodes in turn, all at once. Returns status and body of each.
    ///
    /// A client that is told `store.unavailable` sends the same proof again: it is not spent.
    async fn exchange_all(&self, proofs: Vec<String>) -> Vec<(u16, Value)> {
        let mut racing = JoinSet::new();
        for (number, proof) in proofs.into_iter().enumerate() {
            let (node, request) = (self.nodes[number % 3].0, self.world.exchange_request(&proof));
            racing.spawn(async move {
                let answer = served(|| client::raw(node, &request)).await;
                (answer.status, answer.json())
            });
        }
        racing.join_all().await
    }
}

/// T-02: the same proof a hundred times at three nodes: one token, and one entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_02_one_proof_a_hundred_times_at_three_nodes_is_one_token() {
    let fleet = Fleet::start().await;
    for _ in 0..3 {
        let before = fleet.world.issued().await;
        let answers = fleet.exchange_all(vec![fleet.world.assertion("production"); 100]).await;
        let won = answers.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(won, 1, "{answers:?}");
        for (status, body) in answers.iter().filter(|(status, _)| *status != 200) {
            assert_eq!((*status, &body["reason"]), (400, &json!("assertion.replayed")), "{body}");
        }
        assert_eq!(fleet.world.issued().await, before + 1);
    }
    fleet.stop().await;
}

/// L-03: three nodes append at the same time: one order without a gap, in which each token has an entry of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l_03_three_nodes_append_to_one_order_without_a_gap() {
    let fleet = Fleet::start().await;
    let before = fleet.world.issued().await;
    let mut entries = BTreeSet::new();
    for turn in 0..6 {
        let proofs = (0..60).map(|_| fleet.world.assertion("production")).collect();
        for (status, body) in fleet.exchange_all(proofs).await {
            // A token that was recorded too late for its answer stays on record.
            if status != 200 {
                assert_eq!(body["reason"], "assertion.replayed", "{turn}: {body}");
                continue;
            }
            let entry = claims(body["access_token"].as_str().expect("a token"))["entry"].as_u64().expect("an entry");
            assert!(entries.insert(entry), "{entry} twice");
        }
    }
    assert!(entries.len() > 200, "{}", entries.len());
    assert_eq!(fleet.world.issued().await - before, 360, "each proof was spent once");
    let (first, last) = (entries.first().expect("entries"), entries.last().expect("entries"));
    assert!(last - first < 380, "only changes lie between: {first} to {last}");
    fleet.stop().await;
}

/// whoever asks after the revocation was acknowledged is told that the token is not active, though each node had just looked it up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_01_r_08_no_node_calls_a_token_active_that_another_revoked_while_it_was_asked() {
    let mut fleet = Fleet::start().await;
    for turn in 0..12 {
        let token = minted(&fleet.world, fleet.nodes[turn % 3].0).await;
        let mut asking = JoinSet::new();
        for (node, _) in fleet.nodes {
            let (proofs, token, host): (Vec<String>, _, _) =
                ((0..40).map(|_| fleet.world.api_proof("production")).collect(), token.clone(), fleet.world.public);
            asking.spawn(async move {
                let mut told = Vec::new();
                for proof in proofs {
                    let form = [
                        ("token", token.as_str()),
                        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                        ("client_assertion", proof.as_str()),
                    ];
                    let sent = Instant::now();
                    let answer = client::raw(node, &client::form_request(host, "/production/introspect", &form)).await;
                    told.push((sent, answer.json()["active"] == true));
                }
                told
            });
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        fleet.world.admin = fleet.nodes[(turn + 1) % 3].1;
        revoked(&fleet.world, &json!({"token": jti(&token), "reason": "stolen laptop"})).await;
        let acknowledged = Instant::now();
        let told: Vec<(Instant, bool)> = asking.join_all().await.into_iter().flatten().collect();
        assert!(told.iter().any(|(_, active)| *active), "somebody asked before");
        assert!(!told.iter().any(|(sent, active)| *active && *sent > acknowledged), "turn {turn}");
        for (node, _) in fleet.nodes {
            assert!(!is_active(&fleet.world, node, &token).await);
        }
    }
    fleet.world.admin = fleet.nodes[0].1;
    fleet.stop().await;
}

/// a partner is suspended while many of its tokens live: none is active at any node once that is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_14_a_suspension_ends_all_tokens_of_a_partner_at_every_node() {
    let mut fleet = Fleet::start().await;
    let proofs = (0..240).map(|_| fleet.world.assertion("production")).collect();
    let tokens: Vec<String> = fleet
        .exchange_all(proofs)
        .await
        .iter()
        .filter(|(status, _)| *status == 200)
        .map(|(_, body)| body["access_token"].as_str().expect("a token").to_owned())
        .collect();
    assert!(tokens.len() > 200, "{}", tokens.len());
    let issued = fleet.world.issued().await;
    fleet.world.admin = fleet.nodes[2].1;
    let suspended = fleet.world.admin_post("/v1/partners/globex/suspend", "sven", &json!({"reason": "an incident"})).await;
    assert_eq!(suspended.status, 201, "{}", suspended.text());
    for (number, token) in tokens.iter().enumerate() {
        assert!(!is_active(&fleet.world, fleet.nodes[number % 3].0, token).await, "{number}");
    }
    for (node, _) in fleet.nodes {
        let refused = fleet.world.exchange_proof_at(node, &fleet.world.assertion("production")).await;
        assert_eq!((refused.status, &refused.json()["reason"]), (400, &json!("partner.suspended")), "{}", refused.text());
    }
    fleet.world.admin = fleet.nodes[0].1;
    assert_eq!(fleet.world.issued().await, issued, "nothing was minted");
    fleet.stop().await;
}

/// E-10: a hundred words on one approval at three nodes are one decision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e_10_a_hundred_words_at_three_nodes_are_one_decision() {
    let fleet = Fleet::start().await;
    let asked = asked(&fleet.world, "olga", &wish("30m")).await;
    let id = asked["id"].as_str().expect("an id").to_owned();
    let shown = fleet.world.admin_get(&format!("/v1/elevations/{id}"), "sara").await;
    let mut racing = JoinSet::new();
    for number in 0..100 {
        let bearer = format!("Bearer {}", fleet.world.staff_token(if number % 2 == 0 { "sara" } else { "sven" }));
        let verdict = if number % 5 < 3 { "approve" } else { "deny" };
        let body = json!({"verdict": verdict, "reason": "x", "version": shown["version"]}).to_string();
        let (admin, path) = (fleet.nodes[number % 3].1, format!("/v1/elevations/{id}/reviews"));
        racing.spawn(async move {
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            send(admin, "POST", &path, &headers, body.as_bytes()).await
        });
    }
    let answers = racing.join_all().await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    let recorded = fleet.world.admin_get("/v1/journal?kind=elevation.reviewed", "alan").await;
    assert_eq!(recorded["items"].as_array().map(Vec::len), Some(1), "{recorded}");
    fleet.stop().await;
}

/// two nodes rotate a key at once: every node has the same keys afterwards, and one of them signs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q_03_two_nodes_that_rotate_at_once_agree_on_the_keys() {
    let fleet = Fleet::start().await;
    let bearer = format!("Bearer {}", fleet.world.staff_token("adam"));
    let body = json!({"alg": "ES256"}).to_string();
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let (one, other) = tokio::join!(
        send(fleet.nodes[1].1, "POST", "/v1/keys/production/rotate", &headers, body.as_bytes()),
        send(fleet.nodes[2].1, "POST", "/v1/keys/production/rotate", &headers, body.as_bytes()),
    );
    let made = [&one, &other].iter().filter(|answer| answer.status == 201).count();
    assert!(made > 0, "{} {}", one.text(), other.text());
    let (mut sets, mut signing) = (BTreeSet::new(), BTreeSet::new());
    for (node, _) in fleet.nodes {
        let begun = Instant::now();
        // A node follows within a second.
        let keys = loop {
            let keys = client::send_as(node, &fleet.world.public.to_string(), "/production/jwks", &[]).await.json();
            if keys["keys"].as_array().is_some_and(|keys| keys.len() == 1 + made) || begun.elapsed() > Duration::from_secs(30) {
                break keys;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let names = keys["keys"].as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned());
        sets.insert(names.collect::<BTreeSet<String>>());
    }
    assert_eq!(sets.len(), 1, "{sets:?}");
    for (node, _) in fleet.nodes {
        let token = minted(&fleet.world, node).await;
        signing.insert(token.split('.').next().expect("a header").to_owned());
        for (other, _) in fleet.nodes {
            assert!(is_active(&fleet.world, other, &token).await);
        }
    }
    assert_eq!(signing.len(), 1, "one key signs: {signing:?}");
    fleet.stop().await;
}

/// F-11: somebody holds the row that every batch locks: an exchange waits for a bounded time, is refused, and goes on when it is free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f_11_a_lock_that_is_held_for_long_bounds_every_wait() {
    let fleet = Fleet::start().await;
    let token = minted(&fleet.world, fleet.nodes[0].0).await;
    let issued = fleet.world.issued().await;
    let (holder, connection) =
        fleet.database.url.parse::<tokio_postgres::Config>().expect("a URL").connect(NoTls).await.expect("connects");
    let carried = tokio::spawn(connection);
    holder.batch_execute("BEGIN; SELECT 1 FROM head WHERE id = 1 FOR UPDATE").await.expect("locks");
    for (node, _) in fleet.nodes {
        let begun = Instant::now();
        let refused = fleet.world.exchange_proof_at(node, &fleet.world.assertion("production")).await;
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert!(refused.header("retry-after").is_some());
    }
    // What is only read goes on, since no lease waits for that row.
    assert!(is_active(&fleet.world, fleet.nodes[1].0, &token).await);
    holder.batch_execute("ROLLBACK").await.expect("unlocks");
    carried.abort();
    let begun = Instant::now();
    while fleet.world.exchange_proof_at(fleet.nodes[2].0, &fleet.world.assertion("production")).await.status != 200 {
        assert!(begun.elapsed() < Duration::from_secs(30), "it is free again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(fleet.world.issued().await, issued + 1, "nothing of the refused ones was recorded");
    fleet.stop().await;
}

/// A client that goes far beyond its quota at every node is told so at every node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_that_of_all_nodes_together() {
    let fleet = Fleet::start().await;
    let usual = records::usual(&fleet.world.partner.issuer);
    fleet.world.onboard(&usual.replacen("    elevation:\n", "    limits: {exchangesPerMinute: 6}\n    elevation:\n", 1)).await;
    // Every node has followed what was approved.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let proofs = (0..120).map(|_| fleet.world.assertion("production")).collect();
    let answers = fleet.exchange_all(proofs).await;
    let granted = answers.iter().filter(|(status, _)| *status == 200).count();
    let told = answers.iter().filter(|(status, body)| *status == 429 && body["reason"].is_string()).count();
    assert_eq!(granted + told, 120, "{answers:?}");
    assert!((1..=9).contains(&granted), "{granted} of a quota of 6 a minute");
    fleet.stop().await;
}

/// Every node says who the others are, and none of them is there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_lists_all_and_one_of_them_runs_the_tasks() {
    let mut fleet = Fleet::start().await;
    for (_, admin) in fleet.nodes {
        fleet.world.admin = admin;
        let listed = fleet.world.admin_get("/v1/nodes", "alan").await;
        let items = listed["items"].as_array().expect("items");
        let ids: Vec<&str> = items.iter().map(|node| node["id"].as_str().expect("an id")).collect();
        assert_eq!(ids, ["sts-1", "sts-2", "sts-3"], "{listed}");
        assert_eq!(items.iter().filter(|node| node["runsSingleTasks"] == true).count(), 1, "{listed}");
        assert_eq!(get(admin, "/readyz").await.status, 200);
    }
    fleet.world.admin = fleet.nodes[0].1;
    fleet.stop().await;
}
