//! What people are told of a date that comes.

use super::notice::{Look, Notice, Urgency, show, to_owners, to_partner};
use crate::domain::registry::date::{Date, Noticed};
use crate::domain::registry::suspension::Party;
use crate::domain::state::State;
use crate::domain::value::names::IntegrationId;

/// What people are told of a date.
pub(super) fn of(item: &Noticed, state: &State) -> Notice {
    let Noticed { date, at, days } = item;
    let what = match date {
        Date::VerificationExpires { .. } => "the verification ends",
        Date::ContractStarts { .. } => "the contract begins",
        Date::ContractEnds { .. } => "the contract ends",
        Date::EnvironmentEnds { .. } => "access to the environment ends",
        Date::ExceptionEnds { .. } => "the time of a static secret ends",
        Date::ReviewDue { .. } => "a review is due",
        Date::OwnerGraceEnds { .. } => "the time without an owner ends",
        Date::IssuerKeyDue { .. } => "the key of the issuer is due to change",
        Date::CertificateKeyDue { .. } => "the key of the certificate is due to change",
        Date::OffboardingOpens { .. } => "an offboarding begins",
    };
    let when = if *days == 0 { "now".to_owned() } else { format!("in {days} days") };
    let urgency = match days {
        0 => Urgency::Over,
        1..=7 => Urgency::Soon,
        _ => Urgency::Later,
    };
    let title = format!("{}: {what} {when} ({at})", date.subject());
    let command = |id: &IntegrationId| match date {
        Date::ReviewDue { .. } => "carnet review list".to_owned(),
        Date::VerificationExpires { .. }
        | Date::ContractStarts { .. }
        | Date::ContractEnds { .. }
        | Date::EnvironmentEnds { .. }
        | Date::ExceptionEnds { .. }
        | Date::OwnerGraceEnds { .. }
        | Date::IssuerKeyDue { .. }
        | Date::CertificateKeyDue { .. }
        | Date::OffboardingOpens { .. } => show(id),
    };
    match date.party() {
        Party::Partner(partner) => Notice { title, ..to_partner(&partner, state, (urgency, "")) },
        Party::Integration(id) => {
            let look = Look::Command(command(&id));
            Notice { title, look, security: *days == 0, ..to_owners(&id, (urgency, "")) }
        }
    }
}
