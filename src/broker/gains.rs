//! Who gains what by a difference that widens, for those who are to agree to it.
//!
//! Enter through [`Gain::of`]. The comparison names the field; here it becomes a sentence. It decides nothing: a field that has no words of
//! its own here is told by its path.

use std::collections::BTreeSet;

use super::view::gain::{Gain, Gained};
use crate::domain::record::{Difference, Record, Weight};
use crate::domain::registry::api::Api;
use crate::domain::registry::integration::Integration;
use crate::domain::state::State;
use crate::domain::value::names::{ApiName, IntegrationId};

/// The field that says who applies a record.
const MANAGED: &str = "metadata.managedBy";

/// The most names of those who gain.
const MOST_NAMES: usize = 20;

impl Gain {
    /// The gain of a difference of `record`; `None` of one that widens nothing.
    pub fn of(record: &Record, difference: &Difference, state: &State) -> Option<Self> {
        if difference.weight != Weight::Widens {
            return None;
        }
        let managed = |name: &dyn std::fmt::Display| {
            let people = format!("people may apply {name}, beside the pipeline");
            (difference.at == MANAGED).then(|| change(&people, difference))
        };
        let (who, everybody, told) = match record {
            Record::Integration(integration) => {
                (BTreeSet::from([integration.id.clone()]), false, of_integration(integration, difference))
            }
            Record::Api(api) => (users(&api.name, state), false, of_api(api, difference)),
            Record::Partner(partner) => {
                let who = state.integrations_of(&partner.name).map(|(id, _)| id.clone()).collect();
                let fact = change(
                    &format!("the verification of {} would stand for another {}", partner.name, difference.at),
                    difference,
                );
                let longer = format!("partner {} counts as verified longer, with all its integrations", partner.name);
                let lasts = difference.at == "verification.expires" && difference.from.is_some();
                let sentence = if lasts { change(&longer, difference) } else { fact };
                (who, false, (Gained::default(), managed(&partner.name).unwrap_or(sentence)))
            }
            Record::Guardrail(guardrail) => {
                let sentence = format!(
                    "everybody may gain what guardrail {} forbids today: its {} is another one",
                    guardrail.name, difference.at
                );
                (BTreeSet::new(), true, (Gained::default(), managed(&guardrail.name).unwrap_or(sentence)))
            }
        };
        let (what, sentence) = told;
        let integrations = u64::try_from(who.len()).unwrap_or(u64::MAX);
        let who = who.iter().take(MOST_NAMES).map(ToString::to_string).collect();
        Some(Self {
            who,
            integrations,
            everybody,
            what: Gained { field: difference.at.clone(), ..what },
            sentence: sentence + ".",
        })
    }
}

/// The integrations in force that have something of an API.
fn users(api: &ApiName, state: &State) -> BTreeSet<IntegrationId> {
    let in_force =
        state.integrations.iter().filter(|(_, known)| known.current.as_ref().is_some_and(|one| one.record.names(api)));
    in_force.map(|(id, _)| id.clone()).collect()
}

/// A sentence with the values before and after.
fn change(what: &str, difference: &Difference) -> String {
    match (&difference.from, &difference.to) {
        (Some(from), Some(to)) => format!("{what}: {from} before, {to} now"),
        (None, Some(to)) => format!("{what}: {to}"),
        (Some(from), None) => format!("{what}: {from} no longer holds"),
        (None, None) => what.to_owned(),
    }
}

fn of_integration(record: &Integration, difference: &Difference) -> (Gained, String) {
    let id = &record.id;
    let at = difference.at.as_str();
    if let Some((environment, rest)) = at.strip_prefix("environments.").map(|rest| rest.split_once('.').unwrap_or((rest, ""))) {
        return of_access(id, environment, rest, difference);
    }
    let what = match at.split('.').next().unwrap_or_default() {
        "contract" if at == "contract.ends" => format!("{id} keeps its access in every environment for longer"),
        "contract" if at == "contract.starts" => format!("{id} has its access in every environment earlier"),
        "contract" => format!("{id} has its access under another contract"),
        "owners" => format!("somebody else answers for {id} ({at})"),
        "purpose" => format!("{id} has its access for another purpose"),
        "dataClasses" => format!("{id} touches other classes of data"),
        "review" => format!("{id} keeps its access with less review ({at})"),
        "rotation" => format!("{id} may use older keys ({at})"),
        "offboarding" => format!("{id} ends in another way ({at})"),
        "exceptions" => format!("a static secret of {id} is kept, or is watched less ({at})"),
        "metadata" => format!("people may apply {id}, beside the pipeline"),
        _ => format!("{id} may do more ({at})"),
    };
    (Gained::default(), change(&what, difference))
}

/// The API and scope at the beginning of a path, and the rest of the path.
fn of_scope(path: &str) -> Option<(&str, &str, &str)> {
    let (api, rest) = path.split_once('.')?;
    let fields = [".allow", ".max", ".window", ".approvers", ".breakGlass", ".require"];
    let field = fields.into_iter().find(|field| rest.ends_with(field)).unwrap_or_default();
    Some((api, rest.strip_suffix(field)?, field.trim_start_matches('.')))
}

