//! The load of a round: clients that exchange, ask, revoke and govern until they are told to stop.
//!
//! Whatever bars an integration is undone again, and asked for until that is answered: a round leaves no integration barred.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::clients::Reach;
use super::dice::Dice;
use super::records::{self, FLEET};
use super::wire::{Answer, Request};
use crate::world::client::unique;

/// How often something is undone before the round fails: a round ends healed, so the first try after that succeeds.
const TRIES: u32 = 120;

/// Starts the clients of a round.
pub fn start(reach: &Arc<Reach>, seed: u64, round: u32) -> Vec<tokio::task::JoinHandle<()>> {
    let dice = |client: u64| Dice::of(seed ^ (client << 48), round);
    let mut tasks = Vec::new();
    for client in 1..=3 {
        tasks.push(tokio::spawn(exchange(Arc::clone(reach), dice(client))));
    }
    for client in 4..=5 {
        tasks.push(tokio::spawn(introspect(Arc::clone(reach), dice(client))));
    }
    tasks.push(tokio::spawn(revoke(Arc::clone(reach), dice(6))));
    tasks.push(tokio::spawn(govern(Arc::clone(reach), dice(7))));
    tasks
}

async fn pause(dice: &mut Dice, from: u64, to: u64) {
    tokio::time::sleep(Duration::from_millis(dice.between(from, to))).await;
}

/// Whether a request may have been done though it was not confirmed.
fn is_unknown(answer: &Answer) -> bool {
    matches!(answer.status, 0 | 503)
}

/// Exchanges proofs: once, twice at the same moment, or again where the outcome is not known.
async fn exchange(reach: Arc<Reach>, mut dice: Dice) {
    while reach.goes_on() {
        let (integration, scope) = (*dice.one(&FLEET), *dice.one(&["orders:read", "orders:list", "orders:list orders:read"]));
        let proof = reach.proof(integration);
        let (first, second) = (reach.any(&mut dice), reach.any(&mut dice));
        if dice.percent(15) {
            let at_once = reach.exchange(second, integration, scope, &proof);
            tokio::join!(reach.exchange(first, integration, scope, &proof), at_once);
        } else {
            let answer = reach.exchange(first, integration, scope, &proof).await;
            if is_unknown(&answer) {
                pause(&mut dice, 20, 100).await;
            }
            if is_unknown(&answer) || dice.percent(5) {
                reach.exchange(second, integration, scope, &proof).await;
            }
        }
        pause(&mut dice, 0, 15).await;
    }
}

/// Asks about tokens, revoked ones among them.
async fn introspect(reach: Arc<Reach>, mut dice: Dice) {
    while reach.goes_on() {
        let node = reach.any(&mut dice);
        if let Some(held) = reach.token(&mut dice, |_| true) {
            reach.introspect(node, &held, dice.percent(50)).await;
        }
        pause(&mut dice, 2, 25).await;
    }
}

/// Revokes tokens, and what they were issued under.
async fn revoke(reach: Arc<Reach>, mut dice: Dice) {
    while reach.goes_on() {
        let (node, other) = (reach.any(&mut dice), reach.any(&mut dice));
        let kind = dice.below(100);
        let integration = *dice.one(&FLEET[2..5]);
        let covered = match kind {
            0..45 => {
                let Some(held) = reach.token(&mut dice, |_| true) else { continue };
                let cut = json!({"of": "token", "id": held.jti});
                let key = unique();
                reach.revoke(node, &cut, false, &key).await;
                // A client that did not hear the answer, or that another client overtook.
                if dice.percent(60) {
                    reach.revoke(other, &cut, false, &key).await;
                }
                Some(held)
            }
            45..60 => {
                let held = reach.token(&mut dice, |_| true);
                if let Some(held) = &held {
                    reach.revoke_own(node, held).await;
                }
                held
            }
            60..75 => {
                let held = reach.token(&mut dice, |held| held.integration == integration);
                reach.revoke(node, &json!({"of": "integration", "id": integration}), true, &unique()).await;
                held
            }
            75..78 => {
                let held = reach.token(&mut dice, |held| held.integration.starts_with("globex/"));
                reach.revoke(node, &json!({"of": "partner", "id": "globex"}), true, &unique()).await;
                held
            }
            _ => {
                let held = reach.token(&mut dice, |held| held.integration == integration);
                bar_and_lift(&reach, &mut dice, integration).await;
                held
            }
        };
        for _ in 0..2 {
            let asked = reach.any(&mut dice);
            if let Some(held) = &covered {
                reach.introspect(asked, held, dice.percent(50)).await;
            }
        }
        pause(&mut dice, 30, 150).await;
    }
}

/// Revokes an integration as a whole, tries to exchange meanwhile, and has the revocation lifted.
async fn bar_and_lift(reach: &Reach, dice: &mut Dice, integration: &str) {
    let (cut, key) = (json!({"of": "integration", "id": integration}), unique());
    let mut answer = reach.revoke(reach.any(dice), &cut, false, &key).await;
    for _ in 0..TRIES {
        if !is_unknown(&answer) {
            break;
        }
        pause(dice, 50, 150).await;
        answer = reach.revoke(reach.any(dice), &cut, false, &key).await;
    }
    tried(reach, dice, integration).await;
    for tries in 0..TRIES {
        if tries > 0 {
            pause(dice, 50, 150).await;
        }
        let standing = reach.staff(reach.any(dice), "alan", Request::get("/v1/revocations?limit=1000")).await;
        let Some(items) = standing.body["items"].as_array() else { continue };
        let stands = |one: &&Value| one["state"] == "standing" && one["tokensOnly"] != true && names(one, integration);
        let Some(one) = items.iter().find(stands) else { return };
        let id = one["id"].as_str().unwrap_or_default();
        let lift = Request::json(&format!("/v1/revocations/{id}/lift"), &json!({"reason": "over"}));
        reach.staff(reach.any(dice), "sara", lift).await;
        approve(reach, dice, ("sila", "lift"), json!({"cut": cut})).await;
    }
    panic!("a revocation of {integration} could not be lifted");
}

