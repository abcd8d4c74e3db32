//! `carnet inspect`: shows a token's claims, its remaining life, and if a known issuer signed it.
//!
//! The token comes from a file or stdin, never as an argument, and is not printed again. Its issuer's keys are fetched only
//! if the operator named that issuer (a context, `--public-server`, `--issuer`): a token must not decide which address is called.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::authn::{IssuerKeys, Trust, UnverifiedAssertion, Verifier, tls};
use crate::cli::shell::answer::{Answer, Failure};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Places, Reach, secret_file};
use crate::cli::shell::url;
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Clock, Seconds, Timestamp};
use crate::domain::value::names::Issuer;
use crate::domain::value::numeric_date;
use crate::outbound::OutboundSettings;
use crate::server::SystemClock;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Inspect {
    /// File with the token; - for stdin
    #[arg(value_name = "FILE|-", default_value = "-")]
    file: PathBuf,
    /// Issuer whose keys may be fetched, if neither context nor --public-server names it
    #[arg(long, env = "CARNET_ISSUER", hide_env_values = true, value_name = "URL")]
    issuer: Option<String>,
}

/// The result of checking the signature.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Signature {
    Good,
    Bad(String),
    Unchecked(String),
}

/// Runs it.
pub async fn run(args: &Inspect, reach: &Reach) -> Result<Answer, Failure> {
    let token = secret_file(&args.file)?;
    let (header, claims) = parts(&token).ok_or_else(|| {
        Failure::usage("this is no signed JWT").why("expected three parts of base64url, the first two of them JSON objects")
    })?;
    let places = reach.places()?;
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let signature = if args.issuer.as_deref() == Some(issuer) || places.knows(issuer) {
        verify(&token, issuer, is_ours(&claims)).await
    } else {
        Signature::Unchecked("its issuer is none that you named: --issuer, --public-server or a context".to_owned())
    };
    let standing = standing(&places, &claims).await;
    Ok(shown(&header, &claims, (&signature, &standing), SystemClock.now()))
}

/// The broker's answer about a token.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Standing {
    Active,
    Revoked,
    Unasked(String),
}

/// Asks the broker, as staff, about one of its own tokens. It sends the token's id, not the token.
async fn standing(places: &Places, claims: &Map<String, Value>) -> Standing {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let (Some(id), Some(issuer)) = (text("jti"), text("iss")) else {
        return Standing::Unasked("it has no jti and iss".to_owned());
    };
    if !places.knows(issuer) {
        return Standing::Unasked("no server is known for its issuer".to_owned());
    }
    let admin = match places.admin().await {
        Ok(admin) => admin,
        Err(failure) => return Standing::Unasked(failure.what),
    };
    match admin.get(&url::path(&["tokens", id])).await {
        Ok(told) if told["state"] == "revoked" => Standing::Revoked,
        Ok(told) if told["state"] == "active" => Standing::Active,
        Ok(_) => Standing::Unasked("the broker's answer has no state that is known here".to_owned()),
        Err(failure) => Standing::Unasked(failure.what),
    }
}

fn parts(token: &str) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let mut parts = token.split('.');
    let mut object = || match serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()? {
        Value::Object(members) => Some(members),
        _ => None,
    };
    let (header, claims) = (object()?, object()?);
    (parts.next().is_some() && parts.next().is_none()).then_some((header, claims))
}

/// A time among the claims, rounded as a verifier rounds it.
fn time(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let read = if name == "exp" { numeric_date::floor } else { numeric_date::ceiling };
    claims.get(name).and_then(read)
}

/// The unverified `iat` and `exp` of a token, for a holder who must know when to renew it.
pub fn life(token: &str) -> Option<(Timestamp, Timestamp)> {
    let (_, claims) = parts(token.trim())?;
    time(&claims, "iat").zip(time(&claims, "exp"))
}

/// True if the claims are those of a broker's token, which has an entry and a binding.
fn is_ours(claims: &Map<String, Value>) -> bool {
    claims.contains_key("entry") && claims.contains_key("binding")
}

async fn verify(token: &str, issuer: &str, ours: bool) -> Signature {
    let unchecked = |why: &str| Signature::Unchecked(why.to_owned());
    let Ok(unverified) = UnverifiedAssertion::parse(token) else {
        return Signature::Bad("its form is not one that is accepted anywhere here".to_owned());
    };
    if ours && unverified.is_twin() {
        return Signature::Bad("it is the twin of the signature that the broker released, made by somebody else".to_owned());
    }
    let Ok(named) = issuer.parse::<Issuer>() else { return unchecked("its issuer is no URL") };
    let Some(origin) = url::split(issuer).and_then(|(origin, _)| origin.parse().ok()) else {
        return unchecked("its issuer is no URL");
    };
    let Ok(outbound) = tls::outbound(OutboundSettings { issuers: vec![origin], ..OutboundSettings::default() }, &[]) else {
        return unchecked("the client for its issuer could not be made");
    };
    let verifier = Verifier::new(IssuerKeys::new(Arc::new(outbound), Arc::new(SystemClock)));
    // Edwards keys have their own set (docs/reference/http.md).
    let sources = [KeySource::Discovery(named), KeySource::JwksUri(format!("{issuer}/jwks/ed25519"))];
    let algs: [&[Alg]; 2] = [&[Alg::Es256, Alg::Rs256, Alg::Ps256], &[Alg::EdDsa, Alg::Ed25519]];
    let trust: Vec<Trust<'_>> = sources.iter().zip(algs).map(|(source, algs)| Trust { source, algs }).collect();
    match verifier.verify(unverified, &trust).await {
        Ok(_) => Signature::Good,
        Err(fault) if fault.reason.class == crate::domain::reason::Class::Busy => unchecked(fault.reason.what),
        Err(fault) => Signature::Bad(fault.reason.what.to_owned()),
    }
}

