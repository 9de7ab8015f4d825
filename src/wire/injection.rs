//! Faults on demand: rules that make chosen calls slow or fail, so that a client's tests can see its own retries work. There only when
//! the server was started with `--enable-faults`.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::domain::Operation;

/// The most rules at a time: who adds more has forgotten to clear them.
const MAX_RULES: usize = 1000;
/// No client waits longer.
const LONGEST_LATENCY_MS: u64 = 600_000;

/// An error that a rule can ask for: code, HTTP status and text as the service gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InjectedError(&'static (&'static str, StatusCode, &'static str));

const ERRORS: [(&str, StatusCode, &str); 15] = {
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const BROKEN: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
    [
        ("AccessDeniedException", BAD, "Access denied by a rule"),
        ("ConflictException", BAD, "Conflict by a rule"),
        ("IdempotentParameterMismatchException", BAD, "The ClientRequestToken you have supplied is already in use."),
        ("ImageTooLargeException", BAD, "Image size is too large."),
        ("InternalServerError", BROKEN, "Internal server error"),
        ("InvalidImageFormatException", BAD, "Request has invalid image format"),
        ("InvalidPaginationTokenException", BAD, "Invalid Token"),
        ("InvalidParameterException", BAD, "Request has invalid parameters"),
        ("InvalidS3ObjectException", BAD, "Request has invalid S3 object."),
        ("LimitExceededException", BAD, "Limit exceeded by a rule"),
        ("ProvisionedThroughputExceededException", BAD, "Provisioned Rate exceeded."),
        ("ResourceAlreadyExistsException", BAD, "The resource already exists by a rule"),
        ("ResourceNotFoundException", BAD, "The resource does not exist by a rule"),
        ("ServiceQuotaExceededException", BAD, "Quota exceeded by a rule"),
        ("ThrottlingException", BROKEN, "Service Unavailable"),
    ]
};

impl InjectedError {
    fn named(code: &str) -> Result<Self, String> {
        let known = ERRORS.iter().find(|(name, _, _)| *name == code).map(Self);
        known.ok_or_else(|| {
            format!("no error is called {code:?}; there are {}", ERRORS.map(|(name, _, _)| name).join(", "))
        })
    }

    /// The AWS error code.
    pub fn code(self) -> &'static str {
        self.0.0
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        self.0.1
    }

    /// What the client reads.
    pub fn text(self) -> &'static str {
        self.0.2
    }
}

/// The rules of a server, in the order in which they were added.
#[derive(Default)]
pub struct Injector(Mutex<Vec<Rule>>);

struct Rule {
    /// Absent: every operation.
    operation: Option<Operation>,
    error: Option<InjectedError>,
    latency: Duration,
    /// How many calls it is still for; absent: all.
    calls_left: Option<u64>,
    /// With what probability it strikes; absent: always.
    chance: Option<(f64, fastrand::Rng)>,
}

/// What a rule does to a call.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// How long the call is held up.
    pub latency: Duration,
    /// How it fails after that, if it does.
    pub error: Option<InjectedError>,
}

/// A rule as the admin resource takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    operation: String,
    error: Option<String>,
    latency_ms: Option<u64>,
    calls: Option<u64>,
    probability: Option<f64>,
    seed: Option<u64>,
}

/// A rule as the admin resource shows it.
#[derive(Debug, PartialEq, Serialize)]
pub struct RuleState {
    operation: &'static str,
    error: Option<&'static str>,
    latency_ms: u64,
    calls_left: Option<u64>,
    probability: Option<f64>,
}

impl Injector {
    /// Adds a rule behind the others; the error says what is wrong with it.
    pub fn add(&self, text: RuleText) -> Result<(), String> {
        let rule = Rule::parse(text)?;
        let mut rules = self.lock();
        if rules.len() == MAX_RULES {
            return Err(format!("there are {MAX_RULES} rules already"));
        }
        rules.push(rule);
        Ok(())
    }

    /// Removes every rule.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Every rule.
    pub fn list(&self) -> Vec<RuleState> {
        self.lock().iter().map(Rule::state).collect()
    }

