//! Who may do what: every route against every caller, by a table that is written from the contract, and by hand.
//!
//! `admin.rs` has the matrix that is made of the description, which would follow the code into a mistake. Here a role, a machine that
//! decides, or an old sign-in that counts is a difference to this table; a route that is new is missing in it, and the test says so.

use std::collections::BTreeSet;

use carnet::http::admin::OPENAPI;
use serde_json::{Value, json};

use crate::world::{Answer, Options, World, send};

/// What a route asks of its caller besides a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asks {
    /// Nothing: a machine may do it.
    Anybody,
    /// A human.
    Human,
    /// A human who signed in within 15 minutes.
    Recent,
}

use Asks::{Anybody, Human, Recent};

/// A role, by the group of the token that gives it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Owner,
    Security,
    Auditor,
    Administrator,
    /// A machine that `[[signals]]` names. No group gives it, and groups that it is in do not count.
    Reporter,
    /// A person of the company who is in no group.
    Nobody,
}

use Role::{Administrator, Auditor, Nobody, Owner, Reporter, Security};

const ROLES: [Role; 6] = [Owner, Security, Auditor, Administrator, Reporter, Nobody];

/// Everybody with a role reads everything; a machine that sends signals reads nothing.
const READERS: &[Role] = &[Owner, Security, Auditor, Administrator];
/// People who bring records, and ask for more.
const SUBMIT: &[Role] = &[Owner, Security];
const SECURITY: &[Role] = &[Security];
const OWNER: &[Role] = &[Owner];
const ADMINISTRATOR: &[Role] = &[Administrator];

/// A route with who may use it.
type Row = (&'static str, &'static [Role], Asks);

/// `POST`: who may. What is missing here refuses to be a route.
const POSTS: [Row; 43] = [
    // Decisions: a machine never decides, and an old sign-in shows nobody.
    ("/v1/approvals/{id}/reviews", SUBMIT, Recent),
    ("/v1/elevations/{id}/reviews", SUBMIT, Recent),
    ("/v1/reviews/{id}/decisions", SUBMIT, Recent),
    ("/v1/reviews", SECURITY, Recent),
    ("/v1/signals/{id}/confirm", SECURITY, Human),
    ("/v1/signals/{id}/dismiss", SECURITY, Human),
    ("/v1/directory/confirm", SECURITY, Human),
    ("/v1/directory/import", ADMINISTRATOR, Human),
    ("/v1/environments/{environment}/close", ADMINISTRATOR, Human),
    ("/v1/configuration/apply", ADMINISTRATOR, Human),
    ("/v1/journal/formats/raise", ADMINISTRATOR, Human),
    ("/v1/exceptions/{id}/close", OWNER, Human),
    ("/v1/integrations/{p}/{i}/offboard", SECURITY, Recent),
    ("/v1/partners/{p}/offboard", SECURITY, Recent),
    ("/v1/offboardings/{id}/acknowledgements", OWNER, Human),
    ("/v1/offboardings/{id}/abort", SUBMIT, Human),
    ("/v1/dependencies", SUBMIT, Human),
    ("/v1/texts/erase", ADMINISTRATOR, Human),
    ("/v1/evidence", &[Security, Auditor], Human),
    // Records, and what is asked for.
    ("/v1/records/plan", SUBMIT, Anybody),
    ("/v1/records/apply", SUBMIT, Anybody),
    ("/v1/records/check", READERS, Anybody),
    ("/v1/records/drift", READERS, Anybody),
    ("/v1/integrations/{p}/{i}/submit", SUBMIT, Anybody),
    ("/v1/integrations/{p}/{i}/discard", SUBMIT, Anybody),
    ("/v1/integrations/{p}/{i}/resume", SUBMIT, Anybody),
    ("/v1/partners/{p}/resume", SUBMIT, Anybody),
    ("/v1/guardrails/{id}/remove", SUBMIT, Anybody),
    ("/v1/elevations", SUBMIT, Anybody),
    ("/v1/elevations/{id}/end", SUBMIT, Anybody),
    ("/v1/enrolments", SUBMIT, Anybody),
    // What ends access at once.
    ("/v1/integrations/{p}/{i}/suspend", SECURITY, Anybody),
    ("/v1/partners/{p}/suspend", SECURITY, Anybody),
    ("/v1/revocations", SECURITY, Anybody),
    ("/v1/revocations/{id}/lift", SECURITY, Anybody),
    ("/v1/staff/{id}/cut", SECURITY, Anybody),
    ("/v1/issuers/probe", SECURITY, Anybody),
    ("/v1/signals", &[Security, Reporter], Anybody),
    // One's own passkey; whose, the operation judges.
    ("/v1/passkeys/{id}/revoke", &[Owner, Security, Administrator], Anybody),
    // Operation.
    ("/v1/keys/{environment}/rotate", ADMINISTRATOR, Anybody),
    ("/v1/keys/{environment}/taint", ADMINISTRATOR, Anybody),
    ("/v1/authorities/{environment}/rotate", ADMINISTRATOR, Anybody),
    ("/v1/webhooks/{name}/replay", ADMINISTRATOR, Anybody),
];