fn shown(
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
    (signature, standing): (&Signature, &Standing),
    now: Timestamp,
) -> Answer {
    let time = |name: &str| time(claims, name);
    let (by_time, left) = match (time("exp"), time("nbf")) {
        (Some(exp), _) if exp <= now => ("expired", None),
        (_, Some(nbf)) if nbf > now => ("not yet", None),
        (Some(exp), _) => ("live", Some(exp.since(now))),
        (None, _) => ("without end", None),
    };
    let (word, why) = match signature {
        Signature::Good => ("good", None),
        Signature::Bad(why) => ("bad", Some(why)),
        Signature::Unchecked(why) => ("unchecked", Some(why)),
    };
    let revoked = *standing == Standing::Revoked;
    let (asked, unasked) = match standing {
        Standing::Active => ("active", None),
        Standing::Revoked => ("revoked", None),
        Standing::Unasked(why) => ("unchecked", Some(why)),
    };
    let data = json!({
        "header": header, "claims": claims, "state": if revoked { "revoked" } else { by_time },
        "expiresIn": left.map(|left| left.0), "signature": word, "signatureDetail": why,
        "revocation": asked, "revocationDetail": unasked,
    });
    let mut text = "header\n".to_owned();
    for (name, value) in header {
        text += &format!("  {name:<14} {}\n", plain(value));
    }
    text += "claims\n";
    for (name, value) in claims {
        let when = if matches!(name.as_str(), "exp" | "iat" | "nbf" | "auth_time") { time(name) } else { None };
        text += &format!("  {name:<14} {}{}\n", plain(value), when.map(|when| format!("  ({when})")).unwrap_or_default());
    }
    let life = left.map_or_else(|| by_time.to_owned(), |left| format!("{} left by its own word", spoken(left)));
    let because = |why: Option<&String>| why.map(|why| format!(": {why}")).unwrap_or_default();
    text += &format!("life       {life}\nsignature  {word}{}\n", because(why));
    text += &if revoked {
        "revoked    YES: the broker calls it inactive; who only verifies it offline does not know\n".to_owned()
    } else {
        let told = if unasked.is_none() { "no: the broker calls it active" } else { "not checked" };
        format!("revoked    {told}{}\n", because(unasked))
    };
    let exit = if revoked || matches!(signature, Signature::Bad(_)) { Exit::Failure } else { Exit::Ok };
    Answer::of(data, text).exit(exit)
}

/// A value on one line; a text without quotes.
fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    crate::cli::shell::answer::one_line(&text)
}

/// A time such as `4m12s`.
fn spoken(left: Seconds) -> String {
    let (hours, minutes, seconds) = (left.0 / 3600, left.0 / 60 % 60, left.0 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(&json!({"alg": "ES256", "typ": "at+jwt"})), part(claims))
    }

    #[test]
    fn a_token_is_read_and_its_signature_is_not_shown() {
        let text = token(&json!({"iss": "https://a.example", "exp": 1_000_300, "note": "a\u{1b}b"}));
        let (header, claims) = parts(&text).expect("a token");
        let now = Timestamp::from_seconds(1_000_000).expect("a time");
        let nobody = Standing::Unasked("no server".to_owned());
        let answer = shown(&header, &claims, (&Signature::Unchecked("x".to_owned()), &nobody), now);
        assert_eq!(answer.data.as_ref().expect("data")["expiresIn"], 300);
        assert!(answer.text.contains("life       5m00s left by its own word\n"), "{}", answer.text);
        assert!(answer.text.ends_with("revoked    not checked: no server\n"), "{}", answer.text);
        let cut = shown(&header, &claims, (&Signature::Good, &Standing::Revoked), now);
        assert_eq!((cut.exit, cut.data.expect("data")["state"].as_str()), (Exit::Failure, Some("revoked")));
        assert!(!answer.text.contains("c2ln") && !answer.text.contains('\u{1b}'));
        let late = shown(
            &header,
            &claims,
            (&Signature::Bad("x".to_owned()), &nobody),
            Timestamp::from_seconds(1_000_300).expect("a time"),
        );
        assert_eq!((late.exit, late.data.expect("data")["state"].as_str()), (Exit::Failure, Some("expired")));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "a.b.c", "e30.e30", "e30.e30.x.y", "W10.e30.x"] {
            assert!(parts(text).is_none(), "{text}");
        }
        assert!(parts("e30.e30.").is_some());
    }
}
