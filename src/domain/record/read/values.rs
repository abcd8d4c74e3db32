//! The forms of values: dates, durations, URLs, addresses.

use jiff::civil::Date;

use super::place::Place;
use crate::domain::reason;
use crate::domain::record::fault::{Faults, shown};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::Audience;

/// The second that a whole day stands for.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::record) enum Day {
    /// Its first.
    Start,
    /// The first after it: `ends: 2027-11-30` still holds on that day.
    End,
}

const DATE: &str = "expected a date such as 2026-12-01, or an RFC 3339 time to the second such as 2026-12-01T06:00:00Z";
const ERA: &str = "expected a time in the years 1970 to 9999";

impl Place<'_> {
    /// Reads a whole UTC day, or an RFC 3339 instant to the second.
    ///
    /// Years beyond 9999-12-30 are refused (ABUSE T-14).
    pub fn time(&self, day: Day, faults: &mut Faults) -> Option<Timestamp> {
        let text = self.scalar(faults)?;
        match time(text, day) {
            Ok(time) => Some(time),
            Err(expected) => {
                self.refuse(&format!("{expected}, not {}", shown(text)), faults);
                None
            }
        }
    }

    /// A duration between two bounds. Beyond the longest is `limit.too-long`.
    pub fn duration(&self, least: Seconds, most: Seconds, faults: &mut Faults) -> Option<Seconds> {
        let text = self.scalar(faults)?;
        match Seconds::parse(text) {
            Some(duration) if duration > most => {
                faults.error(&self.at, &reason::LIMIT_TOO_LONG, format!("expected at most {most}, not {duration}"));
                None
            }
            Some(duration) if duration >= least => Some(duration),
            Some(duration) => {
                self.refuse(&format!("expected at least {least}, not {duration}"), faults);
                None
            }
            None => {
                self.refuse(&format!("expected a duration such as 90s, 5m, 1h or 90d, not {}", shown(text)), faults);
                None
            }
        }
    }

    /// Reads a URL from which discovery or a bundle may be fetched.
    ///
    /// Whether its address may be reached is for `outbound` to say.
    pub fn url(&self, faults: &mut Faults) -> Option<String> {
        let text = self.scalar(faults)?;
        self.fetched(text, text, faults)
    }

    /// Reads the URL of a key set, which may have a query.
    ///
    /// OpenID Connect Discovery 1.0 section 3 forbids a query in `issuer` alone.
    pub fn key_url(&self, faults: &mut Faults) -> Option<String> {
        let text = self.scalar(faults)?;
        let sign = |b: u8| b.is_ascii_alphanumeric() || b"-._~%&=+/:,;@!$()?".contains(&b);
        // `https://host?query` is no canonical URL: a path comes first.
        let has_path = |base: &str| base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
        let plain = |(base, query): &(&str, &str)| has_path(base) && !query.is_empty() && query.bytes().all(sign);
        let base = text.split_once('?').filter(plain);
        self.fetched(text, base.map_or(text, |(base, _)| base), faults)
    }

    /// `text` as a URL whose part before a query that is taken is `base`.
    fn fetched(&self, text: &str, base: &str, faults: &mut Faults) -> Option<String> {
        if text.contains('*') {
            faults.error(
                &self.at,
                &reason::BINDING_WILDCARD,
                format!("expected one exact URL, not the pattern {}", shown(text)),
            );
            return None;
        }
        let host = match url_host(base).and_then(|host| if text.len() > LONGEST_URL { Err(TOO_LONG) } else { Ok(host) }) {
            Ok(host) => host,
            Err(expected) => {
                faults.error(&self.at, &reason::BINDING_ISSUER, format!("{expected}, not {}", shown(text)));
                return None;
            }
        };
        if text.starts_with("http://") {
            let message = "plain http is taken only where the operator lists this exact origin in [outbound] issuers";
            faults.warning(&self.at, &reason::LINT_PLAIN_HTTP, message);
        }
        if host.bytes().any(|b| b.is_ascii_uppercase()) {
            let message = "hosts are written in lower case, and issuers are compared byte for byte";
            faults.warning(&self.at, &reason::LINT_LETTER_CASE, message);
        }
        Some(text.to_owned())
    }

    /// An audience: an absolute URI without a fragment (RFC 8707 section 2), exact.
    pub fn audience(&self, faults: &mut Faults) -> Option<Audience> {
        let text = self.scalar(faults)?;
        if text.contains('*') {
            faults.error(&self.at, &reason::BINDING_WILDCARD, "expected one exact audience, not a pattern");
            return None;
        }
        self.parse(faults)
    }

    /// An e-mail address, as far as telling two people apart needs it.
    pub fn address(&self, faults: &mut Faults) -> Option<crate::domain::value::text::Text> {
        let text = self.words(faults)?;
        let parts: Vec<_> = text.split('@').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) || text.contains(char::is_whitespace) {
            self.refuse("expected an address such as jane@acme.example", faults);
            return None;
        }
        self.personal(faults)
    }
}

