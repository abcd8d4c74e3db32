//! Bearers and sign-ins of staff.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fixtures::*;
use crate::authn::{IssuerKeys, KeysFault, StaffSettings, StaffVerifier};
use crate::domain::people::actor::{Role, Staff};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;

struct Company {
    signer: Signer,
    idp: FakeIssuer,
    keys: IssuerKeys,
    settings: StaffSettings,
}

impl Company {
    async fn new() -> Self {
        let signer = Signer::new(Alg::Rs256, "k1");
        let idp = FakeIssuer::with_keys(&[&signer]).await;
        let keys = keys(&TestClock::new(), &[&idp.url]);
        let settings = StaffSettings {
            issuer: idp.url.parse().expect("an issuer"),
            audience: "carnet".into(),
            person_claim: "sub".parse().expect("a claim"),
            max_age: Seconds::hours(1),
            roles_claim: "groups".parse().expect("a claim"),
            roles: BTreeMap::from([
                (Role::Security, vec!["sec".into(), "secops".into()]),
                (Role::Owner, vec!["owners".into()]),
            ]),
        };
        Self { signer, idp, keys, settings }
    }

    fn claims(&self) -> Value {
        json!({"iss": self.idp.url, "sub": "u1", "aud": "carnet", "exp": NOW + 600, "iat": NOW - 60, "groups": ["sec", "x"], "name": "Jane"})
    }

    async fn verify(&self, token: &str) -> Result<Staff, &'static str> {
        let verifier = StaffVerifier::new(self.settings.clone(), self.keys.clone());
        verifier.verify(token, at(NOW)).await.map_err(|fault| fault.reason.code)
    }

    async fn with(&self, changes: Value) -> Result<Staff, &'static str> {
        let mut claims = self.claims();
        for (name, value) in changes.as_object().expect("an object") {
            if value.is_null() {
                claims.as_object_mut().expect("an object").remove(name);
            } else {
                claims[name] = value.clone();
            }
        }
        self.verify(&self.signer.token(&claims)).await
    }
}

#[tokio::test]
async fn a_staff_token_is_a_person_with_roles() {
    let company = Company::new().await;
    let staff = company.with(json!({})).await.expect("staff");
    assert_eq!((&*staff.person.id, staff.person.iss.as_str()), ("u1", company.idp.url.as_str()));
    assert_eq!(staff.roles.into_iter().collect::<Vec<_>>(), [Role::Security]);
    assert!(!staff.machine && !staff.fresh, "nothing shows that a person signed in");
    assert_eq!(staff.person.name.expect("a name").plain(), Some("Jane"));
    assert_eq!(
        company.with(json!({"groups": "owners"})).await.expect("staff").roles.into_iter().collect::<Vec<_>>(),
        [Role::Owner]
    );
    assert!(company.with(json!({"groups": null})).await.expect("staff").roles.is_empty());
    assert!(company.with(json!({"aud": ["carnet"]})).await.is_ok());
}

#[tokio::test]
async fn staff_tokens_that_do_not_count_are_unauthenticated() {
    let company = Company::new().await;
    for changes in [
        json!({"iss": "https://other.example"}),
        json!({"aud": "other"}),
        json!({"aud": ["carnet", "other"]}),
        json!({"aud": ["carnet", "carnet"]}),
        json!({"aud": null}),
        json!({"exp": NOW}),
        json!({"exp": NOW - 1}),
        json!({"nbf": NOW + 31}),
        json!({"exp": null}),
        json!({"iat": null}),
        json!({"iat": NOW - 3601}),
        json!({"iat": NOW + 31}),
        json!({"sub": null}),
        json!({"groups": [1]}),
        json!({"groups": {"sec": true}}),
        json!({"auth_time": "now"}),
        json!({"auth_time": NOW + 31}),
    ] {
        assert_eq!(company.with(changes.clone()).await.err(), Some("staff.unauthenticated"), "{changes}");
    }
    let forged = Signer::new(Alg::Rs256, "k1").token(&company.claims());
    for token in [forged.as_str(), "", "x", "a.b.c"] {
        assert_eq!(company.verify(token).await.err(), Some("staff.unauthenticated"));
    }
    for typ in ["logout+jwt", "dpop+jwt", "jwt", "secevent+jwt"] {
        let header = json!({"alg": "RS256", "kid": "k1", "typ": typ}).to_string();
        let token = company.signer.sign(&header, &company.claims().to_string());
        assert_eq!(company.verify(&token).await.err(), Some("staff.unauthenticated"), "{typ}");
    }
    for typ in ["JWT", "at+jwt", "application/at+jwt"] {
        let header = json!({"alg": "RS256", "kid": "k1", "typ": typ}).to_string();
        assert!(company.verify(&company.signer.sign(&header, &company.claims().to_string())).await.is_ok(), "{typ}");
    }
}

