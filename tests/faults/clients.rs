//! What clients know of the stage, and how each of their requests comes into the history.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::dice::Dice;
use super::history::{Event, History};
use super::records;
use super::wire::{self, Answer, Request};
use crate::world::Provider;
use crate::world::client::unique;

/// The grant of nearly all exchanges.
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const TYPE_JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Tokens that clients keep, to ask about them and to revoke them.
const KEPT: usize = 300;

/// The two sockets of a node.
#[derive(Clone, Copy)]
pub enum Side {
    /// For workloads and APIs.
    Public,
    /// For staff.
    Admin,
}

/// A token that a client got.
#[derive(Clone)]
pub struct Held {
    /// Its text.
    pub token: String,
    /// Its id.
    pub jti: String,
    /// Its client.
    pub integration: String,
}

/// Where the nodes are, who signs proofs, and the history.
pub struct Reach {
    /// The partner's issuer.
    pub partner: Provider,
    /// The company's issuer.
    pub company: Provider,
    /// The history.
    pub history: History,
    /// The round.
    pub round: AtomicU32,
    /// Whether clients go on.
    pub running: AtomicBool,
    /// Tokens that clients got in this round.
    pub minted: AtomicU64,
    sockets: Vec<(SocketAddr, SocketAddr)>,
    host: String,
    held: Mutex<VecDeque<Held>>,
}

impl Reach {
    /// To these nodes, whose issuers have this host.
    pub fn new(
        sockets: Vec<(SocketAddr, SocketAddr)>,
        host: String,
        (partner, company): (Provider, Provider),
        history: History,
    ) -> Self {
        Self {
            partner,
            company,
            history,
            round: AtomicU32::new(0),
            running: AtomicBool::new(false),
            minted: AtomicU64::new(0),
            sockets,
            host,
            held: Mutex::default(),
        }
    }

    /// Host and port of every environment's issuer.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The form of an exchange with a fresh proof.
    pub fn form(&self, integration: &str) -> String {
        let (proof, _) = self.proof(integration);
        let form = [
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", proof.as_str()),
            ("subject_token_type", TYPE_JWT),
            ("audience", "orders-api"),
            ("scope", "orders:read"),
        ];
        wire::form(&form)
    }

    /// Where a node serves clients.
    pub fn public(&self, node: usize) -> SocketAddr {
        self.sockets[node].0
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.sockets.len()
    }

    /// A node.
    pub fn any(&self, dice: &mut Dice) -> usize {
        usize::try_from(dice.below(self.sockets.len() as u64)).expect("a small number")
    }

