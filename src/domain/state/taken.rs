//! What records have taken, and the one judge of what must be unique: audiences of APIs, accepted audiences of proofs, and what proofs
//! bindings admit. Issuers and keys of ours are nobody else's.
//!
//! [`State`](super::State) keeps two [`Taken`]: of what is in force, and of what waits. Enter through [`conflicts`]; plan, apply,
//! submission, review and activation all ask it, so that a version which could be applied is one that can take force (docs/reference/records.md).
//! A record is never in conflict with another version of itself: one replaces the other.

use std::sync::Arc;

use imbl::{HashMap, OrdMap, OrdSet};

use super::ours::Ours;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::api::Api;
use crate::domain::registry::binding::{Admits, Binding, ExtraAudience, JwtRule, KeySource};
use crate::domain::registry::binding_index::{BindingIndex, Entry};
use crate::domain::registry::integration::Integration;
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::{ClientId, EnvironmentName};

/// A record that can take something. A partner's takes nothing but its name, which is its key.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'r> {
    /// An API, by its audiences and callers.
    Api(&'r Api),
    /// An integration, by its bindings.
    Integration(&'r Integration),
}

/// The use of one text.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Role {
    /// The audience of an API.
    Audience,
    /// An audience of proofs that a binding adds.
    Accepted,
    /// The issuer of proofs.
    Issuer,
}

/// A text that a record uses.
struct Part {
    used: Used,
    /// The field of the record.
    at: String,
}

/// A text and its use.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Used {
    text: Arc<str>,
    usage: Usage,
}

/// The use of a text, with the environment.
type Usage = (Role, EnvironmentName);

/// The uses of each text, with the clients that have them.
#[derive(Clone, Debug, Default)]
struct Uses(HashMap<Arc<str>, Usages>);

type Usages = OrdMap<Usage, OrdSet<ClientId>>;

/// A rule on JWTs of a record.
struct Rule<'r> {
    entry: Entry,
    keys: &'r KeySource,
    at: String,
}

/// The texts and rules that a set of records has taken; at most one version of each record.
///
/// Copies share all that a change of one record does not touch.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    uses: Uses,
    of: OrdMap<ClientId, Arc<[Used]>>,
    bindings: BindingIndex,
}

/// Some records that count beside the one that is judged.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The texts and rules that they have taken.
    pub taken: &'a Taken,
    /// Which of them reserve what they have: not drafts, nor versions that were denied, withdrawn or not answered in time.
    pub reserves: &'a dyn Fn(&ClientId) -> bool,
    /// Why a rule that admits what one of theirs admits is refused.
    pub because: &'static Reason,
}

/// Something of a record that is not free.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// The field.
    pub at: String,
    /// Why.
    pub reason: &'static Reason,
    /// The text or rule, and its holder.
    pub message: String,
    /// The version in force collides with another record in this very way, from before there was a rule against it. It stands, and is no
    /// reason against a version that adds nothing to it.
    pub stands: bool,
}

impl<'r> Holder<'r> {
    /// The client as which its workloads are admitted.
    pub fn client(self) -> ClientId {
        match self {
            Self::Api(api) => ClientId::Api(api.name.clone()),
            Self::Integration(integration) => ClientId::Integration(integration.id.clone()),
        }
    }

    /// The lists of bindings, with their environment and the path in the record.
    fn bindings(self) -> Vec<(&'r EnvironmentName, &'r [Binding], String)> {
        match self {
            Self::Api(api) => {
                let lists = api.callers.iter();
                lists.map(|(name, bindings)| (name, bindings.as_slice(), format!("callers.{name}"))).collect()
            }
            Self::Integration(integration) => {
                let lists = integration.environments.iter();
                let at = |name: &EnvironmentName| format!("environments.{name}.bindings");
                lists.map(|(name, access)| (name, access.bindings.as_slice(), at(name))).collect()
            }
        }
    }

