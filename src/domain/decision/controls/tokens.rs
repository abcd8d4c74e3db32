//! The criteria that a token can break, by its entry and the state in which it was issued.

use super::criterion::Criterion;
use super::integrations::{Judged, is_of_agent};
use crate::domain::decision::standing::stands;
use crate::domain::decision::target::BUILT_IN_API;
use crate::domain::log::entry::Issued;
use crate::domain::registry::binding::{Admits, Binding};
use crate::domain::registry::integration::{Access, Integration};
use crate::domain::state::State;
use crate::domain::value::names::{ClientId, IntegrationId};
use crate::domain::value::scope::{Scope, ScopeSet};

/// Judges a token on the state that its entry followed.
pub(super) fn judge(issued: &Issued, state: &State) -> Judged {
    let mut judged = Judged::default();
    let (agent, bindings) = match &issued.subject {
        ClientId::Integration(id) => {
            let agent = is_of_agent(id, state);
            judged.item(Criterion::TokensWithinRecord, agent, || item(issued), beyond(issued, id, state));
            let access = current(id, state).and_then(|record| record.environments.get(&issued.environment));
            (agent, access.map_or(&[][..], |access| &access.bindings))
        }
        ClientId::Api(api) => {
            let record = state.apis.get(api).and_then(|api| api.current.as_ref());
            let callers = record.and_then(|current| current.record.callers.get(&issued.environment));
            (false, callers.map_or(&[][..], Vec::as_slice))
        }
    };
    judged.item(Criterion::TokensForOneAudience, agent, || item(issued), misdirected(issued, state));
    judged.item(Criterion::TokensOnProof, agent, || item(issued), unproved(issued, bindings, state));
    judged.item(Criterion::TokensShortLived, agent, || item(issued), too_long(issued, state));
    judged
}

fn item(issued: &Issued) -> String {
    format!("token {} of {} (entry {})", issued.jti, issued.subject, issued.index)
}

fn current<'s>(id: &IntegrationId, state: &'s State) -> Option<&'s Integration> {
    Some(&state.integrations.get(id)?.current.as_ref()?.record)
}

fn too_long(issued: &Issued, state: &State) -> Option<String> {
    let Some(environment) = state.environment(&issued.environment) else {
        return Some(format!("{} was not configured", issued.environment));
    };
    let of_api = state.apis.get(&issued.api).and_then(|api| api.current.as_ref()).map(|current| current.record.token.ttl);
    let most = of_api.into_iter().fold(environment.max_ttl, std::cmp::Ord::min);
    let life = issued.exp.since(issued.time);
    (life > most).then(|| format!("it lives {life}, and at most {most} is allowed"))
}

fn misdirected(issued: &Issued, state: &State) -> Option<String> {
    let known = if issued.api.as_str() == BUILT_IN_API {
        state.environment(&issued.environment).map(|environment| environment.issuer.as_str())
    } else {
        let record = state.apis.get(&issued.api).and_then(|api| api.current.as_ref());
        record.and_then(|current| current.record.audience.get(&issued.environment)).map(|audience| audience.as_str())
    };
    (known != Some(issued.audience.as_str())).then(|| format!("{} has another audience in {}", issued.api, issued.environment))
}

fn unproved(issued: &Issued, bindings: &[Binding], state: &State) -> Option<String> {
    let Some(binding) = bindings.iter().find(|binding| binding.name == issued.binding) else {
        return Some(format!("the record has no binding {} in {}", issued.binding, issued.environment));
    };
    let proved = match &binding.admits {
        Admits::Jwt(rule) => rule.issuer == issued.proof.issuer || issued.proof.named.as_ref() == Some(&rule.issuer),
        Admits::Certificate => {
            let shown = issued.certificate.as_ref();
            let leaf = shown.and_then(|shown| state.certificates.leaf(&issued.environment, &shown.serial));
            leaf.is_some_and(|leaf| ClientId::Integration(leaf.integration.clone()) == issued.subject)
        }
    };
    (!proved).then(|| format!("binding {} does not admit a proof of {}", issued.binding, issued.proof.issuer))
}

/// What a token of an integration has beyond its record.
fn beyond(issued: &Issued, id: &IntegrationId, state: &State) -> Option<String> {
    if let Err(reason) = stands(id, &issued.environment, state, issued.time) {
        return Some(format!("{id} had no access then: {}", reason.code));
    }
    let Some(record) = current(id, state) else { return Some(format!("{id} had no version in force")) };
    let Some(access) = record.environments.get(&issued.environment) else {
        return Some(format!("the record has no {}", issued.environment));
    };
    let verified = state.verification_of(&id.partner).map(|(_, at)| at);
    let ends = verified.into_iter().fold(record.ends_in(&issued.environment), std::cmp::Ord::min);
    if issued.exp > ends {
        return Some(format!("it lives until {}, and access ends {ends}", issued.exp));
    }
    let Ok(scopes) = ScopeSet::parse(&issued.scope) else { return Some("its scope cannot be read".to_owned()) };
    let lacking = scopes.iter().find(|scope| !gives(access, issued, scope) && !is_elevated(issued, scope, state));
    lacking.map(|scope| format!("neither the record nor an elevation gives {scope}"))
}

