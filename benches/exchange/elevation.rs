//! From the word of an approver to a token that has the scope: the workload tries again and again, as one that waits does.

use std::time::Instant;

use serde_json::json;

use crate::server::Server;
use crate::world::{Options, World, records};

const ROUNDS: usize = 200;

/// Measures it, and prints p50 and p99. The time begins before the review is sent and ends when the token has come.
pub async fn approvals() {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    world.onboard(&records::busy(&world.partner.issuer)).await;
    world.stop().await;
    world.clock.synchronise();
    let server = Server::start(&world).await;
    let (mut to_answer, mut to_effect) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        world.clock.synchronise();
        let wish = json!({
            "integration": "globex/order-sync", "environments": ["production"], "api": "orders-api", "scopes": ["orders:write"],
            "duration": "5m", "reason": "a bench",
        });
        let asked = world.admin_post("/v1/elevations", "olga", &wish).await.json();
        let path = format!("/v1/elevations/{}", asked["id"].as_str().expect("an id"));
        let word = json!({"verdict": "approve", "reason": "a bench", "version": asked["version"]});
        // What refuses is refused before; made ahead, so that the workload's own signatures are not measured.
        let assertions: Vec<String> = (0..50).map(|_| world.assertion("production")).collect();
        let begun = Instant::now();
        let review = async {
            assert_eq!(world.admin_post(&format!("{path}/reviews"), "sven", &word).await.status, 200);
            begun.elapsed().as_secs_f64() * 1e3
        };
        let effect = async {
            for assertion in &assertions {
                if world.exchange("production", assertion, "orders:write").await.status == 200 {
                    return begun.elapsed().as_secs_f64() * 1e3;
                }
            }
            panic!("no token in {} tries", assertions.len());
        };
        let (answered, effected) = tokio::join!(review, effect);
        to_answer.push(answered);
        to_effect.push(effected);
        assert_eq!(world.admin_post(&format!("{path}/end"), "sara", &json!({"reason": "next"})).await.status, 200);
    }
    drop(server);
    let quantile = |figures: &mut Vec<f64>, share: f64| {
        figures.sort_by(f64::total_cmp);
        figures[(figures.len() as f64 * share) as usize]
    };
    println!("\nelevation, {ROUNDS} approvals of one node: ms from sending the review");
    println!("  to its answer  p50 {:.1}  p99 {:.1}", quantile(&mut to_answer, 0.5), quantile(&mut to_answer, 0.99));
    println!("  to the token   p50 {:.1}  p99 {:.1}", quantile(&mut to_effect, 0.5), quantile(&mut to_effect, 0.99));
}
