//! The access of an integration in each environment: bindings, limits, scopes.

use super::api::{LONGEST_TTL, SHORTEST_TTL};
use super::binding::Bindings;
use super::elevation::Elevations;
use super::scopes::ScopeRules;
use crate::domain::record::form::definitions::any_text;
use crate::domain::record::form::field::{Optional, Or, Required};
use crate::domain::record::form::list::{ByName, some};
use crate::domain::record::form::map::{map, whole};
use crate::domain::record::form::scalar::{Lasting, Number, Word, parsed};
use crate::domain::record::read::values::Day;
use crate::domain::registry::integration::{Access, Limits, Require};

/// A bucket beyond this bounds nothing.
const MOST_EXCHANGES: u32 = 1_000_000;

map! {
    Access as "access" {
        bindings: "bindings" = Required(Bindings);
        limits: "limits" = Or(whole(), Limits::default());
        require: "require" = Or(Word(&[Require::Bound, Require::Dual]), Require::Nothing);
        scopes: "scopes" = Or(ByName::any(ScopeRules), Default::default());
        elevation: "elevation" = Or(Elevations, Vec::new());
        ends: "ends" = Optional(Day::End);
    }
    before |place, faults| {
        // Read ahead, for the bindings. A value that is refused counts: the record is refused anyway, and a second fault would mislead.
        let networks = place.node.get("limits").and_then(|limits| limits.get("sourceCidrs"));
        faults.ground.bounded = networks.is_some() || place.node.get("require").is_some();
    }
}

map! {
    Limits as "limits" {
        ttl: "ttl" = Optional(Lasting(SHORTEST_TTL, LONGEST_TTL));
        exchanges_per_minute: "exchangesPerMinute" = Optional(Number(1, MOST_EXCHANGES));
        // An empty list would mean "anywhere" to the record's types and "nowhere" to its reader.
        source_cidrs: "sourceCidrs" = Or(
            some(parsed(any_text), "expected at least one network; leave the key out for no condition"),
            Vec::new()
        );
    }
}
