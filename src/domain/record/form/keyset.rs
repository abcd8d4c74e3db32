//! Key sets in a record (`jwks:`, `bundle:`).
//!
//! Every entry is a public key that verifies what the binding takes, or the record is refused. Sets are read by the reader that
//! verification uses ([`JwkSet::parse`]), so that a set that is approved here works there. No value of a key is ever told:
//! somebody may have pasted a private one.

use serde_json::{Value as Json, json};

use super::base::Form;
use super::definitions::Definitions;
use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::record::read::place::Place;
use crate::domain::record::read::tree::Value;
use crate::domain::value::alg::Alg;
use crate::domain::value::jwk::Fault;
use crate::domain::value::jwk_set::{self, JwkSet, Unusable};

/// More keys than a rotation ever needs.
const MOST_KEYS: usize = 20;

/// More bytes than a bundle with a hundred authorities has.
const LARGEST_BUNDLE: usize = 256 * 1024;

/// A key set as JSON text, written in YAML or as one string of JSON.
///
/// It is judged with the algorithms beside it ([`judge_at`]).
pub(in crate::domain::record) struct KeySet;

impl Form for KeySet {
    type Value = String;

    fn read(&self, place: &Place<'_>, _: &mut Faults) -> Option<String> {
        Some(place.json().to_string())
    }

    /// As one string it is read back byte for byte.
    fn write(&self, set: &String) -> Json {
        json!(set)
    }

    fn schema(&self, _: &mut Definitions) -> Json {
        json!({"anyOf": [{"type": "string"}, {"type": "object", "required": ["keys"]}]})
    }
}

/// Whether the key set at `place` is sound for a binding that takes `algs`; a fault where it is not.
pub(in crate::domain::record) fn judge_at(place: &Place<'_>, algs: &[Alg], faults: &mut Faults) -> Option<()> {
    judge(&written(place), algs).map_err(|fault| faults.error(&place.at, &reason::BINDING_KEYS, fault)).ok()
}

/// The bundle of a SPIFFE trust domain as JSON text, written in YAML or as one string of JSON.
///
/// It is read as verification reads it: each key of JWT-SVIDs must verify one. An entry of another `use` is ignored there, and
/// an empty bundle trusts nobody (SPIFFE Trust Domain and Bundle, section 4.2).
pub(in crate::domain::record) struct Bundle;

impl Form for Bundle {
    type Value = String;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<String> {
        let text = place.json().to_string();
        if text.len() > LARGEST_BUNDLE {
            place.refuse("expected a SPIFFE bundle of at most 256 KiB", faults);
            return None;
        }
        match judge_bundle(&written(place)) {
            Ok(()) => Some(text),
            Err(fault) => {
                faults.error(&place.at, &reason::BINDING_KEYS, fault);
                None
            }
        }
    }

    fn write(&self, bundle: &String) -> Json {
        json!(bundle)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        KeySet.schema(definitions)
    }
}

fn judge_bundle(text: &str) -> Result<(), String> {
    let set = jwk_set::document(text.as_bytes()).map_err(unusable)?;
    let entries = jwk_set::entries(&set).map_err(unusable)?;
    let of_tokens = entries.iter().enumerate().filter(|(_, entry)| entry["use"] == "jwt-svid");
    if let Some((at, _)) = of_tokens.clone().find(|(_, entry)| entry["kid"].as_str().is_none_or(str::is_empty)) {
        return Err(format!("keys[{at}] kid: expected a text, since every JWT-SVID names its key"));
    }
    match JwkSet::read(of_tokens, "jwt-svid").refused() {
        [] => Ok(()),
        [(at, fault), ..] => Err(format!("keys[{at}] {fault}")),
    }
}

/// The text that is judged: one string of JSON as it stands, with whatever stands in it twice.
fn written(place: &Place<'_>) -> String {
    match &place.node.value {
        Value::Scalar { text, .. } => text.clone(),
        Value::List(_) | Value::Map(_) => place.json().to_string(),
    }
}

/// The fault that makes a set unusable as a whole, in words.
fn unusable(fault: Unusable) -> String {
    match fault {
        Unusable::Malformed => "expected a JWK Set: {keys: [...]}, no member twice and at most 16 levels deep".to_owned(),
        Unusable::Private(at, member) => format!("keys[{at}] {}", Fault::Private(member)),
    }
}

