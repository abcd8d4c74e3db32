//! Checks a proof before it is sent: form, `iss`, `aud`, `exp`. Nothing is verified here.
//!
//! An obvious fault is explained in words, and a JWT that is meant for somebody else is not sent.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::cli::shell::answer::Failure;
use crate::cli::shell::exit::Exit;
use crate::domain::caller::spiffe::WorkloadId;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::numeric_date;

/// The values that a proof is compared with.
pub struct Wanted<'a> {
    /// The environment's issuer: the audience of every proof.
    pub issuer: &'a str,
    /// Another audience that the binding names, if the person gave one.
    pub audience: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// Checks `proof`.
///
/// # Errors
/// The fault, with the wanted and the seen value; never the proof itself.
pub fn look(proof: &str, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let claims = claims(proof).map_err(|why| {
        refused("the proof is no JWT", why, "give the workload's signed JWT: header.payload.signature, and nothing else")
    })?;
    issuer(&claims, wanted)?;
    audience(&claims, wanted)?;
    expiry(&claims, wanted.now)
}

fn refused(what: &str, why: impl Into<String>, fix: impl Into<String>) -> Failure {
    Failure::new(Exit::SignIn, what).why(why).fix(fix)
}

fn claims(proof: &str) -> Result<Map<String, Value>, &'static str> {
    let parts: Vec<&str> = proof.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else {
        return Err(match parts.len() {
            5 => "it is encrypted: it has five parts",
            1 => "it has no parts that are separated by dots",
            _ => "it has not three parts that are separated by dots",
        });
    };
    let object = |part: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part of it is no base64url")?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err("its header or payload is no JSON object"),
        }
    };
    object(header)?;
    if signature.is_empty() {
        return Err("it is not signed");
    }
    URL_SAFE_NO_PAD.decode(signature).map_err(|_| "its signature is no base64url")?;
    object(payload)
}

fn issuer(claims: &Map<String, Value>, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let fix = "give a JWT of the workload's own identity provider";
    let Some(issuer) = claims.get("iss") else {
        // A JWT-SVID needs none: the trust domain of its SPIFFE ID is its issuer (JWT-SVID section 3.1), as the broker reads it.
        let subject = claims.get("sub").and_then(Value::as_str);
        return if subject.is_some_and(|subject| subject.parse::<WorkloadId>().is_ok()) {
            Ok(())
        } else {
            Err(refused("the proof names no issuer", "its claim iss is missing, and its sub is no SPIFFE ID", fix))
        };
    };
    match issuer.as_str() {
        None | Some("") => Err(refused("the proof names no issuer", "its claim iss is empty, or no text", fix)),
        Some(issuer) if issuer == wanted.issuer => {
            let why = format!("its iss is {issuer}: it is a token of this broker, which proves nothing to it");
            Err(refused("the proof is of the wrong issuer", why, fix))
        }
        Some(_) => Ok(()),
    }
}

fn audience(claims: &Map<String, Value>, wanted: &Wanted<'_>) -> Result<(), Failure> {
    let seen: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let expected = wanted.audience.unwrap_or(wanted.issuer);
    let endpoint = format!("{}/token", wanted.issuer.trim_end_matches('/'));
    if seen.iter().any(|one| *one == expected || *one == endpoint) {
        return Ok(());
    }
    let named = if seen.is_empty() { "missing".to_owned() } else { seen.join(", ") };
    let why = format!("its aud is {named}; wanted is {expected}");
    let fix = format!(
        "ask the platform for a token with the audience {expected}; where the record's binding names another one, say --audience"
    );
    Err(refused("the proof is meant for somebody else", why, fix))
}

