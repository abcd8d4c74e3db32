//! The judge is judged: a clean case breaks no rule, and for each rule there is a case that breaks it.

use std::collections::BTreeSet;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{Case, RULES, hex, judge, sha256};
use crate::faults::history::Event;

const ORIGIN: &str = "faults.example/carnet";

/// A journal and a history that are made for a test.
struct Sample {
    entries: Vec<Value>,
    events: Vec<Event>,
    tokens: EcdsaKeyPair,
    notes: Ed25519KeyPair,
    clock: u64,
}

impl Sample {
    fn new() -> Self {
        let tokens = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let notes = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
        let mut sample = Self { entries: Vec::new(), events: Vec::new(), tokens, notes, clock: 0 };
        sample.change("journal.opened", json!({"origin": ORIGIN}));
        let point = sample.tokens.public_key().as_ref().to_vec();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        sample.change("key.created", json!({"kid": "key-1", "public": {"x": x, "y": y}}));
        sample
    }

    /// A life in which nothing is wrong.
    fn clean() -> Self {
        let mut sample = Self::new();
        let (first, second) = (sample.token("globex/a", "p1"), sample.token("globex/b", "p2"));
        sample.asked("introspect", &first, true);
        sample.asked("verify", &second, true);
        sample.revoked(json!({"of": "token", "id": first}), "r1", "k1", false);
        sample.event(
            "revoke",
            201,
            json!({"cut": {"of": "token", "id": first}, "tokensOnly": false, "key": "k1"}),
            json!({"id": "r1"}),
        );
        sample.asked("introspect", &first, false);
        sample.revoked(json!({"of": "integration", "id": "globex/b"}), "r2", "k2", false);
        sample.asked("verify", &second, false);
        sample.change("revocation.lifted", json!({"id": "r2"}));
        sample.event("lift", 200, json!({"cut": {"of": "integration", "id": "globex/b"}}), json!({}));
        let third = sample.token("globex/b", "p3");
        sample.asked("introspect", &third, true);
        sample.revoked(json!({"of": "partner", "id": "globex"}), "r3", "k3", true);
        sample.asked("introspect", &third, false);
        sample.token("globex/a", "p4");
        let suspension = json!({"of": "integration", "id": "globex/c"});
        sample.change("integration.suspended", json!({"integration": "globex/c", "id": "s1"}));
        sample.event("suspend", 201, json!({"cut": suspension}), json!({"id": "s1"}));
        sample.change("integration.resumed", json!({"integration": "globex/c", "suspensions": ["s1"]}));
        sample.event("resume", 200, json!({"cut": suspension}), json!({}));
        sample.token("globex/c", "p5");
        let narrow = json!({"integration": "globex/d", "scope": "orders:list"});
        sample.change("integration.narrowed", json!({}));
        sample.event("narrow", 200, narrow.clone(), json!({}));
        sample.token("globex/d", "p6");
        sample.change("integration.changed", json!({}));
        sample.event("widen", 200, narrow, json!({}));
        let proof = json!({"iss": "https://ci.example", "jti": "p6"});
        let ask = json!({"integration": "globex/d", "environment": "production", "scope": "orders:read", "proof": proof});
        sample.event("exchange", 400, ask, json!({"error": "invalid_request", "reason": "assertion.replayed"}));
        sample.token("globex/d", "p7");
        let unknown = sample.last("exchange");
        (unknown.status, unknown.answer) = (503, json!({"error": "temporarily_unavailable", "reason": "store.unconfirmed"}));
        sample.event("fault", 0, json!({"kind": "node killed"}), Value::Null);
        sample.event("introspect", 0, json!({"jti": third}), Value::Null);
        sample.asked("introspect", &third, false);
        sample
    }

    fn change(&mut self, kind: &str, fields: Value) {
        let prior = self.entries.iter().rev().find(|entry| entry["kind"] != "issued").map(|entry| entry["index"].clone());
        let mut entry = json!({"index": self.entries.len(), "time": 1_796_000_000 + self.entries.len(), "kind": kind});
        if let Some(prior) = prior {
            entry["prior"] = prior;
        }
        entry["requestId"] = json!(format!("request-{}", self.events.len()));
        for (name, value) in fields.as_object().expect("fields") {
            entry[name] = value.clone();
        }
        self.entries.push(entry);
    }