fn names(revocation: &Value, integration: &str) -> bool {
    revocation["subject"] == format!("integration:{integration}")
}

/// Approves what waits of this kind, if it was asked for now or before.
async fn approve(reach: &Reach, dice: &mut Dice, (person, kind): (&str, &str), ask: Value) {
    let pending = reach.staff(reach.any(dice), "alan", Request::get("/v1/approvals?state=pending&limit=1000")).await;
    for approval in pending.body["items"].as_array().into_iter().flatten().filter(|one| one["kind"] == kind) {
        let id = approval["id"].as_str().unwrap_or_default();
        let body = json!({"verdict": "approve", "reason": "looked at", "version": approval["version"]});
        let request = Request::json(&format!("/v1/approvals/{id}/reviews"), &body);
        reach.staff_as(reach.any(dice), person, kind, ask.clone(), request).await;
    }
}

/// An exchange that is to be refused.
async fn tried(reach: &Reach, dice: &mut Dice, integration: &str) {
    for _ in 0..2 {
        let node = reach.any(dice);
        reach.exchange(node, integration, "orders:read", &reach.proof(integration)).await;
    }
}

/// Suspends and resumes, narrows and widens.
async fn govern(reach: Arc<Reach>, mut dice: Dice) {
    while reach.goes_on() {
        match dice.below(3) {
            0 => suspend_and_resume(&reach, &mut dice, ("integration", "integrations", FLEET[1]), FLEET[1]).await,
            1 => suspend_and_resume(&reach, &mut dice, ("partner", "partners", "initech"), FLEET[7]).await,
            _ => narrow_and_widen(&reach, &mut dice, FLEET[0]).await,
        }
        pause(&mut dice, 50, 200).await;
    }
}

async fn suspend_and_resume(reach: &Reach, dice: &mut Dice, (of, list, id): (&str, &str, &str), member: &str) {
    let held = reach.token(dice, |held| held.integration == member);
    let cut = json!({"cut": {"of": of, "id": id}});
    let suspend = Request::json(&format!("/v1/{list}/{id}/suspend"), &json!({"reason": "a drill"}));
    reach.staff_as(reach.any(dice), "sven", "suspend", cut.clone(), suspend).await;
    tried(reach, dice, member).await;
    if let Some(held) = held {
        let node = reach.any(dice);
        reach.introspect(node, &held, dice.percent(50)).await;
    }
    for tries in 0..TRIES {
        if tries > 0 {
            pause(dice, 50, 150).await;
        }
        let shown = reach.staff(reach.any(dice), "alan", Request::get(&format!("/v1/{list}/{id}"))).await;
        if shown.status == 200 && shown.body["suspensions"].as_array().is_some_and(Vec::is_empty) {
            return;
        }
        let resume = Request::json(&format!("/v1/{list}/{id}/resume"), &json!({"reason": "over"}));
        reach.staff(reach.any(dice), "olga", resume).await;
        approve(reach, dice, ("sara", "resume"), cut.clone()).await;
    }
    panic!("{id} could not be resumed");
}

/// Takes a scope away, which is in force at once, and has it approved again.
async fn narrow_and_widen(reach: &Reach, dice: &mut Dice, integration: &str) {
    let apply = |narrow: bool| Request {
        line: "POST /v1/records/apply".to_owned(),
        headers: Vec::new(),
        body: Some(("application/yaml", records::integration(&reach.partner.issuer, integration, narrow))),
    };
    let ask = json!({"integration": integration, "scope": "orders:list"});
    reach.staff_as(reach.any(dice), "ann", "narrow", ask.clone(), apply(true)).await;
    let node = reach.any(dice);
    reach.exchange(node, integration, "orders:list", &reach.proof(integration)).await;
    for tries in 0..TRIES {
        if tries > 0 {
            pause(dice, 30, 90).await;
        }
        let applied = reach.staff(reach.any(dice), "ann", apply(false)).await;
        let pending = Request::get(&format!("/v1/approvals?state=pending&subject={integration}"));
        let pending = reach.staff(reach.any(dice), "alan", pending).await;
        let waiting = pending.body["items"].as_array().cloned().unwrap_or_default();
        if applied.body["items"][0]["action"] == "unchanged" && pending.status == 200 && waiting.is_empty() {
            return;
        }
        for approval in waiting {
            for person in ["olga", "sara"] {
                let id = approval["id"].as_str().unwrap_or_default();
                let body = json!({"verdict": "approve", "reason": "looked at", "version": approval["version"]});
                let request = Request::json(&format!("/v1/approvals/{id}/reviews"), &body);
                reach.staff_as(reach.any(dice), person, "widen", ask.clone(), request).await;
            }
        }
    }
    panic!("{integration} could not be widened");
}
