//! The OCSF class and activity of each kind of entry.

use crate::domain::elevation::Notice;
use crate::domain::log::api::ApiChange;
use crate::domain::log::approval::ApprovalChange;
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::elevation::ElevationChange;
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
use crate::domain::registry::approval::Verdict;

/// What an entry is, by OCSF.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// Account Change (3001): an integration or a partner is suspended or resumes.
    Account(Account),
    /// Authentication (3002): a caller got no token.
    Refused,
    /// Authorize Session (3003): a token was issued.
    Issued,
    /// Entity Management (3004): records, approvals, reviews, guardrails, dates.
    Entity(Entity),
    /// User Access Management (3005): elevations.
    Access(Access),
    /// API Activity (6003): what else people, workloads and the broker did.
    Call(Call),
}

/// Activities of Account Change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Account {
    Enable,
    Disable,
    Other,
}

/// Activities of Entity Management.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Entity {
    Create,
    Update,
    Delete,
    Activate,
    Deactivate,
    Other,
}

/// Activities of User Access Management.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    Assign,
    Revoke,
    Other,
}

/// Activities of API Activity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Call {
    Create,
    Update,
    Delete,
}

impl Class {
    /// The class and the activity, as OCSF numbers and names them.
    pub fn numbers(self) -> ((u32, &'static str), (u32, &'static str)) {
        match self {
            Self::Account(activity) => ((3001, "Account Change"), activity.number()),
            Self::Refused => ((3002, "Authentication"), (1, "Logon")),
            Self::Issued => ((3003, "Authorize Session"), (1, "Assign Privileges")),
            Self::Entity(activity) => ((3004, "Entity Management"), activity.number()),
            Self::Access(activity) => ((3005, "User Access Management"), activity.number()),
            Self::Call(activity) => ((6003, "API Activity"), activity.number()),
        }
    }
}

/// The name of an activity that OCSF does not number.
const OTHER: (u32, &str) = (99, "Other");

impl Account {
    fn number(self) -> (u32, &'static str) {
        match self {
            Self::Enable => (2, "Enable"),
            Self::Disable => (5, "Disable"),
            Self::Other => OTHER,
        }
    }
}

impl Entity {
    fn number(self) -> (u32, &'static str) {
        match self {
            Self::Create => (1, "Create"),
            Self::Update => (3, "Update"),
            Self::Delete => (4, "Delete"),
            Self::Activate => (10, "Activate"),
            Self::Deactivate => (11, "Deactivate"),
            Self::Other => OTHER,
        }
    }
}

impl Access {
    fn number(self) -> (u32, &'static str) {
        match self {
            Self::Assign => (1, "Assign Privileges"),
            Self::Revoke => (2, "Revoke Privileges"),
            Self::Other => OTHER,
        }
    }
}

impl Call {
    fn number(self) -> (u32, &'static str) {
        match self {
            Self::Create => (1, "Create"),
            Self::Update => (3, "Update"),
            Self::Delete => (4, "Delete"),
        }
    }
}

/// The class of a change.
pub fn of(change: &Change) -> Class {
    match change {
        Change::Integration(change) => integration(change),
        Change::Partner(change) => partner(change),
        Change::Api(ApiChange::Submitted { .. } | ApiChange::Narrowed { .. })
        | Change::Guardrail(GuardrailChange::Submitted { .. } | GuardrailChange::RemovalAsked { .. })
        | Change::Exception(ExceptionChange::CloseAsked { .. })
        | Change::Approval(ApprovalChange::Reviewed { .. })
        | Change::Recertification(RecertificationChange::Decided { .. } | RecertificationChange::Completed { .. }) => {
            Class::Entity(Entity::Update)
        }
        Change::Api(ApiChange::Approved { .. })
        | Change::Guardrail(GuardrailChange::Approved { .. } | GuardrailChange::Applied { .. })
        | Change::Recertification(RecertificationChange::CampaignStarted { .. }) => Class::Entity(Entity::Activate),
        Change::Recertification(RecertificationChange::CampaignAsked { .. }) => Class::Entity(Entity::Create),
        Change::Guardrail(GuardrailChange::Removed { .. }) | Change::Exception(ExceptionChange::Closed { .. }) => {
            Class::Entity(Entity::Delete)
        }
        Change::Dates(DatesChange::Noticed { .. }) => Class::Entity(Entity::Other),
        Change::Elevation(change) => Class::Access(elevation(change)),
        Change::Offboarding(change) => Class::Entity(offboarding(change)),
        Change::Journal(change) => Class::Call(journal(change)),
        Change::Configuration(ConfigurationChange::Changed(_) | ConfigurationChange::Widened { .. })
        | Change::Environment(EnvironmentChange::CloseAsked { .. })
        | Change::Key(KeyChange::Activated { .. } | KeyChange::Tainted { .. })
        | Change::Certificate(CertificateChange::AuthorityTainted { .. })
        | Change::Revocation(RevocationChange::LiftAsked { .. })
        | Change::Signal(SignalChange::Confirmed { .. } | SignalChange::Dismissed { .. })
        | Change::Staff(StaffChange::Cut { .. })
        | Change::Text(TextChange::EraseAsked { .. })
        | Change::Mail(MailChange::GivenUp { .. }) => Class::Call(Call::Update),
        Change::Directory(change) => Class::Call(directory(change)),
        Change::Evidence(EvidenceChange::Given { .. })
        | Change::Key(KeyChange::Created(_))
        | Change::Certificate(
            CertificateChange::AuthorityCreated { .. }
            | CertificateChange::EnrolmentAsked { .. }
            | CertificateChange::Issued { .. }
            | CertificateChange::ServerIssued { .. },
        )
        | Change::IssuerKey(IssuerKeyChange::FirstUsed { .. })
        | Change::Passkey(PasskeyChange::Registered { .. })
        | Change::Revocation(RevocationChange::Added { .. } | RevocationChange::TokensCut { .. })
        | Change::Signal(SignalChange::Received { .. } | SignalChange::Held { .. }) => Class::Call(Call::Create),
        Change::Environment(EnvironmentChange::Closed { .. })
        | Change::Key(KeyChange::Retired { .. })
        | Change::Passkey(PasskeyChange::Revoked { .. })
        | Change::Revocation(RevocationChange::Lifted { .. })
        | Change::Text(TextChange::Erased { .. }) => Class::Call(Call::Delete),
    }
}