    fn event(&mut self, op: &str, status: u16, ask: Value, answer: Value) {
        self.clock += 20;
        let request = if status == 0 { String::new() } else { format!("request-{}", self.events.len()) };
        let (sent, received) = (self.clock, self.clock + 10);
        self.events.push(Event { round: 1, node: 0, op: op.to_owned(), sent, received, status, request, ask, answer });
    }

    /// A token that is issued and received. Returns its id.
    fn token(&mut self, client: &str, proof: &str) -> String {
        let (index, jti) = (self.entries.len(), format!("jti-{proof}"));
        let claims = json!({
            "jti": jti, "entry": index, "exp": 1_796_000_300, "client_id": client, "scope": "orders:read",
            "aud": "https://orders.example", "env": "production", "binding": "ci",
        });
        let payload = claims.to_string();
        let spent = hex(&sha256(&[b"https://ci.example", &[0], proof.as_bytes()]));
        self.entries.push(json!({
            "index": index, "time": 1_796_000_000 + index, "kind": "issued", "subject": client,
            "requestId": format!("request-{}", self.events.len()), "environment": "production", "jti": jti, "exp": 1_796_000_300,
            "audience": "https://orders.example", "scope": "orders:read", "binding": "ci", "kid": "key-1",
            "claims": hex(&sha256(&[payload.as_bytes()])), "proof": {"id": spent},
        }));
        let token = self.signed(&payload);
        let ask = json!({
            "integration": client, "environment": "production", "scope": "orders:read",
            "proof": {"iss": "https://ci.example", "jti": proof},
        });
        self.event("exchange", 200, ask, json!({"access_token": token}));
        jti
    }

