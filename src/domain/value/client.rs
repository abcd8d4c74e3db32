//! Who a token is for: an integration of a partner, or the workloads of an API of ours.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::label::{ApiName, IntegrationName, InvalidName, PartnerName};
use super::shared::SharedTexts;

/// An integration: `partner/name`. It is also the `client_id` and the `sub` of the tokens that it gets.
///
/// It takes the room of a pointer, as it stands in nearly every index of the state.
#[derive(Clone, Eq, Hash, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct IntegrationId(Arc<Named>);

/// What an [`IntegrationId`] says.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Named {
    /// Who it belongs to.
    pub partner: PartnerName,
    /// Its name within the partner.
    pub name: IntegrationName,
}

impl Deref for IntegrationId {
    type Target = Named;

    fn deref(&self) -> &Named {
        &self.0
    }
}

/// By partner, and by name among those of one partner.
impl Ord for IntegrationId {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        // What the state keeps of one partner has one text for it.
        let is_same = self.partner.is_one_text(&other.partner);
        let partners = if is_same { Ordering::Equal } else { self.partner.cmp(&other.partner) };
        partners.then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for IntegrationId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for IntegrationId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (partner, name) = text.split_once('/').ok_or(InvalidName("expected PARTNER/INTEGRATION"))?;
        Ok(Self::new(partner.parse()?, name.parse()?))
    }
}

impl TryFrom<String> for IntegrationId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl IntegrationId {
    /// The integration of a partner with this name.
    pub fn new(partner: PartnerName, name: IntegrationName) -> Self {
        Self(Arc::new(Named { partner, name }))
    }

    /// The least id that an integration of `partner` can have: `0` is the least label.
    pub fn least_of(partner: &PartnerName) -> Self {
        // Invariant: it is a label.
        Self::new(partner.clone(), "0".parse().expect("a label"))
    }

    /// Takes the text of its partner from those that are held once.
    pub fn share(&mut self, texts: &mut SharedTexts) {
        Arc::make_mut(&mut self.0).partner.share(texts);
    }

    fn text<'b>(&self, room: &'b mut [u8; LONGEST_ID]) -> &'b str {
        joined([self.partner.as_str(), "/", self.name.as_str()], room)
    }
}

impl Serialize for IntegrationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; LONGEST_ID]))
    }
}

impl fmt::Display for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; LONGEST_ID]))
    }
}

impl fmt::Debug for IntegrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Who a `client_id` names: an integration, or the workloads of one of our own APIs (`api/NAME`, docs/reference/http.md).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub enum ClientId {
    /// A partner's integration.
    Integration(IntegrationId),
    /// The callers of an API of the catalogue.
    Api(ApiName),
}

impl FromStr for ClientId {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.strip_prefix("api/") {
            Some(api) => Ok(Self::Api(api.parse()?)),
            None => Ok(Self::Integration(text.parse()?)),
        }
    }
}

impl TryFrom<String> for ClientId {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl ClientId {
    fn text<'b>(&self, room: &'b mut [u8; LONGEST_ID]) -> &'b str {
        match self {
            Self::Integration(id) => id.text(room),
            Self::Api(api) => joined(["api", "/", api.as_str()], room),
        }
    }
}

impl Serialize for ClientId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text(&mut [0; LONGEST_ID]))
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text(&mut [0; LONGEST_ID]))
    }
}

/// Two labels and a slash.
const LONGEST_ID: usize = 127;

/// An id in one piece, and on the stack: it is written several times for each token.
fn joined<'b>(parts: [&str; 3], room: &'b mut [u8; LONGEST_ID]) -> &'b str {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        room[length..end].copy_from_slice(part.as_bytes());
        length = end;
    }
    // Invariant: what was joined was text, of two labels of at most 63 characters each.
    str::from_utf8(&room[..length]).expect("labels are text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::label::RESERVED_PARTNERS;

    #[test]
    fn ids_of_any_length_are_written_as_they_were_read() {
        let longest = "x".repeat(63);
        for id in ["a/b".to_owned(), format!("{longest}/{longest}"), format!("a/{longest}"), format!("api/{longest}")] {
            let client: ClientId = id.parse().expect("a client");
            assert_eq!(client.to_string(), id);
            assert_eq!(serde_json::to_string(&client).expect("JSON"), format!("\"{id}\""));
        }
    }

    /// The order of an index is by partner first, whether or not two ids have one text for it: `-` comes before `/`.
    #[test]
    fn integrations_of_one_partner_stand_together() {
        let id = |text: &str| text.parse::<IntegrationId>().expect("an id");
        let sorted = ["globe/z", "globex/a", "globex/b", "globex-2/a", "globex0/a"].map(id);
        assert!(sorted.is_sorted_by(|one, other| one < other));
        let mut texts = SharedTexts::default();
        let mut shared = sorted.clone();
        shared.iter_mut().for_each(|id| id.share(&mut texts));
        assert!(shared.is_sorted_by(|one, other| one < other) && shared == sorted);
        assert!(shared[1].partner.is_one_text(&shared[2].partner));
        assert_eq!(size_of::<IntegrationId>(), size_of::<usize>());
    }

    #[test]
    fn reserved_partner_names_cannot_be_taken() {
        for reserved in RESERVED_PARTNERS {
            assert!(reserved.parse::<PartnerName>().is_err());
            assert!(format!("{reserved}/x").parse::<IntegrationId>().is_err());
        }
        assert_eq!("api/orders-api".parse(), Ok(ClientId::Api("orders-api".parse().expect("a label"))));
    }
}
