//! What all names have, and those that are labels: of partners, integrations, APIs, guardrails, environments and bindings.
//!
//! Everybody else finds them in [`names`](super::names).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::shared::SharedTexts;

/// A name that could not be parsed: what was expected, never what was seen (it may be hostile).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub &'static str);

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether both have one text, which nobody need read to know that they are equal.
            pub fn is_one_text(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0)
            }

            /// Takes its text from those that are held once.
            pub fn share(&mut self, texts: &mut SharedTexts) {
                texts.share(&mut self.0);
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                $parse(text)?;
                Ok(Self(Arc::from(text)))
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0.as_ref().to_owned()
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

pub(super) use name;

name!(
    /// A partner, such as `globex`. `api`, `carnet`, `staff` and `node` are reserved: they head client ids of our own.
    PartnerName, partner
);
name!(
    /// An integration's name within its partner, such as `order-sync`.
    IntegrationName, label
);
name!(
    /// An API of the catalogue, such as `orders-api`. `carnet` is built in (its audience is the environment's issuer).
    ApiName, label
);
name!(
    /// A guardrail, such as `no-standing-high-risk-in-production`.
    GuardrailName, label
);
name!(
    /// An environment, such as `production`: one issuer, one key ring, one set of audiences.
    EnvironmentName, label
);
name!(
    /// A binding within one environment of one integration, such as `ci-main`; or a caller of an API.
    BindingName, label
);

pub(super) const RESERVED_PARTNERS: [&str; 4] = ["api", "carnet", "node", "staff"];

fn label(text: &str) -> Result<(), InvalidName> {
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let bytes = text.as_bytes();
    if bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner) {
        Ok(())
    } else {
        Err(InvalidName("expected 1 to 63 of a-z, 0-9 and -, not beginning or ending with -"))
    }
}

fn partner(text: &str) -> Result<(), InvalidName> {
    if RESERVED_PARTNERS.contains(&text) {
        return Err(InvalidName("this partner name is reserved (api, carnet, node, staff)"));
    }
    label(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_refused_not_repaired() {
        for good in ["a", "globex", "order-sync", "a1", &"x".repeat(63)] {
            assert!(good.parse::<IntegrationName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a b", "a.b", "ä", "a\0", "a/b", &"x".repeat(64)] {
            assert!(bad.parse::<IntegrationName>().is_err(), "{bad:?}");
        }
    }
}
