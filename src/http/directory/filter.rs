//! The filters by which a source looks for a user: `userName eq "…"` and `externalId eq "…"` (RFC 7644 section 3.4.2.2).

use super::attribute::{Target, quoted};
use super::fault::Fault;

/// The user that a source looks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Filter {
    /// By user name, without regard to case.
    UserName(String),
    /// By the source's own id.
    ExternalId(String),
}

/// The longest filter.
const LONGEST: usize = 1024;

impl Filter {
    /// Reads a filter. The value may be in quotes, as RFC 7644 says, or not.
    ///
    /// # Errors
    /// It is none of the two filters.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::read(text.trim()).filter(|_| text.len() <= LONGEST).ok_or(Fault::Filter)
    }

    fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once(' ')?;
        let (operator, value) = rest.trim_start().split_once(' ')?;
        if !operator.eq_ignore_ascii_case("eq") {
            return None;
        }
        let value = value.trim_start();
        let value = if value.starts_with('"') {
            quoted(value).filter(|(_, rest)| rest.is_empty())?.0
        } else {
            // A second word would be `and`, or another part of a filter that we do not read.
            Some(value).filter(|value| !value.is_empty() && !value.contains([' ', '"', '(', ')']))?.to_owned()
        };
        match Target::of(name) {
            Target::UserName => Some(Self::UserName(value)),
            Target::ExternalId => Some(Self::ExternalId(value)),
            Target::Active | Target::Emails(..) | Target::Core | Target::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_filters_are_read_quoted_or_not() {
        let name = |text: &str| Ok(Filter::UserName(text.to_owned()));
        let id = |text: &str| Ok(Filter::ExternalId(text.to_owned()));
        for (text, filter) in [
            (r#"userName eq "jane@acme.example""#, name("jane@acme.example")),
            ("userName eq jane@acme.example", name("jane@acme.example")),
            (r#"USERNAME Eq "a \"b\" \u00e9""#, name("a \"b\" é")),
            (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "a b""#, name("a b")),
            (r#" externalId  eq  "00u1" "#, id("00u1")),
            ("externalid eq 00u1", id("00u1")),
        ] {
            assert_eq!(Filter::parse(text), filter, "{text}");
        }
    }

    #[test]
    fn every_other_filter_is_refused() {
        let long = format!("userName eq {}", "x".repeat(2000));
        for text in [
            "",
            "userName",
            "userName eq",
            "userName pr",
            r#"userName co "jane""#,
            r#"userName eq "jane" or userName eq "raj""#,
            "userName eq jane and active eq true",
            "not(userName eq jane)",
            "active eq true",
            r#"emails.value eq "jane@acme.example""#,
            r#"userName eq "jane"#,
            r#"displayName eq "jane""#,
            &long,
        ] {
            assert_eq!(Filter::parse(text), Err(Fault::Filter), "{text}");
        }
    }
}
