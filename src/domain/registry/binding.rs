//! Bindings: the proofs that admit to one environment of an integration, or to an API's callers.
//!
//! The rules that make a binding safe are docs/reference/records.md. [`admit`](crate::domain::decision::admission::admit) applies them to a verified
//! assertion; this module holds what a record says.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::preset::Preset;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{Audience, BindingName, Issuer};
use crate::domain::value::shared::SharedTexts;

/// One way to prove to be the workload.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Its name within the environment.
    pub name: BindingName,
    /// The proof that it takes.
    pub admits: Admits,
}

/// A proof that a binding takes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Admits {
    /// A signed JWT: a workload's token (`oidc`), or one by the partner's own key pair (`key`).
    Jwt(Arc<JwtRule>),
    /// A certificate of this integration and environment from our own CA (`mtls`).
    Certificate,
}

/// The rule that a JWT must meet to be admitted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtRule {
    /// `oidc` or `key`; decides the slots of the token endpoint that it may take.
    pub kind: JwtKind,
    /// The exact `iss`. For `key` bindings the client id.
    pub issuer: Issuer,
    /// The source of its keys.
    pub keys: KeySource,
    /// Conditions on claims; all must hold. `key` has none: its condition is iss = sub = client id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<Matcher>,
    /// The matched claims that name the partner, where others use the issuer too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owner: Vec<ClaimPath>,
    /// One accepted audience besides the environment's issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<ExtraAudience>,
    /// Accepted signature algorithms.
    pub algs: Vec<Alg>,
    /// Accepted `typ` headers besides those of the kind; with `typ_only`, the only ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub typ: Vec<String>,
    /// Whether (iss, jti) is spent by the token that it pays for.
    pub single_use: bool,
    /// The longest `exp - iat`; longer is refused, never clamped.
    pub max_life: Seconds,
    /// The oldest `iat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Seconds>,
    /// The preset that wrote this rule, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
}

/// The two kinds of JWT that a partner shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JwtKind {
    /// A JWT by the partner's own key pair: iss = sub = client id, as `client_assertion` only.
    Key,
    /// A workload's token of an OIDC issuer; taken in all three slots.
    Oidc,
}

/// The source of the public keys of a rule.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// OIDC discovery at the issuer.
    Discovery(Issuer),
    /// A key set at this URL.
    JwksUri(String),
    /// The key set itself, as JSON text, in the record.
    Inline(String),
    /// The bundle of a SPIFFE trust domain at this URL (profile `https_web`).
    BundleUrl(String),
    /// The bundle itself, as JSON text, in the record.
    InlineBundle(String),
}

impl KeySource {
    /// Whether it is a bundle of a SPIFFE trust domain.
    pub fn is_bundle(&self) -> bool {
        matches!(self, Self::BundleUrl(_) | Self::InlineBundle(_))
    }

    /// Whether it stands in the record, and changes with it alone.
    pub fn is_inline(&self) -> bool {
        matches!(self, Self::Inline(_) | Self::InlineBundle(_))
    }

    /// A short name for logs, entries and caches: never the key set itself.
    pub fn label(&self) -> String {
        match self {
            Self::Discovery(issuer) => issuer.to_string(),
            Self::JwksUri(url) | Self::BundleUrl(url) => url.clone(),
            Self::Inline(set) | Self::InlineBundle(set) => format!("inline:{}", Digest::of(set.as_bytes())),
        }
    }
}

/// An audience that a binding takes besides the environment's issuer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExtraAudience {
    /// Exactly this value (`oidc`).
    Value(Audience),
    /// The environment's token endpoint, for older clients (`key`).
    TokenEndpoint,
}

/// A condition on one claim.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// The claim.
    pub claim: ClaimPath,
    /// The values that it may have. A missing claim never matches, and there is no negation.
    pub condition: Condition,
}

/// The values that a claim may have.
///
/// Numbers and booleans are compared by their JSON text; objects and arrays never match.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// Exactly this.
    Equals(Arc<str>),
    /// Exactly one of these.
    OneOf(Vec<Arc<str>>),
    /// Begins with this (anchored; at least one character).
    Prefix(Arc<str>),
}