fn of_access(id: &IntegrationId, environment: &str, path: &str, difference: &Difference) -> (Gained, String) {
    let gained = Gained { environment: Some(environment.to_owned()), ..Gained::default() };
    let (section, rest) = path.split_once('.').unwrap_or((path, ""));
    let of = |api: &str, scope: &str| Gained { api: Some(api.to_owned()), scope: Some(scope.to_owned()), ..gained.clone() };
    let (gained, what) = match section {
        "" => (gained, format!("{id} has access in {environment}, where it had none")),
        "bindings" => {
            let (binding, field) = rest.split_once('.').unwrap_or((rest, ""));
            let what = match (field, &difference.from) {
                ("", None) => format!("other proofs are taken as {id} in {environment}, by binding {binding}"),
                ("", Some(_)) => {
                    format!("proofs as {id} in {environment} meet another binding than {binding}, or one that asks for less")
                }
                (field, _) => format!("more proofs are taken as {id} in {environment}, by {field} of binding {binding}"),
            };
            (Gained { binding: Some(binding.to_owned()), ..gained }, what)
        }
        "scopes" => match of_scope(rest) {
            Some((api, scope, "allow")) => {
                (of(api, scope), format!("{id} may call more endpoints of {api} with {scope} in {environment}"))
            }
            Some((api, scope, _)) => (of(api, scope), format!("{id} may have {scope} of {api} in {environment} at any time")),
            None => (Gained { api: Some(rest.to_owned()), ..gained }, format!("{id} names {rest} in {environment}")),
        },
        "elevation" => match of_scope(rest) {
            Some((api, scope, "")) => {
                (of(api, scope), format!("{id} may have {scope} of {api} in {environment} for a while, once it is approved"))
            }
            Some((api, scope, field)) => (
                of(api, scope),
                format!("{id} may have {scope} of {api} in {environment} by an easier or longer elevation ({field})"),
            ),
            None => (gained, format!("{id} may have more by elevation in {environment}")),
        },
        "limits" => {
            let what = match rest {
                "ttl" => format!("tokens of {id} in {environment} live longer"),
                "exchangesPerMinute" => format!("{id} may ask more often in {environment}"),
                "sourceCidrs" => format!("{id} may ask from more networks in {environment}"),
                _ => format!("{id} has other limits in {environment} ({rest})"),
            };
            (gained, what)
        }
        "require" => (gained, format!("tokens of {id} in {environment} need less proof of a key")),
        "ends" => (gained, format!("{id} keeps its access in {environment} for longer")),
        _ => (gained, format!("{id} may do more in {environment} ({path})")),
    };
    (gained, change(&what, difference))
}

fn of_api(record: &Api, difference: &Difference) -> (Gained, String) {
    let api = &record.name;
    let mut gained = Gained { api: Some(api.to_string()), ..Gained::default() };
    let (section, rest) = difference.at.split_once('.').unwrap_or((&difference.at, ""));
    let what = match section {
        "audience" => {
            gained.environment = Some(rest.to_owned());
            format!("tokens for {api} in {rest} are taken by another audience")
        }
        "callers" => {
            let (environment, binding) = rest.split_once('.').unwrap_or((rest, ""));
            (gained.environment, gained.binding) = (Some(environment.to_owned()), Some(binding.to_owned()));
            format!("another workload may introspect and revoke the tokens of {api} in {environment}")
        }
        "scopes" => {
            let field = [".risk", ".meaning"].into_iter().find(|field| rest.ends_with(field)).unwrap_or_default();
            let scope = rest.strip_suffix(field).unwrap_or(rest);
            gained.scope = Some(scope.to_owned());
            match field {
                "" => format!("integrations may be given {scope} of {api}"),
                field => format!("{scope} of {api} is judged by another {}", field.trim_start_matches('.')),
            }
        }
        "token" => format!("each token for {api} has another form or life"),
        "approval" => format!("elevations for {api} are approved in another way"),
        "owner" => format!("somebody else answers for {api}"),
        "metadata" => format!("people may apply {api}, beside the pipeline"),
        _ => format!("users of {api} may do more ({})", difference.at),
    };
    (gained, change(&what, difference))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::Examples;
    use crate::domain::record::compare;
    use crate::domain::registry::guardrail::Mode;
    use crate::domain::value::effort::Effort;

    /// Each difference that widens has a gain, whatever the record, and no other has.
    #[test]
    fn each_widening_of_each_example_is_told() {
        let (examples, state) = (Examples::plain(), crate::domain::fixture::state());
        let records = [
            Record::Api(examples.api()),
            Record::Partner(examples.partner("globex")),
            Record::Integration(examples.integration()),
            Record::Guardrail(examples.guardrail(Mode::Enforce)),
        ];
        let mut told = 0;
        for record in &records {
            for difference in compare(None, record, &mut Effort::default()).expect("little work") {
                let gain = Gain::of(record, &difference, &state);
                assert_eq!(gain.is_some(), difference.weight == Weight::Widens, "{difference:?}");
                let Some(gain) = gain else { continue };
                told += 1;
                assert!(gain.sentence.ends_with('.') && !gain.sentence.contains("may do more"), "{gain:?}");
                assert_eq!(gain.integrations, u64::try_from(gain.who.len()).expect("few"));
            }
        }
        assert!(told > 20, "{told}");
    }
}
