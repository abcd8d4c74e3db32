//! Scopes and the only thing that may happen to a set of them: it gets narrower.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::names::InvalidName;
use super::shared::SharedTexts;

/// One scope of one API, such as `orders:read`: `[a-z0-9]` followed by up to 63 of `[a-z0-9:._/-]`.
///
/// This is narrower than RFC 6749 section 3.3 on purpose: what differs by case or quoting cannot be confused (ABUSE P-11).
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub struct Scope(Arc<str>);

/// A set of scopes. It is made by parsing a request or a record; from then on there is [`ScopeSet::narrow`], and no widening.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<Scope>);

/// More scopes than any sensible request asks for; bounds the work of a hostile one.
const MOST_SCOPES: usize = 100;

impl Scope {
    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes its text from those that are held once.
    pub fn share(&mut self, texts: &mut SharedTexts) {
        texts.share(&mut self.0);
    }
}

impl ScopeSet {
    /// Reads the `scope` parameter of a request: scopes apart by exactly one space, none twice (RFC 6749 section 3.3).
    pub fn parse(parameter: &str) -> Result<Self, InvalidName> {
        let mut scopes = BTreeSet::new();
        for text in parameter.split(' ') {
            if scopes.len() == MOST_SCOPES {
                return Err(InvalidName("expected at most 100 scopes"));
            }
            if !scopes.insert(text.parse()?) {
                return Err(InvalidName("expected no scope twice"));
            }
        }
        Ok(Self(scopes))
    }

    /// What both sets hold.
    #[must_use]
    pub fn narrow(&self, to: &Self) -> Self {
        Self(self.0.intersection(&to.0).cloned().collect())
    }

    /// Whether nothing in this set lies outside `ceiling`.
    pub fn is_within(&self, ceiling: &Self) -> bool {
        self.0.is_subset(&ceiling.0)
    }

    /// Whether `scope` is in the set.
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// Whether the set holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes the set holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The scopes in their order as text.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// As the `scope` parameter and claim have it: apart by one space, in order.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&scope.0)?;
        }
        Ok(())
    }
}

impl FromStr for Scope {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let first = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let rest = |b: &u8| first(b) || b":._/-".contains(b);
        let bytes = text.as_bytes();
        if bytes.len() <= 64 && bytes.first().is_some_and(first) && bytes.iter().all(rest) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidName("expected a scope of 1 to 64 of a-z, 0-9, :, ., _, / and -"))
        }
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// A set of scopes in JSON as the `scope` claim has it: one string.
pub mod parameter {
    use std::borrow::Cow;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::ScopeSet;

    /// Writes the scopes apart by one space.
    pub fn serialize<S: Serializer>(scopes: &ScopeSet, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(scopes)
    }

    /// Reads what [`serialize`] wrote.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ScopeSet, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        ScopeSet::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-11: nothing is normalised into an allowed scope.
    #[test]
    fn p_11_scope_is_parsed_strictly() {
        assert_eq!(ScopeSet::parse("b:x a:y").expect("two scopes").to_string(), "a:y b:x");
        for bad in ["", " ", "a  b", " a", "a ", "a\tb", "a\u{a0}b", "a a", "A:read", "a\0", "\"a\"", "a\\", "a,b"] {
            assert!(ScopeSet::parse(bad).is_err(), "{bad:?}");
        }
        let many: Vec<_> = (0..10_000).map(|i| format!("s{i}")).collect();
        assert!(ScopeSet::parse(&many.join(" ")).is_err());
    }
}
