//! Bindings, and the rules of docs/reference/records.md that make one safe.
//!
//! Enter through [`Bindings::read`]. Presets are expanded by [`read_preset`](super::preset), key sets are judged by
//! [`read_keyset`](super::keyset); whether two bindings of different integrations overlap is for
//! [`overlap`](crate::domain::record::overlap) to say.

use super::keys;
use super::keyset::inline_keys;
use super::place::{Fields, Place};
use super::preset;
use super::tree::Value;
use crate::domain::reason;
use crate::domain::record::claims::{is_chosen_by_caller, names_nobody};
use crate::domain::record::fault::{Faults, shown};
use crate::domain::record::lint;
use crate::domain::registry::binding::{
    Admits, Binding, ClaimPath, Condition, ExtraAudience, JwtKind, JwtRule, KeySource, Matcher, Preset,
};
use crate::domain::value::alg::Alg;
use crate::domain::value::claim_text;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ClientId, Issuer};

/// What the bindings stand on.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::record) struct Ground<'a> {
    /// Whose they are; `None` where the name was refused, which refuses the record anyway.
    pub client: Option<&'a ClientId>,
    /// Whether reusable proofs must be bounded here.
    pub production: bool,
    /// Whether tokens must be bound or source networks are listed.
    pub bounded: bool,
}

/// Reads the bindings of one environment.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::record) struct Bindings<'a> {
    pub ground: Ground<'a>,
}

/// The longest life of an assertion that the partner signs itself.
const LONGEST_KEY_LIFE: Seconds = Seconds::hours(1);
/// Shorter lives are below the 15 s that must be left.
pub(in crate::domain::record) const SHORTEST_LIFE: Seconds = Seconds(30);

impl Bindings<'_> {
    /// The list of bindings, each sound in itself, none named twice.
    pub fn read(self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<Binding>> {
        let mut bindings: Vec<Binding> = Vec::new();
        let mut whole = true;
        for item in place.items(faults)? {
            match self.binding(&item, faults) {
                Some(binding) if bindings.iter().any(|other| other.name == binding.name) => {
                    let at = super::place::join(&item.at, "name");
                    faults.error(&at, &reason::RECORD_VALUE, format!("a binding named {} stands here already", binding.name));
                    whole = false;
                }
                Some(binding) => bindings.push(binding),
                None => whole = false,
            }
        }
        if whole {
            lint::shadowed(&bindings, &place.at, faults);
        }
        whole.then_some(bindings)
    }

    fn binding(self, place: &Place<'_>, faults: &mut Faults) -> Option<Binding> {
        let fields = place.fields(&keys::BINDING, faults)?;
        let name = fields.get("name").and_then(|place| place.parse(faults));
        let proofs: Vec<_> = fields.names().filter(|key| *key != "name").collect();
        let ([proof], Some(admits)) = (proofs.as_slice(), proofs.first().and_then(|key| fields.get(key))) else {
            let message = "expected exactly one of oidc, key, mtls, github, gitlab, kubernetes and spiffe";
            faults.error(&place.at, if proofs.is_empty() { &reason::RECORD_MISSING } else { &reason::RECORD_VALUE }, message);
            return None;
        };
        let rule = match *proof {
            "mtls" => {
                admits.fields(&keys::MTLS, faults)?;
                return Some(Binding { name: name?, admits: Admits::Certificate });
            }
            "oidc" => oidc(admits, faults),
            "key" => self.key(admits, faults),
            "github" => preset::expand(Preset::Github, admits, faults),
            "gitlab" => preset::expand(Preset::Gitlab, admits, faults),
            "spiffe" => preset::expand(Preset::Spiffe, admits, faults),
            _ => preset::expand(Preset::Kubernetes, admits, faults),
        }?;
        let sound = self.is_bounded(&rule, &admits.at, faults);
        lint::rule(&rule, &admits.at, faults);
        sound.then_some(Binding { name: name?, admits: Admits::Jwt(Box::new(rule)) })
    }

    /// In production a proof that can be shown again must be bounded: by the token's key, the network or its age.
    fn is_bounded(self, rule: &JwtRule, at: &str, faults: &mut Faults) -> bool {
        let bounded = !self.ground.production || rule.single_use || self.ground.bounded || rule.max_age.is_some();
        if !bounded {
            let message = "a reusable proof in production needs require: bound, sourceCidrs or maxAge";
            faults.error(&format!("{at}.singleUse"), &reason::BINDING_REUSABLE, message);
        }
        bounded
    }

    fn key(self, place: &Place<'_>, faults: &mut Faults) -> Option<JwtRule> {
        let fields = place.fields(&keys::KEY, faults)?;
        let algs = algs(&fields, &Alg::KEY, faults);
        let keys = key_source(&fields, algs.as_deref().unwrap_or(&Alg::KEY), faults);
        if keys == Some(None) {
            faults.error(&place.at, &reason::RECORD_MISSING, "expected jwksUri or jwks");
        }
        let audience = match fields.get("audience") {
            Some(place) => place.word(&[("token-endpoint", ())], faults).map(|()| Some(ExtraAudience::TokenEndpoint)),
            None => Some(None),
        };
        let typ = typ(&fields, faults);
        let max_life = life(&fields, Seconds::minutes(5), LONGEST_KEY_LIFE, faults);
        let max_age = age(&fields, None, faults);
        Some(JwtRule {
            kind: JwtKind::Key,
            // Invariant of ClientId: two labels and a slash, so it is always a valid issuer name.
            issuer: self.ground.client?.to_string().parse().ok()?,
            keys: keys.flatten()?,
            matchers: Vec::new(),
            owner: Vec::new(),
            audience: audience?,
            algs: algs?,
            typ: typ?,
            single_use: true,
            max_life: max_life?,
            max_age: max_age?,
            preset: None,
        })
    }
}

