//! Notices of each kind of date, with each warning; and mails that nobody took.

use super::changes::{Story, each};
use super::parsed;
use crate::domain::fixture::at;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::mail::MailChange;
use crate::domain::people::actor::Actor;
use crate::domain::people::addressee::Addressee;
use crate::domain::registry::date::{DAYS_BEFORE, Date, Noticed};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ExceptionId, IntegrationId};

/// A date of each kind.
pub fn dates() -> Vec<Date> {
    let sync = || parsed::<IntegrationId>("globex/order-sync");
    each!(Date {
        VerificationExpires { partner: parsed("globex") },
        ContractStarts { integration: sync() },
        ContractEnds { integration: sync() },
        OffboardingOpens { integration: sync() },
        EnvironmentEnds { integration: sync(), environment: parsed("production") },
        ExceptionEnds { integration: sync(), exception: ExceptionId::of(&sync(), "an SFTP key") },
        ReviewDue { integration: sync(), environment: parsed("production") },
        OwnerGraceEnds { integration: sync() },
        IssuerKeyDue { integration: sync(), environment: parsed("production"), binding: parsed("ci") },
        CertificateKeyDue { integration: sync(), environment: parsed("production"), key: Digest::of(b"a key") },
    })
}

/// A mail that nobody took, of each addressee.
pub(super) fn mailed(story: &mut Story<'_>) {
    let sync = || parsed::<IntegrationId>("globex/order-sync");
    let all = each!(Addressee { Application(sync()), Business(sync()), Security {} });
    for (recipient, first) in all.into_iter().zip(7..) {
        story.say(&Actor::Broker, MailChange::GivenUp { recipient, since: at(-7 * 86_400), first, notices: 2 });
    }
}

/// The beginning, and two entries of which the first leaves some for the second.
pub(super) fn noticed(story: &mut Story<'_>) {
    let items = dates().into_iter().zip(DAYS_BEFORE.into_iter().cycle());
    let mut items: Vec<Noticed> =
        items.map(|(date, days)| Noticed { date, at: at((i64::from(days) + 1) * 86_400), days }).collect();
    let left = items.split_off(5);
    for (items, more) in [(Vec::new(), false), (items, true), (left, false)] {
        story.say(&Actor::Broker, DatesChange::Noticed { items, more });
    }
}