impl Condition {
    /// Whether `value` meets the condition.
    pub fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equals(want) => **want == *value,
            Self::OneOf(wants) => wants.iter().any(|want| **want == *value),
            Self::Prefix(want) => !want.is_empty() && value.starts_with(&**want),
        }
    }

    /// The number of values in it.
    pub fn size(&self) -> usize {
        match self {
            Self::Equals(_) | Self::Prefix(_) => 1,
            Self::OneOf(values) => values.len(),
        }
    }

    /// Whether no value can meet both conditions. The time grows with the sum of both lists.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix(a), Self::Prefix(b)) => !a.starts_with(&**b) && !b.starts_with(&**a),
            (Self::Prefix(_), _) => other.is_disjoint(self),
            (Self::Equals(value), _) => !other.holds(value),
            (Self::OneOf(a), Self::OneOf(b)) => {
                let known: HashSet<&Arc<str>> = a.iter().collect();
                b.iter().all(|value| !known.contains(value))
            }
            (Self::OneOf(values), _) => values.iter().all(|value| !other.holds(value)),
        }
    }

    /// Whether every value that meets this condition also meets `other`.
    ///
    /// The time grows with the sum of both lists.
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Equals(value), _) => other.holds(value),
            (Self::OneOf(values), Self::OneOf(wide)) => {
                let known: HashSet<&Arc<str>> = wide.iter().collect();
                values.iter().all(|value| known.contains(value))
            }
            (Self::OneOf(values), _) => values.iter().all(|value| other.holds(value)),
            (Self::Prefix(a), Self::Prefix(b)) => !b.is_empty() && a.starts_with(&**b),
            (Self::Prefix(_), _) => false,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(want) => write!(f, "{want}"),
            Self::OneOf(wants) => write!(f, "one of {}", wants.join(", ")),
            Self::Prefix(want) => write!(f, "{want}…"),
        }
    }
}

/// A claim by its name at the top of the claims, or by a JSON Pointer (RFC 6901), which begins with `/`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClaimPath(Arc<str>);

impl ClaimPath {
    /// The text of the record.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes its text from those that are held once.
    pub(super) fn share(&mut self, texts: &mut SharedTexts) {
        texts.share(&mut self.0);
    }

    /// The claim's value in `claims`, if it is there.
    pub fn find<'a>(&self, claims: &'a serde_json::Value) -> Option<&'a serde_json::Value> {
        if self.0.starts_with('/') { claims.pointer(&self.0) } else { claims.get(&*self.0) }
    }

    /// The steps from the top of the claims: `ref` and `/ref` are one claim (RFC 6901 section 4).
    pub fn steps(&self) -> Vec<String> {
        self.parts().map(Cow::into_owned).collect()
    }

    /// The claim as a JSON Pointer (RFC 6901): `ref` and `/ref` have one.
    pub fn pointer(&self) -> String {
        let mut pointer = String::with_capacity(self.0.len() + 1);
        for step in self.parts() {
            pointer.push('/');
            pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        pointer
    }

    /// Whether both are the same claim.
    pub fn is_same(&self, other: &Self) -> bool {
        self.parts().eq(other.parts())
    }

    fn parts(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let (name, pointer) = match self.0.strip_prefix('/') {
            None => (Some(Cow::Borrowed(&*self.0)), None),
            Some(pointer) => (None, Some(pointer)),
        };
        let plain = |step: &str| step.replace("~1", "/").replace("~0", "~");
        let step = move |step| if str::contains(step, '~') { Cow::Owned(plain(step)) } else { Cow::Borrowed(step) };
        name.into_iter().chain(pointer.into_iter().flat_map(move |pointer| pointer.split('/').map(step)))
    }
}

