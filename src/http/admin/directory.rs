//! The people directory: how it stands, the list that an administrator sends, and the holds of the brake.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::input::{Sent, named};
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::import::{Imported, Listed, Standing};
use crate::domain::decision::owners;
use crate::domain::people::actor::{Confirm, Import, Read};
use crate::domain::state::State as Fold;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{HoldId, IntegrationId, PersonId};

/// The routes.
pub fn routes() -> Vec<Route> {
    let shown = "The people directory: people by state, its last word, owners who left, and those whom the brake holds";
    let imported = "Send the whole list of people; one faulty line changes nobody";
    let confirmed = "Confirm that the people of a hold left";
    vec![
        get("/v1/directory", "getDirectory", shown, show),
        post("/v1/directory/confirm", "confirmDirectory", confirmed, confirm),
        post("/v1/directory/import", "importDirectory", imported, import),
    ]
}

/// The people directory.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Directory)]
struct DirectoryView {
    /// False if `carnet.toml` has no `[directory]`. Then no version needs owners whom it knows.
    configured: bool,
    people: PeopleView,
    /// When the source last asked or said something, or a list was sent.
    #[schema(required)]
    last_word: Option<Timestamp>,
    /// Since when it has been silent for longer than it may be.
    #[schema(required)]
    silent_since: Option<Timestamp>,
    /// People who left and do not count as gone until somebody of security confirms it, the oldest hold first.
    held: Vec<HeldView>,
    /// Owners of versions in force who left.
    gone: Vec<GoneView>,
    /// Integrations with an owner whom the directory does not know.
    unresolved: Vec<IntegrationId>,
}

/// The number of people by state.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryPeople)]
struct PeopleView {
    active: usize,
    /// They left, and their names are kept.
    inactive: usize,
    /// They left, and their names are gone.
    forgotten: usize,
}

/// An owner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DirectoryOwner)]
struct OwnerView {
    id: PersonId,
    /// The user name, while it is kept.
    #[schema(required)]
    user_name: Option<String>,
    /// The integrations in force that this person owns.
    integrations: Vec<IntegrationId>,
}

/// A hold of the brake.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryHold)]
struct HeldView {
    id: HoldId,
    at: Timestamp,
    people: Vec<OwnerView>,
}

/// An owner who left.
#[derive(Serialize, ToSchema)]
#[schema(as = GoneOwner)]
struct GoneView {
    #[serde(flatten)]
    owner: OwnerView,
    since: Timestamp,
}

/// `GET /v1/directory`.
async fn show(State(broker): State<Broker>, _by: Admitted<Read>) -> Result<Json<DirectoryView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let state = &view.state;
    let gone = || state.owners.all_gone().filter(|(id, _)| state.owners.of(id).is_some_and(|own| !own.in_force.is_empty()));
    let held = state.owners.holds().flat_map(|(_, hold)| hold.people.iter());
    let asked: BTreeSet<PersonId> = held.chain(gone().map(|(id, _)| id)).cloned().collect();
    let standing = broker.people_standing(&asked).await?;
    let owner = |id: &PersonId| owner(state, &standing, id);
    let mut held: Vec<HeldView> = state
        .owners
        .holds()
        .map(|(id, hold)| HeldView { id: id.clone(), at: hold.at, people: hold.people.iter().map(owner).collect() })
        .collect();
    held.sort_by_key(|hold| hold.at);
    Ok(Json(DirectoryView {
        configured: state.directory().is_some(),
        people: PeopleView { active: standing.active, inactive: standing.inactive, forgotten: standing.forgotten },
        last_word: broker.people.last_word().max(state.owners.heard()),
        silent_since: owners::silent_since(state, now),
        gone: gone().map(|(id, gone)| GoneView { owner: owner(id), since: gone.since }).collect(),
        held,
        unresolved: if state.directory().is_some() { state.owners.unresolved().cloned().collect() } else { Vec::new() },
    }))
}

fn owner(state: &Fold, standing: &Standing, id: &PersonId) -> OwnerView {
    let own = state.owners.of(id).map(|own| own.in_force.iter().cloned().collect());
    OwnerView { id: id.clone(), user_name: standing.names.get(id).cloned(), integrations: own.unwrap_or_default() }
}

/// A whole list of people.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = DirectoryImport)]
struct ImportSent {
    people: Vec<PersonSent>,
    /// The number of active people whom the list lacks. With it they count as gone; without it they stay as they are.
    #[serde(default)]
    confirm_left: Option<usize>,
}

/// A person of the list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DirectoryPerson)]
struct PersonSent {
    /// A user name or an e-mail address of the person.
    email: String,
    active: bool,
}

/// The outcome of an import.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryImported)]
struct ImportedView {
    /// People of whom the list says something new.
    changed: usize,
    /// Active people whom the list lacks.
    lacking: usize,
    /// Those of them who count as gone now.
    left: usize,
}

/// `POST /v1/directory/import`.
async fn import(
    State(broker): State<Broker>,
    by: Admitted<Import>,
    Sent(sent): Sent<ImportSent>,
) -> Result<Json<ImportedView>, Problem> {
    let list: Vec<Listed> = sent.people.into_iter().map(|PersonSent { email, active }| Listed { email, active }).collect();
    let Imported { changed, lacking, left } = broker.import_people(&by.by, &list, sent.confirm_left, by.made_for()).await?;
    Ok(Json(ImportedView { changed, lacking, left }))
}

/// A hold that somebody confirms.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DirectoryConfirm)]
struct ConfirmSent {
    /// The hold.
    id: String,
    /// The reason. It is recorded.
    reason: String,
}

/// The people who count as gone now.
#[derive(Serialize, ToSchema)]
#[schema(as = DirectoryConfirmed)]
struct ConfirmedView {
    people: Vec<PersonId>,
}

/// `POST /v1/directory/confirm`.
async fn confirm(
    State(broker): State<Broker>,
    by: Admitted<Confirm>,
    Sent(ConfirmSent { id, reason }): Sent<ConfirmSent>,
) -> Result<Json<ConfirmedView>, Problem> {
    let people = broker.confirm_hold(&by.by, &named(&id)?, &reason, by.made_for()).await?;
    Ok(Json(ConfirmedView { people }))
}
