//! Admission: finds the binding that admits a verified assertion, and so the caller.
//!
//! Enter through [`admit`]. Everything that a binding asks of a proof is judged here, at each decision: slot, algorithm, `typ`,
//! times, audience, life, age, `jti`, conditions (docs/reference/records.md). A [`Principal`] is made only here.

use crate::domain::caller::conditions::conditions;
use crate::domain::caller::proof::{Assertion, Verified};
use crate::domain::caller::spiffe::Svid;
use crate::domain::credential::certificate::ClientCertificate;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::reason::decision::{Refused, Trace};
use crate::domain::reason::{self, Reason};
use crate::domain::registry::binding::{Admits, Binding, ExtraAudience, JwtKind, JwtRule};
use crate::domain::state::State;
use crate::domain::state::barred::Barred;
use crate::domain::state::candidates::{Candidate, Listed};
use crate::domain::value::clock::CLOCK_AHEAD;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{BindingName, ClientId, EnvironmentName, IntegrationId, Issuer, Subject, TrustDomain};
use crate::domain::value::proof_key::ProofKey;

/// The parameter of the request that a proof came in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slot {
    /// `assertion` of the jwt-bearer grant (RFC 7523 section 2.1).
    Assertion,
    /// `client_assertion` (RFC 7523 section 2.2).
    ClientAssertion,
    /// `subject_token` of a token exchange (RFC 8693).
    SubjectToken,
}

impl Slot {
    /// Its name in the request.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::ClientAssertion => "client_assertion",
            Self::SubjectToken => "subject_token",
        }
    }
}

/// The environment that a proof is presented in.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// Its issuer, which every proof may name as audience.
    pub issuer: &'a Issuer,
    /// The proofs that revoked bindings bar.
    pub barred: &'a Barred,
}

/// The caller: the client that exactly one binding admitted.
#[derive(Clone, Debug)]
pub struct Principal {
    client: ClientId,
    environment: EnvironmentName,
    binding: BindingName,
    version: Digest,
    proof: Proof,
    by_certificate: bool,
    /// The revoked binding that would admit the same proof.
    barred: Option<RevocationKey>,
}

/// The facts about a proof that the entry of a token records.
#[derive(Clone, Debug)]
pub struct Proof {
    /// Its issuer.
    pub issuer: Issuer,
    /// Another issuer that it names ([`Assertion::issuers`]).
    pub named: Option<Issuer>,
    /// Its subject.
    pub subject: Subject,
    /// Its id among the spent proofs, made of its issuer and `jti`, if it has one.
    pub id: Option<ProofKey>,
    /// Its `exp`.
    pub expires: Timestamp,
    /// Thumbprint of the key that signed it.
    pub key: Digest,
    /// True if the token that it pays for spends it.
    pub single_use: bool,
}

impl Proof {
    /// Its id among the spent proofs, if the token that it pays for spends it.
    pub fn spends(&self) -> Option<ProofKey> {
        self.id.filter(|_| self.single_use)
    }
}

impl Principal {
    /// Makes the principal that a binding of `id` in `environment` would admit with a good proof.
    ///
    /// The proof never ends, and the issuer's newest key signed it. This is for `rehearsal` alone, which lets no grant out. So a
    /// supposed principal is never recorded, and its token never signed.
    pub(in crate::domain) fn supposed(
        id: &IntegrationId,
        environment: &EnvironmentName,
        binding: &Binding,
        state: &State,
    ) -> Option<Self> {
        let version = state.integrations.get(id)?.current.as_ref()?.version;
        let (issuer, by_certificate, barred) = match &binding.admits {
            Admits::Jwt(rule) => (rule.issuer.clone(), false, state.barred.rule(environment, rule)),
            Admits::Certificate => {
                let issuer = state.environment(environment)?.trust_domain.issuer();
                (issuer, true, state.barred.certificate(id, environment))
            }
        };
        let key = state.issuer_keys.newest(&issuer).map_or_else(|| Digest::of(b"no key"), |(key, _)| key);
        let subject = id.to_string().parse().ok()?;
        let proof = Proof { issuer, named: None, subject, id: None, expires: Timestamp::MAX, key, single_use: false };
        Some(Self {
            client: ClientId::Integration(id.clone()),
            environment: environment.clone(),
            binding: binding.name.clone(),
            version,
            proof,
            by_certificate,
            barred: barred.cloned(),
        })
    }

