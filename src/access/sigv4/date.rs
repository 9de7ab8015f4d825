//! The date of a signature: ISO 8601's basic format, in UTC, to the second.

use std::fmt;
use std::time::{Duration, SystemTime};

use time::format_description::StaticFormatDescription;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

const BASIC: StaticFormatDescription = format_description!("[year][month][day]T[hour][minute][second]Z");
const LENGTH: usize = "20150830T123600Z".len();

/// A moment as signatures write it, `20150830T123600Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AmzDate(OffsetDateTime);

impl AmzDate {
    /// Parses `YYYYMMDD'T'HHMMSS'Z'`.
    pub fn parse(text: &str) -> Option<Self> {
        // The year's sign, which the format would allow, is none of theirs.
        let exact = text.len() == LENGTH && text.as_bytes()[0].is_ascii_digit();
        exact.then(|| PrimitiveDateTime::parse(text, BASIC).ok()).flatten().map(|date| Self(date.assume_utc()))
    }

    /// Parses the date of HTTP's `Date` header.
    pub fn parse_http(text: &str) -> Option<Self> {
        // Its own offset may take the last moment of the calendar beyond it.
        OffsetDateTime::parse(text, &Rfc2822).ok()?.checked_to_offset(UtcOffset::UTC).map(Self)
    }

    /// The day, `YYYYMMDD`.
    pub fn day(&self) -> String {
        let mut day = self.to_string();
        day.truncate(8);
        day
    }

    /// The moment this much later; the last or first that can be written when there is none.
    pub fn plus(self, span: time::Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// The moment for the rest of the standard library.
    pub fn system_time(self) -> SystemTime {
        match u64::try_from(self.0.unix_timestamp()) {
            Ok(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
            Err(_) => SystemTime::UNIX_EPOCH,
        }
    }
}

impl From<OffsetDateTime> for AmzDate {
    fn from(date: OffsetDateTime) -> Self {
        Self(date.to_offset(UtcOffset::UTC))
    }
}

impl fmt::Display for AmzDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(BASIC).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_basic_iso_8601_and_nothing_else() {
        let date = AmzDate::parse("20150830T123600Z").unwrap();
        assert_eq!((date.to_string().as_str(), date.day().as_str()), ("20150830T123600Z", "20150830"));
        assert_eq!(date, AmzDate::parse_http("Sun, 30 Aug 2015 12:36:00 GMT").unwrap());
        assert_eq!(AmzDate::parse_http("Fri, 31 Dec 9999 23:59:59 -0100"), None);
        for bad in [
            "",
            "20150830",
            "2015-08-30T12:36:00Z",
            "20150830T123600",
            "20151330T123600Z",
            "+0150830T123600Z",
            "20150830T123600Zé",
        ] {
            assert_eq!(AmzDate::parse(bad), None, "{bad}");
        }
    }
}
