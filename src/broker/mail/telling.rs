//! What people are told of a journal entry by mail: in names of ours and dates, and in no word of anybody.
//!
//! Enter through [`of`]. It is asked when an entry is new, for whom it is, and again when a mail is written: what no longer waits for anybody
//! is left out.
//!
//! Every kind of change stands here, so that a new one does not compile until somebody decides who is told of it.

use super::date;
use super::notice::{Look, Notice, Urgency, to_owners, to_partner, to_security};
use crate::broker::event::Part;
use crate::domain::elevation::{Notice as Time, Request, Standing as Elevated};
use crate::domain::log::api::ApiChange;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::entry::ChangeEntry;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::log::exception::ExceptionChange;
use crate::domain::log::guardrail::GuardrailChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::mail::MailChange;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::log::signal::SignalChange;
use crate::domain::log::text::TextChange;
use crate::domain::people::actor::Role;
use crate::domain::registry::approval::{Approval, Standing};
use crate::domain::registry::offboarding::Test;
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::registry::suspension::{Party, SuspensionCause};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, IntegrationId, OffboardingId};

/// The most integrations that a title names.
const NAMED: usize = 10;

/// What people are told of a part of an entry, if anything.
pub fn of(entry: &ChangeEntry, part: Part<'_>, state: &State, now: Timestamp) -> Option<Notice> {
    match &entry.change.what {
        Change::Integration(change) => integration(change, state, now),
        Change::Partner(change) => partner(change, state, now),
        Change::Api(ApiChange::Submitted { approval, .. })
        | Change::Guardrail(GuardrailChange::Submitted { approval, .. } | GuardrailChange::RemovalAsked { approval, .. })
        | Change::Certificate(CertificateChange::EnrolmentAsked { approval, .. })
        | Change::Revocation(RevocationChange::LiftAsked { approval, .. }) => waits(approval, state, now),
        Change::Exception(ExceptionChange::CloseAsked { approval, .. })
        | Change::Environment(EnvironmentChange::CloseAsked { approval, .. })
        | Change::Text(TextChange::EraseAsked { approval, .. }) => waits(approval, state, now),
        Change::Recertification(change) => review(change, state, now),
        Change::Environment(EnvironmentChange::Closed { environment, .. }) => Some(closed(environment, state)),
        Change::Elevation(change) => elevation(change, state, now),
        Change::Offboarding(change) => offboarding(change, state, now),
        Change::Signal(change) => signal(change, state),
        Change::Directory(change) => directory(change, state),
        Change::Dates(DatesChange::Noticed { .. }) => match part {
            Part::Date(_, item) => Some(date::of(item, state)),
            Part::Whole => None,
        },
        Change::Configuration(ConfigurationChange::Widened { .. }) => {
            let title = "configuration: a bound of the life of records was lengthened".to_owned();
            Some(Notice { urgency: Urgency::Over, title, ..to_security("carnet journal query --kind configuration.widened") })
        }
        Change::Mail(MailChange::GivenUp { recipient, since, .. }) => {
            // Security cannot be told by mail that its mail does not arrive: the event and `carnet doctor` say so.
            let integration = recipient.integration()?;
            let title = format!("{integration}: mail to the {recipient} was given up; it failed since {since}");
            Some(Notice { urgency: Urgency::Over, title, ..to_security("carnet doctor") })
        }
        Change::Approval(_)
        | Change::Api(ApiChange::Approved { .. } | ApiChange::Narrowed { .. })
        | Change::Guardrail(
            GuardrailChange::Approved { .. } | GuardrailChange::Applied { .. } | GuardrailChange::Removed { .. },
        )
        | Change::Certificate(
            CertificateChange::AuthorityCreated { .. }
            | CertificateChange::AuthorityTainted { .. }
            | CertificateChange::Issued { .. }
            | CertificateChange::ServerIssued { .. },
        )
        | Change::Revocation(
            RevocationChange::Added { .. } | RevocationChange::Lifted { .. } | RevocationChange::TokensCut { .. },
        )
        | Change::Exception(ExceptionChange::Closed { .. })
        | Change::Configuration(ConfigurationChange::Changed(_))
        | Change::Journal(_)
        | Change::Key(_)
        | Change::IssuerKey(_)
        | Change::Passkey(_)
        | Change::Evidence(_)
        | Change::Staff(_)
        | Change::Text(TextChange::Erased { .. }) => None,
    }
}

