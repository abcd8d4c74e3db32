//! Weekly windows: `Mon-Fri 06:00-20:00 Europe/Berlin`.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::clock::Timestamp;

/// Days of the week and hours of the day in one time zone. The last minute is not in it; a window does not pass midnight.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    text: String,
    first: Weekday,
    last: Weekday,
    from: Time,
    to: Time,
    zone: TimeZone,
}

impl Window {
    /// Whether `now` lies in the window.
    pub fn holds(&self, now: Timestamp) -> bool {
        let Ok(instant) = jiff::Timestamp::from_second(now.as_seconds()) else { return false };
        let local = instant.to_zoned(self.zone.clone());
        let day = |weekday: Weekday| weekday.to_monday_zero_offset();
        let (first, last, today) = (day(self.first), day(self.last), day(local.weekday()));
        let in_days = if first <= last { (first..=last).contains(&today) } else { today >= first || today <= last };
        in_days && self.from <= local.time() && local.time() < self.to
    }

    /// When the window that holds `now` closes; nothing where none does.
    pub fn closes(&self, now: Timestamp) -> Option<Timestamp> {
        let local = jiff::Timestamp::from_second(now.as_seconds()).ok()?.to_zoned(self.zone.clone());
        let closes = local.date().to_datetime(self.to).to_zoned(self.zone.clone()).ok()?;
        let closes = Timestamp::from_seconds(closes.timestamp().as_second())?;
        (self.holds(now) && now < closes).then_some(closes)
    }
}

impl FromStr for Window {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a window such as Mon-Fri 06:00-20:00 Europe/Berlin";
        let mut parts = text.split(' ');
        let (Some(days), Some(hours), Some(zone), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(EXPECTED);
        };
        let (first, last) = days.split_once('-').unwrap_or((days, days));
        let (from, to) = hours.split_once('-').ok_or(EXPECTED)?;
        let (from, to) = (time(from).ok_or(EXPECTED)?, time(to).ok_or(EXPECTED)?);
        if from >= to {
            return Err("expected a window that ends after it begins, on the same day");
        }
        Ok(Self {
            text: text.to_owned(),
            first: weekday(first).ok_or(EXPECTED)?,
            last: weekday(last).ok_or(EXPECTED)?,
            from,
            to,
            zone: TimeZone::get(zone).map_err(|_| "the time zone is not known")?,
        })
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    use Weekday::{Friday, Monday, Saturday, Sunday, Thursday, Tuesday, Wednesday};
    let days = [Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
    let at = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().position(|short| *short == name)?;
    Some(days[at])
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |digits: &str| if digits.len() == 2 { digits.parse::<i8>().ok() } else { None };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Window {}

impl TryFrom<String> for Window {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> String {
        window.text
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_follows_its_zone_through_the_year() {
        let window: Window = "Mon-Fri 06:00-20:00 Europe/Berlin".parse().expect("a window");
        let at =
            |text: &str| Timestamp::from_seconds(text.parse::<jiff::Timestamp>().expect("time").as_second()).expect("in range");
        assert!(window.holds(at("2026-11-24T05:00:00Z"))); // 06:00 CET, a Tuesday
        assert!(!window.holds(at("2026-11-24T04:59:59Z")));
        assert!(window.holds(at("2026-07-07T04:00:00Z"))); // 06:00 CEST
        assert!(!window.holds(at("2026-11-24T19:00:00Z"))); // 20:00
        assert!(!window.holds(at("2026-11-22T12:00:00Z"))); // Sunday
        assert_eq!(window.closes(at("2026-11-24T05:00:00Z")), Some(at("2026-11-24T19:00:00Z")));
        assert_eq!(window.closes(at("2026-07-07T04:00:00Z")), Some(at("2026-07-07T18:00:00Z")));
        assert_eq!(window.closes(at("2026-11-24T19:00:00Z")), None);
        for bad in ["", "Mon 6:00-20:00 UTC", "Mon-Fri 20:00-06:00 UTC", "Mon-Fri 06:00-20:00 Mars/Base", "mon 06:00-20:00 UTC"]
        {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }
}
