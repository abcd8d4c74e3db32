//! Scopes that may be had for a while, and who approves them.

use serde_json::Value as Json;

use super::scopes::{endpoints, once};
use crate::domain::elevation::PATIENCE;
use crate::domain::people::actor::Role;
use crate::domain::reason;
use crate::domain::record::fault::Faults;
use crate::domain::record::form::base::Form;
use crate::domain::record::form::definitions::{self, Definitions, any_text, label};
use crate::domain::record::form::field::{Optional, Or, Required};
use crate::domain::record::form::list::{Each, set};
use crate::domain::record::form::map::{map, whole};
use crate::domain::record::form::scalar::{Described, Flag, Lasting, Number, Word, parsed};
use crate::domain::record::read::place::Place;
use crate::domain::registry::integration::{self, Approvers, Eligible, Fallback};
use crate::domain::value::clock::Seconds;

/// The longest elevation: a working day, not a standing right.
const LONGEST_ELEVATION: Seconds = Seconds::hours(24);

/// Administrators and auditors approve nothing (docs/explanation/four-eyes.md).
const APPROVING: Word<Role> = Word(&[Role::Security, Role::Owner]);

/// The things that a request may be asked to name.
const DEMANDS: Word<integration::Required> =
    Word(&[integration::Required::Reason, integration::Required::Ticket, integration::Required::OpenTicket]);

map! {
    Eligible as "eligible" {
        scope: "scope" = Required(parsed(definitions::scope));
        api: "api" = Required(parsed(label));
        allow: "allow" = Or(endpoints(), Vec::new());
        max: "max" = Required(Lasting(Seconds::minutes(1), LONGEST_ELEVATION));
        window: "window" = Optional(parsed(definitions::window));
        approvers: "approvers" = Required(whole());
        require: "require" = Or(Each(DEMANDS), Vec::new());
        break_glass: "breakGlass" = Or(
            Described(Flag, "A person may start it at once, for an hour at most; security looks at it within a day."),
            false
        );
    }
}

map! {
    Approvers as "approvers" {
        role: "role" = Optional(APPROVING);
        people: "people" = Or(set(parsed(any_text)), Vec::new());
        count: "count" = Required(Number(1, 10));
        fallback: "fallback" = Optional(whole());
    }
    judge |fields, faults| {
        if let (Some(None), Some(people), Some(count)) = (&role, &people, count) {
            if people.is_empty() {
                let message = "neither a role nor people are named: nobody could approve";
                faults.warning(&fields.at, &reason::LINT_APPROVERS, message);
            } else if people.len() < usize::from(count) {
                let message = format!("{count} approvals are wanted of {} people: nobody could approve", people.len());
                faults.warning(&fields.at, &reason::LINT_APPROVERS, message);
            }
        }
    }
}

map! {
    Fallback as "fallback" {
        after: "after" = Required(Lasting(Seconds::minutes(1), PATIENCE));
        role: "role" = Required(APPROVING);
    }
}

/// The scopes that may be had for a while, none of one API twice.
pub(in crate::domain::record) struct Elevations;

impl Form for Elevations {
    type Value = Vec<Eligible>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<Eligible>> {
        let list: Vec<Eligible> = Each(whole()).read(place, faults)?;
        once(place, &list, |eligible| (&eligible.scope, &eligible.api), faults).then_some(list)
    }

    fn write(&self, list: &Vec<Eligible>) -> Json {
        Each(whole()).write(list)
    }

    fn schema(&self, definitions: &mut Definitions) -> Json {
        Each(whole::<Eligible>()).schema(definitions)
    }
}
