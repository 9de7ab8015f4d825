//! How long a collection keeps its faces.

use std::time::Duration;

use super::Tags;

/// The tag that says so.
pub const RETENTION_TAG: &str = "rekollect:expire-after";

/// The longest that can be said, in its unit: what is longer is no retention.
const MOST: u64 = 100_000;
const UNITS: [(char, u64); 3] = [('m', 60), ('h', 3_600), ('d', 86_400)];

/// A time that faces are kept, from a minute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(Duration);

/// The value of the tag is no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tag {RETENTION_TAG} takes a whole number from 1 to {MOST} and a unit, m, h or d, such as 45m, 12h or 30d: {0:?} is none"
)]
pub struct NoRetention(pub String);

impl Retention {
    /// What the tags of a collection say.
    pub fn of(tags: &Tags) -> Result<Option<Self>, NoRetention> {
        let value = tags.iter().find(|(key, _)| key.as_str() == RETENTION_TAG);
        value.map(|(_, value)| value.as_str().parse()).transpose()
    }

    /// The time.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl std::str::FromStr for Retention {
    type Err = NoRetention;

    fn from_str(text: &str) -> Result<Self, NoRetention> {
        let parse = || {
            let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
            let (_, seconds) = UNITS.into_iter().find(|(name, _)| unit == name.to_string())?;
            // A sign is no digit.
            let number: u64 = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
            (1..=MOST).contains(&number).then(|| Self(Duration::from_secs(number * seconds)))
        };
        parse().ok_or_else(|| NoRetention(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        let seconds = |text: &str| text.parse::<Retention>().map(|time| time.get().as_secs());
        assert_eq!(seconds("1m"), Ok(60));
        assert_eq!(seconds("12h"), Ok(43_200));
        assert_eq!(seconds("100000d"), Ok(8_640_000_000));
        for bad in ["", "d", "0d", "30", "30 d", "-1d", "+1d", "1.5h", "100001d", "30D", "30days", "é", "1é"] {
            let error = seconds(bad).unwrap_err();
            assert!(error.to_string().contains("such as 45m, 12h or 30d"), "{bad}");
        }
    }
}