fn gives(access: &Access, issued: &Issued, scope: &Scope) -> bool {
    access.standing().any(|(api, rule)| *api == issued.api && rule.scope == *scope)
}

/// Whether an elevation that the token names gave the scope when it was issued, for as long as it lives.
fn is_elevated(issued: &Issued, scope: &Scope, state: &State) -> bool {
    let named = issued.elevations.iter().filter_map(|id| state.elevations.find(id));
    let mut giving = named.filter(|request| {
        let asked = &request.elevation;
        let same = ClientId::Integration(asked.integration.clone()) == issued.subject
            && asked.environment == issued.environment
            && asked.api == issued.api;
        same && request.ended.is_none() && request.terms().scopes.iter().any(|one| one == scope)
    });
    giving.any(|request| {
        request.period().is_some_and(|(starts, ends)| starts <= issued.time && issued.time < ends && issued.exp <= ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, state};
    use crate::domain::log::entry::Entry;
    use crate::domain::value::clock::Seconds;

    /// A token that the fixture's record gives, by its binding `ci`.
    fn issued(state: &State) -> Issued {
        let id: IntegrationId = "globex/order-sync".parse().expect("an id");
        let current = state.integrations[&id].current.as_ref().expect("in force");
        let (environment, access) = current.record.environments.first().expect("an environment");
        let binding = access.bindings.iter().find(|one| matches!(one.admits, Admits::Jwt(_))).expect("a rule");
        let Admits::Jwt(rule) = &binding.admits else { panic!("a rule") };
        let (api, scope) = access.standing().map(|(api, rule)| (api, &rule.scope)).next().expect("a scope");
        let audience = state.apis[api].current.as_ref().expect("in force").record.audience.get(environment).expect("one");
        let [mut token, ..] = crate::domain::examples::Examples::plain().issued(900, at(0), current.version);
        token.environment = environment.clone();
        (token.api, token.audience, token.scope) = (api.clone(), audience.clone(), scope.to_string());
        (token.binding, token.proof.issuer, token.proof.named) = (binding.name.clone(), rule.issuer.clone(), None);
        token.elevations = Vec::new();
        token.exp = at(0).plus(Seconds(60));
        token
    }

    fn broken(state: &State, change: impl FnOnce(&mut Issued)) -> Vec<&'static str> {
        let mut token = issued(state);
        change(&mut token);
        let judged = judge(&token, state);
        judged.broken.iter().map(|one| one.criterion.name()).collect()
    }

    /// Each criterion flips with the one fact that it is about.
    #[test]
    fn a_token_beyond_what_was_given_is_found_by_its_entry() {
        let state = state();
        assert_eq!(broken(&state, |_| {}), Vec::<&str>::new());
        assert_eq!(judge(&issued(&state), &state).counts.iter().map(|count| count.all).sum::<u64>(), 4);
        let beyond = ["tokens-within-record"];
        assert_eq!(broken(&state, |token| token.scope = "orders:everything".to_owned()), beyond);
        assert_eq!(broken(&state, |token| token.elevations = vec!["nobody-approved".parse().expect("an id")]), [""; 0]);
        let of_another = |token: &mut Issued| {
            token.scope = "orders:everything".to_owned();
            token.elevations = vec!["nobody-approved".parse().expect("an id")];
        };
        assert_eq!(broken(&state, of_another), beyond);
        assert_eq!(broken(&state, |token| token.exp = at(0).plus(Seconds::days(1))), ["tokens-short-lived"]);
        let long_after = |token: &mut Issued| {
            token.time = at(5_000 * 86_400);
            token.exp = token.time.plus(Seconds(60));
        };
        assert_eq!(broken(&state, long_after), beyond, "the contract was over");
        assert_eq!(
            broken(&state, |token| token.audience = "https://elsewhere.example".parse().expect("one")),
            ["tokens-for-one-audience"]
        );
        assert_eq!(broken(&state, |token| token.binding = "other".parse().expect("a name")), ["tokens-on-proof"]);
        assert_eq!(
            broken(&state, |token| token.proof.issuer = "https://other.example".parse().expect("one")),
            ["tokens-on-proof"]
        );
        let nobody = |token: &mut Issued| token.subject = "globex/nobody".parse().expect("a client");
        assert_eq!(broken(&state, nobody), ["tokens-within-record", "tokens-on-proof"]);
        // The entry reads back as it was written, so that what is judged is what stands in the log.
        let bytes = serde_json::to_vec(&issued(&state)).expect("JSON");
        assert!(matches!(Entry::parse(&bytes), Ok(Entry::Issued(_))));
    }
}