/// `GET` for a few: figures of people.
const GETS_OF_FEW: [Row; 1] = [("/v1/reviews/figures", &[Auditor, Security], Anybody)];

/// `GET`: all others are for everybody with a role.
const GETS: [&str; 46] = [
    "/v1/approvals",
    "/v1/approvals/{id}",
    "/v1/authorities",
    "/v1/can-i",
    "/v1/certificates",
    "/v1/configuration",
    "/v1/dependencies",
    "/v1/directory",
    "/v1/elevations",
    "/v1/elevations/{id}",
    "/v1/environments",
    "/v1/evidence",
    "/v1/evidence/{entry}/bundle",
    "/v1/exceptions",
    "/v1/explain/{request}",
    "/v1/guardrails",
    "/v1/guardrails/{id}",
    "/v1/guardrails/{id}/report",
    "/v1/integrations",
    "/v1/integrations/{p}/{i}",
    "/v1/integrations/{p}/{i}/suggestion",
    "/v1/inventory",
    "/v1/journal",
    "/v1/journal/at",
    "/v1/journal/checkpoint",
    "/v1/journal/formats",
    "/v1/journal/proof",
    "/v1/keys",
    "/v1/offboardings",
    "/v1/offboardings/{id}",
    "/v1/offboardings/{id}/dossier",
    "/v1/partners",
    "/v1/partners/{p}",
    "/v1/partners/{p}/activity",
    "/v1/passkeys",
    "/v1/reviews",
    "/v1/reviews/report",
    "/v1/reviews/{id}",
    "/v1/revocations",
    "/v1/revocations/{id}",
    "/v1/signals",
    "/v1/signals/{id}",
    "/v1/tokens/{id}",
    "/v1/nodes",
    "/v1/webhooks",
    "/v1/whoami",
];

/// Routes that ask for no bearer.
const OPEN: [&str; 1] = ["/openapi.json"];

/// How a caller comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comes {
    /// A person who has just signed in.
    Fresh,
    /// A person with a new token of a sign-in of 16 minutes ago.
    Late,
    /// A person whose token does not say when they signed in.
    Undated,
    /// A machine with a new token.
    Machine,
}

const COMES: [Comes; 4] = [Comes::Fresh, Comes::Late, Comes::Undated, Comes::Machine];

/// The bearer of a caller.
fn bearer(world: &World, role: Role, comes: Comes) -> String {
    let groups: &[&str] = match role {
        Owner => &["owners"],
        Security => &["security"],
        Auditor => &["audit"],
        Administrator => &["admins"],
        // Its groups would allow everything.
        Reporter => &["owners", "security", "audit", "admins"],
        Nobody => &["staff"],
    };
    let now = world.clock.seconds();
    let id = if role == Reporter { "contracts" } else { "pat" };
    let mut claims = json!({
        "iss": world.staff.issuer, "sub": id, "aud": "carnet", "exp": now + 600, "iat": now, "groups": groups, "name": id,
    });
    match comes {
        Comes::Fresh => claims["auth_time"] = now.into(),
        Comes::Late => claims["auth_time"] = (now - 16 * 60).into(),
        Comes::Undated => {}
        Comes::Machine => {
            claims["auth_time"] = now.into();
            claims["azp"] = id.into();
            claims["client_id"] = id.into();
        }
    }
    format!("Bearer {}", world.staff.sign(&claims))
}