fn oidc(place: &Place<'_>, faults: &mut Faults) -> Option<JwtRule> {
    let fields = place.fields(&keys::OIDC, faults)?;
    let issuer = fields.get("issuer").and_then(|place| issuer(place, faults));
    let algs = algs(&fields, &Alg::WORKLOAD, faults);
    let keys = key_source(&fields, algs.as_deref().unwrap_or(&Alg::WORKLOAD), faults);
    let matchers = fields.get("match").and_then(|place| matchers(place, faults));
    let owner = fields.get("owner").map_or(Some(Vec::new()), |place| owner(place, matchers.as_deref(), faults));
    let settings = Settings { single_use: true, max_life: Seconds::hours(1), max_age: None }.read(&fields, faults);
    let audience = extra_audience(&fields, faults);
    let typ = typ(&fields, faults);
    let (issuer, settings) = (issuer?, settings?);
    Some(JwtRule {
        kind: JwtKind::Oidc,
        keys: keys?.unwrap_or_else(|| KeySource::Discovery(issuer.clone())),
        issuer,
        matchers: matchers?,
        owner: owner?,
        audience: audience?,
        algs: algs?,
        typ: typ?,
        single_use: settings.single_use,
        max_life: settings.max_life,
        max_age: settings.max_age,
        preset: None,
    })
}

/// What every rule on workload tokens may set.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::record) struct Settings {
    pub single_use: bool,
    pub max_life: Seconds,
    pub max_age: Option<Seconds>,
}

impl Settings {
    /// These, unless the record says otherwise.
    pub fn read(self, fields: &Fields<'_>, faults: &mut Faults) -> Option<Self> {
        let single_use = fields.get("singleUse").map_or(Some(self.single_use), |place| place.flag(faults));
        let max_life = life(fields, self.max_life, JwtRule::LONGEST_LIFE, faults);
        let max_age = age(fields, self.max_age, faults);
        Some(Self { single_use: single_use?, max_life: max_life?, max_age: max_age? })
    }
}

fn life(fields: &Fields<'_>, default: Seconds, longest: Seconds, faults: &mut Faults) -> Option<Seconds> {
    fields.get("maxLife").map_or(Some(default), |place| place.duration(SHORTEST_LIFE, longest, faults))
}

fn age(fields: &Fields<'_>, default: Option<Seconds>, faults: &mut Faults) -> Option<Option<Seconds>> {
    fields
        .get("maxAge")
        .map_or(Some(default), |place| place.duration(SHORTEST_LIFE, JwtRule::LONGEST_MAX_AGE, faults).map(Some))
}

/// The exact `iss`, which is also the place of discovery.
pub(in crate::domain::record) fn issuer(place: &Place<'_>, faults: &mut Faults) -> Option<Issuer> {
    place.url(faults)?.parse().ok()
}

pub(in crate::domain::record) fn extra_audience(fields: &Fields<'_>, faults: &mut Faults) -> Option<Option<ExtraAudience>> {
    match fields.get("audience") {
        Some(place) => place.audience(faults).map(|audience| Some(ExtraAudience::Value(audience))),
        None => Some(None),
    }
}

/// Where the keys come from; those that stand in the record must verify one of `algs`.
fn key_source(fields: &Fields<'_>, algs: &[Alg], faults: &mut Faults) -> Option<Option<KeySource>> {
    match (fields.get("jwks"), fields.get("jwksUri")) {
        (None, None) => Some(None),
        (Some(place), None) => inline_keys(place, algs, faults).map(|set| Some(KeySource::Inline(set))),
        (None, Some(place)) => place.key_url(faults).map(|url| Some(KeySource::JwksUri(url))),
        (Some(place), Some(_)) => {
            place.refuse("expected jwks or jwksUri, not both", faults);
            None
        }
    }
}

fn algs(fields: &Fields<'_>, default: &[Alg], faults: &mut Faults) -> Option<Vec<Alg>> {
    let Some(place) = fields.get("algs") else { return Some(default.to_vec()) };
    let algs = place.list::<Alg>(faults)?;
    if algs.is_empty() {
        place.refuse("expected at least one algorithm", faults);
        return None;
    }
    Some(algs)
}