/// Reads the first second of a day, or an instant, as records have them.
///
/// # Errors
/// What was expected.
pub fn first_second(text: &str) -> Result<Timestamp, &'static str> {
    time(text, Day::Start)
}

/// Reads the first second after a day, or an instant, as records have them.
///
/// # Errors
/// What was expected.
pub fn last_second(text: &str) -> Result<Timestamp, &'static str> {
    time(text, Day::End)
}

fn time(text: &str, day: Day) -> Result<Timestamp, &'static str> {
    let second = if text.len() == 10 {
        let digits = text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
        let date: Date = if digits { text.parse().map_err(|_| DATE)? } else { return Err(DATE) };
        let date = match day {
            Day::Start => date,
            Day::End => date.tomorrow().map_err(|_| ERA)?,
        };
        date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| ERA)?.timestamp().as_second()
    } else {
        let bytes = text.as_bytes();
        let zone = bytes.get(19..).unwrap_or_default();
        let zoned =
            zone == b"Z" || (zone.len() == 6 && zone.get(3) == Some(&b':') && matches!(zone.first(), Some(b'+' | b'-')));
        if bytes.get(10) != Some(&b'T') || !zoned {
            return Err(DATE);
        }
        text.parse::<jiff::Timestamp>().map_err(|_| DATE)?.as_second()
    };
    Timestamp::from_seconds(second).ok_or(ERA)
}

const LONGEST_URL: usize = 255;
const TOO_LONG: &str = "expected a URL of at most 255 printable ASCII characters";

/// The host of an http or https URL without userinfo, query, fragment and dot segments (ABUSE K-03).
fn url_host(text: &str) -> Result<&str, &'static str> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or("expected an https URL")?;
    if text.len() > LONGEST_URL || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(TOO_LONG);
    }
    if rest.contains(['?', '#', '@', '\\', '"', '<', '>', '^', '`', '{', '|', '}']) {
        return Err("expected a URL without user, query, fragment and other signs that programs read differently");
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err("expected a URL without . and .. in its path");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or("expected a host")?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "expected a host")?;
            (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or("expected a host and a port")?) })
        }
        None => {
            let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
            let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
            if !host.split('.').all(label) {
                return Err("expected a URL with a host name");
            }
            (host, port)
        }
    };
    let number =
        |port: &str| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p > 0);
    if port.is_some_and(|port| !number(port)) {
        return Err("expected a port from 1 to 65535");
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T-14: dates at the edges of calendars are right or refused, never wrapped.
    #[test]
    fn t_14_dates_at_the_edges() {
        let seconds = |text: &str, day| time(text, day).map(Timestamp::as_seconds);
        assert_eq!(seconds("2038-01-19", Day::End), Ok(2_147_558_400));
        assert_eq!(seconds("2100-02-28", Day::End), seconds("2100-03-01", Day::Start));
        assert_eq!(seconds("2027-11-30", Day::End), seconds("2027-12-01T00:00:00Z", Day::End));
        assert_eq!(seconds("2026-12-01T01:00:00+01:00", Day::Start), seconds("2026-12-01", Day::Start));
        assert!(seconds("9999-12-30", Day::Start).is_ok());
        for bad in ["9999-12-31", "9999-12-30", "10000-01-01", "1969-12-30"] {
            assert!(seconds(bad, Day::End).is_err(), "{bad}");
        }
        for bad in [
            "2100-02-29",
            "2026-13-01",
            "2026-1-01",
            "2026/12/01",
            "",
            "20261201",
            "2026-12-01T06:00Z",
            "2026-12-01 06:00:00Z",
            "2026-12-01T06:00:00",
            "2026-12-01T06:00:00.5Z",
            "2026-12-01T06:00:00Z[UTC]",
            "+002026-01",
            "tomorrow",
        ] {
            assert!(seconds(bad, Day::Start).is_err(), "{bad}");
        }
    }

    /// K-03, the part that can be told offline.
    #[test]
    fn k_03_urls_have_one_reading() {
        for good in
            ["https://a.example", "https://a.example:8443/x/y", "http://127.0.0.1:80", "https://[::1]:1/", "https://a/%7e"]
        {
            assert!(url_host(good).is_ok(), "{good}");
        }
        for bad in [
            "file:///etc/passwd",
            "data:,x",
            "ftp://a.example",
            "unix:/run/x",
            "HTTPS://a.example",
            "a.example",
            "https://",
            "https:///x",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://a.example?x",
            "https://a.example/#x",
            "https://a.example:0",
            "https://a.example:65536",
            "https://a.example:",
            "https://a.example/../b",
            "https://a..example",
            "https://a.example\\@b.example",
            "http://x?https://a.example",
            "https://[::1",
            "https://[x]",
            "https://ä.example",
        ] {
            assert!(url_host(bad).is_err(), "{bad}");
        }
    }
}
