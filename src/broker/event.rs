//! Builds the body of a webhook event from a journal entry.
//!
//! The body has the entry as recorded. If it is about an elevation, the body also has the elevation in words and, under `tell`, the
//! people whom it concerns: the requester, the possible approvers, the partner's contact (docs/reference/events.md). A gateway to
//! mail or chat can pass it on to them. Each event has the newest checkpoint, so a copy of the log's head is kept elsewhere.
//!
//! An entry is one event, but for a notice of dates: each of its dates is an event of its own.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::Broker;
use crate::domain::elevation::Request;
use crate::domain::log::api::ApiChange;
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::entry::ChangeEntry;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::log::evidence::EvidenceChange;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::issuer_key::IssuerKeyChange;
use crate::domain::log::journal::JournalChange;
use crate::domain::log::key::KeyChange;
use crate::domain::log::mail::MailChange;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::passkey::PasskeyChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::log::signal::SignalChange;
use crate::domain::log::staff::StaffChange;
use crate::domain::log::text::TextChange;
use crate::domain::people::actor::{Actor, Person};
use crate::domain::registry::date::Noticed;
use crate::domain::state::State;
use crate::domain::value::names::ElevationId;
use crate::domain::value::text::{Text, TextDigest, TextRow};
use crate::journal::Unavailable;

/// The events of an entry, in their order.
pub fn parts(entry: &ChangeEntry) -> Vec<Part<'_>> {
    if let Change::Dates(DatesChange::Noticed { items, .. }) = &entry.change.what {
        return items.iter().enumerate().map(|(number, item)| Part::Date(number, item)).collect();
    }
    vec![Part::Whole]
}

/// An event of an entry.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// The only one.
    Whole,
    /// The one of a date, by its place in the entry.
    Date(usize, &'a Noticed),
}

/// The id of an event: the same at every try, and another one in another epoch.
pub fn id(epoch: u64, index: u64, part: Part<'_>) -> String {
    match part {
        Part::Whole => format!("evt_{epoch}_{index}"),
        Part::Date(number, _) => format!("evt_{epoch}_{index}_{number}"),
    }
}

/// The body of an event.
///
/// # Errors
/// The journal does not answer.
pub async fn of(broker: &Broker, entry: &ChangeEntry, part: Part<'_>) -> Result<String, Unavailable> {
    let view = broker.journal.view();
    let mut change = entry.change.clone();
    let texts: Vec<TextDigest> = change.texts_mut().into_iter().filter_map(|text| text.digest()).collect();
    let request = elevation_of(&entry.change.what).and_then(|id| view.state.elevations.find(id));
    let contact = request.and_then(|request| contact(&view.state, request));
    let beside = request.iter().map(|request| &request.elevation.reason).chain(contact);
    let wanted: Vec<TextDigest> = texts.into_iter().chain(beside.filter_map(Text::digest)).collect();
    let words = if wanted.is_empty() { HashMap::new() } else { broker.journal.texts(&wanted).await? };
    let mut data = json!({
        "index": entry.index, "time": entry.time, "subject": entry.subject, "requestId": entry.request_id,
        "by": actor(&entry.change.by), "entry": entry.change.what, "checkpoint": broker.journal.checkpoint()?,
    });
    if let Some(reason) = reason(&entry.change.what).and_then(|text| plain(&words, text)) {
        data["reason"] = reason.into();
    }
    if let Part::Date(_, item) = part {
        data["subject"] = item.date.subject().into();
        data["entry"] = json!({"kind": entry.change.what.kind(), "items": [item]});
    }
    if let Some(request) = request {
        data["elevation"] = elevation(broker, request, &words);
        data["tell"] = tell(request, contact.and_then(|contact| plain(&words, contact)));
    }
    let event = json!({"type": entry.change.what.kind(), "timestamp": entry.time.to_string(), "data": data});
    Ok(event.to_string())
}