fn integration(change: &IntegrationChange) -> Class {
    match change {
        IntegrationChange::Suspended { .. } => Class::Account(Account::Disable),
        IntegrationChange::Resumed { .. } => Class::Account(Account::Enable),
        IntegrationChange::ResumeAsked { .. } => Class::Account(Account::Other),
        IntegrationChange::Drafted { .. } => Class::Entity(Entity::Create),
        IntegrationChange::Submitted { .. }
        | IntegrationChange::ChangeHeld { .. }
        | IntegrationChange::Changed { .. }
        | IntegrationChange::Narrowed { .. } => Class::Entity(Entity::Update),
        IntegrationChange::Activated { .. } => Class::Entity(Entity::Activate),
        IntegrationChange::BindingRetired { .. } => Class::Entity(Entity::Deactivate),
        IntegrationChange::Discarded { .. } => Class::Entity(Entity::Delete),
        IntegrationChange::Unused { .. } => Class::Entity(Entity::Other),
    }
}

fn partner(change: &PartnerChange) -> Class {
    match change {
        PartnerChange::Suspended { .. } => Class::Account(Account::Disable),
        PartnerChange::Resumed { .. } => Class::Account(Account::Enable),
        PartnerChange::ResumeAsked { .. } => Class::Account(Account::Other),
        PartnerChange::Submitted { .. } => Class::Entity(Entity::Update),
        PartnerChange::Verified { .. } => Class::Entity(Entity::Activate),
    }
}

/// The entity is the case, or who is offboarded where it begins.
fn offboarding(change: &OffboardingChange) -> Entity {
    match change {
        OffboardingChange::Started { .. } => Entity::Deactivate,
        OffboardingChange::Registered { .. } => Entity::Create,
        OffboardingChange::Acknowledged { .. }
        | OffboardingChange::SignOffAsked { .. }
        | OffboardingChange::AbortAsked { .. } => Entity::Update,
        OffboardingChange::Aborted { .. } => Entity::Activate,
        OffboardingChange::Closed { .. } => Entity::Delete,
        OffboardingChange::DependenciesFound { .. } | OffboardingChange::Tested { .. } | OffboardingChange::Waiting { .. } => {
            Entity::Other
        }
    }
}

/// A word for an elevation assigns; whether it was the last one that it needed, the entry does not say.
fn elevation(change: &ElevationChange) -> Access {
    match change {
        ElevationChange::Asked { elevation } if elevation.break_glass => Access::Assign,
        ElevationChange::Asked { .. } => Access::Other,
        ElevationChange::Reviewed { verdict: Verdict::Approve, .. } => Access::Assign,
        ElevationChange::Reviewed { verdict: Verdict::Deny, .. } | ElevationChange::Ended { .. } => Access::Revoke,
        ElevationChange::Noticed { notice: Notice::Lapsed, .. } => Access::Revoke,
        ElevationChange::Noticed { notice: Notice::Ending | Notice::Expired, .. } => Access::Other,
    }
}

fn journal(change: &JournalChange) -> Call {
    match change {
        JournalChange::Opened { .. } => Call::Create,
        JournalChange::Reopened { .. }
        | JournalChange::Archived(_)
        | JournalChange::FormatRaised { .. }
        | JournalChange::CheckpointKeySucceeded { .. }
        | JournalChange::Moved { .. }
        | JournalChange::Arrived { .. } => Call::Update,
    }
}

fn directory(change: &DirectoryChange) -> Call {
    match change {
        DirectoryChange::Left { .. }
        | DirectoryChange::Returned { .. }
        | DirectoryChange::Resolved { .. }
        | DirectoryChange::Held { .. }
        | DirectoryChange::Confirmed { .. }
        | DirectoryChange::Imported { .. }
        | DirectoryChange::Heard {}
        | DirectoryChange::Silent { .. } => Call::Update,
    }
}
