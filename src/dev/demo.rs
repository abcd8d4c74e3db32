//! `carnet demo`: runs the whole flow against a development broker, over the wire like any client.
//!
//! Each step states what it expects, and fails if that is not so.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::records;
use crate::authn::tls;
use crate::domain::value::clock::{Clock as _, Seconds, Timestamp};
use crate::journal::tree::note::VerifierKey;
use crate::journal::tree::proof::InclusionProof;
use crate::outbound::operator::{Call, OperatorClient, Reply};
use crate::server::SystemClock;

/// The addresses that the demo uses.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The admin address.
    pub admin: String,
    /// The public address.
    pub public: String,
    /// The demo socket.
    pub demo: String,
    /// The issuer of production.
    pub issuer: String,
}

/// The outcome of one step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Its short name.
    pub name: &'static str,
    /// A sentence about what happened.
    pub says: String,
    /// True if that is what should have happened.
    pub ok: bool,
    /// The time it took, in milliseconds.
    pub millis: u64,
}

/// The steps, in order.
const STEPS: [&str; 13] = [
    "mint",
    "call",
    "denied",
    "needs-elevation",
    "elevate",
    "call-again",
    "revoke",
    "refused",
    "widened",
    "reviewed",
    "owner-left",
    "offboarded",
    "verified",
];

/// The integration of the demo.
const INTEGRATION: &str = "/v1/integrations/globex/order-sync";

/// The longest time until a revocation holds everywhere (ABUSE R-01).
const REVOKED_WITHIN: Duration = Duration::from_secs(1);

/// Runs the steps, and calls `show` after each. It stops at the first that fails.
pub async fn tell(stage: &Stage, mut show: impl FnMut(&Step)) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some(teller) = Teller::new(stage) else { return steps };
    let mut token = Token::default();
    for name in STEPS {
        let started = Instant::now();
        let told = match name {
            "mint" => teller.mint(&mut token).await,
            "call" => teller.call(&token).await,
            "denied" => teller.denied().await,
            "needs-elevation" => teller.needs_elevation().await,
            "elevate" => teller.elevate(&mut token).await,
            "call-again" => teller.call_again(&mut token).await,
            "revoke" => teller.revoke(&token).await,
            "refused" => teller.refused(&token).await,
            "widened" => teller.widened().await,
            "reviewed" => teller.reviewed().await,
            "owner-left" => teller.owner_left().await,
            "offboarded" => teller.offboarded().await,
            _ => teller.verified(&token).await,
        };
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (ok, says) = told.map_or_else(|says| (false, says), |says| (true, says));
        let step = Step { name, says, ok, millis };
        show(&step);
        steps.push(step);
        if !ok {
            break;
        }
    }
    steps
}

/// True if every step succeeded.
pub fn went_well(steps: &[Step]) -> bool {
    steps.len() == STEPS.len() && steps.iter().all(|step| step.ok)
}

/// The token of the demo, with the facts that later steps need.
#[derive(Default)]
struct Token {
    elevation: String,
    text: String,
    jti: String,
    entry: u64,
}

impl Token {
    /// Takes the token from an answer, and returns its claims.
    fn take(&mut self, answer: &Reply) -> Result<Value, String> {
        let told = json_of(answer);
        let text = told["access_token"].as_str().filter(|_| answer.status == 200).ok_or_else(|| seen(answer))?;
        let claims = claims_of(text).ok_or("the token is no JWT")?;
        self.text = text.to_owned();
        self.jti = claims["jti"].as_str().ok_or("the token has no jti")?.to_owned();
        self.entry = claims["entry"].as_u64().ok_or("the token names no entry")?;
        Ok(claims)
    }
}

/// A sentence about what happened; as an error, about what happened instead.
pub(super) type Told = Result<String, String>;

/// Who tells the demo, with the clients of its sockets.
pub(super) struct Teller<'a> {
    pub(super) stage: &'a Stage,
    admin: OperatorClient,
    public: OperatorClient,
    demo: OperatorClient,
}

impl<'a> Teller<'a> {
    fn new(stage: &'a Stage) -> Option<Self> {
        let tls = tls::client().ok()?;
        let client = |base: &str| OperatorClient::new(base, &tls).ok();
        Some(Self { stage, admin: client(&stage.admin)?, public: client(&stage.public)?, demo: client(&stage.demo)? })
    }

