//! A person of the people directory: what the company's identity provider says of somebody whom records may name as owner.
//!
//! Enter through [`Member::new`]. [`Said`] is everything that a source can say of a person; all else that it sends is dropped before it
//! comes here. A person has an opaque id of ours, which nothing that a source sends can choose, change or give to somebody else. A
//! changed name or address is the same person.
//!
//! The texts go when the source deletes the person, or [`KEPT`] after the person became inactive. Id and state stay.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::PersonId;
use crate::domain::value::text::misleads;

/// How long the texts of an inactive person are kept.
pub const KEPT: Seconds = Seconds::days(30);

/// The most addresses of one person: a stolen token of the source cannot make one person large.
pub const MOST_EMAILS: usize = 20;

/// The longest text, in bytes: that of an address (RFC 5321 section 4.5.3.1: 64, `@` and 255).
const LONGEST: usize = 320;

/// A text of a person, as the source sent it. It is never printed: it is somebody's name or address.
#[derive(Clone, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PersonText(String);

/// An address of a person (RFC 7643 section 4.1.2).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Email {
    /// The address.
    pub value: PersonText,
    /// Its use at the source, such as `work`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<PersonText>,
    /// True for the one that the source prefers; as it was sent, or not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
}

/// The texts of a person.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// The name by which the person signs in. Unique without regard to case.
    pub user_name: PersonText,
    /// The id of the person at the source. Unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<PersonText>,
    /// The addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emails: Vec<Email>,
}

/// Everything that a source says of a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said {
    /// The texts.
    pub profile: Profile,
    /// False for somebody who left.
    pub active: bool,
}

/// A person.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Member {
    /// Our own id.
    pub id: PersonId,
    /// False for somebody who left.
    pub active: bool,
    /// Since when the person is active, or is not.
    pub since: Timestamp,
    /// The texts; none once they are forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

impl PersonText {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Compares without regard to case (RFC 7643 section 4.1.1: `userName` is not case-exact).
    pub fn is(&self, other: &str) -> bool {
        self.folded() == folded(other)
    }

    /// The form in which texts are compared without regard to case.
    pub fn folded(&self) -> String {
        folded(&self.0)
    }
}

/// A text in the form in which texts are compared without regard to case.
pub fn folded(text: &str) -> String {
    text.to_lowercase()
}

impl TryFrom<String> for PersonText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.trim().is_empty() || text.len() > LONGEST {
            return Err("expected a text of 1 to 320 bytes");
        }
        // Attack: an address that looks like another one on the page where somebody approves (ABUSE L-05).
        if text.chars().any(misleads) {
            return Err("expected a text without control, bidirectional or zero-width characters");
        }
        Ok(Self(text))
    }
}

impl From<PersonText> for String {
    fn from(text: PersonText) -> Self {
        text.0
    }
}

impl fmt::Debug for PersonText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonText(…)")
    }
}

impl Member {
    /// A person of whom the source speaks for the first time.
    pub fn new(id: PersonId, said: Said, now: Timestamp) -> Self {
        let Said { profile, active } = said;
        Self { id, active, since: now, profile: Some(profile) }
    }

    /// The same person by another word of the source.
    #[must_use]
    pub fn told(&self, said: Said, now: Timestamp) -> Self {
        let Said { profile, active } = said;
        let since = if active == self.active { self.since } else { now };
        Self { id: self.id.clone(), active, since, profile: Some(profile) }
    }

    /// The same person without texts, and not active.
    #[must_use]
    pub fn forgotten(&self, now: Timestamp) -> Self {
        let since = if self.active { now } else { self.since };
        Self { id: self.id.clone(), active: false, since, profile: None }
    }

    /// The texts, while they are kept: whether they still are is a question of the time.
    pub fn profile_at(&self, now: Timestamp) -> Option<&Profile> {
        self.profile.as_ref().filter(|_| self.active || now < self.since.plus(KEPT))
    }

    /// What the source said of the person, while the texts are kept.
    pub fn said_at(&self, now: Timestamp) -> Option<Said> {
        Some(Said { profile: self.profile_at(now)?.clone(), active: self.active })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::at;

    fn text(text: &str) -> PersonText {
        text.to_owned().try_into().expect("a text")
    }

    fn said(active: bool) -> Said {
        Said { profile: Profile { user_name: text("Jane@acme.example"), external_id: None, emails: Vec::new() }, active }
    }

    fn jane() -> Member {
        Member::new("psn_j".parse().expect("an id"), said(true), at(0))
    }

    #[test]
    fn texts_that_mislead_or_are_too_long_are_refused() {
        for bad in ["", "  ", "a\u{202e}b", "a\nb", "a\u{200b}b", &"x".repeat(321)] {
            assert!(PersonText::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
        assert!(PersonText::try_from("x".repeat(320)).is_ok());
        assert!(text("Jane@Acme.example").is("jane@acme.EXAMPLE"));
        assert!(!text("jane@acme.example").is("jane@acme.example."));
    }

    #[test]
    fn a_text_of_a_person_is_not_printed() {
        assert!(!format!("{:?}", jane()).contains("acme"));
    }

    #[test]
    fn the_texts_of_somebody_who_left_go_after_thirty_days() {
        let left = jane().told(said(false), at(100));
        let last = KEPT.0;
        assert!(left.profile_at(at(100 + i64::from(last) - 1)).is_some());
        assert!(left.profile_at(at(100 + i64::from(last))).is_none());
        assert_eq!(left.said_at(at(100 + i64::from(last))), None);
        // Said again, nothing begins anew: else a source that repeats itself keeps texts for ever.
        let again = left.told(said(false), at(200));
        assert_eq!(again.since, at(100));
        assert!(jane().profile_at(at(10 * i64::from(last))).is_some(), "an active person stays");
    }

    #[test]
    fn a_person_who_is_forgotten_is_not_active() {
        let gone = jane().forgotten(at(50));
        assert_eq!((gone.active, gone.since, gone.profile), (false, at(50), None));
        let left = jane().told(said(false), at(20)).forgotten(at(50));
        assert_eq!(left.since, at(20));
    }

    #[test]
    fn a_row_reads_back_and_nothing_else_does() {
        let mut jane = jane();
        let email = Email { value: text("jane@acme.example"), kind: Some(text("work")), primary: Some(true) };
        jane.profile = jane.profile.map(|profile| Profile { external_id: Some(text("00u1")), emails: vec![email], ..profile });
        let json = serde_json::to_string(&jane).expect("JSON");
        assert_eq!(serde_json::from_str::<Member>(&json).expect("a person"), jane);
        let forgotten = jane.forgotten(at(1));
        let json = serde_json::to_string(&forgotten).expect("JSON");
        assert!(!json.contains("acme") && !json.contains("00u1"), "{json}");
        assert_eq!(serde_json::from_str::<Member>(&json).expect("a person"), forgotten);
        for bad in [r#"{"id":"jane","active":true,"since":0}"#, r#"{"id":"psn_j","active":true,"since":0,"more":1}"#] {
            assert!(serde_json::from_str::<Member>(bad).is_err(), "{bad}");
        }
    }
}
