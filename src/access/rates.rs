//! How many calls of an operation an account may make in a second.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::str::FromStr;

use governor::{DefaultKeyedRateLimiter, Quota};

use crate::domain::{AccountId, Operation};

/// Calls a second by operation, as an operator writes them: `IndexFaces=5,*=50`. The star stands for every operation that is not named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateSettings(Vec<(Option<Operation>, NonZeroU32)>);

impl FromStr for RateSettings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut settings: Vec<(Option<Operation>, NonZeroU32)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, rate) =
                part.split_once('=').ok_or_else(|| format!("{part:?} is not of the form IndexFaces=5"))?;
            let operation = match name.trim() {
                "*" => None,
                name => Some(name.parse().map_err(|_| format!("no operation is called {name:?}"))?),
            };
            let rate = rate
                .trim()
                .parse()
                .map_err(|_| format!("{rate:?} is not a whole number of calls a second, at least 1"))?;
            if settings.iter().any(|(known, _)| *known == operation) {
                return Err(format!("{name:?} is given twice"));
            }
            settings.push((operation, rate));
        }
        Ok(Self(settings))
    }
}

/// One limiter for every operation that has a rate, with a state for every account. A second's worth of calls may come at once.
#[derive(Default)]
pub struct Rates(HashMap<Operation, DefaultKeyedRateLimiter<AccountId>>);

impl Rates {
    /// Limiters for these settings.
    pub fn new(RateSettings(settings): &RateSettings) -> Self {
        let rate_of = |operation| {
            let named = settings.iter().find(|(known, _)| *known == Some(operation));
            named.or_else(|| settings.iter().find(|(known, _)| known.is_none())).map(|(_, rate)| *rate)
        };
        let limiter = |operation: &Operation| {
            let quota = Quota::per_second(rate_of(*operation)?);
            Some((*operation, DefaultKeyedRateLimiter::keyed(quota)))
        };
        Self(Operation::ALL.iter().filter_map(limiter).collect())
    }

    /// Counts a call; whether it keeps to the rate.
    pub fn allow(&self, account: &AccountId, operation: Operation) -> bool {
        self.0.get(&operation).is_none_or(|limiter| limiter.check_key(account).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_operations_and_everything_else() {
        let rates = |text: &str| text.parse::<RateSettings>();
        assert_eq!(rates(" *=50, IndexFaces = 5 ").unwrap().0.len(), 2);
        assert_eq!(rates("").unwrap(), RateSettings::default());
        for bad in
            ["IndexFaces", "IndexFace=1", "IndexFaces=0", "IndexFaces=-1", "IndexFaces=1,IndexFaces=2", "*=1,*=1"]
        {
            assert!(rates(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_account_has_a_rate_of_its_own_for_each_operation() {
        let rates = Rates::new(&"IndexFaces=2,*=1".parse().unwrap());
        let account = |digit: &str| digit.repeat(12).parse::<AccountId>().unwrap();
        let (one, two) = (account("1"), account("2"));
        let calls = |account, operation, n| (0..n).filter(|_| rates.allow(account, operation)).count();
        assert_eq!(calls(&one, Operation::IndexFaces, 5), 2);
        assert_eq!(calls(&one, Operation::ListFaces, 5), 1);
        assert_eq!(calls(&two, Operation::IndexFaces, 5), 2);
        assert_eq!(Rates::default().0.len(), 0);
    }
}