    /// Makes the principal that a leaf certificate of ours names.
    pub(in crate::domain) fn by_own(
        shown: &Verified<ClientCertificate>,
        trust_domain: &TrustDomain,
        binding: &BindingName,
        version: Digest,
        barred: &Barred,
    ) -> Self {
        let leaf = &shown.leaf;
        let barred = barred.certificate(&leaf.integration, &leaf.environment).cloned();
        let client = ClientId::Integration(leaf.integration.clone());
        // Invariant: an id of at most 127 characters is a printable name of at most 255.
        let issuer = trust_domain.issuer();
        let subject = client.to_string().parse().expect("an integration's id is a subject");
        Self {
            client,
            environment: leaf.environment.clone(),
            binding: binding.clone(),
            version,
            proof: Proof { issuer, named: None, subject, id: None, expires: leaf.ends, key: leaf.key, single_use: false },
            by_certificate: true,
            barred,
        }
    }

    /// Makes the principal that `candidate` admits by an X.509-SVID.
    pub(in crate::domain) fn by_svid(shown: &Verified<Svid>, candidate: &Candidate, barred: &Barred) -> Self {
        let barred = barred.svid(&candidate.environment, shown).cloned();
        // Invariant: a workload's ID has at most 255 printable characters, as a subject has.
        let subject = shown.id.as_str().parse().expect("a workload's ID is a subject");
        let issuer = shown.id.issuer();
        Self {
            client: candidate.client.clone(),
            environment: candidate.environment.clone(),
            binding: candidate.binding.clone(),
            version: candidate.version,
            proof: Proof { issuer, named: None, subject, id: None, expires: shown.ends, key: shown.key, single_use: false },
            by_certificate: true,
            barred,
        }
    }

    /// The key of a revoked binding that would admit the same proof, whichever binding admitted it.
    pub fn barred(&self) -> Option<&RevocationKey> {
        self.barred.as_ref()
    }

    /// Tells whether the proof is the certificate of the connection, and no assertion.
    pub fn is_by_certificate(&self) -> bool {
        self.by_certificate
    }

    /// The client that the binding admitted.
    pub fn client(&self) -> &ClientId {
        &self.client
    }

    /// The environment.
    pub fn environment(&self) -> &EnvironmentName {
        &self.environment
    }

    /// The binding.
    pub fn binding(&self) -> &BindingName {
        &self.binding
    }

    /// The version of the record that has the binding.
    pub fn version(&self) -> Digest {
        self.version
    }

    /// The proof.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

/// Finds the one client that `assertion` admits.
///
/// `candidates` are the bindings of the environment that name the assertion's issuer. If bindings of two clients admit it,
/// it is ambiguous. If two bindings of one client admit it, the stricter decides, then the first by name, so that the
/// order in a record has no meaning.
pub fn admit(
    candidates: Listed<'_>,
    assertion: &Verified<Assertion>,
    slot: Slot,
    place: Place<'_>,
    now: Timestamp,
) -> Result<Principal, Refused> {
    let judge = |candidate: &Candidate, trace: &mut Trace| judge(candidate, assertion, slot, place, now, trace);
    let mut admitting: Vec<&Candidate> = Vec::new();
    for candidate in candidates.meeting(&assertion.claims) {
        if judge(candidate, &mut Trace::off()).is_ok() {
            admitting.push(candidate);
        }
    }
    admitting.sort_by_key(|candidate| (!candidate.rule.single_use, &candidate.binding));
    let Some(first) = admitting.first() else {
        return Err(nearest(candidates, assertion, judge));
    };
    if admitting.iter().any(|other| other.client != first.client) {
        return Err(Refused { reason: &reason::BINDING_AMBIGUOUS, known: known(candidates, assertion), tree: Vec::new() });
    }
    Ok(Principal {
        client: first.client.clone(),
        environment: first.environment.clone(),
        binding: first.binding.clone(),
        version: first.version,
        proof: Proof {
            issuer: assertion.issuer.clone(),
            named: assertion.issuers().into_iter().nth(1),
            subject: assertion.subject.clone(),
            id: assertion.id.as_ref().map(|id| ProofKey::of(&assertion.issuer, id)),
            expires: assertion.expires,
            key: assertion.key,
            single_use: first.rule.single_use,
        },
        by_certificate: false,
        barred: place.barred.jwt(place.environment, assertion).cloned(),
    })
}

/// The most bindings that a stranger's proof is compared with to say what is wrong with it.
const STRANGERS_BINDINGS: usize = 8;

/// Finds the refusal by the binding that held longest.
///
/// A caller that is known is compared with its own bindings alone: it has no right to know another partner's conditions. A stranger
/// is told nothing. For the journal and `explain`, its proof is compared with the bindings that its claims can meet, then with the
/// oldest, and with a few of them only, so that a stranger costs the same however many bindings its issuer has.
fn nearest(
    candidates: Listed<'_>,
    assertion: &Verified<Assertion>,
    judge: impl Fn(&Candidate, &mut Trace) -> Result<(), &'static Reason>,
) -> Refused {
    let known = known(candidates, assertion);
    let near: Vec<&Candidate> = match &known {
        Some(client) => candidates.of_client(client).collect(),
        None => candidates.meeting(&assertion.claims).chain(candidates.iter()).take(STRANGERS_BINDINGS).collect(),
    };
    let mut best: Option<(usize, Refused)> = None;
    for candidate in near {
        let mut trace = Trace::on();
        let Err(reason) = judge(candidate, &mut trace) else { continue };
        let tree = trace.into_steps();
        let held = tree.iter().filter(|step| step.holds).count();
        if best.as_ref().is_none_or(|(most, _)| held > *most) {
            best = Some((held, Refused { reason, known: known.clone(), tree }));
        }
    }
    best.map_or_else(|| Refused { known, ..Refused::unknown(&reason::ISSUER_UNKNOWN) }, |(_, refused)| refused)
}

/// Finds the client that `assertion` names, if it names one.
///
/// The conditions on owner claims hold; or the rule has none, and all bindings with its keys are of one partner. Otherwise every
/// stranger with a verified token of a shared platform would count as known.
pub fn known(candidates: Listed<'_>, assertion: &Verified<Assertion>) -> Option<ClientId> {
    let holds = |candidate: &Candidate| {
        let rule = &candidate.rule;
        let held = |owner| conditions(rule, &assertion.claims).any(|result| result.claim == owner && result.holds);
        rule.owner.iter().all(held)
    };
    candidates.naming(&assertion.source, &assertion.claims, holds).map(|candidate| candidate.client.clone())
}

/// Judges whether one binding admits the assertion. The first check that fails gives the reason.
fn judge(
    candidate: &Candidate,
    assertion: &Assertion,
    slot: Slot,
    place: Place<'_>,
    now: Timestamp,
    trace: &mut Trace,
) -> Result<(), &'static Reason> {
    let rule = &candidate.rule;
    judge_form(rule, assertion, slot, trace)?;
    judge_audience(rule, assertion, slot, place, trace)?;
    judge_times(rule, assertion, now, trace)?;
    let named = assertion.id.is_some() || !rule.single_use;
    if !trace.check("assertion.jti", named, || jti_texts(rule, assertion)) {
        return Err(&reason::ASSERTION_NO_JTI);
    }
    judge_claims(rule, assertion, trace)
}

