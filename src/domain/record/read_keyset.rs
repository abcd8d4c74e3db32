//! Key sets in a record (`jwks:`): public keys only, of kinds that are taken (RFC 7517, RFC 7518 section 6, RFC 8037).
//!
//! No value of a key is ever told: somebody may have pasted a private one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::fault::Faults;
use super::place::Place;
use crate::domain::reason;

/// The members that only a private or symmetric key has (RFC 7518 sections 6.2.2, 6.3.2, 6.4).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// More keys than a rotation ever needs.
const MOST_KEYS: usize = 20;

/// The key set as JSON text, as it was judged. Written in YAML, or as one string of JSON.
pub(super) fn inline_keys(place: &Place<'_>, faults: &mut Faults) -> Option<String> {
    let set = place.json();
    match judge(&set) {
        Ok(()) => Some(set.to_string()),
        Err(fault) => {
            faults.error(&place.at, &reason::BINDING_KEYS, fault);
            None
        }
    }
}

fn judge(set: &Value) -> Result<(), String> {
    let keys = set.get("keys").and_then(Value::as_array).ok_or("expected a JWK Set: {keys: [...]}")?;
    if keys.len() > MOST_KEYS {
        return Err("expected at most 20 keys".to_owned());
    }
    let mut usable = 0;
    for (i, key) in keys.iter().enumerate() {
        let members = key.as_object().ok_or_else(|| format!("keys[{i}] is not a JWK"))?;
        if let Some(member) = PRIVATE.iter().find(|member| members.contains_key(**member)) {
            return Err(format!("keys[{i}] holds the private member {member}: export the public half, and replace this key"));
        }
        usable += usize::from(usable_key(key).map_err(|fault| format!("keys[{i}] {fault}"))?);
    }
    if usable == 0 {
        return Err("none of the keys can verify ES256, RS256, PS256 or Ed25519".to_owned());
    }
    Ok(())
}

/// Whether the key can verify. A key of another kind is left aside; a broken or weak one of a known kind is a fault.
fn usable_key(key: &Value) -> Result<bool, &'static str> {
    let text = |member| key.get(member).and_then(Value::as_str);
    let bytes = |member| text(member).and_then(|value| URL_SAFE_NO_PAD.decode(value).ok());
    let is_32 = |member| bytes(member).is_some_and(|bytes| bytes.len() == 32);
    let for_signatures = key.get("use").is_none_or(|usage| usage == "sig");
    match (text("kty").ok_or("has no kty")?, text("crv")) {
        ("EC", Some("P-256")) if is_32("x") && is_32("y") => Ok(for_signatures),
        ("EC", Some("P-256")) => Err("is no point of P-256: x and y are 32 bytes in base64url"),
        ("OKP", Some("Ed25519")) if is_32("x") => Ok(for_signatures),
        ("OKP", Some("Ed25519")) => Err("is no Ed25519 key: x is 32 bytes in base64url"),
        ("RSA", _) => {
            let modulus = bytes("n").ok_or("has no modulus n in base64url")?;
            bytes("e").filter(|exponent| !exponent.is_empty()).ok_or("has no exponent e in base64url")?;
            let leading = modulus.iter().take_while(|byte| **byte == 0).count();
            let first = modulus.get(leading).copied().unwrap_or_default();
            let bits = (modulus.len() - leading) * 8 - first.leading_zeros().min(8 * u32::from(first != 0)) as usize;
            if bits < 2048 { Err("is an RSA key of less than 2048 bits") } else { Ok(for_signatures) }
        }
        ("oct", _) => Err("is a symmetric key"),
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_sets_hold_usable_public_keys_and_nothing_else() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let p256 = json!({"kty": "EC", "crv": "P-256", "x": x, "y": x});
        let rsa = |bytes: usize| json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(vec![0xc1; bytes]), "e": "AQAB"});
        assert_eq!(judge(&json!({ "keys": [p256, rsa(256), {"kty": "OKP", "crv": "Ed25519", "x": x}] })), Ok(()));
        assert_eq!(judge(&json!({ "keys": [p256, {"kty": "EC", "crv": "P-384"}] })), Ok(()));
        for bad in [
            json!(null),
            json!({"keys": []}),
            json!({"keys": [5]}),
            json!({"keys": [rsa(128)]}),
            json!({"keys": [p256, rsa(255)]}),
            json!({"keys": [{"kty": "oct"}]}),
            json!({"keys": [{"kty": "EC", "crv": "P-256", "x": x}]}),
            json!({"keys": [{"kty": "EC", "crv": "P-384"}]}),
            json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "use": "enc"}]}),
        ] {
            assert!(judge(&bad).is_err(), "{bad}");
        }
        for member in PRIVATE {
            let mut key = p256.clone();
            key[member] = json!("c2VjcmV0LXBhcnQ");
            let fault = judge(&json!({ "keys": [key] })).expect_err("a private key");
            assert!(fault.contains(member) && !fault.contains("c2VjcmV0"), "{fault}");
        }
    }
}
