//! Members of a request, checked one by one; every violation of a request is reported at once.

use std::fmt;
use std::str::FromStr;

use strum::VariantNames;

use crate::domain::Constraint;

/// Of a value that breaks a rule so many bytes are sent back: the longest legal value, an ARN, has 2048.
const LONGEST_VALUE: usize = 2048;

/// A member that breaks a rule.
#[derive(Debug)]
pub struct Violation {
    /// Where the member is: lowerCamel names joined by dots.
    pub path: String,
    /// The value as the service prints it; absent for null.
    pub value: Option<String>,
    /// The rule, in words.
    pub constraint: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "Value '{value}'")?,
            None => write!(f, "Value null")?,
        }
        write!(f, " at '{}' failed to satisfy constraint: {}", self.path, self.constraint)
    }
}

/// Every member of a request that breaks a rule.
#[derive(Debug)]
pub struct Violations(pub Vec<Violation>);

/// Collects the violations of one request.
#[derive(Default)]
pub struct Checks(Vec<Violation>);

impl Checks {
    /// Parses a member that may be absent.
    pub fn optional<V: Clone + fmt::Display, T>(
        &mut self,
        path: &str,
        member: Option<V>,
        parse: impl FnOnce(V) -> Result<T, Vec<Constraint>>,
    ) -> Option<T> {
        let member = member?;
        let value = member.to_string();
        match parse(member) {
            Ok(parsed) => Some(parsed),
            Err(broken) => {
                broken.iter().for_each(|constraint| self.report(path, Some(value.clone()), constraint));
                None
            }
        }
    }

    /// Parses a member that has to be there.
    pub fn required<V: Clone + fmt::Display, T>(
        &mut self,
        path: &str,
        member: Option<V>,
        parse: impl FnOnce(V) -> Result<T, Vec<Constraint>>,
    ) -> Option<T> {
        if member.is_none() {
            self.report(path, None, &Constraint::NotNull);
        }
        self.optional(path, member, parse)
    }

    /// Parses each item of a list that may be absent; the list has between `lengths` items. An item that breaks one of its `rules` has
    /// all of them reported, as the service does.
    pub fn list<T>(
        &mut self,
        path: &str,
        member: Option<Vec<String>>,
        lengths: (usize, usize),
        rules_of_item: &[Constraint],
        parse: impl Fn(String) -> Result<T, Vec<Constraint>>,
    ) -> Option<Vec<T>> {
        let member = member?;
        // Joined no further than the message goes.
        let shown = member.iter().map(String::as_str).take(LONGEST_VALUE).collect::<Vec<_>>();
        let value = format!("[{}]", shown.join(", "));
        if member.len() < lengths.0 {
            self.report(path, Some(value.clone()), &Constraint::MinLength(lengths.0));
        }
        if member.len() > lengths.1 {
            self.report(path, Some(value.clone()), &Constraint::MaxLength(lengths.1));
        }
        match member.into_iter().map(parse).collect::<Result<Vec<T>, _>>() {
            Ok(items) => Some(items),
            Err(_) => {
                self.report(path, Some(value), &format!("Member must satisfy constraint: [{}]", rules(rules_of_item)));
                None
            }
        }
    }

    /// Parses each item of a list that has to be there.
    pub fn required_list<T>(
        &mut self,
        path: &str,
        member: Option<Vec<String>>,
        lengths: (usize, usize),
        rules_of_item: &[Constraint],
        parse: impl Fn(String) -> Result<T, Vec<Constraint>>,
    ) -> Option<Vec<T>> {
        if member.is_none() {
            self.report(path, None, &Constraint::NotNull);
        }
        self.list(path, member, lengths, rules_of_item, parse)
    }

    /// Reports a broken rule.
    pub fn report(&mut self, path: &str, value: Option<String>, constraint: &impl fmt::Display) {
        let value = value.map(|mut value| {
            value.truncate(value.floor_char_boundary(LONGEST_VALUE));
            value
        });
        let mut constraint = constraint.to_string();
        constraint.truncate(constraint.floor_char_boundary(LONGEST_VALUE));
        self.0.push(Violation { path: path.to_owned(), value, constraint });
    }

    /// The parsed members, or every rule that was broken. `None` stands for a member that was reported.
    pub fn finish<T>(self, parsed: Option<T>) -> Result<T, Violations> {
        match parsed {
            Some(parsed) if self.0.is_empty() => Ok(parsed),
            _ => Err(Violations(self.0)),
        }
    }
}

/// The rules of an item, as they stand in the rule of its list or map.
pub fn rules(of_item: &[Constraint]) -> String {
    of_item.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Parses a whole number between two bounds.
pub fn whole_number(low: i32, high: i32) -> impl Fn(i32) -> Result<u32, Vec<Constraint>> {
    move |number| {
        if number < low {
            Err(vec![Constraint::MinValue(low.into())])
        } else if number > high {
            Err(vec![Constraint::MaxValue(high.into())])
        } else {
            Ok(number.unsigned_abs())
        }
    }
}

/// Parses one of the names of an enum.
pub fn one_of<T: FromStr + VariantNames>(name: String) -> Result<T, Vec<Constraint>> {
    name.parse().map_err(|_| vec![Constraint::OneOf(T::VARIANTS)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_required_member_is_null_and_an_optional_one_is_fine() {
        let mut checks = Checks::default();
        let required = checks.required("maxFaces", None, whole_number(1, 9));
        assert_eq!(checks.optional("maxFaces", None, whole_number(1, 9)), None);
        let Err(Violations(violations)) = checks.finish(required) else { panic!() };
        assert_eq!(
            violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["Value null at 'maxFaces' failed to satisfy constraint: Member must not be null"]
        );
    }

    #[test]
    fn numbers_keep_to_their_bounds() {
        let parse = whole_number(1, i32::MAX);
        assert_eq!(parse(0), Err(vec![Constraint::MinValue(1)]));
        assert_eq!(parse(1), Ok(1));
        assert_eq!(parse(i32::MAX), Ok(2_147_483_647));
        assert_eq!(whole_number(0, 4096)(4097), Err(vec![Constraint::MaxValue(4096)]));
    }

    #[test]
    fn an_item_of_a_list_is_reported_with_the_whole_list() {
        #[derive(strum::EnumString, VariantNames)]
        enum Letter {
            A,
            B,
        }
        let mut checks = Checks::default();
        let parsed = checks.list(
            "attributes",
            Some(vec!["A".into(), "C".into()]),
            (0, 9),
            &[Constraint::OneOf(Letter::VARIANTS)],
            one_of::<Letter>,
        );
        let Err(Violations(violations)) = checks.finish(parsed) else { panic!() };
        assert_eq!(
            violations[0].to_string(),
            "Value '[A, C]' at 'attributes' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [A, B]]"
        );
    }
}
