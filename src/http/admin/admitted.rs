//! The extractor that every handler of the admin API begins with: the caller and their permission.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::describe::{Description, Part};
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::credential::resource::names;
use crate::domain::people::actor::{Authorized, Forbidden, Permission, Role, Staff};
use crate::domain::reason;
use crate::domain::value::names::RequestId;
use crate::http::authorization::Authorization;
use crate::http::console::session::{Unread, Visitor};
use crate::http::front::Arrival;
use crate::journal::{ForRequest, Idempotency};

/// A caller who has the permission `P`, with the id of their request.
pub struct Admitted<P> {
    /// The proof of the permission.
    pub by: Authorized<P>,
    /// The request's id.
    pub request: RequestId,
    /// The request's idempotency key, if it has one.
    ///
    /// The gate has checked that it is not a repetition.
    once: Option<Idempotency>,
}

impl<P> Admitted<P> {
    /// The request, for the changes that are made for it.
    pub fn made_for(&self) -> Option<ForRequest> {
        Some(ForRequest { id: self.request.clone(), once: self.once })
    }
}

impl<P: Permission, S: Send + Sync> FromRequestParts<S> for Admitted<P>
where
    Broker: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let broker = Broker::from_ref(state);
        let request = parts.extensions.get::<Arrival>().ok_or_else(|| Problem::of(&reason::REQUEST_MALFORMED))?.id.clone();
        // A bearer token in a query ends up in logs (ABUSE A-15).
        if parts.uri.query().is_some_and(|query| names(query, &["access_token", "id_token"])) {
            return Err(Problem::of(&reason::REQUEST_MALFORMED).at(&request));
        }
        let staff = staff(parts, &broker).await.map_err(|problem| problem.at(&request))?;
        let told = who_has_what::<P>(&staff);
        let by = Authorized::assertion(staff).map_err(|forbidden| {
            let problem = Problem::of(forbidden_reason(forbidden)).at(&request);
            if forbidden == Forbidden::Role { problem.saying(told) } else { problem }
        })?;
        broker.ensure_roles_recorded::<P>().map_err(|reason| Problem::of(reason).at(&request))?;
        let once = parts.extensions.get().copied();
        Ok(Self { by, request, once })
    }
}

impl<P: Permission> Part for Admitted<P> {
    fn describe(description: &mut Description) {
        description.needs(P::ANY_OF);
    }
}

/// Authenticates the caller by a session of the console or a bearer token.
///
/// A person whose access was ended is refused. `console::recognise` has already checked the session.
pub(super) async fn staff(parts: &Parts, broker: &Broker) -> Result<Staff, Problem> {
    broker.journal.ensure_steady()?;
    let view = broker.journal.view();
    let named = |staff: &Staff| view.state.sender(&staff.person.id).is_some();
    if let Some(visitor) = parts.extensions.get::<Visitor>() {
        let staff = visitor.staff.clone();
        return Ok(if named(&staff) { staff.as_reporter() } else { staff });
    }
    if parts.extensions.get::<Unread>().is_some() {
        return Err(Problem::of(&reason::STORE_UNAVAILABLE));
    }
    let bearer = Authorization::bearer(&parts.headers).ok_or_else(|| Problem::of(&reason::STAFF_UNAUTHENTICATED))?;
    let staff = broker.staff.verify(&bearer, broker.now()).await.map_err(|fault| {
        tracing::debug!(cause = fault.cause, "a staff bearer was refused");
        Problem::of(fault.reason)
    })?;
    // A cut ends access whatever the token says. Only a new decision gives it back, not a new token.
    view.state.ensure_not_cut(&staff.person).map_err(Problem::of)?;
    Ok(if named(&staff) { staff.as_reporter() } else { staff })
}

/// Tells the caller which roles are needed and which they have.
fn who_has_what<P: Permission>(staff: &Staff) -> String {
    let list = |roles: &mut dyn Iterator<Item = &Role>, last: &str| {
        let names: Vec<String> = roles.map(|role| format!("`{}`", role.name())).collect();
        names.join(last)
    };
    let needed = list(&mut P::ANY_OF.iter(), " or ");
    let held = list(&mut staff.roles.iter(), " and ");
    let who = staff.person.name.as_ref().and_then(|name| name.plain()).unwrap_or(&staff.person.id);
    let held = if held.is_empty() { "without any role".to_owned() } else { format!("with the role {held}") };
    format!("This needs the role {needed}; you are {who}, {held}.")
}

fn forbidden_reason(forbidden: Forbidden) -> &'static reason::Reason {
    match forbidden {
        Forbidden::Role => &reason::STAFF_ROLE,
        Forbidden::Machine => &reason::STAFF_MACHINE,
        Forbidden::Stale => &reason::STAFF_STALE,
    }
}