    /// The rules on JWTs. A certificate of ours names its integration and environment itself.
    fn rules(self) -> Vec<(&'r EnvironmentName, &'r Binding, &'r JwtRule, String)> {
        let mut rules = Vec::new();
        for (environment, bindings, at) in self.bindings() {
            for (i, binding) in bindings.iter().enumerate() {
                match &binding.admits {
                    Admits::Jwt(rule) => rules.push((environment, binding, &**rule, format!("{at}[{i}]"))),
                    Admits::Certificate => {}
                }
            }
        }
        rules
    }

    fn entries(self) -> Vec<Rule<'r>> {
        let client = self.client();
        let entry = |(environment, binding, rule, at): (&EnvironmentName, &Binding, &'r JwtRule, String)| Rule {
            entry: Entry::new(client.clone(), environment.clone(), binding.name.clone(), rule),
            keys: &rule.keys,
            at,
        };
        self.rules().into_iter().map(entry).collect()
    }

    fn parts(self) -> Vec<Part> {
        let part = |text: &str, environment: &EnvironmentName, role, at: &str| Part {
            used: Used { text: text.into(), usage: (role, environment.clone()) },
            at: at.to_owned(),
        };
        let mut parts = Vec::new();
        if let Self::Api(api) = self {
            for (environment, audience) in &api.audience {
                parts.push(part(audience.as_str(), environment, Role::Audience, &format!("audience.{environment}")));
            }
        }
        for (environment, _, rule, at) in self.rules() {
            parts.push(part(rule.issuer.as_str(), environment, Role::Issuer, &at));
            match &rule.audience {
                Some(ExtraAudience::Value(audience)) => {
                    parts.push(part(audience.as_str(), environment, Role::Accepted, &at));
                }
                Some(ExtraAudience::TokenEndpoint) | None => {}
            }
        }
        parts
    }
}

impl Taken {
    /// Puts `record` in the place of whatever `client` had here.
    pub fn replace(&mut self, client: &ClientId, record: Option<Holder<'_>>) {
        self.of.remove(client).iter().flat_map(|used| used.iter()).for_each(|used| self.uses.remove(used, client));
        let used: Arc<[Used]> =
            record.iter().flat_map(|record| record.parts()).map(|part| self.uses.add(part.used, client)).collect();
        if !used.is_empty() {
            self.of.insert(client.clone(), used);
        }
        self.bindings.replace(client, record.into_iter().flat_map(Holder::entries).map(|rule| rule.entry));
    }
}

impl Taken {
    /// Whether nothing is taken.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The clients here whose bindings admit a proof that a binding of `record` admits too, each once, without the record's own.
    ///
    /// A record that takes too long to compare overlaps with everybody here: whoever asks wants to know of each.
    pub fn overlapping(&self, record: Holder<'_>) -> Vec<ClientId> {
        if self.is_empty() {
            return Vec::new();
        }
        let own = record.client();
        let mut found: Vec<ClientId> = Vec::new();
        let mut effort = Effort::default();
        for rule in record.entries() {
            loop {
                let counts = |other: &Entry| other.client != own && !found.contains(&other.client);
                match self.bindings.overlapping(&rule.entry, &mut effort, counts) {
                    Ok(Some(other)) => found.push(other.client.clone()),
                    Ok(None) => break,
                    Err(_) => return self.of.keys().filter(|client| **client != own).cloned().collect(),
                }
            }
        }
        found
    }

    /// Whether the version that `client` has here uses the same text in the same way.
    fn has(&self, client: &ClientId, part: &Part) -> bool {
        self.of.get(client).is_some_and(|used| used.contains(&part.used))
    }

    /// Whether the same binding of the version that its client has here admits all that `rule` admits; where there is no rule to ask about,
    /// nothing speaks against it.
    fn has_rule(&self, rule: Option<&Rule<'_>>, effort: &mut Effort) -> Result<bool, Exhausted> {
        let Some(Rule { entry, .. }) = rule else { return Ok(true) };
        let before = self.bindings.entry(&entry.client, &entry.environment, &entry.binding);
        before.map_or(Ok(false), |before| entry.is_within(before, effort))
    }
}

