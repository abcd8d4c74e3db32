//! What a refusal on record tells of the request: the API that it named, and the network that it came from.
//!
//! Enter through [`AskedFor::of`]. A refusal has the checks that were made until one failed, so it may tell neither of them.

use std::net::IpAddr;

use super::ask::Target;
use super::target::asked_of;
use crate::domain::log::entry::RefusedEntry;
use crate::domain::state::State;
use crate::domain::value::names::ApiName;

/// What a request asked for, as far as its refusal tells.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct AskedFor {
    /// The API. A name that is no API of the record is the caller's own word, and left out.
    pub api: Option<ApiName>,
    /// The network: the first 24 bits of an address, or 48 of an IPv6 address.
    pub network: Option<String>,
}

impl AskedFor {
    /// What the refusal tells. An API that was named by its address is the one that has the address now.
    pub fn of(refused: &RefusedEntry, state: &State) -> Self {
        let held = refused.tree.iter().filter(|step| step.holds);
        let api = held.filter_map(asked_of).find_map(|target| match target {
            Target::Name(name) => name.parse().ok(),
            Target::Resource(uri) => {
                let mut apis = state.apis.iter().filter_map(|(name, api)| Some((name, api.current.as_ref()?)));
                let audience = |record: &crate::domain::registry::api::Api| {
                    record.audience.get(&refused.environment).is_some_and(|audience| audience.as_str() == uri)
                };
                apis.find(|(_, current)| audience(&current.record)).map(|(name, _)| name.clone())
            }
        });
        let source = refused.tree.iter().filter(|step| step.check == "proof.source").find_map(|step| step.seen.parse().ok());
        Self { api, network: source.map(network) }
    }
}

fn network(source: IpAddr) -> String {
    match source.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, production, state};
    use crate::domain::log::entry::RefusedKind;
    use crate::domain::reason::decision::Step;
    use crate::domain::reason::{self, ReasonCode};

    fn told(steps: &[(&str, &str, bool)]) -> AskedFor {
        let step = |(check, seen, holds): &(&str, &str, bool)| Step {
            check: (*check).to_owned(),
            want: "x".to_owned(),
            seen: (*seen).to_owned(),
            holds: *holds,
        };
        let refused = RefusedEntry {
            index: 7,
            time: at(0),
            kind: RefusedKind::Refused,
            subject: "globex/order-sync".parse().expect("a client"),
            request_id: "r1".parse().expect("an id"),
            environment: production(),
            reason: ReasonCode(&reason::PROOF_SOURCE),
            tree: steps.iter().map(step).collect(),
        };
        AskedFor::of(&refused, &state())
    }

    #[test]
    fn a_refusal_tells_what_its_checks_saw_and_no_word_of_the_caller() {
        let of = |api: Option<&str>, network: Option<&str>| AskedFor {
            api: api.map(|api| api.parse().expect("a name")),
            network: network.map(str::to_owned),
        };
        assert_eq!(told(&[]), of(None, None));
        assert_eq!(told(&[("target", "audience orders-api", true)]), of(Some("orders-api"), None));
        assert_eq!(told(&[("target", "audience anything", false)]), of(None, None), "the caller's word");
        assert_eq!(told(&[("proof.source", "203.0.113.9", false)]), of(None, Some("203.0.113.0/24")));
        assert_eq!(told(&[("proof.source", "::ffff:203.0.113.9", true)]), of(None, Some("203.0.113.0/24")));
        assert_eq!(told(&[("proof.source", "2001:db8:1:2::9", true)]), of(None, Some("2001:db8:1::/48")));
        assert_eq!(told(&[("proof.source", "an address that is not known", false)]), of(None, None));
    }
}
