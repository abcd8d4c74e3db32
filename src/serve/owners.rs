//! Checks of the people directory, for `carnet doctor`.

use super::finding::{Finding, Weight};
use crate::domain::decision::owners;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;

/// Finds a silent people directory, owners whom it does not know, and people whom its brake holds.
pub fn people(state: &State, now: Timestamp) -> Vec<Finding> {
    let name = "people directory";
    let Some(source) = state.directory() else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(since) = owners::silent_since(state, now) {
        let detail = format!("its source has said nothing since {since}: who left since then still counts as an owner");
        let fix = "look at the provisioning job of the identity provider, or send a list with `carnet directory import`";
        found.push(Finding::other(Weight::Wrong, name, detail, fix).at("directory"));
    }
    let unresolved: Vec<String> = state.owners.unresolved().map(ToString::to_string).collect();
    if let Some(first) = unresolved.first() {
        let detail = match unresolved.len() {
            1 => format!("it does not know an owner of {first}"),
            all => format!("it does not know an owner of {all} integrations, such as {first}"),
        };
        let fix =
            "provision them by the address in the record, or name owners there whom it knows; `carnet directory` lists all";
        found.push(Finding::other(Weight::Wrong, name, detail, fix).at("directory"));
    }
    let held: usize = state.owners.holds().map(|(_, hold)| hold.people.len()).sum();
    if held > 0 {
        let detail = format!("{held} owners left too fast, and do not count as gone until somebody of security confirms it");
        let fix =
            "look at `carnet directory`, and confirm with `carnet directory confirm`; or look for a stolen token of the source";
        found.push(Finding::other(Weight::Warning, name, detail, fix).at("directory"));
    }
    if found.is_empty() {
        found.push(Finding::sound(name, format!("its source may be silent for {}", source.silent_after)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, state};
    use crate::domain::log::configuration::ConfigurationChange;
    use crate::domain::log::directory::DirectoryChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::registry::environment::Source;
    use crate::domain::value::clock::Seconds;

    #[test]
    fn a_silence_and_owners_whom_nobody_knows_are_faults() {
        let mut state = state();
        assert_eq!(people(&state, at(0)), [], "without a directory there is nothing to say");
        let mut configuration = state.configuration.clone().expect("configured");
        let listen = "192.0.2.7:7444".to_owned();
        configuration.directory = Some(Source { listen, tls: true, silent_after: Seconds::days(7) });
        state.apply(100, at(0), &ConfigurationChange::Changed(configuration).by(Actor::Operator));
        let told = |state: &State, now| people(state, now).into_iter().map(|one| (one.weight, one.detail)).collect::<Vec<_>>();
        let unknown = (Weight::Wrong, "it does not know an owner of globex/order-sync".to_owned());
        assert_eq!(told(&state, at(0)), std::slice::from_ref(&unknown));
        let week = i64::from(Seconds::days(7).0);
        assert_eq!(told(&state, at(week - 1)), [unknown]);
        let silent = told(&state, at(week));
        assert!(silent[0].0 == Weight::Wrong && silent[0].1.contains("has said nothing since"), "{silent:?}");
        state.apply(101, at(week), &DirectoryChange::Heard {}.by(Actor::Directory));
        assert_eq!(told(&state, at(week)).len(), 1, "a word ends it");
        let (id, people) = ("hold-1".parse().expect("an id"), vec!["psn_a".parse().expect("an id")]);
        state.apply(102, at(week), &DirectoryChange::Held { id, people }.by(Actor::Directory));
        assert_eq!(told(&state, at(week)).last().map(|(weight, _)| *weight), Some(Weight::Warning));
    }
}
