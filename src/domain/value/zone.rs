//! A time zone, and the day of the week and minute of the day in it.

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// A time zone of the IANA database, such as `Europe/Berlin`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

/// The day of the week and the minute of the day in a zone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Local {
    /// From 1 (Monday) to 7.
    pub weekday: u8,
    /// From 0 to 1439.
    pub minute: u16,
}

impl Zone {
    /// The local time at `now`; `None` if the calendar of the zone does not reach so far.
    pub fn local(&self, now: Timestamp) -> Option<Local> {
        let local = jiff::Timestamp::from_second(now.as_seconds()).ok()?.to_zoned(self.zone.clone());
        let weekday = u8::try_from(local.weekday().to_monday_one_offset()).ok()?;
        let minute = u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
        Some(Local { weekday, minute })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is UTC.
    pub fn is_utc(&self) -> bool {
        self.name == "UTC"
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }
}

impl FromStr for Zone {
    type Err = &'static str;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let zone = TimeZone::get(name).map_err(|_| "expected a time zone such as UTC or Europe/Berlin")?;
        Ok(Self { name: name.to_owned(), zone })
    }
}

impl TryFrom<String> for Zone {
    type Error = &'static str;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.name
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_time_is_that_of_the_zone() {
        // Sunday, 29 November 2026, 23:30 UTC.
        let now: Timestamp = "2026-11-29T23:30:00Z".parse().expect("a time");
        assert_eq!(Zone::default().local(now), Some(Local { weekday: 7, minute: 23 * 60 + 30 }));
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        assert_eq!(berlin.local(now), Some(Local { weekday: 1, minute: 30 }));
        assert!("Europe/Carnet".parse::<Zone>().is_err());
    }
}