    /// What becomes of a call: what the first rule does that is for it and strikes. A rule for the next calls counts those that it
    /// strikes, and is gone after the last.
    pub fn strike(&self, operation: Operation) -> Effect {
        let mut rules = self.lock();
        let Some(place) = rules.iter_mut().position(|rule| rule.strikes(operation)) else { return Effect::default() };
        let rule = &mut rules[place];
        let effect = Effect { latency: rule.latency, error: rule.error };
        if let Some(left) = &mut rule.calls_left {
            *left -= 1;
            if *left == 0 {
                rules.remove(place);
            }
        }
        effect
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rule {
    fn parse(text: RuleText) -> Result<Self, String> {
        let operation = match text.operation.as_str() {
            "*" => None,
            name => Some(name.parse().map_err(|_| format!("no operation is called {name:?}; \"*\" is for all"))?),
        };
        let latency_ms = text.latency_ms.unwrap_or(0);
        if text.error.is_none() && latency_ms == 0 {
            return Err("a rule needs an error or a latency_ms".to_owned());
        }
        if latency_ms > LONGEST_LATENCY_MS {
            return Err(format!("latency_ms is at most {LONGEST_LATENCY_MS}"));
        }
        if text.calls == Some(0) {
            return Err("calls is at least 1".to_owned());
        }
        if text.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err("probability is between 0 and 1".to_owned());
        }
        let rng = text.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        Ok(Self {
            operation,
            error: text.error.as_deref().map(InjectedError::named).transpose()?,
            latency: Duration::from_millis(latency_ms),
            calls_left: text.calls,
            chance: text.probability.map(|probability| (probability, rng)),
        })
    }

    fn strikes(&mut self, operation: Operation) -> bool {
        self.operation.is_none_or(|own| own == operation)
            && self.chance.as_mut().is_none_or(|(probability, rng)| rng.f64() < *probability)
    }

    fn state(&self) -> RuleState {
        RuleState {
            operation: self.operation.map_or("*", Operation::name),
            error: self.error.map(InjectedError::code),
            latency_ms: self.latency.as_millis() as u64,
            calls_left: self.calls_left,
            probability: self.chance.as_ref().map(|(probability, _)| *probability),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injector(rules: &[&str]) -> Injector {
        let injector = Injector::default();
        for rule in rules {
            injector.add(serde_json::from_str(rule).unwrap()).unwrap();
        }
        injector
    }

    fn codes(injector: &Injector, operation: Operation, calls: usize) -> Vec<Option<&'static str>> {
        (0..calls).map(|_| injector.strike(operation).error.map(InjectedError::code)).collect()
    }

    #[test]
    fn a_rule_is_for_its_operation_and_its_calls() {
        let injector = injector(&[
            r#"{"operation":"ListFaces","error":"ThrottlingException","calls":2}"#,
            r#"{"operation":"*","latency_ms":5}"#,
        ]);
        assert_eq!(codes(&injector, Operation::IndexFaces, 1), [None]);
        assert_eq!(injector.strike(Operation::IndexFaces).latency, Duration::from_millis(5));
        let throttled = Some("ThrottlingException");
        assert_eq!(codes(&injector, Operation::ListFaces, 3), [throttled, throttled, None]);
        assert_eq!(injector.list().len(), 1);
        injector.clear();
        assert_eq!(injector.strike(Operation::IndexFaces), Effect::default());
    }

    #[test]
    fn a_seed_gives_the_same_strikes_again() {
        let rule = r#"{"operation":"*","error":"InternalServerError","probability":0.5,"seed":7}"#;
        let (first, second) = (injector(&[rule]), injector(&[rule]));
        let strikes = codes(&first, Operation::ListFaces, 200);
        assert_eq!(strikes, codes(&second, Operation::ListFaces, 200));
        let struck = strikes.iter().flatten().count();
        assert!((60..140).contains(&struck), "{struck}");
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused() {
        for bad in [
            r#"{"operation":"*"}"#,
            r#"{"operation":"ListFace","latency_ms":1}"#,
            r#"{"operation":"*","error":"Oops"}"#,
            r#"{"operation":"*","latency_ms":1,"calls":0}"#,
            r#"{"operation":"*","latency_ms":1,"probability":2}"#,
            r#"{"operation":"*","latency_ms":600001}"#,
        ] {
            assert!(Injector::default().add(serde_json::from_str(bad).unwrap()).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<RuleText>(r#"{"operation":"*","latencyms":1}"#).is_err());
    }
}