/// The reason of a change that acts at once. The reason of a request is part of the request.
///
/// Every kind stands here, so that a new one does not compile until somebody decides.
fn reason(change: &Change) -> Option<&Text> {
    let acts = match change {
        Change::Approval(ApprovalChange::Reviewed { .. })
        | Change::Staff(StaffChange::Cut { .. })
        | Change::Directory(DirectoryChange::Confirmed { .. })
        | Change::Elevation(
            ElevationChange::Reviewed { .. } | ElevationChange::Ended { .. } | ElevationChange::Noticed { .. },
        )
        | Change::Integration(IntegrationChange::Discarded { .. } | IntegrationChange::Suspended { .. })
        | Change::Partner(PartnerChange::Suspended { .. })
        | Change::Passkey(PasskeyChange::Revoked { .. })
        | Change::Guardrail(GuardrailChange::Applied { .. })
        | Change::Signal(
            SignalChange::Received { .. }
            | SignalChange::Held { .. }
            | SignalChange::Confirmed { .. }
            | SignalChange::Dismissed { .. },
        )
        | Change::Recertification(RecertificationChange::Decided { .. } | RecertificationChange::CampaignStarted { .. })
        | Change::Offboarding(OffboardingChange::Started { .. })
        | Change::Revocation(RevocationChange::Added { .. }) => true,
        Change::Elevation(ElevationChange::Asked { .. })
        | Change::Integration(
            IntegrationChange::Drafted { .. }
            | IntegrationChange::Submitted { .. }
            | IntegrationChange::Activated { .. }
            | IntegrationChange::ChangeHeld { .. }
            | IntegrationChange::Changed { .. }
            | IntegrationChange::Narrowed { .. }
            | IntegrationChange::ResumeAsked { .. }
            | IntegrationChange::Resumed { .. }
            | IntegrationChange::Unused { .. }
            | IntegrationChange::BindingRetired { .. },
        )
        | Change::Partner(
            PartnerChange::Submitted { .. }
            | PartnerChange::Verified { .. }
            | PartnerChange::ResumeAsked { .. }
            | PartnerChange::Resumed { .. },
        )
        | Change::Passkey(PasskeyChange::Registered { .. })
        | Change::Recertification(RecertificationChange::Completed { .. } | RecertificationChange::CampaignAsked { .. })
        | Change::Revocation(
            RevocationChange::LiftAsked { .. } | RevocationChange::Lifted { .. } | RevocationChange::TokensCut { .. },
        )
        | Change::Journal(
            JournalChange::Opened { .. }
            | JournalChange::Reopened { .. }
            | JournalChange::Archived(_)
            | JournalChange::FormatRaised { .. }
            | JournalChange::CheckpointKeySucceeded { .. }
            | JournalChange::Moved { .. }
            | JournalChange::Arrived { .. },
        )
        | Change::Environment(EnvironmentChange::CloseAsked { .. } | EnvironmentChange::Closed { .. })
        | Change::Exception(ExceptionChange::CloseAsked { .. } | ExceptionChange::Closed { .. })
        | Change::Configuration(ConfigurationChange::Changed(_) | ConfigurationChange::Widened { .. })
        | Change::Directory(
            DirectoryChange::Left { .. }
            | DirectoryChange::Returned { .. }
            | DirectoryChange::Resolved { .. }
            | DirectoryChange::Held { .. }
            | DirectoryChange::Imported { .. }
            | DirectoryChange::Heard {}
            | DirectoryChange::Silent { .. },
        )
        | Change::Key(
            KeyChange::Created(_) | KeyChange::Activated { .. } | KeyChange::Tainted { .. } | KeyChange::Retired { .. },
        )
        | Change::Certificate(
            CertificateChange::AuthorityCreated { .. }
            | CertificateChange::AuthorityTainted { .. }
            | CertificateChange::EnrolmentAsked { .. }
            | CertificateChange::Issued { .. }
            | CertificateChange::ServerIssued { .. },
        )
        | Change::IssuerKey(IssuerKeyChange::FirstUsed { .. })
        | Change::Api(ApiChange::Submitted { .. } | ApiChange::Approved { .. } | ApiChange::Narrowed { .. })
        | Change::Guardrail(
            GuardrailChange::Submitted { .. }
            | GuardrailChange::Approved { .. }
            | GuardrailChange::RemovalAsked { .. }
            | GuardrailChange::Removed { .. },
        )
        | Change::Offboarding(
            OffboardingChange::DependenciesFound { .. }
            | OffboardingChange::Acknowledged { .. }
            | OffboardingChange::Tested { .. }
            | OffboardingChange::Waiting { .. }
            | OffboardingChange::SignOffAsked { .. }
            | OffboardingChange::AbortAsked { .. }
            | OffboardingChange::Aborted { .. }
            | OffboardingChange::Closed { .. }
            | OffboardingChange::Registered { .. },
        )
        | Change::Dates(DatesChange::Noticed { .. })
        | Change::Mail(MailChange::GivenUp { .. })
        | Change::Evidence(EvidenceChange::Given { .. })
        | Change::Text(TextChange::EraseAsked { .. } | TextChange::Erased { .. }) => false,
    };
    change.reason().filter(|_| acts)
}

/// The elevation that a change is about.
fn elevation_of(change: &Change) -> Option<&ElevationId> {
    if let Change::Elevation(change) = change { Some(change.elevation()) } else { None }
}

/// The text in plain; `None` if it was forgotten.
fn plain(words: &HashMap<TextDigest, TextRow>, text: &Text) -> Option<String> {
    words.get(&text.digest()?).map(|row| row.text.clone())
}

fn contact<'a>(state: &'a State, request: &Request) -> Option<&'a Text> {
    let partner = state.partners.get(&request.elevation.integration.partner)?;
    Some(&partner.current.as_ref()?.record.contacts.technical)
}

fn elevation(broker: &Broker, request: &Request, words: &HashMap<TextDigest, TextRow>) -> Value {
    let (asked, terms, period) = (&request.elevation, request.terms(), request.period());
    json!({
        "id": asked.id, "state": request.standing(broker.now()), "integration": asked.integration,
        "environment": asked.environment, "api": asked.api, "scopes": terms.scopes, "allow": terms.allow,
        "duration": terms.duration.to_string(), "starts": period.map(|(starts, _)| starts).or(asked.starts),
        "ends": period.map(|(_, ends)| ends), "reason": plain(words, &asked.reason), "ticket": asked.ticket,
        "breakGlass": asked.break_glass, "requestedBy": actor(&asked.requested_by), "unreviewed": request.lacks_review(),
    })
}

/// The people whom an elevation concerns.
fn tell(request: &Request, contact: Option<String>) -> Value {
    let rule = &request.elevation.rule;
    let approvers = rule.demands.iter().map(|demand| json!({"role": demand.role, "people": demand.people}));
    json!({
        "requester": actor(&request.elevation.requested_by), "approvers": approvers.collect::<Vec<_>>(), "partner": contact,
    })
}

fn actor(actor: &Actor) -> Value {
    let person = |person: &Person| json!({"iss": person.iss, "id": person.id});
    match actor {
        Actor::Staff(who) | Actor::Machine(who) => person(who),
        Actor::Workload(integration) => json!({"integration": integration}),
        Actor::Operator => json!("operator"),
        Actor::Broker => json!("broker"),
        Actor::Api(api) => json!({"api": api}),
        Actor::Directory => json!("directory"),
    }
}