    async fn mint(&self, token: &mut Token) -> Told {
        let answer = self.exchange("main", "orders:read").await?;
        let told = json_of(&answer);
        let claims = token.take(&answer)?;
        Ok(format!(
            "globex/order-sync showed its workload's JWT and got a token for {} with {}, good for {} s, on record as entry {}",
            claims["aud"], told["scope"], told["expires_in"], token.entry
        ))
    }

    async fn call(&self, token: &Token) -> Told {
        let answer = self.api("GET", "/v1/orders", token).await?;
        if answer.status == 200 {
            Ok(format!("GET /v1/orders: 200, signature verified by JWKS, client {}", json_of(&answer)["client"]))
        } else {
            Err(seen(&answer))
        }
    }

    /// An exchange from another branch than the record's is refused with a named reason.
    async fn denied(&self) -> Told {
        let answer = self.exchange("feature", "orders:read").await?;
        let told = json_of(&answer);
        if answer.status != 400 || told["reason"] != "binding.no-match" {
            return Err(seen(&answer));
        }
        let request = told["request_id"].as_str().ok_or("the refusal has no request id")?;
        let explained = self.staff("GET", &format!("/v1/explain/{request}"), "sven", None).await?;
        let tree = json_of(&explained);
        let failed = tree["tree"].as_array().into_iter().flatten().find(|step| step["holds"] == false);
        let failed = failed.ok_or_else(|| format!("nothing explains {request}: {tree}"))?;
        Ok(format!(
            "from branch feature: binding.no-match ({} wants {}, got {})",
            failed["check"], failed["want"], failed["seen"]
        ))
    }

    async fn needs_elevation(&self) -> Told {
        let answer = self.exchange("main", "orders:write").await?;
        let told = json_of(&answer);
        if answer.status == 400 && told["reason"] == "scope.needs-elevation" {
            Ok("orders:write: scope.needs-elevation; the record makes it eligible, and nobody has approved it".to_owned())
        } else {
            Err(seen(&answer))
        }
    }

    /// The workload requests an elevation by itself, and somebody of security approves.
    ///
    /// Nobody has to be signed in at the partner.
    async fn elevate(&self, token: &mut Token) -> Told {
        let body = json!({
            "api": "orders-api", "scopes": ["orders:write"], "duration": "15m", "reason": "order 1001 hangs", "ticket": "INC-7",
        });
        let proof = self.proof("main").await?;
        let path = self.path("/elevations")?;
        let content = Some(("application/json", body.to_string().into_bytes()));
        let call = Call { method: "POST", path: &path, bearer: Some(&proof), body: content, ..Call::default() };
        let asked = send(&self.public, call).await?;
        let id = json_of(&asked)["id"].as_str().filter(|_| asked.status == 202).ok_or_else(|| seen(&asked))?.to_owned();
        let shown = json_of(&self.staff("GET", &format!("/v1/elevations/{id}"), "sven", None).await?);
        let verdict = json!({"verdict": "approve", "reason": "the demo wants it", "version": shown["version"]});
        let decided = self.staff("POST", &format!("/v1/elevations/{id}/reviews"), "sven", Some(verdict)).await?;
        if json_of(&decided)["state"] == "active" {
            token.elevation.clone_from(&id);
            let meaning = &shown["briefing"]["asked"][0]["meaning"];
            Ok(format!("the workload asked for orders:write ({meaning}) for 15m; sven (security) approved elevation {id}"))
        } else {
            Err(seen(&decided))
        }
    }

    async fn call_again(&self, token: &mut Token) -> Told {
        let answer = self.exchange("main", "orders:read orders:write").await?;
        let claims = token.take(&answer)?;
        let details = claims["authorization_details"].as_array().into_iter().flatten();
        let elevation = details.clone().find(|detail| detail["type"] == "jit_elevation");
        let elevation = elevation.ok_or("the token names no elevation")?;
        let answer = self.api("PATCH", "/v1/orders/1001/status", token).await?;
        if answer.status == 200 {
            Ok(format!(
                "PATCH /v1/orders/1001/status: 200; the token has {} by ticket {}, and ends with the elevation",
                elevation["scopes"], elevation["ticket"]
            ))
        } else {
            Err(seen(&answer))
        }
    }

