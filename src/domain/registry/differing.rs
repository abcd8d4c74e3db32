//! Which settings differ between two configurations, by their names in `carnet.toml`.
//!
//! Compared is what the journal records, since decisions rest on nothing else: the environments, `[[signals]]`, `[governance]`,
//! `[directory]` and the digest of `[staff]`. Four things on record are left out. `listen` and `tls` of the directory are of each
//! node alone, as all addresses are. `reviews` and `offboarding` of the governance come from the program and stand in no file: nodes of two
//! versions with one file agree. Nothing else of a file is on record, such as `[node]`, `[listen]`, `[redis]` or the time of retention, so
//! nothing else differs.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::environment::Configuration;
use crate::domain::value::digest::Digest;

/// A setting that differs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Difference {
    /// Its name, such as `environments.production.max_ttl`; times are in seconds.
    pub setting: String,
    /// The value on record; none where it has none.
    pub recorded: Option<String>,
    /// The value of the file; none where it has none.
    pub file: Option<String>,
}

/// Settings on record that are not compared.
const LEFT_OUT: [&str; 4] = ["directory.listen", "directory.tls", "governance.offboarding", "governance.reviews"];

/// The section of which only the digest is on record.
pub const STAFF: &str = "staff";

impl Configuration {
    /// The settings in which the configuration of a file differs from this one, which is on record.
    pub fn differences(&self, file: &Self) -> Vec<Difference> {
        let (recorded, file) = (self.settings(), file.settings());
        let names: BTreeSet<&String> = recorded.keys().chain(file.keys()).collect();
        let differs = names.into_iter().filter(|name| recorded.get(*name) != file.get(*name));
        differs
            .map(|name| Difference {
                setting: name.clone(),
                recorded: recorded.get(name).cloned(),
                file: file.get(name).cloned(),
            })
            .collect()
    }

    /// The digest of what is compared. Two configurations with the same one differ in nothing.
    pub fn identity(&self) -> Digest {
        Digest::of_json(&self.settings())
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        // Invariant: it has nothing that is not JSON.
        flatten(&serde_json::to_value(self).unwrap_or_default(), "", &mut settings);
        settings.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
        settings
    }
}

fn flatten(value: &Value, name: &str, settings: &mut BTreeMap<String, String>) {
    let below = |part: &str| if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
    match value {
        Value::Object(parts) => parts.iter().for_each(|(key, value)| flatten(value, &below(&snake(key)), settings)),
        // `[[signals]]`: each has its caller as its name.
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| flatten(item, &below(item["caller"].as_str().unwrap_or_default()), settings));
        }
        Value::Array(items) => {
            let texts: Vec<String> = items.iter().map(text).collect();
            settings.insert(name.to_owned(), texts.join(", "));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            settings.insert(name.to_owned(), text(value));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The name of a field in a file: `max_ttl` for `maxTtl`.
fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture;
    use crate::domain::registry::environment::{Governance, Sender, Source};
    use crate::domain::value::clock::Seconds;

    fn recorded() -> Configuration {
        let mut configuration = fixture::state().configuration.expect("configured");
        let sender = Sender {
            caller: "HR.system".to_owned(),
            kinds: BTreeSet::new(),
            subjects: vec!["globex/*".parse().expect("a pattern")],
            per_hour: 5,
        };
        configuration.signals = vec![sender];
        configuration.directory = Some(Source { listen: "127.0.0.1:7000".to_owned(), tls: false, silent_after: Seconds(3600) });
        configuration
    }

    #[test]
    fn what_differs_is_named_as_the_file_names_it() {
        let recorded = recorded();
        let told = |change: fn(&mut Configuration)| {
            let mut file = recorded.clone();
            change(&mut file);
            let same = recorded.identity() == file.identity();
            let differs = recorded.differences(&file);
            assert_eq!(same, differs.is_empty());
            differs.into_iter().map(|one| (one.setting, one.recorded, one.file)).collect::<Vec<_>>()
        };
        assert_eq!(told(|_| {}), []);
        let some = |text: &str| Some(text.to_owned());
        let environment = told(|file| {
            file.environments.values_mut().next().expect("an environment").max_ttl = Seconds(77);
        });
        let [(setting, _, file)] = environment.as_slice() else { panic!("{environment:?}") };
        assert!(setting.starts_with("environments.") && setting.ends_with(".max_ttl"), "{setting}");
        assert_eq!(file, &some("77"));
        let staff = told(|file| file.staff = Digest::of(b"another"));
        assert_eq!(staff.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(), [STAFF]);
        let fewer = told(|file| file.signals[0].per_hour = 4);
        assert_eq!(fewer, [("signals.HR.system.per_hour".to_owned(), some("5"), some("4"))]);
        let grace = told(|file| file.governance.owner_grace = Seconds(60));
        assert_eq!(grace, [("governance.owner_grace".to_owned(), None, some("60"))]);
        let silent = told(|file| file.directory = None);
        assert_eq!(silent, [("directory.silent_after".to_owned(), some("3600"), None)]);
    }

    /// What each node has for itself, and what its program says, is no difference.
    #[test]
    fn addresses_and_what_the_program_says_are_no_difference() {
        let recorded = recorded();
        let mut file = recorded.clone();
        let directory = file.directory.as_mut().expect("a directory");
        (directory.listen, directory.tls) = ("10.0.0.7:7000".to_owned(), true);
        let Governance { reviews, offboarding, .. } = &mut file.governance;
        (*reviews, *offboarding) = (!*reviews, !*offboarding);
        assert_ne!(recorded, file);
        assert_eq!(recorded.differences(&file), []);
    }
}
