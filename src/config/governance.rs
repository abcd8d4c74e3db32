//! `[governance]`: the life of records.

use super::fault::Faults;
use super::section::Section;
use crate::domain::registry::environment::{Governance, LONGEST_UNUSED, UNUSED_SUSPEND, UNUSED_WARN};
use crate::domain::value::clock::Seconds;
use crate::domain::value::zone::Zone;

/// `[governance]`.
#[derive(Clone, Debug)]
pub struct GovernanceSection {
    /// The time zone of day and hour in guardrails.
    pub zone: Zone,
    /// People are told of what nobody used for so long.
    pub unused_warn: Seconds,
    /// An environment of an integration that nobody used for so long is suspended, and a binding retired.
    pub unused_suspend: Seconds,
    /// How long an integration lasts without its owner.
    pub owner_grace: Seconds,
}

/// Counts are by day.
const SHORTEST: Seconds = Seconds::days(1);

/// The longest grace for an integration without its owner.
const LONGEST_GRACE: Seconds = Seconds::days(30);

impl Default for GovernanceSection {
    fn default() -> Self {
        let owner_grace = Governance::OWNER_GRACE;
        Self { zone: Zone::default(), unused_warn: UNUSED_WARN, unused_suspend: UNUSED_SUSPEND, owner_grace }
    }
}

pub(super) fn read(section: Option<Section<'_>>, faults: &mut Faults<'_>) -> Option<GovernanceSection> {
    let Some(mut section) = section else { return Some(GovernanceSection::default()) };
    let zone = match section.text("zone", faults) {
        Some(zone) => zone.parse(faults, |text| text.parse::<Zone>().map_err(str::to_owned), "write zone = \"Europe/Berlin\""),
        None => Some(Zone::default()),
    };
    let warn = section.duration("unused_warn", (SHORTEST, LONGEST_UNUSED), faults);
    let suspend = section.duration("unused_suspend", (SHORTEST, LONGEST_UNUSED), faults);
    let (unused_warn, unused_suspend) = (warn.unwrap_or(UNUSED_WARN), suspend.unwrap_or(UNUSED_SUSPEND));
    if unused_warn > unused_suspend {
        let reason = format!("{unused_warn} is after unused_suspend = {unused_suspend}");
        faults.add(("governance.unused_warn", section.at().1), reason, "warn before anything is suspended");
    }
    let owner_grace = match section.keys().iter().any(|(name, _)| name == "owner_grace") {
        true => section.duration("owner_grace", (Seconds(1), LONGEST_GRACE), faults),
        false => Some(Governance::OWNER_GRACE),
    };
    section.finish(faults);
    Some(GovernanceSection { zone: zone?, unused_warn, unused_suspend, owner_grace: owner_grace? })
}