/// An approval that waits. One that was decided meanwhile is told to nobody.
fn waits(asked: &Approval, state: &State, now: Timestamp) -> Option<Notice> {
    let approval = state.approvals.get(asked.id.as_str()).filter(|approval| approval.standing(now) == Standing::Pending)?;
    let open = approval.open_slots();
    let about = match state.offboardings.find(&approval.subject) {
        Some(case) => state.integrations_in(&case.about),
        None => approval.subject.parse().into_iter().filter(|id| state.integrations.contains_key(id)).collect(),
    };
    let kind = serde_json::to_value(approval.kind).ok();
    let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or("approval");
    let title = format!("{}: an approval waits ({kind}), until {}", approval.subject, approval.expires);
    Some(Notice {
        urgency: Urgency::Waits,
        title,
        // The owner of an API or a guardrail is no address: security knows whom to ask.
        security: open.contains(&Role::Security) || about.is_empty(),
        owners: if open.contains(&Role::Owner) { about } else { Vec::new() },
        look: Look::Approval(approval.id.to_string()),
    })
}

fn integration(change: &IntegrationChange, state: &State, now: Timestamp) -> Option<Notice> {
    match change {
        IntegrationChange::Submitted { approval, .. }
        | IntegrationChange::ChangeHeld { approval, .. }
        | IntegrationChange::ResumeAsked { approval, .. } => waits(approval, state, now),
        IntegrationChange::Suspended { integration, environments, cause, .. } => {
            let why = match cause {
                SuspensionCause::Decision => "",
                SuspensionCause::Unused => " because nobody used it",
            };
            let what = format!("suspended{}{why}", within(environments.iter()));
            Some(Notice { security: true, ..to_owners(integration, (Urgency::Over, &what)) })
        }
        IntegrationChange::Resumed { integration, .. } => {
            Some(to_owners(integration, (Urgency::Later, "suspensions were lifted")))
        }
        IntegrationChange::Unused { integration, environment, binding, .. } => {
            let which = binding.as_ref().map(|binding| format!(" by {binding}")).unwrap_or_default();
            Some(to_owners(integration, (Urgency::Soon, &format!("not used in {environment}{which}"))))
        }
        IntegrationChange::BindingRetired { integration, environment, binding, .. } => {
            let what = format!("the binding {binding} in {environment} refuses, because nobody used it");
            Some(to_owners(integration, (Urgency::Over, &what)))
        }
        IntegrationChange::Drafted { .. }
        | IntegrationChange::Discarded { .. }
        | IntegrationChange::Activated { .. }
        | IntegrationChange::Changed { .. }
        | IntegrationChange::Narrowed { .. } => None,
    }
}

fn partner(change: &PartnerChange, state: &State, now: Timestamp) -> Option<Notice> {
    match change {
        PartnerChange::Submitted { approval, .. } | PartnerChange::ResumeAsked { approval, .. } => waits(approval, state, now),
        PartnerChange::Suspended { partner, environments, .. } => {
            let what = format!("suspended{}", within(environments.iter()));
            Some(to_partner(partner, state, (Urgency::Over, &what)))
        }
        PartnerChange::Resumed { partner, .. } => Some(to_partner(partner, state, (Urgency::Later, "suspensions were lifted"))),
        PartnerChange::Verified { .. } => None,
    }
}

