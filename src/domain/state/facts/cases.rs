//! Offboardings in the canonical form of a state ([`super`]).

use serde_json::{Map, Value, json};

use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::state::offboarding::{Case, Outcome};
use crate::domain::state::taken::{Holder, Taken};
use crate::domain::value::names::{ClientId, OffboardingId};

/// The facts of all offboardings, and of what people registered.
pub(super) fn of(state: &State) -> Value {
    let known = &state.offboardings;
    let one = |(id, case): (&OffboardingId, &Case)| {
        let found = case.found.as_ref().map(|one| json!([one.found, one.living, one.last, one.at]));
        let words = case.acknowledged.iter().map(|(on, one)| json!([on, one.by, one.removed, one.evidence, one.at]));
        let tested = case.tested.iter().map(|(run, one)| json!([run, one.tests, one.at]));
        let outcome = match &case.outcome {
            None => Value::Null,
            Some(Outcome::Aborted { at }) => json!({"aborted": at}),
            Some(Outcome::Closed { at, index, manifest, until }) => {
                json!({"closed": at, "entry": index, "manifest": manifest, "until": until})
            }
        };
        (
            id.to_string(),
            json!({"about": case.about, "integrations": case.integrations, "by": case.by, "reason": case.reason, "at": case.at,
            "entry": case.index, "elevations": case.elevations, "certificates": case.certificates, "found": found,
            "acknowledged": words.collect::<Vec<_>>(), "tested": tested.collect::<Vec<_>>(), "told": case.told,
            "signOff": case.sign_off, "abort": case.abort, "outcome": outcome}),
        )
    };
    let registered = known.all_registered().map(|(id, on, one)| json!([id, on, one.what, one.by, one.at]));
    let open: Vec<_> = known.open().map(|case| &case.id).collect();
    let closing = |taken: &Taken| -> Vec<String> {
        let own = state.integrations.values().filter_map(|one| Some(one.current.as_ref()?.record.id.clone()));
        let holds = own.filter(|id| {
            state.ever_admitted(id).is_some_and(|record| {
                let other = Integration { id: "probe/probe".parse().expect("an id"), ..record };
                taken.overlapping(Holder::Integration(&other)).contains(&ClientId::Integration(id.clone()))
            })
        });
        holds.map(|id| id.to_string()).collect()
    };
    json!({"since": known.since, "all": known.all().map(one).collect::<Map<_, _>>(), "open": open,
        "registered": registered.collect::<Vec<_>>(), "closing": closing(known.closing()), "ended": closing(known.ended())})
}