#[tokio::test]
async fn the_person_claim_must_be_there() {
    let mut company = Company::new().await;
    company.settings.person_claim = "oid".parse().expect("a claim");
    for id in [json!(null), json!(""), json!(5), json!(["a"]), json!("a b"), json!("a\nb"), json!("x".repeat(300))] {
        assert_eq!(company.with(json!({ "oid": id })).await.err(), Some("staff.unauthenticated"), "{id}");
    }
    assert_eq!(*company.with(json!({"oid": "o-1"})).await.expect("staff").person.id, *"o-1");
    assert!(company.with(json!({"oid": "u1"})).await.expect("staff").machine);
}

#[tokio::test]
async fn any_sign_of_a_machine_makes_a_machine() {
    let company = Company::new().await;
    for changes in [
        json!({"idtyp": "app"}),
        json!({"idtyp": 1}),
        json!({"gty": "client-credentials"}),
        json!({"azp": "u1"}),
        json!({"client_id": "u1"}),
        json!({"cid": "u1"}),
        json!({"appid": "u1"}),
        json!({"azp": "bot", "sub": "bot@clients"}),
        json!({"preferred_username": "service-account-bot"}),
        json!({"sub": "system:serviceaccount:ns:bot"}),
    ] {
        assert!(company.with(changes.clone()).await.expect("staff").machine, "{changes}");
    }
    for changes in [json!({"idtyp": "user"}), json!({"azp": "console", "client_id": "console"}), json!({"auth_time": NOW - 5})]
    {
        assert!(!company.with(changes.clone()).await.expect("staff").machine, "{changes}");
    }
}

/// Only `auth_time` shows that a person signed in, and a machine's own shows nothing.
///
/// A machine has a fresh `iat` whenever it likes.
#[tokio::test]
async fn a_sign_in_is_fresh_for_fifteen_minutes() {
    let company = Company::new().await;
    for (changes, fresh) in [
        (json!({"auth_time": NOW - 900}), true),
        (json!({"auth_time": NOW - 901}), false),
        (json!({"auth_time": NOW - 900, "iat": NOW}), true),
        (json!({"auth_time": null, "iat": NOW}), false),
        (json!({"auth_time": null, "iat": NOW - 900}), false),
        (json!({"azp": "bot-client", "sub": "service-17", "iat": NOW}), false),
        (json!({"iat": NOW - 5, "auth_time": NOW - 40_000}), false),
        (json!({"auth_time": 0}), false),
        (json!({"auth_time": NOW - 5, "azp": "u1"}), false),
        (json!({"auth_time": NOW - 5, "gty": "client-credentials"}), false),
    ] {
        assert_eq!(company.with(changes.clone()).await.expect("staff").fresh, fresh, "{changes}");
    }
}

/// A browser sign-in that we began is a sign by itself; if the issuer gives a time, that counts.
#[tokio::test]
async fn a_sign_in_in_the_browser_is_a_persons() {
    let company = Company::new().await;
    let verifier = StaffVerifier::new(company.settings.clone(), company.keys.clone());
    for (changes, fresh) in [
        (json!({"iat": NOW - 900}), true),
        (json!({"iat": NOW - 901}), false),
        (json!({"iat": NOW, "auth_time": NOW - 901}), false),
        (json!({"iat": NOW, "azp": "u1"}), false),
    ] {
        let mut claims = company.claims();
        claims["aud"] = "console".into();
        for (name, value) in changes.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        let who = verifier.signed_in(&company.signer.token(&claims), "console", at(NOW)).await.expect("signed in");
        assert_eq!(who.at(at(NOW)).expect("counts").fresh, fresh, "{changes}");
    }
}

#[tokio::test]
async fn an_identity_provider_that_is_away_is_told_apart() {
    let mut company = Company::new().await;
    company.idp.stop().await;
    assert_eq!(company.with(json!({})).await.err(), Some("issuer.unavailable"));
}

#[tokio::test]
async fn the_metadata_is_checked_as_openidconnect_reads_it() {
    let company = Company::new().await;
    let verifier = StaffVerifier::new(company.settings.clone(), company.keys.clone());
    let url = &company.idp.url;
    assert_eq!(verifier.check().await, Err(KeysFault::Document));
    let mut document = json!({
        "issuer": url, "jwks_uri": format!("{url}/jwks"), "authorization_endpoint": format!("{url}/auth"),
        "token_endpoint": format!("{url}/token"), "response_types_supported": ["code"],
        "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"]
    });
    company.idp.document(document.clone());
    assert_eq!(verifier.check().await, Ok(()));
    document["issuer"] = json!(format!("{url}/"));
    company.idp.document(document);
    assert_eq!(verifier.check().await, Err(KeysFault::OtherIssuer));
}