fn review(change: &RecertificationChange, state: &State, now: Timestamp) -> Option<Notice> {
    match change {
        RecertificationChange::CampaignAsked { approval, .. } => waits(approval, state, now),
        RecertificationChange::Decided { review, completes: false, .. } => {
            let title = format!("{} in {}: a review waits for the word of security", review.integration, review.environment);
            Some(Notice { title, ..to_security("carnet review list") })
        }
        RecertificationChange::CampaignStarted { terms, .. } => {
            let mut places = state.selected(terms);
            places.sort();
            let mut owners: Vec<IntegrationId> = places.into_iter().map(|(id, _)| id).collect();
            owners.dedup();
            let title = format!("reviews are due by {}: {}", terms.due.last_day(), listed(&owners));
            let look = Look::Command("carnet review list".to_owned());
            (!owners.is_empty()).then_some(Notice { urgency: Urgency::Waits, title, security: false, owners, look })
        }
        RecertificationChange::Decided { completes: true, .. } | RecertificationChange::Completed { .. } => None,
    }
}

fn closed(environment: &EnvironmentName, state: &State) -> Notice {
    let has = |current: &crate::domain::registry::integration::Integration| current.environments.contains_key(environment);
    let known = state.integrations.iter();
    let known = known.filter(|(_, known)| known.current.as_ref().is_some_and(|current| has(&current.record)));
    let owners = known.map(|(id, _)| id.clone()).collect();
    let title = format!("{environment}: the environment is closed for everybody");
    Notice { urgency: Urgency::Over, title, owners, ..to_security("carnet environment list") }
}

fn elevation(change: &ElevationChange, state: &State, now: Timestamp) -> Option<Notice> {
    let request = state.elevations.find(change.elevation())?;
    match change {
        ElevationChange::Asked { elevation } if elevation.break_glass => {
            let title = format!("{}: an elevation began without an approval", of_elevation(request));
            Some(Notice { urgency: Urgency::Over, title, look: Look::Approval(elevation.id.to_string()), ..to_security("") })
        }
        ElevationChange::Asked { elevation } if request.standing(now) == Elevated::Pending => {
            let asks = |role: Role| elevation.rule.demands.iter().any(|demand| demand.role == Some(role));
            let owners = if asks(Role::Owner) { vec![elevation.integration.clone()] } else { Vec::new() };
            Some(Notice {
                urgency: Urgency::Waits,
                title: format!("{}: an elevation waits, until {}", of_elevation(request), elevation.expires),
                security: asks(Role::Security) || owners.is_empty(),
                owners,
                look: Look::Approval(elevation.id.to_string()),
            })
        }
        ElevationChange::Asked { .. }
        | ElevationChange::Reviewed { .. }
        | ElevationChange::Ended { .. }
        | ElevationChange::Noticed { notice: Time::Ending | Time::Expired | Time::Lapsed, .. } => None,
    }
}

fn of_elevation(request: &Request) -> String {
    let asked = &request.elevation;
    format!("{} in {} ({})", asked.integration, asked.environment, asked.api)
}

fn offboarding(change: &OffboardingChange, state: &State, now: Timestamp) -> Option<Notice> {
    let all = |case: &OffboardingId, (urgency, what): (Urgency, &str)| {
        let about = &state.offboardings.find(case.as_str())?.about;
        let owners = state.integrations_in(about);
        let command = format!("carnet offboard show {case}");
        Some(Notice { urgency, title: format!("{about}: {what}"), owners, ..to_security(&command) })
    };
    match change {
        OffboardingChange::Started { offboarding, .. } => {
            all(offboarding, (Urgency::Over, "an offboarding began; access is over"))
        }
        OffboardingChange::Waiting { offboarding, days, .. } => {
            let what = format!("the offboarding waits for the word of an API since {days} days");
            let notice = all(offboarding, (Urgency::AtOnce, &what))?;
            Some(Notice { owners: Vec::new(), ..notice })
        }
        OffboardingChange::Tested { offboarding, tests, .. } if !tests.iter().all(Test::passed) => {
            let notice = all(offboarding, (Urgency::Over, "a test of the offboarding failed"))?;
            Some(Notice { owners: Vec::new(), ..notice })
        }
        OffboardingChange::SignOffAsked { approval, .. } | OffboardingChange::AbortAsked { approval, .. } => {
            waits(approval, state, now)
        }
        OffboardingChange::Aborted { offboarding } => {
            all(offboarding, (Urgency::Later, "the offboarding was given up; access stays suspended"))
        }
        OffboardingChange::Closed { offboarding, .. } => {
            all(offboarding, (Urgency::Later, "the offboarding is closed, for good"))
        }
        OffboardingChange::DependenciesFound { .. }
        | OffboardingChange::Acknowledged { .. }
        | OffboardingChange::Tested { .. }
        | OffboardingChange::Registered { .. } => None,
    }
}

