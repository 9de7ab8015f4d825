//! Who may do what: IAM's JSON policies, as far as Effect, Action and Resource go. What is not understood is refused when a policy is
//! read: a condition that nobody checks would be a hole.
//!
//! Source: "IAM JSON policy elements reference" and "Policy evaluation logic" of the IAM user guide: an explicit Deny beats every Allow,
//! and without an Allow there is no access.

use serde::Deserialize;
use wildmatch::WildMatch;

/// The parts of an ARN: `arn:partition:service:region:account:resource`.
const ARN_PARTS: usize = 6;

/// What the policies of a principal say to an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A statement allows it and none denies it.
    Allowed,
    /// No statement says anything about it.
    NotAllowed,
    /// A statement denies it.
    Denied,
}

/// A policy document.
#[derive(Debug)]
pub struct Policy(Vec<Statement>);

#[derive(Debug)]
struct Statement {
    allows: bool,
    actions: Vec<WildMatch>,
    resources: Vec<ArnPattern>,
}

/// `*`, or an ARN whose parts may hold wildcards; a wildcard reaches no further than its part.
#[derive(Debug)]
enum ArnPattern {
    Every,
    Parts([WildMatch; ARN_PARTS]),
}

impl Policy {
    /// Parses a policy; the error says what is wrong or not supported.
    pub fn parse(json: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if !["2012-10-17", "2008-10-17"].contains(&document.version.as_str()) {
            return Err(format!("Version is {:?} and not \"2012-10-17\"", document.version));
        }
        let statements = document.statement.list().into_iter().map(StatementText::parse).collect::<Result<_, _>>()?;
        Ok(Self(statements))
    }

    /// What these policies together say to an action (`rekognition:IndexFaces`) on a resource (an ARN, or `*` for none).
    pub fn decide<'a>(policies: impl IntoIterator<Item = &'a Self>, action: &str, resource: &str) -> Decision {
        let statements = policies.into_iter().flat_map(|policy| &policy.0);
        statements.filter(|statement| statement.is_about(action, resource)).fold(
            Decision::NotAllowed,
            |decision, statement| match statement.allows {
                false => Decision::Denied,
                true if decision == Decision::NotAllowed => Decision::Allowed,
                true => decision,
            },
        )
    }
}

impl Statement {
    fn is_about(&self, action: &str, resource: &str) -> bool {
        self.actions.iter().any(|pattern| pattern.matches(action))
            && self.resources.iter().any(|pattern| pattern.matches(resource))
    }
}

impl ArnPattern {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Every);
        }
        let no_variable = refuse_variables(text)?;
        let parts: Vec<WildMatch> = no_variable.splitn(ARN_PARTS, ':').map(WildMatch::new).collect();
        let parts = <[WildMatch; ARN_PARTS]>::try_from(parts).ok().filter(|_| text.starts_with("arn:"));
        parts.map(Self::Parts).ok_or_else(|| format!("Resource {text:?} is neither \"*\" nor an ARN of six parts"))
    }

    fn matches(&self, resource: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Parts(patterns) => {
                let parts: Vec<&str> = resource.splitn(ARN_PARTS, ':').collect();
                parts.len() == ARN_PARTS && patterns.iter().zip(parts).all(|(pattern, part)| pattern.matches(part))
            }
        }
    }
}

/// Actions are the same in upper and lower case.
fn action_of(text: &str) -> Result<WildMatch, String> {
    let vendor_and_name = refuse_variables(text)?.split_once(':').is_some_and(|(vendor, name)| {
        let valid = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || b"*?-".contains(&b));
        !vendor.is_empty() && !name.is_empty() && valid(vendor) && valid(name)
    });
    if text == "*" || vendor_and_name {
        Ok(WildMatch::new_case_insensitive(text))
    } else {
        Err(format!("Action {text:?} is neither \"*\" nor of the form service:Action"))
    }
}