impl FromStr for ClaimPath {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let printable = text.chars().all(|c| !c.is_control());
        if text.is_empty() || text.len() > 256 || !printable || text == "/" {
            return Err("expected a claim name or a JSON Pointer of 1 to 256 characters");
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ClaimPath {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ClaimPath> for String {
    fn from(path: ClaimPath) -> String {
        path.0.as_ref().to_owned()
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl JwtRule {
    /// Claims that a stranger at the same issuer can choose: a rule that conditions only these admits the stranger
    /// (docs/reference/records.md, ABUSE P-04).
    pub const CALLER_CONTROLLED: [&str; 9] =
        ["ref", "head_ref", "base_ref", "environment", "workflow", "actor", "email", "name", "groups"];

    /// A rule on the tokens of an issuer, as a record has it that says nothing more; it has no condition yet.
    pub fn of_tokens(issuer: Issuer, keys: KeySource) -> Self {
        Self {
            kind: JwtKind::Oidc,
            issuer,
            keys,
            matchers: Vec::new(),
            owner: Vec::new(),
            audience: None,
            algs: Alg::WORKLOAD.to_vec(),
            typ: Vec::new(),
            single_use: true,
            max_life: Self::LIFE,
            max_age: None,
            preset: None,
        }
    }

    /// `maxLife` of a workload's token where the record says nothing.
    pub const LIFE: Seconds = Seconds::hours(1);

    /// Whether it takes the workload's X.509-SVID besides its JWT-SVID.
    pub fn takes_svids(&self) -> bool {
        self.preset.is_some_and(Preset::takes_certificates)
    }

    /// The longest `maxLife` of any binding.
    ///
    /// Azure's managed identities live 24 h 5 min: their `iat` is set back by five minutes.
    pub const LONGEST_LIFE: Seconds = Seconds::hours(25);

    /// The longest `maxAge` that lets a reusable proof into production.
    pub const LONGEST_MAX_AGE: Seconds = Seconds::hours(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-03: anchored, literal.
    #[test]
    fn p_03_conditions_are_anchored_and_literal() {
        let equals = Condition::Equals("good.example".into());
        for other in ["good.example.evil", "xgoodXexample", "goodXexample", "", "GOOD.EXAMPLE", "good.example "] {
            assert!(!equals.holds(other), "{other}");
        }
        assert!(equals.holds("good.example"));
        assert!(!Condition::Prefix("".into()).holds("anything"));
        assert!(!Condition::Prefix("org-1/".into()).holds("org-123/x"));
    }

    #[test]
    fn disjoint_and_within_are_decided_by_values() {
        let one = Condition::OneOf(vec!["a".into(), "b".into()]);
        assert!(one.is_disjoint(&Condition::Equals("c".into())));
        assert!(!one.is_disjoint(&Condition::Prefix("b".into())));
        assert!(Condition::Prefix("xa".into()).is_disjoint(&Condition::Prefix("xb".into())));
        assert!(!Condition::Prefix("x".into()).is_disjoint(&Condition::Prefix("xb".into())));
        assert!(Condition::Prefix("xa".into()).is_within(&Condition::Prefix("x".into())));
        assert!(!Condition::Prefix("x".into()).is_within(&Condition::OneOf(vec!["x".into()])));
        let of = |values: &[&str]| Condition::OneOf(values.iter().map(|value| (*value).into()).collect());
        for (other, disjoint, within) in [
            (of(&["c", "d", "e"]), true, false),
            (of(&["c", "b"]), false, false),
            (of(&["c", "b", "a", "a"]), false, true),
            (of(&["b"]), false, false),
        ] {
            assert_eq!((one.is_disjoint(&other), other.is_disjoint(&one)), (disjoint, disjoint), "{other}");
            assert_eq!(one.is_within(&other), within, "{other}");
        }
    }

    #[test]
    fn one_claim_has_several_spellings() {
        let path = |text: &str| text.parse::<ClaimPath>().expect("a path");
        for (one, other, same) in [
            ("ref", "/ref", true),
            ("a/b", "/a~1b", true),
            ("~1", "/~01", true),
            ("/k/ns", "/k/ns", true),
            ("/k/ns", "k/ns", false),
            ("/k", "/k/ns", false),
            ("ref", "Ref", false),
        ] {
            let (one, other) = (path(one), path(other));
            assert_eq!((one.is_same(&other), other.is_same(&one)), (same, same), "{one} {other}");
            assert_eq!(one.steps() == other.steps(), same, "{one} {other}");
        }
    }
}
