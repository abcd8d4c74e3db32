//! josekit's signatures verify here, ours verify there, and its known faults do no harm.

use josekit::jwk::Jwk;
use josekit::jws::alg::eddsa::EddsaJwsAlgorithm;
use josekit::jws::{self, ES256, EdDSA, JwsHeader, JwsSigner, JwsVerifier, PS256, RS256};
use serde_json::{Value, json};

use super::fixtures::*;
use crate::domain::value::alg::Alg;

const ISSUER: &str = "https://idp.example";

fn stock_verifier(signer: &Signer) -> Box<dyn JwsVerifier> {
    let mut jwk = signer.jwk();
    jwk.as_object_mut().expect("an object").remove("alg");
    let jwk = Jwk::from_map(jwk.as_object().expect("an object").clone()).expect("a JWK");
    match signer.alg {
        Alg::Es256 => Box::new(ES256.verifier_from_jwk(&jwk).expect("a verifier")),
        Alg::Rs256 => Box::new(RS256.verifier_from_jwk(&jwk).expect("a verifier")),
        Alg::Ps256 => Box::new(PS256.verifier_from_jwk(&jwk).expect("a verifier")),
        Alg::EdDsa | Alg::Ed25519 => Box::new(EdDSA.verifier_from_jwk(&jwk).expect("a verifier")),
    }
}

/// A stock signer and its public JWK.
fn stock_signer(alg: Alg) -> (Box<dyn JwsSigner>, Value) {
    fn public(jwk: &Jwk) -> Value {
        serde_json::to_value(jwk.to_public_key().expect("a public key").as_ref()).expect("JSON")
    }
    match alg {
        Alg::Es256 => {
            let pair = ES256.generate_key_pair().expect("a pair");
            (Box::new(ES256.signer_from_der(pair.to_der_private_key()).expect("a signer")), public(&pair.to_jwk_public_key()))
        }
        Alg::Rs256 => {
            let pair = RS256.generate_key_pair(2048).expect("a pair");
            (Box::new(RS256.signer_from_der(pair.to_der_private_key()).expect("a signer")), public(&pair.to_jwk_public_key()))
        }
        Alg::Ps256 => {
            let pair = RS256.generate_key_pair(2048).expect("a pair");
            let mut jwk = pair.to_jwk_key_pair();
            jwk.set_algorithm("PS256");
            (Box::new(PS256.signer_from_jwk(&jwk).expect("a signer")), public(&jwk))
        }
        Alg::EdDsa | Alg::Ed25519 => {
            let pair = EddsaJwsAlgorithm::Eddsa.generate_key_pair(josekit::jwk::alg::ed::EdCurve::Ed25519).expect("a pair");
            (Box::new(EdDSA.signer_from_der(pair.to_der_private_key()).expect("a signer")), public(&pair.to_jwk_public_key()))
        }
    }
}

#[test]
fn what_aws_lc_signs_stock_josekit_verifies() {
    for alg in Alg::WORKLOAD {
        let signer = Signer::new(alg, "k1");
        let token = signer.token(&claims(ISSUER));
        let verifier = stock_verifier(&signer);
        let (message, signature) = token.rsplit_once('.').expect("parts");
        use base64::Engine as _;
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        verifier.verify(message.as_bytes(), &signature).expect("verified");
        let framed = jws::deserialize_compact(&token, verifier.as_ref());
        // josekit does not know RFC 9864's name, so Ed25519 has a verifier of our own.
        assert_eq!(framed.is_ok(), alg != Alg::Ed25519);
    }
}

#[tokio::test]
async fn what_stock_josekit_signs_is_verified_here() {
    for alg in Alg::WORKLOAD {
        let (signer, mut jwk) = stock_signer(alg);
        jwk["kid"] = json!("k1");
        jwk["alg"] = json!(alg.name());
        let claims = claims(ISSUER).to_string();
        let token = if alg == Alg::Ed25519 {
            let message = format!("{}.{}", b64(r#"{"alg":"Ed25519","kid":"k1"}"#), b64(&claims));
            let signature = signer.sign(message.as_bytes()).expect("a signature");
            format!("{message}.{}", b64(signature))
        } else {
            let mut header = JwsHeader::new();
            header.set_key_id("k1");
            jws::serialize_compact(claims.as_bytes(), &header, signer.as_ref()).expect("a token")
        };
        let keys = keys(&TestClock::new(), &[]);
        assert_eq!(code(&keys, &inline(&[jwk]), &token).await, "ok", "{alg}");
    }
}

/// J-01, in the library that does our framing.
#[test]
fn j_01_josekit_refuses_alg_none_and_foreign_algorithms() {
    let signer = Signer::new(Alg::Es256, "k1");
    let verifier = stock_verifier(&signer);
    for alg in ["none", "None", "HS256", "ES384"] {
        let token = signer.sign(&json!({"alg": alg, "kid": "k1"}).to_string(), "{}");
        assert!(jws::deserialize_compact(&token, verifier.as_ref()).is_err(), "{alg}");
        let unsigned = format!("{}.", token.rsplit_once('.').expect("parts").0);
        assert!(jws::deserialize_compact(&unsigned, verifier.as_ref()).is_err(), "{alg}");
    }
}
