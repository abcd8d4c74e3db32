//! `[governance]`: the life of records.

use super::fault::Faults;
use super::section::Section;
use crate::domain::value::zone::Zone;

/// `[governance]`.
#[derive(Clone, Debug, Default)]
pub struct GovernanceSection {
    /// The time zone of day and hour in guardrails.
    pub zone: Zone,
}

pub(super) fn read(section: Option<Section<'_>>, faults: &mut Faults<'_>) -> Option<GovernanceSection> {
    let Some(mut section) = section else { return Some(GovernanceSection::default()) };
    let zone = match section.text("zone", faults) {
        Some(zone) => zone.parse(faults, |text| text.parse::<Zone>().map_err(str::to_owned), "write zone = \"Europe/Berlin\""),
        None => Some(Zone::default()),
    };
    section.finish(faults);
    Some(GovernanceSection { zone: zone? })
}