impl Uses {
    /// Adds a use. All uses of a text share one copy of it.
    fn add(&mut self, used: Used, client: &ClientId) -> Used {
        let text = self.0.get_key_value(&used.text).map_or(used.text, |(known, _)| Arc::clone(known));
        let clients = self.0.entry(Arc::clone(&text)).or_default().entry(used.usage.clone()).or_default();
        clients.insert(client.clone());
        Used { text, usage: used.usage }
    }

    fn remove(&mut self, used: &Used, client: &ClientId) {
        let Some(usages) = self.0.get_mut(&used.text) else { return };
        if let Some(clients) = usages.get_mut(&used.usage) {
            clients.remove(client);
            if clients.is_empty() {
                usages.remove(&used.usage);
            }
        }
        if usages.is_empty() {
            self.0.remove(&used.text);
        }
    }

    /// The first use of the same text that `part` cannot be beside, by a client that `counts`.
    fn against(
        &self,
        part: &Part,
        effort: &mut Effort,
        counts: impl Fn(&Usage, &ClientId) -> bool,
    ) -> Result<Option<(&Usage, &ClientId)>, Exhausted> {
        for (usage, clients) in self.0.get(&part.used.text).into_iter().flat_map(|usages| usages.iter()) {
            effort.take(1)?;
            if !excludes(&part.used.usage, usage) {
                continue;
            }
            for client in clients.iter() {
                effort.take(1)?;
                if counts(usage, client) {
                    return Ok(Some((usage, client)));
                }
            }
        }
        Ok(None)
    }
}