pub(crate) fn judge(text: &str, algs: &[Alg]) -> Result<(), String> {
    let set = JwkSet::parse(text.as_bytes()).map_err(unusable)?;
    let refused = set.refused().iter().map(|(at, fault)| format!("keys[{at}] {fault}"));
    let refused: Vec<String> = refused.collect();
    if !refused.is_empty() {
        return Err(refused.join("; "));
    }
    let keys: Vec<_> = set.usable().collect();
    if keys.is_empty() || keys.len() > MOST_KEYS {
        return Err("expected 1 to 20 keys".to_owned());
    }
    let list = |algs: &mut dyn Iterator<Item = Alg>| algs.map(Alg::name).collect::<Vec<_>>().join(", ");
    for key in keys {
        if !set.selects(key, algs) {
            let kid = key.kid.as_deref().map_or("without kid".to_owned(), |kid| format!("{kid:?}"));
            let verifies = list(&mut key.publics.iter().map(|public| public.alg));
            let taken = list(&mut algs.iter().copied());
            return Err(format!(
                "key {kid} alg: it verifies {verifies}, and the binding takes {taken}: list it under algs, or leave the key out"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    fn judged(set: &Value, algs: &[Alg]) -> Result<(), String> {
        judge(&set.to_string(), algs)
    }

    /// RFC 7515 A.3.1 and RFC 8037 A.2.
    fn good() -> (Value, Value) {
        let p256 = json!({
            "kty": "EC", "crv": "P-256", "kid": "ec", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        let edwards = json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        (p256, edwards)
    }

    fn rsa(bytes: usize) -> Value {
        json!({"kty": "RSA", "kid": "rsa", "n": URL_SAFE_NO_PAD.encode(vec![0xc1; bytes]), "e": "AQAB"})
    }

    fn with(key: &Value, changes: &[(&str, Value)]) -> Value {
        let mut key = key.clone();
        for (name, value) in changes {
            key[*name] = value.clone();
        }
        key
    }

    #[test]
    fn every_key_of_a_record_verifies_or_the_record_is_refused_with_the_member() {
        let (p256, edwards) = good();
        for keys in [
            json!([p256, edwards, rsa(256)]),
            json!([p256, p256]),
            json!([with(&p256, &[("kid", Value::Null), ("alg", Value::Null), ("d", Value::Null), ("use", Value::Null)])]),
            json!([with(&rsa(256), &[("n", json!(URL_SAFE_NO_PAD.encode([&[0][..], &[0xc1; 256]].concat())))])]),
            json!([with(&rsa(512), &[("alg", json!("PS256"))])]),
        ] {
            assert_eq!(judged(&json!({ "keys": keys }), &Alg::KEY), Ok(()), "{keys}");
        }
        let ones = URL_SAFE_NO_PAD.encode([1; 32]);
        for (key, member) in [
            (json!(5), "the entry"),
            (json!(null), "the entry"),
            (json!({}), "kty"),
            (json!({"kty": "oct", "k": "AAAA"}), "k"),
            (json!({"kty": "oct"}), "kty"),
            (json!({"kty": "EC", "crv": "P-384"}), "crv"),
            (with(&p256, &[("x", json!(ones))]), "x and y"),
            (with(&p256, &[("x", json!("AA"))]), "x"),
            (with(&p256, &[("y", Value::Null)]), "y"),
            (with(&p256, &[("y", json!("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0="))]), "y"),
            (with(&p256, &[("alg", json!("ES384"))]), "alg"),
            (with(&p256, &[("alg", json!("RS256"))]), "alg"),
            (with(&p256, &[("key_ops", json!(["sign"]))]), "key_ops"),
            (with(&p256, &[("key_ops", json!([]))]), "key_ops"),
            (with(&p256, &[("key_ops", json!("verify"))]), "key_ops"),
            (with(&p256, &[("use", json!("enc"))]), "use"),
            (with(&p256, &[("use", json!(["sig"]))]), "use"),
            (with(&p256, &[("kid", json!(7))]), "kid"),
            (with(&p256, &[("kid", json!("k".repeat(256)))]), "kid"),
            (with(&edwards, &[("x", json!(URL_SAFE_NO_PAD.encode([2; 32])))]), "x"),
            (with(&edwards, &[("x", json!(URL_SAFE_NO_PAD.encode([0; 32])))]), "x"),
            (with(&edwards, &[("x", json!(URL_SAFE_NO_PAD.encode([0xff; 32])))]), "x"),
            (with(&edwards, &[("crv", json!("X25519"))]), "crv"),
            (with(&edwards, &[("alg", json!("ES256"))]), "alg"),
            (rsa(128), "n"),
            (rsa(255), "n"),
            (rsa(513), "n"),
            (rsa(1024), "n"),
            (with(&rsa(256), &[("alg", json!("RS512"))]), "alg"),
            (with(&rsa(256), &[("alg", json!("RS256"))]), "alg"),
            (with(&rsa(256), &[("n", json!(URL_SAFE_NO_PAD.encode([&[0, 0][..], &[0xc1; 256]].concat())))]), "n"),
            (with(&rsa(256), &[("n", json!(URL_SAFE_NO_PAD.encode([0xc0; 256])))]), "n"),
            (with(&rsa(256), &[("e", json!("Aw"))]), "e"),
            (with(&rsa(256), &[("e", json!("AAEAAQ"))]), "e"),
            (with(&rsa(256), &[("e", Value::Null)]), "e"),
        ] {
            let other = with(&p256, &[("kid", json!("other"))]);
            for keys in [json!([key]), json!([other, key])] {
                let fault = judged(&json!({ "keys": keys }), &Alg::KEY).expect_err(&keys.to_string());
                assert!(
                    fault.contains(&format!(" {member}: expected"))
                        || fault.contains(&format!(" {member}: it verifies"))
                        || (member == "k" && fault.contains("member k:")),
                    "{key}: {fault}"
                );
            }
        }
    }

    #[test]
    fn two_keys_that_a_token_cannot_tell_apart_are_refused() {
        let (p256, edwards) = good();
        // RFC 7517 A.1.
        let other = json!({
            "kty": "EC", "crv": "P-256", "kid": "ec", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
        });
        let nameless = |key: &Value| with(key, &[("kid", Value::Null)]);
        for keys in [json!([p256, other]), json!([nameless(&p256), nameless(&other)]), json!([nameless(&p256), other])] {
            let fault = judged(&json!({ "keys": keys }), &Alg::KEY).expect_err("a guess");
            assert!(fault.contains("kid: expected"), "{fault}");
        }
        let renamed = with(&other, &[("kid", json!("new"))]);
        for keys in [
            json!([p256, renamed]),
            json!([nameless(&p256), nameless(&edwards)]),
            json!([p256, with(&edwards, &[("kid", json!("ec"))])]),
        ] {
            assert_eq!(judged(&json!({ "keys": keys }), &Alg::KEY), Ok(()), "{keys}");
        }
    }

    #[test]
    fn no_private_member_passes_and_no_value_of_it_is_told() {
        let (p256, _) = good();
        for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
            let key = with(&p256, &[(member, json!("c2VjcmV0LXBhcnQ"))]);
            let fault = judged(&json!({ "keys": [key] }), &Alg::KEY).expect_err("a private key");
            assert!(fault.contains(&format!("member {member}:")) && !fault.contains("c2VjcmV0"), "{fault}");
        }
    }

    #[test]
    fn what_is_no_set_is_told_so() {
        let (p256, _) = good();
        let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
        let text = p256.to_string();
        for bad in [
            "null".to_owned(),
            "[]".to_owned(),
            "{\"keys\": {}}".to_owned(),
            format!("{{\"keys\": [{text}], \"keys\": []}}"),
            format!("{{\"keys\": [{}]}}", text.replacen('{', "{\"kid\": \"twice\",", 1)),
            format!("{{\"keys\": [{}]}}", text.replacen('{', &format!("{{\"x-deep\": {deep},"), 1)),
        ] {
            assert!(judge(&bad, &Alg::KEY).expect_err(&bad).contains("expected a JWK Set"), "{bad}");
        }
        assert!(judge("{\"keys\": []}", &Alg::KEY).is_err());
    }
}