    /// Whether clients go on.
    pub fn goes_on(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    /// Sends a request, and adds it to the history with its facts.
    pub async fn ask(&self, (node, side): (usize, Side), op: &str, ask: Value, request: Request) -> Answer {
        let (public, admin) = self.sockets[node];
        let sent = self.history.now();
        let answer = match side {
            Side::Public => request.send(public, &self.host).await,
            Side::Admin => request.send(admin, &admin.to_string()).await,
        };
        self.history.add(&Event {
            round: self.round.load(Ordering::SeqCst),
            node,
            op: op.to_owned(),
            sent,
            received: self.history.now(),
            status: answer.status,
            request: answer.request.clone(),
            ask,
            answer: answer.body.clone(),
        });
        answer
    }

    /// A request of a person that is not judged but for its status and reason.
    pub async fn staff(&self, node: usize, person: &str, request: Request) -> Answer {
        self.staff_as(node, person, "staff", Value::Null, request).await
    }

    /// A request of a person, under a name of its own.
    pub async fn staff_as(&self, node: usize, person: &str, op: &str, ask: Value, request: Request) -> Answer {
        let request = request.with("authorization", &format!("Bearer {}", self.staff_token(person)));
        self.ask((node, Side::Admin), op, ask, request).await
    }

    /// `olga`, `ann` are owners; `sven`, `sara` and `sila` security; `adam` is an administrator, `alan` an auditor.
    fn staff_token(&self, person: &str) -> String {
        let group = match person {
            "ann" | "olga" => "owners",
            "sven" | "sara" | "sila" => "security",
            "adam" => "admins",
            _ => "audit",
        };
        let now = seconds();
        self.company.sign(&json!({
            "iss": self.company.issuer, "sub": person, "aud": "carnet", "exp": now + 600, "iat": now, "auth_time": now,
            "groups": [group], "name": person,
        }))
    }

    fn issuer(&self) -> String {
        format!("http://{}/production", self.host)
    }

    /// A fresh proof of an integration's workload, and its id.
    pub fn proof(&self, integration: &str) -> (String, String) {
        let mut claims = records::claims(integration);
        let (now, id) = (seconds(), unique());
        for (name, value) in [
            ("iss", json!(self.partner.issuer)),
            ("aud", json!(self.issuer())),
            ("exp", json!(now + 300)),
            ("iat", json!(now)),
            ("jti", json!(id)),
        ] {
            claims[name] = value;
        }
        (self.partner.sign(&claims), id)
    }

    /// A proof of the API's own workload.
    fn api_proof(&self) -> String {
        let now = seconds();
        self.partner.sign(&json!({
            "iss": self.partner.issuer, "sub": "system:serviceaccount:orders:api", "aud": self.issuer(), "exp": now + 300,
            "iat": now, "jti": unique(),
        }))
    }

    /// Exchanges a proof.
    pub async fn exchange(&self, node: usize, integration: &str, scope: &str, proof: &(String, String)) -> Answer {
        let form = [
            ("grant_type", TOKEN_EXCHANGE),
            ("subject_token", proof.0.as_str()),
            ("subject_token_type", TYPE_JWT),
            ("audience", "orders-api"),
            ("scope", scope),
        ];
        let ask = json!({
            "integration": integration, "environment": "production", "scope": scope,
            "proof": {"iss": self.partner.issuer, "jti": proof.1},
        });
        let request = Request::form("/production/token", &form);
        let answer = self.ask((node, Side::Public), "exchange", ask, request).await;
        if let Some(token) = answer.body["access_token"].as_str() {
            self.minted.fetch_add(1, Ordering::SeqCst);
            if let Some(jti) = jti(token) {
                self.hold(Held { token: token.to_owned(), jti, integration: integration.to_owned() });
            }
        }
        answer
    }

    fn hold(&self, held: Held) {
        let mut all = self.held.lock().expect("not poisoned");
        all.push_back(held);
        if all.len() > KEPT {
            all.pop_front();
        }
    }

    /// A token that somebody got, for which this holds; half the time one of the newest, of which fewer are cut.
    pub fn token(&self, dice: &mut Dice, of: impl Fn(&Held) -> bool) -> Option<Held> {
        let all = self.held.lock().expect("not poisoned");
        let from = if dice.percent(50) { all.len().saturating_sub(KEPT / 20) } else { 0 };
        let fitting: Vec<&Held> = all.iter().skip(from).filter(|held| of(held)).collect();
        (!fitting.is_empty()).then(|| (*dice.one(&fitting)).clone())
    }

    /// Asks whether a token is active, as the API's workload or as its proxy.
    pub async fn introspect(&self, node: usize, held: &Held, by_proxy: bool) -> Answer {
        let ask = json!({"jti": held.jti});
        if by_proxy {
            let request = Request::get("/production/verify?api=orders-api&scope=orders:read")
                .with("authorization", &format!("Bearer {}", held.token))
                .with("x-forwarded-method", "GET")
                .with("x-forwarded-uri", "/v1/orders");
            return self.ask((node, Side::Public), "verify", ask, request).await;
        }
        let proof = self.api_proof();
        let form =
            [("token", held.token.as_str()), ("client_assertion_type", JWT_BEARER), ("client_assertion", proof.as_str())];
        self.ask((node, Side::Public), "introspect", ask, Request::form("/production/introspect", &form)).await
    }

    /// Revokes a token as its own integration (RFC 7009).
    pub async fn revoke_own(&self, node: usize, held: &Held) -> Answer {
        let (proof, _) = self.proof(&held.integration);
        let form =
            [("token", held.token.as_str()), ("client_assertion_type", JWT_BEARER), ("client_assertion", proof.as_str())];
        let ask = json!({"cut": {"of": "token", "id": held.jti}});
        self.ask((node, Side::Public), "revoke-own", ask, Request::form("/production/revoke", &form)).await
    }

    /// Revokes something as `sven`, with a key.
    pub async fn revoke(&self, node: usize, cut: &Value, tokens_only: bool, key: &str) -> Answer {
        let (of, id) = (cut["of"].as_str().expect("a kind"), &cut["id"]);
        let mut body = json!({of: id, "reason": "a drill"});
        if of != "token" {
            body["tokensOnly"] = json!(tokens_only);
        }
        let ask = json!({"cut": cut, "tokensOnly": tokens_only, "key": key});
        let request = Request::json("/v1/revocations", &body).with("idempotency-key", key);
        self.staff_as(node, "sven", "revoke", ask, request).await
    }
}

/// The present second, by the machine's clock.
fn seconds() -> u64 {
    UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

/// The id of a token, unverified.
pub fn jti(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    claims["jti"].as_str().map(str::to_owned)
}