fn typ(fields: &Fields<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(place) = fields.get("typ") else { return Some(Vec::new()) };
    let typ = place.list::<String>(faults)?;
    let token = |typ: &String| typ.len() <= 64 && typ.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-./_".contains(&b));
    if !typ.iter().all(token) {
        place.refuse("expected media types such as at+jwt", faults);
        return None;
    }
    Some(typ)
}

/// `match:`. At least one equals or oneOf must be on a claim that a stranger at the same issuer cannot choose (ABUSE P-01, P-04).
fn matchers(place: &Place<'_>, faults: &mut Faults) -> Option<Vec<Matcher>> {
    let mut matchers = Vec::new();
    let mut whole = true;
    for (key, place) in place.entries(faults)? {
        let claim: Option<ClaimPath> = key.parse().map_err(|expected| place.refuse(expected, faults)).ok();
        let claim = claim.filter(|claim| {
            let fine = crate::domain::record::claims::is_well_formed(claim);
            if !fine {
                place.refuse("expected a JSON Pointer (RFC 6901): ~ stands only as ~0 or ~1", faults);
            }
            fine
        });
        match claim.zip(condition(&place, faults)) {
            Some((claim, condition)) => matchers.push(Matcher { claim, condition }),
            None => whole = false,
        }
    }
    if whole && !matchers.iter().any(is_conclusive) {
        let message = "at least one equals or oneOf must be on a claim that a stranger at the same issuer cannot choose \
                       (ref, workflow, actor, email and the like do not count, nor iss, aud and times)";
        faults.error(&place.at, &reason::BINDING_UNCONDITIONAL, message);
        whole = false;
    }
    whole.then_some(matchers)
}

/// Whether a stranger at the same issuer cannot meet it.
fn is_conclusive(matcher: &Matcher) -> bool {
    let exact = matches!(matcher.condition, Condition::Equals(_) | Condition::OneOf(_));
    exact && !is_chosen_by_caller(&matcher.claim) && !names_nobody(&matcher.claim)
}

/// A bare value, `{oneOf: […]}` or `{prefix: …}`.
pub(in crate::domain::record) fn condition(place: &Place<'_>, faults: &mut Faults) -> Option<Condition> {
    let Value::Map(map) = &place.node.value else {
        return exact(place, faults).map(Condition::Equals);
    };
    if map.iter().any(|(key, _)| key.text == "prefix") {
        let fields = place.fields(&keys::PREFIX, faults)?;
        return beginning(fields.get("prefix")?, faults).map(Condition::Prefix);
    }
    let fields = place.fields(&keys::ONE_OF, faults)?;
    let list = fields.get("oneOf")?;
    let values: Option<Vec<_>> = {
        let read: Vec<_> = list.items(faults)?.iter().map(|item| exact(item, faults)).collect();
        read.into_iter().collect()
    };
    let values = values?;
    if values.is_empty() {
        list.refuse("expected at least one value", faults);
        return None;
    }
    Some(Condition::OneOf(values))
}

/// A literal value: it is compared byte for byte, so a pattern in it is a mistake (ABUSE P-02, K-10).
fn exact(place: &Place<'_>, faults: &mut Faults) -> Option<String> {
    let text = place.scalar(faults)?;
    if text.contains('*') {
        let message = format!("values are compared byte for byte, and {} looks like a pattern", shown(text));
        faults.error(&place.at, &reason::BINDING_WILDCARD, message);
        return None;
    }
    // By the parser of the wire: a value that no claim could have would be a condition that nobody meets.
    if let Err(unfit) = claim_text::ensure_fit(text) {
        place.refuse(&format!("expected {unfit}"), faults);
        return None;
    }
    Some(text.to_owned())
}

/// A beginning, which may itself end with a blank.
fn beginning(place: &Place<'_>, faults: &mut Faults) -> Option<String> {
    let text = place.scalar(faults)?;
    match text.strip_suffix(' ') {
        Some(rest) if !text.contains('*') && claim_text::ensure_fit(rest).is_ok() => Some(text.to_owned()),
        Some(_) | None => exact(place, faults),
    }
}

/// `owner:` the claims that name the partner. Each must be matched exactly, or every stranger would count as known.
fn owner(place: &Place<'_>, matchers: Option<&[Matcher]>, faults: &mut Faults) -> Option<Vec<ClaimPath>> {
    let owner = place.list::<ClaimPath>(faults)?;
    if owner.is_empty() {
        place.refuse("expected at least one claim; leave the key out where the issuer is the partner's own", faults);
        return None;
    }
    for (i, claim) in owner.iter().enumerate() {
        let fine = |matcher: &Matcher| matcher.claim == *claim && is_conclusive(matcher);
        if matchers.is_some_and(|matchers| !matchers.iter().any(fine)) {
            let message = format!("{} must be matched by an exact value that a stranger cannot choose", shown(claim.as_str()));
            faults.error(&format!("{}[{i}]", place.at), &reason::BINDING_UNCONDITIONAL, message);
            return None;
        }
    }
    Some(owner)
}
