//! The personal texts of a record, in an order that never changes: what is sealed in an entry, and joined again by place.

use super::Record;
use crate::domain::value::text::Text;

impl Record {
    /// Every text that people may ask us to forget. The order depends on the shape of the record alone, not on the texts; a
    /// version of the program that changes it cannot join what an older one stored, so new texts go to the end of their kind.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Api(api) => vec![&mut api.owner],
            Self::Partner(partner) => vec![
                &mut partner.legal_name,
                &mut partner.contacts.technical,
                &mut partner.contacts.security,
                &mut partner.verification.by,
            ],
            Self::Integration(integration) => {
                let mut texts = vec![
                    &mut integration.purpose,
                    &mut integration.owners.business,
                    &mut integration.owners.application,
                    &mut integration.offboarding.contact,
                ];
                texts.extend(integration.exceptions.iter_mut().map(|exception| &mut exception.owner));
                texts
            }
        }
    }
}