    fn signed(&self, payload: &str) -> String {
        let header = json!({"alg": "ES256", "kid": "key-1", "typ": "at+jwt"}).to_string();
        let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = self.tokens.sign(&SystemRandom::new(), input.as_bytes()).expect("signed");
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn asked(&mut self, op: &str, jti: &str, active: bool) {
        let (status, answer) = match (op, active) {
            ("introspect", true) => (200, json!({"active": true, "jti": jti})),
            ("introspect", false) => (200, json!({"active": false})),
            (_, true) => (200, Value::Null),
            (_, false) => (401, json!({"reason": "token.inactive"})),
        };
        self.event(op, status, json!({"jti": jti}), answer);
    }

    fn revoked(&mut self, cut: Value, id: &str, key: &str, tokens_only: bool) {
        let by = json!({"staff": {"id": "sven"}});
        self.change("revocation.added", json!({"id": id, "cut": cut, "tokensOnly": tokens_only, "by": by}));
        self.event("revoke", 201, json!({"cut": cut, "tokensOnly": tokens_only, "key": key}), json!({"id": id}));
    }

    /// Removes an entry, as if it had never been.
    fn without(&mut self, kind: &str) {
        let at = self.entries.iter().position(|entry| entry["kind"] == kind).expect("such an entry");
        self.entries.remove(at);
        let mut prior = Value::Null;
        for (index, entry) in self.entries.iter_mut().enumerate() {
            entry["index"] = json!(index);
            if entry["kind"] != "issued" {
                if !prior.is_null() {
                    entry["prior"] = prior;
                }
                prior = json!(index);
            }
        }
    }

    fn last(&mut self, op: &str) -> &mut Event {
        self.events.iter_mut().rev().find(|event| event.op == op).expect("such an event")
    }

    fn case(&self) -> Case {
        let lines: Vec<String> = self.entries.iter().map(Value::to_string).collect();
        let leaves: Vec<[u8; 32]> = lines.iter().map(|line| sha256(&[&[0], line.as_bytes()])).collect();
        let body = format!("{ORIGIN}\n{}\n{}\n", lines.len(), STANDARD.encode(tree(leaves)));
        let public = [&[1], self.notes.public_key().as_ref()].concat();
        let id = sha256(&[ORIGIN.as_bytes(), b"\n", &public]);
        let signature = [&id[..4], self.notes.sign(body.as_bytes()).as_ref()].concat();
        Case {
            events: self.events.clone(),
            lines,
            entries: self.entries.clone(),
            note: format!("{body}\n— {ORIGIN} {}\n", STANDARD.encode(signature)),
            key: format!("{ORIGIN}+{}+{}", hex(&id[..4]), STANDARD.encode(public)),
            reasons: ["assertion.replayed", "store.unconfirmed", "token.inactive"].map(str::to_owned).into(),
        }
    }
}

/// The root as RFC 6962 has it, level by level: another way than the judge's.
fn tree(mut level: Vec<[u8; 32]>) -> [u8; 32] {
    while level.len() > 1 {
        let pair = |pair: &[[u8; 32]]| if let [left, right] = pair { sha256(&[&[1], left, right]) } else { pair[0] };
        level = level.chunks(2).map(pair).collect();
    }
    level[0]
}

/// The rules that a case breaks.
fn broken(case: &Case) -> BTreeSet<&'static str> {
    judge(case).into_iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_clean_case_breaks_no_rule() {
    let found = judge(&Sample::clean().case());
    assert!(found.is_empty(), "{found:#?}");
}

/// A way to break a rule.
type Break = (&'static str, fn(&mut Sample));

/// For each rule at least one; a break may break others besides.
const BREAKS: [Break; 28] = [
    ("order", |sample| sample.entries.swap(3, 4)),
    ("time", |sample| sample.entries[5]["time"] = json!(1)),
    ("chain", |sample| {
        sample.entries.iter_mut().rfind(|entry| entry["kind"] != "issued").expect("a change")["prior"] = json!(0)
    }),
    ("on-record", |sample| sample.without("issued")),
    ("on-record", |sample| sample.entries[2]["claims"] = json!("00")),
    ("on-record", |sample| sample.entries[2]["scope"] = json!("orders:write")),
    ("on-record", |sample| sample.entries[2]["requestId"] = json!("another")),
    ("signed", |sample| sample.entries[1]["kid"] = json!("key-2")),
    ("signed", |sample| sample.entries[1]["public"]["x"] = sample.entries[1]["public"]["y"].clone()),
    ("one-token-per-proof", |sample| drop(sample.token("globex/a", "p1"))),
    ("one-token-per-proof", |sample| sample.entries[3]["proof"] = sample.entries[2]["proof"].clone()),
    ("unspent", |sample| {
        sample.token("globex/a", "p9");
        sample.last("exchange").status = 503;
    }),
    ("unspent", |sample| sample.last("exchange").answer["reason"] = json!("store.unavailable")),
    ("unspent", |sample| {
        let replayed = |event: &&mut Event| event.answer["reason"] == "assertion.replayed";
        sample.events.iter_mut().find(replayed).expect("a replay").ask["proof"]["jti"] = json!("p9");
    }),
    ("other-caller", |sample| sample.events[0].ask["integration"] = json!("globex/z")),
    ("other-caller", |sample| sample.events[0].ask["scope"] = json!("orders:read orders:list")),
    ("other-caller", |sample| sample.last("introspect").answer = json!({"active": true, "jti": "another"})),
    ("other-caller", |sample| sample.events[1].request = sample.events[0].request.clone()),
    ("barred-in-journal", |sample| sample.without("revocation.lifted")),
    ("barred-in-journal", |sample| sample.without("integration.resumed")),
    ("barred-by-the-clock", |sample| sample.events.retain(|event| event.op != "lift")),
    ("barred-by-the-clock", |sample| {
        // The token of globex/d had the scope that was taken away.
        let event = sample.events.iter_mut().rfind(|event| event.op == "exchange" && event.status == 200).expect("a grant");
        event.ask["scope"] = json!("orders:list orders:read");
    }),
    ("active-after-cut", |sample| sample.asked("introspect", "jti-p1", true)),
    ("active-after-cut", |sample| sample.asked("verify", "jti-p3", true)),
    ("acknowledged-change", |sample| sample.without("integration.suspended")),
    ("acknowledged-change", |sample| {
        let jti = sample.token("globex/e", "p9");
        sample.event("revoke-own", 200, json!({"cut": {"of": "token", "id": jti}}), Value::Null);
    }),
    ("done-once", |sample| {
        sample.revoked(json!({"of": "token", "id": "jti-p1"}), "r9", "k1", false);
    }),
    ("documented", |sample| sample.last("introspect").status = 500),
];

#[test]
fn each_rule_finds_what_breaks_it() {
    for (number, (rule, spoil)) in BREAKS.iter().enumerate() {
        let mut sample = Sample::clean();
        spoil(&mut sample);
        let found = broken(&sample.case());
        assert!(found.contains(rule), "{rule} ({number}): {found:?}");
    }
    // What a clean journal cannot be made to say.
    let mut case = Sample::clean().case();
    case.lines[2] = case.lines[2].replace("globex", "initech");
    assert_eq!(broken(&case), BTreeSet::from(["root"]));
    let mut case = Sample::clean().case();
    case.note = case.note.replace(ORIGIN, "other.example/carnet");
    assert_eq!(broken(&case), BTreeSet::from(["signature"]));
    let covered: BTreeSet<&str> = BREAKS.iter().map(|(rule, _)| *rule).chain(["root", "signature", "revived"]).collect();
    assert_eq!(covered, RULES.iter().map(|(rule, _)| *rule).collect(), "each rule has a case");
}

/// An inactive token that is active later breaks that rule alone: nobody acknowledged a cut.
#[test]
fn a_token_that_comes_back_is_found() {
    let mut sample = Sample::new();
    let jti = sample.token("globex/a", "p1");
    sample.asked("introspect", &jti, false);
    assert_eq!(broken(&sample.case()), BTreeSet::new());
    sample.asked("verify", &jti, true);
    assert_eq!(broken(&sample.case()), BTreeSet::from(["revived"]));
    // Another node may learn of the cut a little later.
    sample.last("verify").node = 1;
    assert_eq!(broken(&sample.case()), BTreeSet::new());
    let late = sample.last("verify");
    (late.sent, late.received) = (late.sent + 5_000_000, late.received + 5_000_000);
    assert_eq!(broken(&sample.case()), BTreeSet::from(["revived"]));
}

/// What overlaps has no order: a token that was asked for before the acknowledgement, and a bar whose end was asked for, break nothing.
#[test]
fn what_happens_at_once_breaks_no_rule() {
    let mut sample = Sample::new();
    let jti = sample.token("globex/a", "p1");
    sample.asked("introspect", &jti, true);
    sample.revoked(json!({"of": "integration", "id": "globex/a"}), "r1", "k1", false);
    let acknowledged = sample.last("revoke").received;
    let asked = sample.last("introspect");
    (asked.sent, asked.received) = (acknowledged - 1, acknowledged + 30);
    assert_eq!(broken(&sample.case()), BTreeSet::new());
    sample.last("introspect").sent = acknowledged + 1;
    assert_eq!(broken(&sample.case()), BTreeSet::from(["active-after-cut"]));
}

/// A node that is there answers.
#[test]
fn a_missing_answer_needs_a_fault_of_that_node() {
    for (node, wanted) in [(0, BTreeSet::new()), (1, BTreeSet::from(["documented"]))] {
        let mut sample = Sample::clean();
        sample.last("fault").node = node;
        assert_eq!(broken(&sample.case()), wanted, "node {node}");
    }
    // It came back, somebody was answered, and then nobody.
    let mut sample = Sample::clean();
    sample.event("introspect", 0, json!({"jti": "jti-p3"}), Value::Null);
    assert_eq!(broken(&sample.case()), BTreeSet::from(["documented"]));
}
