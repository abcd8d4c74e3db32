//! The one reader of public keys: a JWK (RFC 7517, RFC 7518 section 6, RFC 8037), and what it verifies.
//!
//! Enter through [`Jwk::read`]. Records, key sets of issuers, DPoP proofs and the verifier that APIs embed all read by it, so that a key
//! that is accepted somewhere verifies there. A fault names the member and what was expected, and never a value: somebody may have pasted a
//! private key. Sets are [`jwk_set`](super::jwk_set)'s.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use curve25519_dalek::edwards::CompressedEdwardsY;
use serde_json::{Map, Value};

use super::alg::Alg;
use super::digest::Digest;

/// The members that only a private or symmetric key has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4, RFC 8037).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// RSA moduli: smaller ones are broken, larger ones cost a verifier a millisecond each (ABUSE J-40).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// One public key.
#[derive(Debug)]
pub(crate) struct Jwk {
    /// Its name; none where it is empty, since no token names a key so.
    pub(crate) kid: Option<String>,
    /// RFC 7638, SHA-256, of the key in its canonical form.
    pub(crate) thumbprint: Digest,
    /// What it verifies: one algorithm where it names one, else each that its type has.
    pub(crate) publics: Vec<Public>,
    /// Whether the modulus came with a leading zero octet, which RFC 7518 section 6.3.1.1 forbids and several issuers write.
    #[cfg_attr(not(feature = "broker"), expect(dead_code, reason = "only `carnet probe` tells of it"))]
    pub(crate) padded: bool,
}

/// The key as it verifies one algorithm.
#[derive(Clone)]
pub(crate) struct Public {
    /// Which.
    pub(crate) alg: Alg,
    /// Whether the key itself names the algorithm.
    pub(crate) named: bool,
    key: ParsedPublicKey,
}

/// Why something is no key that verifies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// The private half stands there, in this member.
    Private(&'static str),
    /// A member is missing or wrong: which, and what was expected.
    Member(&'static str, &'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(member) => {
                write!(f, "holds the private member {member}: export the public half, and replace this key")
            }
            Self::Member(member, expected) => write!(f, "{member}: expected {expected}"),
        }
    }
}

impl Public {
    fn new(alg: Alg, named: bool, key: ParsedPublicKey) -> Self {
        Self { alg, named, key }
    }

    /// Whether this key made `signature` over `message`. ECDSA signatures are of the fixed-length form alone (RFC 7518 section 3.4).
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Public({})", self.alg)
    }
}

/// The first private member of an entry. One that is null is absent, as every member is.
pub(crate) fn private_member(entry: &Value) -> Option<&'static str> {
    let members = entry.as_object()?;
    PRIVATE.into_iter().find(|name| members.get(*name).is_some_and(|value| !value.is_null()))
}

/// The members of an entry, those that are null left out.
struct Members<'a>(&'a Map<String, Value>);

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &'static str) -> Result<Option<&'a str>, Fault> {
        self.get(name).map(|value| value.as_str().ok_or(Fault::Member(name, "a text"))).transpose()
    }

    /// Strict base64url: no padding, no other alphabet, no bits left over.
    fn bytes(&self, name: &'static str, expected: &'static str) -> Result<Vec<u8>, Fault> {
        let text = self.text(name)?.ok_or(Fault::Member(name, expected))?;
        URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Member(name, expected))
    }

    fn exactly(&self, name: &'static str) -> Result<[u8; 32], Fault> {
        const EXPECTED: &str = "32 bytes in base64url without padding";
        self.bytes(name, EXPECTED)?.try_into().map_err(|_| Fault::Member(name, EXPECTED))
    }
}

