//! A record of any kind.

use serde::Serialize;

use crate::domain::registry::api::Api;
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::managed::ManagedBy;
use crate::domain::registry::partner::Partner;
use crate::domain::value::text::Text;

/// `apiVersion` of every record.
pub(crate) const API_VERSION: &str = "carnet/v1";

/// A record of any kind.
///
/// As JSON it is the record itself, so its digest is the digest of the version that is stored.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// `kind: Api`.
    Api(Api),
    /// `kind: Guardrail`.
    Guardrail(Guardrail),
    /// `kind: Integration`.
    Integration(Integration),
    /// `kind: Partner`.
    Partner(Partner),
}

/// The kinds of record.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// An API of the catalogue.
    Api,
    /// What must never be granted.
    Guardrail,
    /// A partner's integration.
    Integration,
    /// A partner.
    Partner,
}

impl Kind {
    /// All kinds, in the order in which messages name them.
    pub const ALL: [Self; 4] = [Self::Api, Self::Partner, Self::Integration, Self::Guardrail];

    /// As `kind:` has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "Api",
            Self::Guardrail => "Guardrail",
            Self::Integration => "Integration",
            Self::Partner => "Partner",
        }
    }
}

impl Record {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Api(_) => Kind::Api,
            Self::Guardrail(_) => Kind::Guardrail,
            Self::Integration(_) => Kind::Integration,
            Self::Partner(_) => Kind::Partner,
        }
    }

    /// What manages it, if people do not.
    pub const fn managed_by(&self) -> Option<ManagedBy> {
        match self {
            Self::Api(api) => api.managed_by,
            Self::Guardrail(guardrail) => guardrail.managed_by,
            Self::Integration(integration) => integration.managed_by,
            Self::Partner(partner) => partner.managed_by,
        }
    }

    /// Every text that people may ask us to forget, in an order that never changes.
    ///
    /// A text is sealed in an entry, and joined again by its place. The order depends on the shape of the record alone, not on
    /// the texts. A version of the program that changes it cannot join what an older one stored, so new texts go to the end of
    /// their kind.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Api(api) => api.texts_mut(),
            Self::Guardrail(guardrail) => guardrail.texts_mut(),
            Self::Integration(integration) => integration.texts_mut(),
            Self::Partner(partner) => partner.texts_mut(),
        }
    }

    /// Its kind, and its name within it: `orders-api`, `globex`, `globex/order-sync`.
    pub fn name(&self) -> (&'static str, String) {
        let name = match self {
            Self::Api(api) => api.name.to_string(),
            Self::Guardrail(guardrail) => guardrail.name.to_string(),
            Self::Integration(integration) => integration.id.to_string(),
            Self::Partner(partner) => partner.name.to_string(),
        };
        (self.kind().name(), name)
    }
}