/// Everything of `record` that is ours, or that one of `others` has taken; in the order of the record. What of it `in_force`, where the
/// version in force is, takes as well [stands](Conflict::stands); never what is ours.
///
/// # Errors
/// It takes more than `effort` has left: nothing is known then, and the record must not take force.
pub fn conflicts(
    record: Holder<'_>,
    ours: &Ours,
    in_force: &Taken,
    others: &[Beside<'_>],
    effort: &mut Effort,
) -> Result<Vec<Conflict>, Exhausted> {
    let client = record.client();
    let (own, rules) = (record.parts(), record.entries());
    let mut conflicts = Vec::new();
    let mut itself = Uses::default();
    for part in &own {
        itself.add(part.used.clone(), &client);
    }
    // Where a proof names no audience, one record collides with itself.
    let mut by_certificate = BindingIndex::default();
    by_certificate.replace(&client, rules.iter().map(|rule| &rule.entry).filter(|entry| entry.takes_certificates()).cloned());
    for part in &own {
        if let Some(conflict) = is_ours(part, ours) {
            conflicts.push(conflict);
            continue;
        }
        let mut found = None;
        for Beside { taken, reserves, because: _ } in others {
            let counts = |_: &Usage, other: &ClientId| *other != client && reserves(other);
            found = found.or(taken.uses.against(part, effort, counts)?);
        }
        let found = found.or(itself.against(part, effort, |usage, _| *usage != part.used.usage)?);
        if let Some((usage, other)) = found {
            let stands =
                in_force.has(&client, part) && in_force.has_rule(rules.iter().find(|rule| rule.at == part.at), effort)?;
            conflicts.push(part.against(usage, other, stands));
        }
    }
    for rule in &rules {
        if let Some(message) = own_keys(rule.keys, ours) {
            conflicts.push(Conflict { at: rule.at.clone(), reason: &reason::BINDING_OWN_ISSUER, message, stands: false });
        }
        let mut found = None;
        for Beside { taken, reserves, because } in others {
            let counts = |other: &Entry| other.client != client && reserves(&other.client);
            found = taken.bindings.overlapping(&rule.entry, effort, counts)?.map(|other| (other, *because));
            if found.is_some() {
                break;
            }
        }
        if found.is_none() && rule.entry.takes_certificates() {
            let other = by_certificate.overlapping(&rule.entry, effort, |other| other.environment != rule.entry.environment)?;
            found = other.map(|other| (other, &reason::BINDING_OVERLAP));
        }
        if let Some((other, because)) = found {
            conflicts.push(rule.against(other, because, in_force.has_rule(Some(rule), effort)?));
        }
    }
    Ok(conflicts)
}

/// Texts that are ours whoever asks: an issuer or trust domain of an environment, in any spelling, and what lies below it. A binding
/// may add its own environment's issuer or token endpoint as an audience; that adds nothing.
fn is_ours(part: &Part, ours: &Ours) -> Option<Conflict> {
    let Used { text, usage: (role, own) } = &part.used;
    let environment = ours.environment_of(text)?;
    let (reason, message) = match role {
        Role::Issuer => (
            &reason::BINDING_OWN_ISSUER,
            format!("{text} is our own issuer or trust domain in {environment}, or lies below it; name the partner's issuer"),
        ),
        Role::Accepted if own == environment => return None,
        Role::Accepted => (&reason::RECORD_AUDIENCE_TAKEN, format!("{text} belongs to the environment {environment}")),
        Role::Audience => {
            (&reason::RECORD_AUDIENCE_TAKEN, format!("{text} is an issuer: that of our environment {environment}"))
        }
    };
    Some(Conflict { at: part.at.clone(), reason, message, stands: false })
}

/// Why keys are our own: at an address of ours, or one of our signing keys by whatever name.
fn own_keys(keys: &KeySource, ours: &Ours) -> Option<String> {
    match keys {
        // The issuer was judged.
        KeySource::Discovery(_) => None,
        KeySource::JwksUri(url) | KeySource::BundleUrl(url) => {
            let environment = ours.environment_of(url)?;
            Some(format!("{url} lies at our own issuer in {environment}; name where the partner publishes its keys"))
        }
        KeySource::Inline(set) | KeySource::InlineBundle(set) => {
            let kid = ours.key_among(set)?;
            Some(format!("the set holds our own signing key {kid}; name the partner's keys"))
        }
    }
}

/// Whether two uses of one text cannot stand beside each other. An audience is one API in one environment; an accepted audience of
/// proofs belongs to one environment; and no audience of either kind is an issuer, or a token could be shown where a proof is asked.
fn excludes((one, here): &Usage, (other, there): &Usage) -> bool {
    match (one, other) {
        (Role::Issuer, Role::Issuer) => false,
        (Role::Accepted, Role::Accepted) => here != there,
        (Role::Audience, Role::Audience | Role::Accepted | Role::Issuer)
        | (Role::Accepted, Role::Audience | Role::Issuer)
        | (Role::Issuer, Role::Audience | Role::Accepted) => true,
    }
}

impl Part {
    fn against(&self, (role, environment): &Usage, client: &ClientId, stands: bool) -> Conflict {
        let text = &self.used.text;
        let message = match role {
            Role::Audience => format!("{text} is the audience of {client} in {environment}"),
            Role::Accepted => format!(
                "{text} is an accepted audience of proofs in {environment} (of {client}), and such an audience belongs to one environment"
            ),
            Role::Issuer => format!("{text} is an issuer, of proofs of {client} in {environment}"),
        };
        Conflict { at: self.at.clone(), reason: &reason::RECORD_AUDIENCE_TAKEN, message, stands }
    }
}

impl Rule<'_> {
    fn against(&self, other: &Entry, because: &'static Reason, stands: bool) -> Conflict {
        let (binding, place) = (&self.entry.binding, format!("{}/{}/{}", other.client, other.environment, other.binding));
        let both = self.entry.takes_certificates() && other.takes_certificates();
        let message = if *because == reason::BINDING_OFFBOARDING {
            format!("a proof that {binding} admits was admitted by {place}, which is being offboarded")
        } else if both && other.environment != self.entry.environment {
            format!(
                "an X.509-SVID that {binding} admits could also be admitted by {place}: it names no audience, so a SPIFFE ID belongs to \
                 one environment; use an ID of its own in each"
            )
        } else {
            format!("a proof that {binding} admits could also be admitted by {place}; they must differ on a claim")
        };
        // What is being offboarded is not in force, so nothing stands beside it.
        Conflict { at: self.at.clone(), reason: because, message, stands: stands && *because == reason::BINDING_OVERLAP }
    }
}