fn refuse_variables(text: &str) -> Result<&str, String> {
    if text.contains("${") { Err(format!("policy variables are not supported: {text:?}")) } else { Ok(text) }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: String,
    #[serde(rename = "Id")]
    _id: Option<String>,
    statement: OneOrMany<StatementText>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatementText {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    action: OneOrMany<String>,
    resource: OneOrMany<String>,
}

#[derive(Deserialize, PartialEq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a value or a list of values with Effect, Action and Resource (nothing else is supported)"
)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn list(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl StatementText {
    fn parse(self) -> Result<Statement, String> {
        let actions = self.action.list().iter().map(|text| action_of(text)).collect::<Result<Vec<_>, _>>()?;
        let resources =
            self.resource.list().iter().map(|text| ArnPattern::parse(text)).collect::<Result<Vec<_>, _>>()?;
        if actions.is_empty() || resources.is_empty() {
            return Err("a statement needs an Action and a Resource".to_owned());
        }
        Ok(Statement { allows: self.effect == Effect::Allow, actions, resources })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEOPLE: &str = "arn:aws:rekognition:us-east-1:111122223333:collection/people";

    fn decide(policies: &[&str], action: &str, resource: &str) -> Decision {
        let policies: Vec<Policy> = policies.iter().map(|json| Policy::parse(json).unwrap()).collect();
        Policy::decide(&policies, action, resource)
    }

    fn statement(effect: &str, action: &str, resource: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}}}"#
        )
    }

    #[test]
    fn an_action_needs_an_allow_and_no_deny() {
        let all = statement("Allow", "rekognition:*", "*");
        let no_delete = statement("Deny", "rekognition:Delete*", "*");
        assert_eq!(decide(&[&all], "rekognition:IndexFaces", PEOPLE), Decision::Allowed);
        assert_eq!(decide(&[&all], "s3:GetObject", "arn:aws:s3:::b/k"), Decision::NotAllowed);
        assert_eq!(decide(&[&all, &no_delete], "rekognition:DeleteFaces", PEOPLE), Decision::Denied);
        assert_eq!(decide(&[&no_delete, &all], "rekognition:DeleteFaces", PEOPLE), Decision::Denied);
        assert_eq!(decide(&[], "rekognition:IndexFaces", PEOPLE), Decision::NotAllowed);
    }

    #[test]
    fn wildcards_stay_in_their_part_of_an_arn() {
        let on = |resource: &str, asked: &str| {
            decide(&[&statement("Allow", "rekognition:SearchF?ces", resource)], "rekognition:searchfaces", asked)
                == Decision::Allowed
        };
        assert!(on("arn:aws:rekognition:*:111122223333:collection/peop*", PEOPLE));
        assert!(on("*", "*"));
        assert!(!on("arn:aws:rekognition:*:111122223333:collection/PEOPLE", PEOPLE));
        assert!(!on("arn:aws:rekognition:*:444455556666:collection/*", PEOPLE));
        // A call without a resource is allowed by no ARN, however wide.
        assert!(!on("arn:*:*:*:*:*", "*"));
        assert!(!on("arn:aws:rekognition:*:*:*", "arn:aws:rekognition:us-east-1:collection/people"));
    }

    #[test]
    fn lists_and_single_values_are_the_same() {
        let json = r#"{"Version":"2012-10-17","Id":"x","Statement":[{"Sid":"a","Effect":"Allow","Action":["rekognition:ListFaces","rekognition:ListUsers"],"Resource":["*"]}]}"#;
        assert_eq!(decide(&[json], "rekognition:ListUsers", PEOPLE), Decision::Allowed);
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        let statement = r#""Effect":"Allow","Action":"*","Resource":"*""#;
        let document = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":{{{statement}}}}}"#);
        assert!(Policy::parse(&document(statement)).is_ok());
        for bad in [
            document(&format!(r#"{statement},"Condition":{{}}"#)),
            document(&format!(r#"{statement},"Principal":"*""#)),
            document(r#""Effect":"Allow","NotAction":"*","Resource":"*""#),
            document(r#""Effect":"Allow","Action":"*","NotResource":"*""#),
            document(r#""Effect":"Maybe","Action":"*","Resource":"*""#),
            document(r#""Effect":"Allow","Action":"IndexFaces","Resource":"*""#),
            document(r#""Effect":"Allow","Action":[],"Resource":"*""#),
            document(r#""Effect":"Allow","Action":"*","Resource":"collection/people""#),
            document(r#""Effect":"Allow","Action":"*","Resource":"arn:aws:rekognition:*""#),
            document(
                r#""Effect":"Allow","Action":"*","Resource":"arn:aws:rekognition:*:*:collection/${aws:username}""#,
            ),
            format!(r#"{{"Statement":{{{statement}}}}}"#),
            format!(r#"{{"Version":"2030-01-01","Statement":{{{statement}}}}}"#),
            format!(r#"{{"Version":"2012-10-17","Statement":{{{statement},{statement}}}}}"#),
            "[]".to_owned(),
        ] {
            assert!(Policy::parse(&bad).is_err(), "{bad}");
        }
    }
}