impl Jwk {
    /// Reads an entry of a set, or the `jwk` of a DPoP proof, as a key for what `usage` says (`sig`; `jwt-svid` in a SPIFFE bundle, where
    /// `use` says it). `x5c`, `x5t` and unknown members are ignored.
    pub(crate) fn read(entry: &Value, usage: &'static str) -> Result<Self, Fault> {
        let members = Members(entry.as_object().ok_or(Fault::Member("the entry", "a JWK, a map of members"))?);
        if let Some(member) = private_member(entry) {
            return Err(Fault::Private(member));
        }
        let kid = members.text("kid")?.filter(|kid| !kid.is_empty()).map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > 255) {
            return Err(Fault::Member("kid", "at most 255 bytes, as tokens may name"));
        }
        if members.text("use")?.is_some_and(|named| named != usage) {
            return Err(Fault::Member("use", "sig, or none: a key for another use verifies no token"));
        }
        may_verify(&members)?;
        let alg = members.text("alg")?;
        let read = match members.text("kty")? {
            Some("EC") => Self::ec(&members, alg),
            Some("OKP") => Self::okp(&members, alg),
            Some("RSA") => Self::rsa(&members, alg),
            Some(_) | None => Err(Fault::Member("kty", "EC, OKP or RSA")),
        }?;
        Ok(Self { kid, ..read })
    }

    /// The key as it verifies `alg`, if it does.
    pub(crate) fn public(&self, alg: Alg) -> Option<&Public> {
        self.publics.iter().find(|public| public.alg == alg)
    }

    fn ec(members: &Members<'_>, alg: Option<&str>) -> Result<Self, Fault> {
        if members.text("crv")? != Some("P-256") {
            return Err(Fault::Member("crv", "P-256, the one curve of ES256"));
        }
        if alg.is_some_and(|alg| alg != Alg::Es256.name()) {
            return Err(Fault::Member("alg", "ES256, or none, at a key on P-256"));
        }
        let (x, y) = (members.exactly("x")?, members.exactly("y")?);
        // The point is checked to be on the curve (RFC 7518 section 6.2.1).
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4][..], &x, &y].concat())
            .map_err(|_| Fault::Member("x and y", "a point of P-256"))?;
        let publics = vec![Public::new(Alg::Es256, alg.is_some(), key)];
        Ok(Self::of(&[("crv", "P-256"), ("kty", "EC"), ("x", &encoded(&x)), ("y", &encoded(&y))], publics))
    }

    /// An Ed25519 key goes by both names of its one algorithm where it names neither (RFC 8037, RFC 9864).
    fn okp(members: &Members<'_>, alg: Option<&str>) -> Result<Self, Fault> {
        if members.text("crv")? != Some("Ed25519") {
            return Err(Fault::Member("crv", "Ed25519"));
        }
        let names: &[Alg] = match alg {
            None => &[Alg::EdDsa, Alg::Ed25519],
            Some("EdDSA") => &[Alg::EdDsa],
            Some("Ed25519") => &[Alg::Ed25519],
            Some(_) => return Err(Fault::Member("alg", "EdDSA or Ed25519, or none, at an Ed25519 key")),
        };
        let x = members.exactly("x")?;
        if !is_ed25519_key(&x) {
            return Err(Fault::Member("x", "a point of Ed25519 in its canonical form, not of small order"));
        }
        let key = ParsedPublicKey::new(&ED25519, x).map_err(|_| Fault::Member("x", "a point of Ed25519"))?;
        let publics = names.iter().map(|name| Public::new(*name, alg.is_some(), key.clone())).collect();
        Ok(Self::of(&[("crv", "Ed25519"), ("kty", "OKP"), ("x", &encoded(&x))], publics))
    }

    /// Without `alg` an RSA key serves RS256 and PS256; which of them counts is for the binding to say.
    fn rsa(members: &Members<'_>, alg: Option<&str>) -> Result<Self, Fault> {
        let names: &[Alg] = match alg {
            None => &[Alg::Rs256, Alg::Ps256],
            Some("RS256") => &[Alg::Rs256],
            Some("PS256") => &[Alg::Ps256],
            Some(_) => return Err(Fault::Member("alg", "RS256 or PS256, or none, at an RSA key")),
        };
        let (n, e) = (members.bytes("n", "a modulus in base64url without padding")?, members.bytes("e", EXPONENT)?);
        let modulus = match n.as_slice() {
            [0, rest @ ..] => rest,
            all => all,
        };
        judge_rsa(modulus, &e)?;
        let mut publics = Vec::new();
        for name in names {
            let parameters = if *name == Alg::Rs256 { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 };
            let key = RsaPublicKeyComponents { n: modulus, e: e.as_slice() }.to_parsed_public_key(parameters);
            publics.push(Public::new(*name, alg.is_some(), key.map_err(|_| Fault::Member("n and e", "an RSA key"))?));
        }
        let read = Self::of(&[("e", &encoded(&e)), ("kty", "RSA"), ("n", &encoded(modulus))], publics);
        Ok(Self { padded: modulus.len() != n.len(), ..read })
    }

    /// SHA-256 of the required members in their order (RFC 7638 section 3). The values are base64url or names: nothing to escape.
    fn of(members: &[(&str, &str)], publics: Vec<Public>) -> Self {
        let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        let thumbprint = Digest::of(format!("{{{}}}", members.join(",")).as_bytes());
        Self { kid: None, thumbprint, publics, padded: false }
    }
}

const EXPONENT: &str = "an odd exponent from 65537 to 4294967295 in base64url, without leading zero octets";

/// Size within bounds, odd, no leading zeros; an odd exponent of 65537 or more and at most 32 bits (ABUSE J-40).
fn judge_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), Fault> {
    const MODULUS: &str = "an odd modulus of 2048 to 4096 bits, with at most one leading zero octet";
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let bits = modulus.first().map_or(0, |first| modulus.len() * 8 - first.leading_zeros() as usize);
    if modulus.first() == Some(&0) || !odd(modulus) || !RSA_BITS.contains(&bits) {
        return Err(Fault::Member("n", MODULUS));
    }
    let value = exponent.iter().take(5).fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let bounded = exponent.first().is_some_and(|first| *first != 0) && (65_537..=u64::from(u32::MAX)).contains(&value);
    if bounded && odd(exponent) { Ok(()) } else { Err(Fault::Member("e", EXPONENT)) }
}

/// Whether `x` is a point of the curve in the one form that RFC 8032 section 5.1.3 decodes, and not one of the eight of small order, for
/// which anybody can make signatures. aws-lc looks at the length alone and refuses every signature later.
fn is_ed25519_key(x: &[u8; 32]) -> bool {
    let point = CompressedEdwardsY(*x).decompress();
    point.is_some_and(|point| !point.is_small_order() && point.compress().as_bytes() == x)
}

/// `key_ops` absent, or an array of texts with `verify` among them (RFC 7517 section 4.3, ABUSE J-04).
fn may_verify(members: &Members<'_>) -> Result<(), Fault> {
    match members.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(ops)) if ops.iter().all(Value::is_string) && ops.iter().any(|op| op == "verify") => Ok(()),
        Some(_) => Err(Fault::Member("key_ops", "a list with verify in it, or none")),
    }
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