    async fn revoke(&self, token: &Token) -> Told {
        let body = json!({"token": token.jti, "reason": "the demo ends here"});
        let answer = self.staff("POST", "/v1/revocations", "sven", Some(body)).await?;
        if answer.status >= 300 {
            return Err(seen(&answer));
        }
        let path = format!("/v1/elevations/{}/end", token.elevation);
        let ended = self.staff("POST", &path, "sven", Some(json!({"reason": "the demo ends here"}))).await?;
        if json_of(&ended)["state"] == "ended" {
            Ok(format!("sven (security) revoked token {} and ended the elevation", token.jti))
        } else {
            Err(seen(&ended))
        }
    }

    async fn refused(&self, token: &Token) -> Told {
        let started = Instant::now();
        loop {
            let answer = self.api("GET", "/v1/orders", token).await?;
            let took = started.elapsed();
            match answer.status {
                401 => {
                    return Ok(format!(
                        "GET /v1/orders with the same token: 401, {} ms after the revocation",
                        took.as_millis()
                    ));
                }
                200 if took < REVOKED_WITHIN => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => return Err(seen(&answer)),
            }
        }
    }

    /// A record that gives more is held: nothing changes until two other people agree.
    async fn widened(&self) -> Told {
        let known = records::demo(&self.stage.demo, SystemClock.now());
        let wider = known
            .replace("scope: orders:read\n          allow: [GET /v1/orders, \"GET /v1/orders/{id}\"]", "scope: orders:read");
        let content = Some(("application/yaml", wider.into_bytes()));
        let told = json_of(&self.staff_send("POST", "/v1/records/apply", "ann", content).await?);
        let held = told["items"].as_array().into_iter().flatten().find(|item| item["action"] == "hold");
        let at = held.and_then(|item| item["differences"][0]["at"].as_str()).ok_or("the wider record is not held")?;
        let shown = json_of(&self.staff("GET", INTEGRATION, "ann", None).await?);
        if shown["held"]["approval"].is_null() {
            return Err("no approval is open".to_owned());
        }
        Ok(format!("ann applied a record that WIDENS {at}: it waits for an owner and security, and the one in force stays"))
    }

    /// An owner who had no hand in the record reviews it, and what is not needed at any time takes an elevation from then on.
    async fn reviewed(&self) -> Told {
        let due = SystemClock.now().plus(Seconds::days(30));
        let reason = "the demo looks at what globex has";
        let campaign = json!({
            "select": {"partner": "globex"}, "due": due.to_string(), "onSilence": "report", "reason": reason,
        });
        let started = self.staff("POST", "/v1/reviews", "sven", Some(campaign)).await?;
        if started.status != 201 {
            return Err(seen(&started));
        }
        let open =
            json_of(&self.staff("GET", "/v1/reviews?partner=globex&environment=sandbox&state=open", "otto", None).await?);
        let id = open["items"][0]["id"].as_str().ok_or("no review is open")?.to_owned();
        let card = json_of(&self.staff("GET", &format!("/v1/reviews/{id}"), "otto", None).await?);
        let item = |item: &Value| {
            let decision = if item["risk"] == "high" { "elevation" } else { "keep" };
            json!({"api": item["api"], "scope": item["scope"], "decision": decision})
        };
        let items: Vec<Value> = card["items"].as_array().into_iter().flatten().map(item).collect();
        let body = json!({"version": card["version"], "items": items, "reason": "writes are rare"});
        let decided = self.staff("POST", &format!("/v1/reviews/{id}/decisions"), "otto", Some(body)).await?;
        let told = json_of(&decided);
        if told["state"] == "completed" && !told["version"].is_null() && !told["withdrew"].is_null() {
            Ok("otto (owner) reviewed sandbox: orders:write takes an elevation from now on; the change that waited is withdrawn"
                .to_owned())
        } else {
            Err(seen(&decided))
        }
    }

    /// An owner leaves: a review opens, and without another owner the integration ends.
    async fn owner_left(&self) -> Told {
        let signal = json!({"subject": "globex/order-sync", "kind": "owner-left", "reason": "raj changed teams"});
        let sent = self.staff("POST", "/v1/signals", "sven", Some(signal)).await?;
        let shown = json_of(&self.staff("GET", INTEGRATION, "alan", None).await?);
        let ends = shown["endsNext"]["at"].as_i64().and_then(Timestamp::from_seconds);
        match ends.filter(|_| sent.status == 201 && shown["endsNext"]["what"] == "owner") {
            Some(ends) => {
                Ok(format!("an owner left: a review is open, and without another owner nothing is issued from {ends} on"))
            }
            None => Err(seen(&sent)),
        }
    }

