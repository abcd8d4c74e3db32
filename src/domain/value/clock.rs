//! Time and randomness as the house sees them: made once in `server`, passed on, never ambient.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// A second of UTC, as seconds since 1970 (the unit of `NumericDate`, RFC 7519 section 2).
///
/// Only years 1970 to 9999 can be built, so that arithmetic on tokens and records cannot overflow (ABUSE T-14).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Timestamp(i64);

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A length of time in seconds, never negative.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Seconds(pub u32);

impl Timestamp {
    /// 9999-12-30T22:00:00Z, the last second that can be written in every time zone.
    pub const MAX: Self = Self(253_402_207_200);

    /// A second between 1970 and 9999, or nothing.
    pub fn from_seconds(seconds: i64) -> Option<Self> {
        (0..=Self::MAX.0).contains(&seconds).then_some(Self(seconds))
    }

    /// Seconds since 1970.
    pub fn as_seconds(self) -> i64 {
        self.0
    }

    /// Later by `by`, at most the end of year 9999.
    #[must_use]
    pub fn plus(self, by: Seconds) -> Self {
        Self((self.0 + i64::from(by.0)).min(Self::MAX.0))
    }

    /// Earlier by `by`, at least 1970.
    #[must_use]
    pub fn minus(self, by: Seconds) -> Self {
        Self((self.0 - i64::from(by.0)).max(0))
    }

    /// The day that begins with this second, as a record writes it; a time within a day in RFC 3339.
    pub fn first_day(self) -> String {
        let mut text = self.to_string();
        if self.0 % DAY == 0 {
            text.truncate("2026-12-01".len());
        }
        text
    }

    /// The day that is over with this second, as a record writes it (its `ends` include that day); a time within a day in RFC 3339.
    pub fn last_day(self) -> String {
        if self.0 % DAY == 0 && self.0 >= DAY { self.minus(Seconds::days(1)).first_day() } else { self.to_string() }
    }

    /// Year, month, day, hour, minute and second of UTC.
    pub fn civil(self) -> [u32; 6] {
        let time = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        let civil = jiff::tz::Offset::UTC.to_datetime(time);
        let day =
            [civil.month(), civil.day(), civil.hour(), civil.minute(), civil.second()].map(i8::unsigned_abs).map(u32::from);
        let [month, day, hour, minute, second] = day;
        [u32::from(civil.year().unsigned_abs()), month, day, hour, minute, second]
    }

    /// The date of a mail (RFC 5322 section 3.3), in UTC.
    pub fn in_mail(self) -> String {
        let zoned = jiff::Timestamp::from_second(self.0).map(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
        zoned.and_then(|zoned| jiff::fmt::rfc2822::to_string(&zoned)).unwrap_or_default()
    }

    /// How much later than `earlier` this is; zero when it is not.
    pub fn since(self, earlier: Self) -> Seconds {
        Seconds(u32::try_from((self.0 - earlier.0).max(0)).unwrap_or(u32::MAX))
    }
}

impl FromStr for Timestamp {
    type Err = &'static str;
    /// Reads RFC 3339, to the second.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = text.parse::<jiff::Timestamp>().map_err(|_| "not a time of RFC 3339, as in 2026-12-01T12:00:00Z")?;
        Self::from_seconds(time.as_second()).ok_or("a time outside the years 1970 to 9999")
    }
}

impl TryFrom<i64> for Timestamp {
    type Error = &'static str;
    fn try_from(seconds: i64) -> Result<Self, Self::Error> {
        Self::from_seconds(seconds).ok_or("a time outside the years 1970 to 9999")
    }
}

impl From<Timestamp> for i64 {
    fn from(time: Timestamp) -> i64 {
        time.0
    }
}

/// RFC 3339 in UTC, to the second.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

impl Seconds {
    /// `n` minutes.
    pub const fn minutes(n: u32) -> Self {
        Self(n * 60)
    }

    /// `n` hours.
    pub const fn hours(n: u32) -> Self {
        Self(n * 3600)
    }

    /// `n` days of 24 hours.
    pub const fn days(n: u32) -> Self {
        Self(n * 86_400)
    }

    /// For people, to the two largest units: `45 s`, `3 min 20 s`, `23 h 59 min`, `3 d 4 h`.
    pub fn in_words(self) -> String {
        let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
        let first = units.iter().position(|(length, _)| self.0 >= *length).unwrap_or(units.len() - 1);
        let mut left = self.0;
        let mut words = Vec::new();
        for (length, name) in units.into_iter().skip(first).take(2) {
            if left >= length || words.is_empty() {
                words.push(format!("{} {name}", left / length));
            }
            left %= length;
        }
        words.join(" ")
    }

    /// Reads `90s`, `5m`, `24h`, `90d`: one number, one unit, nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let unit = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return None,
        };
        if digits.is_empty() || digits.len() > 7 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse::<u32>().ok()?.checked_mul(unit).map(Self)
    }
}

