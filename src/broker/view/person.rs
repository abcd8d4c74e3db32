//! People and other actors, as answers name them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::value::names::{ApiName, IntegrationId, Issuer};

/// A person at the company's identity provider.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = Person)]
pub struct PersonView {
    pub iss: Issuer,
    pub id: String,
    /// The name; absent after an erasure.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub name: Option<String>,
    /// True for a machine with a staff token; absent for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = super::schema::True)]
    pub machine: Option<bool>,
}

/// The actor of a change.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Actor)]
pub enum ActorView {
    /// A person or a machine with a staff token.
    Person(PersonView),
    /// A workload with its own proof.
    Workload(WorkloadView),
    /// The workload of an API.
    Api(ApiActorView),
    /// An actor without a token.
    Other(OtherView),
}

/// A workload, by its integration.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = Workload)]
pub struct WorkloadView {
    pub integration: IntegrationId,
}

/// The workload of an API of the catalogue.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = ApiWorkload)]
pub struct ApiActorView {
    pub api: ApiName,
}

/// An actor without a token: an operator on the machine itself, or the broker.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OtherActor)]
pub enum OtherView {
    Operator,
    Broker,
    /// The people directory.
    Directory,
}