    /// Proves that the token's entry is in the newest signed checkpoint, with the public key alone.
    async fn verified(&self, token: &Token) -> Told {
        let path = format!("/v1/journal/proof?index={}", token.entry);
        let told = json_of(&self.staff("GET", &path, "sven", None).await?);
        let text = |name: &str| told[name].as_str().map(str::to_owned).ok_or_else(|| format!("no {name} in {told}"));
        let key: VerifierKey = text("key")?.parse().map_err(|fault| format!("the verifier key: {fault}"))?;
        let proof = InclusionProof::parse(&text("proof")?, text("entry")?).map_err(|fault| fault.to_string())?;
        let names_it = serde_json::from_str::<Value>(&proof.entry).is_ok_and(|entry| entry["jti"] == token.jti);
        let checkpoint = proof.verify(&key).map_err(|fault| fault.to_string())?;
        if names_it {
            Ok(format!("entry {} is in the signed checkpoint of {} entries; key {key}", token.entry, checkpoint.size))
        } else {
            Err("the proved entry is not the token's".to_owned())
        }
    }

    async fn exchange(&self, branch: &str, scope: &str) -> Result<Reply, String> {
        let proof = self.proof(branch).await?;
        let scope = scope.replace(' ', "+");
        let form = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token={proof}\
             &subject_token_type=urn:ietf:params:oauth:token-type:jwt&audience=orders-api&scope={scope}"
        );
        let body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
        send(&self.public, Call { method: "POST", path: &self.path("/token")?, body, ..Call::default() }).await
    }

    /// The proof that the workload's platform gives it.
    async fn proof(&self, branch: &str) -> Result<String, String> {
        let path = format!("/workloads/token?audience={}&branch={branch}", self.stage.issuer);
        let proof = json_of(&send(&self.demo, Call { method: "GET", path: &path, ..Call::default() }).await?);
        Ok(proof["value"].as_str().ok_or("the demo issuer gives no proof")?.to_owned())
    }

    /// A path below the issuer, on the public socket.
    fn path(&self, suffix: &str) -> Result<String, String> {
        let path = self.stage.issuer.strip_prefix(self.stage.public.as_str()).ok_or("the issuer lies elsewhere")?;
        Ok(format!("{path}{suffix}"))
    }

    async fn api(&self, method: &str, path: &str, token: &Token) -> Result<Reply, String> {
        send(&self.demo, Call { method, path, bearer: Some(&token.text), ..Call::default() }).await
    }

    pub(super) async fn staff(&self, method: &str, path: &str, person: &str, body: Option<Value>) -> Result<Reply, String> {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        self.staff_send(method, path, person, body).await
    }

    pub(super) async fn staff_send(
        &self,
        method: &str,
        path: &str,
        person: &str,
        body: Option<(&'static str, Vec<u8>)>,
    ) -> Result<Reply, String> {
        let ask = format!("/staff/token?person={person}");
        let bearer = json_of(&send(&self.demo, Call { method: "GET", path: &ask, ..Call::default() }).await?);
        let bearer = bearer["value"].as_str().ok_or("the demo staff issuer gives no bearer")?;
        send(&self.admin, Call { method, path, bearer: Some(bearer), body, ..Call::default() }).await
    }
}

async fn send(client: &OperatorClient, call: Call<'_>) -> Result<Reply, String> {
    client.call(call).await.map_err(|fault| fault.to_string())
}

pub(super) fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or(Value::Null)
}

/// The status and reason of an unexpected answer. Its body may have anything in it, even a token.
pub(super) fn seen(reply: &Reply) -> String {
    let told = json_of(reply);
    let reason = told["reason"].as_str().or(told["error"].as_str()).unwrap_or("no reason");
    format!("unexpected answer: {} {reason}", reply.status)
}

fn claims_of(token: &str) -> Option<Value> {
    use base64::Engine as _;
    let payload = token.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&bytes).ok()
}
