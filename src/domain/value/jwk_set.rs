//! Sets of public keys (RFC 7517 section 5): which of their entries are keys that can be used, and which of them a token means.
//!
//! Enter through [`JwkSet::parse`]. What makes a *set* unusable: no JSON object with `keys`, a duplicate member (two readers would see two
//! keys), or a private key in it (whoever published it has lost it). An entry that is no usable key is told with its fault: a record is refused
//! for it, and a set that an issuer publishes is used without it (ABUSE K-18).

use std::sync::Arc;

use serde_json::Value;

use super::alg::Alg;
use super::jwk::{Fault, Jwk, private_member};
use super::strict_json;

/// Keys that are kept of a set. More, and selection and memory are the issuer's to choose (ABUSE K-18).
const MAX_KEYS: usize = 100;

/// Values in a whole set: 256 KiB of the smallest ones would be 128 thousand.
const MAX_VALUES: usize = 150_000;

const TWIN: Fault = Fault::Member("kid", "a name that no other key for the same algorithm has");
const BEYOND: Fault = Fault::Member("the entry", "to be among the first 100 keys of its set");

/// The keys of one set.
#[derive(Debug)]
pub(crate) struct JwkSet {
    keys: Vec<Arc<Jwk>>,
    /// Entries that are no usable key: their place in the set and what is wrong with them.
    refused: Vec<(usize, Fault)>,
}

/// Why a set as a whole is not usable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unusable {
    /// Not a JSON object with an array `keys`, or a duplicate member somewhere.
    Malformed,
    /// A private key, at this place, by this member.
    Private(usize, &'static str),
}

/// The entries of a set, for who has more to read in it.
pub(crate) fn entries(set: &Value) -> Result<&[Value], Unusable> {
    let entries = set.get("keys").and_then(Value::as_array).ok_or(Unusable::Malformed)?;
    // All of them are looked at, also those beyond the limit. A symmetric key in a published set is odd and harmless: it is no key here.
    let private = |(at, entry): (usize, &Value)| {
        let member = private_member(entry).filter(|member| *member != "k")?;
        Some(Unusable::Private(at, member))
    };
    entries.iter().enumerate().find_map(private).map_or(Ok(entries.as_slice()), Err)
}

/// The JSON of a set.
pub(crate) fn document(bytes: &[u8]) -> Result<Value, Unusable> {
    strict_json::parse(bytes, MAX_VALUES).ok_or(Unusable::Malformed)
}

impl JwkSet {
    /// Reads a set of keys that verify tokens.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Unusable> {
        let set = document(bytes)?;
        Ok(Self::read(entries(&set)?.iter().enumerate(), "sig"))
    }

    /// The thumbprints (RFC 7638) of the usable keys of this use, once each; nothing of a set that cannot be read.
    pub(crate) fn thumbprints(bytes: &[u8], usage: &'static str) -> Vec<super::digest::Digest> {
        let Ok(set) = document(bytes) else { return Vec::new() };
        let Ok(entries) = entries(&set) else { return Vec::new() };
        let mut found: Vec<_> = Self::read(entries.iter().enumerate(), usage).usable().map(|key| key.thumbprint).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Reads entries, each with its place, as keys of this use.
    pub(crate) fn read<'a>(entries: impl IntoIterator<Item = (usize, &'a Value)>, usage: &'static str) -> Self {
        let mut found: Vec<(usize, Jwk)> = Vec::new();
        let mut refused = Vec::new();
        for (at, entry) in entries {
            if found.len() >= MAX_KEYS {
                refused.push((at, BEYOND));
                continue;
            }
            match Jwk::read(entry, usage) {
                Ok(key) => merge(&mut found, at, key),
                Err(fault) => refused.push((at, fault)),
            }
        }
        let places: Vec<usize> = found.iter().map(|(at, _)| *at).collect();
        let set = Self { keys: found.into_iter().map(|(_, key)| Arc::new(key)).collect(), refused: Vec::new() };
        let hidden = places.iter().zip(&set.keys).filter(|(_, key)| !set.is_selectable(key));
        refused.extend(hidden.map(|(at, _)| (*at, TWIN)));
        refused.sort_by_key(|(at, _)| *at);
        Self { refused, ..set }
    }

    /// Keys that a token can mean.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &Arc<Jwk>> {
        self.keys.iter().filter(|key| self.is_selectable(key))
    }

    /// Entries that are no usable key.
    pub(crate) fn refused(&self) -> &[(usize, Fault)] {
        &self.refused
    }

    /// The key that `kid` and `alg` name. Without `kid` only the one key of that algorithm, if it is the only one: keys are never tried one
    /// after the other (ABUSE J-24). A key that names the algorithm itself comes before those that could be for another one too; two keys
    /// that remain are a guess, and none.
    pub(crate) fn select(&self, kid: Option<&str>, alg: Alg) -> Option<&Arc<Jwk>> {
        let fits = |key: &&Arc<Jwk>| key.public(alg).is_some() && (kid.is_none() || key.kid.as_deref() == kid);
        let named = |key: &&Arc<Jwk>| key.public(alg).is_some_and(|public| public.named);
        let only = |named_alone: bool| {
            let mut candidates = self.keys.iter().filter(fits).filter(|key| !named_alone || named(key));
            let first = candidates.next()?;
            Some(candidates.next().is_none().then_some(first))
        };
        only(true).or_else(|| only(false)).flatten()
    }

    /// Whether a token of one of these algorithms can mean the key.
    pub(crate) fn selects(&self, key: &Arc<Jwk>, algs: &[Alg]) -> bool {
        algs.iter().any(|alg| self.select(key.kid.as_deref(), *alg).is_some_and(|found| Arc::ptr_eq(found, key)))
    }

    fn is_selectable(&self, key: &Arc<Jwk>) -> bool {
        self.selects(key, &Alg::WORKLOAD)
    }
}

/// A repetition of the same key under the same name is one key, which verifies what each entry says.
fn merge(found: &mut Vec<(usize, Jwk)>, at: usize, key: Jwk) {
    let same = |(_, known): &&mut (usize, Jwk)| known.kid == key.kid && known.thumbprint == key.thumbprint;
    match found.iter_mut().find(same) {
        Some((_, known)) => {
            for public in key.publics {
                match known.publics.iter_mut().find(|held| held.alg == public.alg) {
                    Some(held) => held.named |= public.named,
                    None => known.publics.push(public),
                }
            }
        }
        None => found.push((at, key)),
    }
}