fn signal(change: &SignalChange, state: &State) -> Option<Notice> {
    let urgency = |says: SignalKind| match says {
        SignalKind::Compromised => Urgency::AtOnce,
        SignalKind::ContractEnded | SignalKind::UseCaseEnded | SignalKind::EnvironmentEnded | SignalKind::OwnerLeft => {
            Urgency::Over
        }
    };
    let acts = |says: SignalKind, about: &SignalSubject| {
        let what = if says.suspends() { "access is suspended" } else { "a review is open" };
        let owners = state.integrations_in(&Party::of_signal(about).0);
        let title = format!("{about}: signal {}, {what}", says.name());
        Notice { urgency: urgency(says), title, owners, ..to_security("carnet signal list") }
    };
    match change {
        SignalChange::Received { says, about, .. } => Some(acts(*says, about)),
        SignalChange::Held { says, about, .. } => {
            let title = format!("{about}: signal {} is held, and waits for a person of security", says.name());
            Some(Notice { urgency: urgency(*says).min(Urgency::Waits), title, ..to_security("carnet signal list --held") })
        }
        SignalChange::Confirmed { signal, about, .. } => Some(acts(state.signals.find(signal.as_str())?.says, about)),
        SignalChange::Dismissed { .. } => None,
    }
}

fn directory(change: &DirectoryChange, state: &State) -> Option<Notice> {
    match change {
        DirectoryChange::Left { person } => {
            let owners: Vec<IntegrationId> = state.owners.of(person)?.in_force.iter().cloned().collect();
            let title = format!("an owner left; name a present one: {}", listed(&owners));
            let look = Look::Command("carnet review list".to_owned());
            (!owners.is_empty()).then_some(Notice { urgency: Urgency::Over, title, security: true, owners, look })
        }
        DirectoryChange::Returned { person } => {
            let owners: Vec<IntegrationId> = state.owners.of(person)?.in_force.iter().cloned().collect();
            let title = format!("an owner is back: {}", listed(&owners));
            let look = Look::Command("carnet review list".to_owned());
            (!owners.is_empty()).then_some(Notice { urgency: Urgency::Later, title, security: false, owners, look })
        }
        DirectoryChange::Held { people, .. } => {
            let title = format!("people directory: {} owners left at once, and wait for a confirmation", people.len());
            Some(Notice { title, ..to_security("carnet directory") })
        }
        DirectoryChange::Silent { since } => {
            let title = format!("people directory: its source has said nothing since {since}");
            Some(Notice { urgency: Urgency::Over, title, ..to_security("carnet directory") })
        }
        DirectoryChange::Resolved { .. }
        | DirectoryChange::Confirmed { .. }
        | DirectoryChange::Imported { .. }
        | DirectoryChange::Heard {} => None,
    }
}

/// ` in A, B`; nothing where all environments are meant.
fn within<'e>(environments: impl Iterator<Item = &'e EnvironmentName>) -> String {
    let names: Vec<&str> = environments.map(EnvironmentName::as_str).collect();
    if names.is_empty() { String::new() } else { format!(" in {}", names.join(", ")) }
}

/// The first names of a list, and how many more there are.
fn listed(ids: &[IntegrationId]) -> String {
    let names: Vec<String> = ids.iter().take(NAMED).map(ToString::to_string).collect();
    match ids.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{} and {more} more", names.join(", ")),
        Some(_) | None => names.join(", "),
    }
}