/// The largest unit that divides it: `5m`, `24h` reads `1d`, `90s`.
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0s"),
            n if n % 86_400 == 0 => write!(f, "{}d", n / 86_400),
            n if n % 3600 == 0 => write!(f, "{}h", n / 3600),
            n if n % 60 == 0 => write!(f, "{}m", n / 60),
            n => write!(f, "{n}s"),
        }
    }
}

/// Where `now` comes from. The server has one; tests set theirs.
pub trait Clock: Send + Sync {
    /// The present second, as the wall clock has it. Anybody who administers the machine can set it.
    fn now(&self) -> Timestamp;

    /// How much time has passed since a moment that does not change while the process runs. Nobody can set it.
    fn monotonic(&self) -> Duration;

    /// Whether it is set at will, and so differs from the clocks of other machines. That of the server is not.
    fn is_set_at_will(&self) -> bool {
        false
    }
}

/// Where unguessable bytes come from. The server has one (the operating system's, by way of aws-lc-rs); tests seed theirs.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`, or panics: without entropy nothing may be made.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy {
    /// A fresh identifier of 127 bits in base64url (22 characters), as `jti`, approvals and the like use it. It begins with a letter, so that
    /// no command line takes it for an option.
    pub fn identifier(&self) -> String {
        self.name()
    }

    /// The same as a name of its type.
    pub fn name<N: FromStr<Err: Debug>>(&self) -> N {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        named(bytes)
    }
}

/// 127 of these bits in base64url, as a name: 22 characters of which the first is a letter.
pub fn named<N: FromStr<Err: Debug>>(mut bytes: [u8; 16]) -> N {
    bytes[0] &= 0x7f;
    let mut text = [0; 22];
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).unwrap_or(0);
    // Invariant: 16 bytes are 22 characters of base64url, which are ASCII, and a name as every name of ours allows.
    str::from_utf8(&text[..written]).expect("base64url is text").parse().expect("an identifier is URL-safe")
}

/// How far ahead a partner's clock may be (`iat`, `nbf`). `exp` has no leeway: an expired proof proves nothing.
pub const CLOCK_AHEAD: Seconds = Seconds(30);

/// The clock difference between nodes that the house allows.
pub const CLOCK_DIFFERENCE: Seconds = Seconds(30);

#[cfg(test)]
mod tests {
    use super::*;

    /// A bug once: one approval in 64 could not be named on a command line.
    #[test]
    fn identifiers_begin_with_a_letter() {
        let entropy = crate::domain::fixture::Seeded::new(7);
        let entropy: &dyn Entropy = &entropy;
        for _ in 0..1000 {
            let made = entropy.identifier();
            assert!(made.len() == 22 && made.starts_with(|first: char| first.is_ascii_alphabetic()), "{made}");
        }
    }

    #[test]
    fn durations_read_one_number_and_one_unit() {
        assert_eq!(Seconds::parse("5m"), Some(Seconds::minutes(5)));
        assert_eq!(Seconds::parse("24h"), Some(Seconds::hours(24)));
        assert_eq!(Seconds::parse("90d"), Some(Seconds::days(90)));
        for bad in ["", "5", "m", "-5m", "5 m", "5M", "1.5h", "1h30m", "99999999s", "9999999d", "５m"] {
            assert_eq!(Seconds::parse(bad), None, "{bad}");
        }
    }

    /// `ends: 2027-11-30` holds on that day, so the second at which it is over is the first of the next.
    #[test]
    fn a_date_is_told_as_its_record_writes_it() {
        let time = |text: &str| Timestamp::from_seconds(text.parse::<jiff::Timestamp>().expect("a time").as_second());
        let midnight = time("2027-12-01T00:00:00Z").expect("a time");
        assert_eq!((midnight.first_day().as_str(), midnight.last_day().as_str()), ("2027-12-01", "2027-11-30"));
        let half_past = time("2027-12-01T06:30:00Z").expect("a time");
        assert_eq!((half_past.first_day(), half_past.last_day()), (half_past.to_string(), "2027-12-01T06:30:00Z".to_owned()));
        assert_eq!(Timestamp::default().last_day(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn durations_are_told_in_two_units() {
        let all = [
            (0, "0 s"),
            (45, "45 s"),
            (60, "1 min"),
            (200, "3 min 20 s"),
            (86_399, "23 h 59 min"),
            (3605, "1 h"),
            (273_600, "3 d 4 h"),
        ];
        for (seconds, words) in all {
            assert_eq!(Seconds(seconds).in_words(), words);
        }
    }

    #[test]
    fn time_has_an_end() {
        assert_eq!(Timestamp::from_seconds(-1), None);
        assert_eq!(Timestamp::from_seconds(i64::MAX), None);
        assert_eq!(Timestamp::MAX.plus(Seconds(u32::MAX)), Timestamp::MAX);
        assert_eq!(Timestamp::default().minus(Seconds(1)), Timestamp::default());
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-30T22:00:00Z");
    }
}