fn expiry(claims: &Map<String, Value>, now: Timestamp) -> Result<(), Failure> {
    let fix = "get a fresh one from the platform";
    // As the broker rounds it.
    let Some(ends) = claims.get("exp").and_then(numeric_date::floor) else {
        return Err(refused("the proof has no end", "its claim exp is missing, or no number of seconds since 1970", fix));
    };
    let left = ends.as_seconds() - now.as_seconds();
    if left > 0 {
        return Ok(());
    }
    let why = format!("it ended {} s ago by this machine's clock, which says {now}", left.unsigned_abs());
    Err(refused("the proof is expired", why, fix))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://sts.acme.example/production";

    fn jwt(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(&json!({"alg": "ES256"})), part(claims), URL_SAFE_NO_PAD.encode("signature"))
    }

    fn told(proof: &str) -> Result<(), String> {
        let now = Timestamp::from_seconds(1_000).expect("a time");
        let wanted = Wanted { issuer: ISSUER, audience: None, now };
        look(proof, &wanted).map_err(|failure| {
            assert_eq!(failure.exit, Exit::SignIn);
            assert!(failure.fix.is_some(), "{failure:?}");
            format!("{}: {}", failure.what, failure.why.expect("a cause"))
        })
    }

    #[test]
    fn w_4_a_good_proof_passes_and_a_wrong_one_is_told_in_words() {
        let good = json!({"iss": "https://idp.example", "aud": ISSUER, "exp": 1_001.9});
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            jwt(&claims)
        };
        assert_eq!(told(&jwt(&good)), Ok(()));
        assert_eq!(told(&with("aud", json!([ISSUER]))), Ok(()));
        assert_eq!(told(&with("aud", json!(["x", format!("{ISSUER}/token")]))), Ok(()));
        let cases = [
            (
                with("aud", json!("https://sts.acme.example/sandbox")),
                "aud is https://sts.acme.example/sandbox; wanted is https://sts.acme",
            ),
            (with("aud", json!(null)), "aud is missing"),
            (with("exp", json!(1_000)), "ended 0 s ago"),
            (with("exp", json!("2000")), "exp is missing, or no number"),
            (with("exp", json!(null)), "exp is missing, or no number"),
            (with("iss", json!("")), "iss is empty, or no text"),
            (with("iss", json!(null)), "iss is empty, or no text"),
            (jwt(&json!({"sub": "x", "aud": ISSUER, "exp": 2_000})), "iss is missing, and its sub is no SPIFFE ID"),
            (jwt(&json!({"aud": ISSUER, "exp": 2_000})), "iss is missing"),
            (jwt(&json!({"sub": "spiffe://mesh.example", "aud": ISSUER, "exp": 2_000})), "iss is missing"),
            (with("iss", json!(ISSUER)), "token of this broker"),
            ("KANARIE".to_owned(), "no parts"),
            ("a.b".to_owned(), "not three parts"),
            ("a.b.c.d.e".to_owned(), "encrypted"),
            (format!("{}.{}.", "e30", "e30"), "not signed"),
            ("e30.e30.!".to_owned(), "no base64url"),
            ("W10.e30.e30".to_owned(), "no JSON object"),
        ];
        for (proof, words) in cases {
            let told = told(&proof).expect_err(words);
            assert!(told.contains(words) && !told.contains("KANARIE"), "{words}: {told}");
        }
    }

    /// JWT-SVID section 3: `sub`, `aud` and `exp` are the only required claims.
    #[test]
    fn a_jwt_svid_needs_no_issuer() {
        let svid = json!({"sub": "spiffe://mesh.example/orders/sync", "aud": [ISSUER], "exp": 2_000});
        assert_eq!(told(&jwt(&svid)), Ok(()));
        let mut named = svid.clone();
        named["iss"] = ISSUER.into();
        assert!(told(&jwt(&named)).expect_err("ours").contains("token of this broker"));
    }

    #[test]
    fn w_4_another_audience_is_taken_where_it_is_named() {
        let now = Timestamp::from_seconds(1_000).expect("a time");
        let proof = jwt(&json!({"iss": "https://idp.example", "aud": "api://carnet", "exp": 2_000}));
        assert!(look(&proof, &Wanted { issuer: ISSUER, audience: Some("api://carnet"), now }).is_ok());
        assert!(look(&proof, &Wanted { issuer: ISSUER, audience: None, now }).is_err());
    }
}