fn jti_texts(rule: &JwtRule, assertion: &Assertion) -> (String, String) {
    let want = if rule.single_use { "a jti" } else { "a jti, or none: the binding is not single-use" };
    (want.into(), assertion.id.as_ref().map_or_else(|| "no jti".to_owned(), |id| format!("jti {id}")))
}

fn judge_form(rule: &JwtRule, assertion: &Assertion, slot: Slot, trace: &mut Trace) -> Result<(), &'static Reason> {
    // The binding must still trust the keys that verified the assertion (docs/explanation/journal.md).
    let trusted = rule.keys == assertion.source && rule.issuer == assertion.issuer;
    if !trace.check("assertion.keys", trusted, || (rule.keys.label(), assertion.source.label())) {
        return Err(&reason::ASSERTION_KEY);
    }
    let listed = rule.algs.contains(&assertion.alg);
    if !trace.check("assertion.alg", listed, || (list(rule.algs.iter()), assertion.alg.to_string())) {
        return Err(&reason::ASSERTION_ALGORITHM);
    }
    let typ = assertion.typ.as_deref();
    if !trace.check("assertion.typ", accepts_typ(rule, typ), || (wanted_typ(rule), typ.unwrap_or("none").to_owned())) {
        return Err(&reason::ASSERTION_HEADER);
    }
    // A key JWT authenticates a client, and is not a subject token (docs/reference/http.md).
    let taken = rule.kind == JwtKind::Oidc || slot == Slot::ClientAssertion;
    let want = || if rule.kind == JwtKind::Oidc { "any parameter that takes a JWT" } else { Slot::ClientAssertion.parameter() };
    if !trace.check("assertion.slot", taken, || (want().into(), slot.parameter().into())) {
        return Err(&reason::ASSERTION_SLOT);
    }
    Ok(())
}

/// Tells whether a rule accepts this `typ`, as RFC 7515 section 4.1.9 compares it.
///
/// A `typ` without `/` has an implied `application/` before it. Types are compared without case.
fn accepts_typ(rule: &JwtRule, typ: Option<&str>) -> bool {
    let Some(typ) = typ else { return rule.kind == JwtKind::Oidc || rule.typ.is_empty() };
    fn short(text: &str) -> &str {
        text.strip_prefix("application/").unwrap_or(text)
    }
    let is = |listed: &str| short(listed).eq_ignore_ascii_case(short(typ));
    if rule.typ.iter().any(|listed| is(listed)) {
        return true;
    }
    match rule.kind {
        JwtKind::Oidc => is("jwt"),
        // A `key` binding that lists a `typ` takes no other (docs/security/standards.md#typ-of-a-client-assertion).
        JwtKind::Key => rule.typ.is_empty() && (is("jwt") || is("client-authentication+jwt")),
    }
}

