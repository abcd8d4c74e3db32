//! Bindings, and the rules of docs/reference/records.md that make one safe.
//!
//! Enter through [`Bindings`]. Whether two bindings of different integrations overlap is for
//! [`collisions`](crate::domain::decision::check::collisions) to say.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::preset;
use super::rule::{Key, Oidc};
use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::record::form;
use crate::domain::record::form::base::Form;
use crate::domain::record::form::definitions::{self, Definitions, label};
use crate::domain::record::form::field::Members;
use crate::domain::record::form::map::{Map as _, object, whole};
use crate::domain::record::form::scalar::parsed;
use crate::domain::record::lint;
use crate::domain::record::read::place::{self, Place, Shape};
use crate::domain::registry::binding::{Admits, Binding, JwtKind, JwtRule};
use crate::domain::registry::preset::Preset;

/// The ways to say what a binding takes, each under a key of its own.
#[derive(Clone, Copy)]
enum Proof {
    Oidc,
    Key,
    Mtls,
    Preset(Preset),
}

/// `mtls:` has no settings.
struct Mtls;

impl form::map::Map for Mtls {
    const NAME: &'static str = "mtls";

    fn keys() -> Vec<place::Key> {
        Vec::new()
    }

    fn read(place: &Place<'_>, faults: &mut Faults) -> Option<Self> {
        place.fields(&Self::shape(), faults).map(|_| Self)
    }

    fn members(&self) -> Members {
        Members::new()
    }

    fn properties(_: &mut Definitions) -> Map<String, Json> {
        Map::new()
    }
}

impl Proof {
    fn all() -> impl Iterator<Item = Self> {
        [Self::Oidc, Self::Key, Self::Mtls].into_iter().chain(Preset::ALL.map(Self::Preset))
    }

    fn key(self) -> &'static str {
        match self {
            Self::Oidc => Oidc::NAME,
            Self::Key => Key::NAME,
            Self::Mtls => Mtls::NAME,
            Self::Preset(preset) => preset.row().name,
        }
    }

    fn schema(self, definitions: &mut Definitions) -> Json {
        match self {
            Self::Oidc => whole::<Oidc>().schema(definitions),
            Self::Key => whole::<Key>().schema(definitions),
            Self::Mtls => whole::<Mtls>().schema(definitions),
            Self::Preset(preset) => preset::schema(preset, definitions),
        }
    }

    fn read(self, place: &Place<'_>, faults: &mut Faults) -> Option<Admits> {
        let rule = match self {
            Self::Mtls => return Mtls::read(place, faults).map(|Mtls| Admits::Certificate),
            Self::Oidc => Oidc::rule(place, faults),
            Self::Key => Key::rule(place, faults),
            Self::Preset(preset) => preset::rule(preset, place, faults),
        }?;
        let sound = is_bounded(&rule, &place.at, faults);
        lint::rule(&rule, &place.at, faults);
        sound.then(|| Admits::Jwt(Arc::new(rule)))
    }

    /// The way in which `admits` is written, and what is written below its key.
    fn written(admits: &Admits) -> (Self, Json) {
        match admits {
            Admits::Certificate => (Self::Mtls, Json::Object(Mtls.members())),
            Admits::Jwt(rule) => match (rule.preset, rule.kind) {
                (Some(preset), _) => (Self::Preset(preset), preset::written(preset, rule)),
                (None, JwtKind::Key) => (Self::Key, Key::written(rule)),
                (None, JwtKind::Oidc) => (Self::Oidc, Oidc::written(rule)),
            },
        }
    }
}

/// Whether a proof that can be presented again is bounded, as production demands.
///
/// It is bounded by the token's key, the network or its age.
fn is_bounded(rule: &JwtRule, at: &str, faults: &mut Faults) -> bool {
    let ground = &faults.ground;
    let bounded = !ground.production || rule.single_use || ground.bounded || rule.max_age.is_some();
    if !bounded {
        let message = "a reusable proof in production needs require: bound, sourceCidrs or maxAge";
        faults.error(&format!("{at}.singleUse"), &reason::BINDING_REUSABLE, message);
    }
    bounded
}

/// The bindings of one environment, none named twice.
pub(in crate::domain::record) struct Bindings;

impl Form for Bindings {
    type Value = Vec<Binding>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<Binding>> {
        let mut bindings: Vec<Binding> = Vec::new();
        let mut whole = true;
        for item in place.items(faults)? {
            match OneBinding.read(&item, faults) {
                Some(binding) if bindings.iter().any(|other| other.name == binding.name) => {
                    let at = place::join(&item.at, NAME);
                    let message = format!("a binding named {} stands here already", binding.name);
                    faults.error(&at, &reason::RECORD_VALUE, message);
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

    fn write(&self, bindings: &Vec<Binding>) -> Json {
        bindings.iter().map(|binding| OneBinding.write(binding)).collect()
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        definitions::list(&OneBinding.schema(definitions), 0)
    }
}

/// A binding: its name, and exactly one way to say what it takes.
struct OneBinding;

const NAME: &str = "name";

impl OneBinding {
    fn shape() -> Shape {
        let proofs = Proof::all().map(|proof| place::Key { name: proof.key(), required: false });
        let name = place::Key { name: NAME, required: true };
        Shape { name: "binding", keys: std::iter::once(name).chain(proofs).collect() }
    }
}

impl Form for OneBinding {
    type Value = Binding;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Binding> {
        let fields = place.fields(&Self::shape(), faults)?;
        let name = fields.get(NAME).and_then(|place| parsed(label).read(place, faults));
        let found: Vec<_> = Proof::all().filter_map(|proof| Some((proof, fields.get(proof.key())?))).collect();
        let [(proof, admits)] = found.as_slice() else {
            let keys: Vec<_> = Proof::all().map(Proof::key).collect();
            let (last, others) = keys.split_last()?;
            let message = format!("expected exactly one of {} and {last}", others.join(", "));
            faults.error(&place.at, if found.is_empty() { &reason::RECORD_MISSING } else { &reason::RECORD_VALUE }, message);
            return None;
        };
        let admits = proof.read(admits, faults)?;
        Some(Binding { name: name?, admits })
    }

    fn write(&self, binding: &Binding) -> Json {
        let Binding { name, admits } = binding;
        let (proof, written) = Proof::written(admits);
        let mut members = Members::new();
        members.insert(NAME.to_owned(), parsed(label).write(name));
        members.insert(proof.key().to_owned(), written);
        Json::Object(members)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        let shape = Self::shape();
        definitions.refer(shape.name, |definitions| {
            let mut properties = Map::from_iter([(NAME.to_owned(), label(definitions))]);
            properties.extend(Proof::all().map(|proof| (proof.key().to_owned(), proof.schema(definitions))));
            let choice: Vec<_> = Proof::all().map(Proof::key).collect();
            object(&shape, properties, &choice)
        })
    }
}
