//! Tokens: each on record, each by one proof, each for the client that asked.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::{Case, at, hex, sha256, text};
use crate::faults::history::Event;

/// A token of an answer: its header, its claims, the bytes of its claims, what is signed, and the signature.
struct Token {
    header: Value,
    claims: Value,
    payload: Vec<u8>,
    input: String,
    signature: Vec<u8>,
}

fn token(event: &Event) -> Option<Token> {
    let (input, signature) = text(&event.answer["access_token"]).rsplit_once('.')?;
    let (header, payload) = input.split_once('.')?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let payload = decode(payload)?;
    Some(Token {
        header: serde_json::from_slice(&decode(header)?).ok()?,
        claims: serde_json::from_slice(&payload).ok()?,
        payload,
        input: input.to_owned(),
        signature: decode(signature)?,
    })
}

/// The answers that granted a token, each with it; a grant without a readable token is told as a fault.
fn granted(case: &Case) -> impl Iterator<Item = (&Event, Option<Token>)> {
    case.of(&["exchange"]).filter(|event| event.status == 200).map(|event| (event, token(event)))
}

/// I-7: each token that a client got has one entry, with the digest of its claims, and says what the entry says.
pub fn on_record(case: &Case) -> Vec<String> {
    let issued = case.issued();
    let mut broken = Vec::new();
    for (event, token) in granted(case) {
        let Some(Token { header, claims, payload, .. }) = token else {
            broken.push(format!("no token in the answer of {}", at(event)));
            continue;
        };
        let [entry] = issued.get(text(&claims["jti"])).map(Vec::as_slice).unwrap_or_default() else {
            broken.push(format!("{} got token {} which has not exactly one entry", at(event), claims["jti"]));
            continue;
        };
        let pairs = [
            (&claims["entry"], &entry["index"]),
            (&claims["exp"], &entry["exp"]),
            (&claims["client_id"], &entry["subject"]),
            (&claims["scope"], &entry["scope"]),
            (&claims["aud"], &entry["audience"]),
            (&claims["env"], &entry["environment"]),
            (&claims["binding"], &entry["binding"]),
            (&header["kid"], &entry["kid"]),
        ];
        let same = pairs.iter().all(|(claim, on_record)| claim == on_record && !claim.is_null());
        if !same || text(&entry["claims"]) != hex(&sha256(&[&payload])) || text(&entry["requestId"]) != event.request {
            broken.push(format!("{} got a token with claims {claims}, and entry {} says otherwise", at(event), entry["index"]));
        }
    }
    broken
}

/// Each token is signed by a key that the journal has, and the key was there before it.
pub fn signed(case: &Case) -> Vec<String> {
    let keys: BTreeMap<&str, &Value> = case.kind("key.created").map(|entry| (text(&entry["kid"]), entry)).collect();
    let verifies = |token: &Token| {
        let key = keys.get(text(&token.header["kid"]))?;
        let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(text(&key["public"][name])).ok();
        let point = [vec![4], coordinate("x")?, coordinate("y")?].concat();
        let earlier = key["index"].as_u64() < token.claims["entry"].as_u64() && token.header["alg"] == "ES256";
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        (earlier && key.verify(token.input.as_bytes(), &token.signature).is_ok()).then_some(())
    };
    let bad = |(event, token): (&Event, Option<Token>)| {
        token.is_some_and(|token| verifies(&token).is_none()).then(|| format!("the token of {} does not verify", at(event)))
    };
    granted(case).filter_map(bad).collect()
}

/// I-6: a proof gave one token at most, to clients and in the journal.
pub fn one_token_per_proof(case: &Case) -> Vec<String> {
    let mut paid: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (event, _) in granted(case) {
        paid.entry(event.ask["proof"].to_string()).or_default().push(at(event));
    }
    let twice = paid.into_iter().filter(|(_, events)| events.len() > 1);
    let mut broken: Vec<String> =
        twice.map(|(proof, events)| format!("proof {proof} gave tokens to {}", events.join(" and "))).collect();
    let (mut spent, mut tokens) = (BTreeSet::new(), BTreeSet::new());
    for entry in case.kind("issued") {
        if !spent.insert(text(&entry["proof"]["id"])) {
            broken.push(format!("entry {} was paid with a proof that was spent", entry["index"]));
        }
        if !tokens.insert(text(&entry["jti"])) {
            broken.push(format!("entry {} has a jti of an earlier entry", entry["index"]));
        }
    }
    broken
}

/// A refusal and a 503 spend nothing and record no token, unless the 503 says that nobody knows; a proof is called replayed only if it was spent.
pub fn unspent(case: &Case) -> Vec<String> {
    let requests: BTreeSet<&str> = case.kind("issued").map(|entry| text(&entry["requestId"])).collect();
    let spent: BTreeSet<&str> = case.kind("issued").map(|entry| text(&entry["proof"]["id"])).collect();
    let mut broken = Vec::new();
    for event in case.of(&["exchange"]).filter(|event| event.status >= 400) {
        let is_unknown = event.status == 503 && event.answer["reason"] == "store.unconfirmed";
        if requests.contains(event.request.as_str()) && !is_unknown {
            broken.push(format!("{} was refused with {}, and its token is on record", at(event), event.status));
        }
        let proof = &event.ask["proof"];
        let id = hex(&sha256(&[text(&proof["iss"]).as_bytes(), &[0], text(&proof["jti"]).as_bytes()]));
        if event.answer["reason"] == "assertion.replayed" && !spent.contains(id.as_str()) {
            broken.push(format!("{} was told that its proof is replayed, and no token was issued for it", at(event)));
        }
    }
    broken
}

/// An answer goes to the client that asked, and says what it asked for.
pub fn other_caller(case: &Case) -> Vec<String> {
    let mut broken = Vec::new();
    for (event, token) in granted(case) {
        let Some(Token { claims, .. }) = token else { continue };
        let scopes = |value: &Value| text(value).split(' ').map(str::to_owned).collect::<BTreeSet<_>>();
        let wanted = (&event.ask["integration"], &event.ask["environment"], scopes(&event.ask["scope"]));
        if (&claims["client_id"], &claims["env"], scopes(&claims["scope"])) != wanted {
            broken.push(format!(
                "{} asked as {} for {}, and got {claims}",
                at(event),
                event.ask["integration"],
                event.ask["scope"]
            ));
        }
    }
    for event in case.of(&["introspect"]).filter(|event| event.answer["active"] == true) {
        if event.answer["jti"] != event.ask["jti"] {
            broken.push(format!("{} asked about {}, and was told of {}", at(event), event.ask["jti"], event.answer["jti"]));
        }
    }
    let mut ids = BTreeSet::new();
    for event in case.events.iter().filter(|event| event.status != 0 && event.op != "fault") {
        if event.request.is_empty() || !ids.insert(event.request.as_str()) {
            broken.push(format!("{} has no request id of its own", at(event)));
        }
    }
    broken
}