fn wanted_typ(rule: &JwtRule) -> String {
    if rule.typ.is_empty() { "JWT or none".to_owned() } else { list(rule.typ.iter()) }
}

/// Checks that every member of `aud` names this environment.
///
/// It is the environment's issuer, its token endpoint if the slot or the rule takes that, or the one value that the binding adds.
/// Values are compared byte for byte (ABUSE J-12 to J-14; docs/security/standards.md#audience-of-a-client-assertion).
fn judge_audience(
    rule: &JwtRule,
    assertion: &Assertion,
    slot: Slot,
    place: Place<'_>,
    trace: &mut Trace,
) -> Result<(), &'static Reason> {
    let endpoint = |aud: &str| aud.strip_prefix(place.issuer.as_str()) == Some("/token");
    let extra = |aud: &str| match &rule.audience {
        None => false,
        Some(ExtraAudience::Value(value)) => value.as_str() == aud,
        Some(ExtraAudience::TokenEndpoint) => endpoint(aud),
    };
    let ours = |aud: &String| aud == place.issuer.as_str() || extra(aud) || (slot != Slot::ClientAssertion && endpoint(aud));
    // A client assertion has one audience (rfc7523bis; CVE-2025-27370): a string, or an array of one.
    let single = slot != Slot::ClientAssertion || assertion.audience.len() == 1;
    let holds = single && !assertion.audience.is_empty() && assertion.audience.iter().all(ours);
    if trace.check("assertion.aud", holds, || (place.issuer.to_string(), assertion.audience.join(", "))) {
        Ok(())
    } else {
        Err(&reason::ASSERTION_AUDIENCE)
    }
}

fn judge_times(rule: &JwtRule, assertion: &Assertion, now: Timestamp, trace: &mut Trace) -> Result<(), &'static Reason> {
    let expires = assertion.expires;
    if !trace.check("assertion.exp", now < expires, || (format!("later than {now}"), expires.to_string())) {
        return Err(&reason::ASSERTION_EXPIRED);
    }
    let horizon = now.plus(CLOCK_AHEAD);
    for (check, time) in [("assertion.iat", assertion.issued), ("assertion.nbf", assertion.not_before)] {
        let Some(time) = time else { continue };
        let holds = time <= horizon && time <= expires;
        if !trace.check(check, holds, || (format!("not later than {horizon} and exp"), time.to_string())) {
            return Err(&reason::ASSERTION_NOT_YET);
        }
    }
    // Without `iat` its life is not known. If it were counted from now, an assertion with a life of a
    // year would pass in its last hour.
    let life = assertion.issued.map(|issued| expires.since(issued));
    let holds = life.is_some_and(|life| life <= rule.max_life);
    let seen = || life.map_or_else(|| "no iat".to_owned(), |life| life.to_string());
    if !trace.check("assertion.life", holds, || (format!("at most {}", rule.max_life), seen())) {
        return Err(&reason::ASSERTION_LIFE);
    }
    if let Some(max_age) = rule.max_age {
        let fresh = assertion.issued.is_some_and(|issued| now.since(issued) <= max_age);
        let seen = || assertion.issued.map_or_else(|| "no iat".to_owned(), |issued| now.since(issued).to_string());
        if !trace.check("assertion.age", fresh, || (format!("at most {max_age}"), seen())) {
            return Err(&reason::ASSERTION_AGE);
        }
    }
    Ok(())
}

fn judge_claims(rule: &JwtRule, assertion: &Assertion, trace: &mut Trace) -> Result<(), &'static Reason> {
    if rule.kind == JwtKind::Key {
        let same = assertion.subject.as_str() == rule.issuer.as_str();
        return if trace.check("assertion.sub", same, || (rule.issuer.to_string(), assertion.subject.to_string())) {
            Ok(())
        } else {
            Err(&reason::ASSERTION_SUBJECT)
        };
    }
    // All conditions are noted, so that the tree has each one that failed. A rule without conditions admits nobody.
    let mut all = !rule.matchers.is_empty();
    for result in conditions(rule, &assertion.claims) {
        let texts = || (result.want.to_string(), result.seen().unwrap_or_else(|| "nothing".to_owned()));
        all &= trace.check(format_args!("claim.{}", result.claim), result.holds, texts);
    }
    if all { Ok(()) } else { Err(&reason::BINDING_NO_MATCH) }
}

fn list<T: std::fmt::Display>(items: impl Iterator<Item = T>) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