/// The refusal that the contract asks for; nothing if the caller is let in.
fn refusal((_, roles, asks): Row, role: Role, comes: Comes) -> Option<(u16, &'static str)> {
    if !roles.contains(&role) {
        return Some((403, "staff.role"));
    }
    match (asks, comes) {
        (Human | Recent, Comes::Machine) => Some((403, "staff.machine")),
        (Recent, Comes::Late | Comes::Undated) => Some((403, "staff.sign-in-too-old")),
        (Recent, Comes::Fresh) | (Human, Comes::Fresh | Comes::Late | Comes::Undated) | (Anybody, _) => None,
    }
}

fn path(template: &str) -> String {
    let parts = [("{p}", "globex"), ("{i}", "order-sync"), ("{environment}", "production"), ("{request}", "nothing")];
    let path = parts.iter().fold(template.to_owned(), |path, (part, value)| path.replace(part, value));
    let path = path.replace("{id}", "nobody").replace("{name}", "nothing").replace("{entry}", "0");
    assert!(!path.contains('{'), "{template}: a part of the path has no value here");
    path
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["reason"].as_str().unwrap_or_default().to_owned())
}

/// Each route lets in whom the contract names, tells everybody else why not, and records nothing of them.
#[tokio::test(flavor = "multi_thread")]
async fn each_route_lets_in_whom_the_contract_names_and_nobody_else() {
    let configuration =
        "[[signals]]\ncaller = \"contracts\"\nkinds = [\"compromised\"]\nsubjects = [\"globex/*\"]\nper_hour = 5\n";
    let world = World::with(Options { configuration: configuration.to_owned(), ..Options::default() }).await;
    let size = || world.running.as_ref().expect("runs").broker.journal.view().size;
    let (recorded, minted) = (size(), world.issued().await);
    let mut tried = 0;
    let gets = GETS.into_iter().map(|path| (path, READERS, Anybody)).chain(GETS_OF_FEW).map(|row| ("GET", row));
    for (method, row) in POSTS.into_iter().map(|row| ("POST", row)).chain(gets) {
        let at = path(row.0);
        // Nobody's word, and a word that nobody of ours gave.
        let stranger =
            world.partner.sign(&json!({"iss": world.staff.issuer, "sub": "pat", "aud": "carnet", "groups": ["security"],
            "exp": world.clock.seconds() + 600, "iat": world.clock.seconds(), "auth_time": world.clock.seconds()}));
        for headers in [vec![], vec![("authorization", format!("Bearer {stranger}"))]] {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let answer = send(world.admin, method, &at, &headers, b"").await;
            assert_eq!(told(&answer), (401, "staff.unauthenticated".to_owned()), "{method} {}", row.0);
        }
        for role in ROLES {
            for comes in COMES {
                let about = format!("{method} {} as {role:?}, {comes:?}", row.0);
                let bearer = bearer(&world, role, comes);
                // Without a body nobody who is let in does anything.
                let answer = send(world.admin, method, &at, &[("authorization", bearer.as_str())], b"").await;
                match refusal(row, role, comes) {
                    Some((status, reason)) => assert_eq!(told(&answer), (status, reason.to_owned()), "{about}"),
                    None => {
                        let (status, reason) = told(&answer);
                        let let_in = ![401, 403, 405].contains(&status) && status < 500;
                        assert!(let_in && (method == "GET" || status >= 400), "{about}: {status} {reason}");
                    }
                }
                assert_eq!(size(), recorded, "{about}: something was recorded");
                tried += 1;
            }
        }
    }
    assert_eq!(world.issued().await, minted);
    assert_eq!(tried, (POSTS.len() + GETS.len() + GETS_OF_FEW.len()) * ROLES.len() * COMES.len());
}

/// A route that the description has and this table has not, and the other way round.
#[test]
fn the_table_has_every_route() {
    let described: Value = serde_json::from_str(&OPENAPI).expect("JSON");
    let mut known = BTreeSet::new();
    for (path, item) in described["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("methods").keys() {
            known.insert((method.clone(), path.clone()));
        }
    }
    let posts = POSTS.iter().map(|(path, ..)| ("post".to_owned(), (*path).to_owned()));
    let few = GETS_OF_FEW.iter().map(|(path, ..)| path);
    let gets = GETS.iter().chain(few).chain(&OPEN).map(|path| ("get".to_owned(), (*path).to_owned()));
    let listed: BTreeSet<(String, String)> = posts.chain(gets).collect();
    assert_eq!(listed, known);
    assert_eq!(listed.len(), POSTS.len() + GETS.len() + GETS_OF_FEW.len() + OPEN.len(), "each stands once");
}
