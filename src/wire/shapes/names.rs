//! Names on the wire of what callers choose from.

use std::ops::BitOr;

use crate::domain::{Attribute, AttributeSet, Constraint, QualityFilter};
use crate::wire::validation::{Checks, one_of};

const DEFAULT: &str = "DEFAULT";
const ALL: &str = "ALL";

/// What can be asked for about a face: two sets, and then each attribute.
const ATTRIBUTES: [&str; 2 + Attribute::NAMES.len()] = {
    let mut names = [DEFAULT; 2 + Attribute::NAMES.len()];
    names[1] = ALL;
    let (_, single) = names.split_at_mut(2);
    single.copy_from_slice(Attribute::NAMES);
    names
};

/// Which faces are good enough.
pub fn quality_filter(checks: &mut Checks, filter: Option<String>) -> Option<QualityFilter> {
    checks.optional("qualityFilter", filter, one_of)
}

/// What is asked for beside DEFAULT. ALL wins over whatever stands next to it, and an empty list is DEFAULT.
pub fn attributes(checks: &mut Checks, path: &str, attributes: Option<Vec<String>>) -> AttributeSet {
    let wanted = checks.list(path, attributes, (0, usize::MAX), &[Constraint::OneOf(&ATTRIBUTES)], set_named);
    wanted.unwrap_or_default().into_iter().fold(AttributeSet::DEFAULT, AttributeSet::bitor)
}

fn set_named(name: String) -> Result<AttributeSet, Vec<Constraint>> {
    match name.as_str() {
        DEFAULT => Ok(AttributeSet::DEFAULT),
        ALL => Ok(AttributeSet::ALL),
        name => name.parse().map(AttributeSet::of).map_err(|_| vec![Constraint::OneOf(&ATTRIBUTES)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_beside_its_attribute() {
        for name in &ATTRIBUTES[2..] {
            let set = set_named((*name).to_owned()).unwrap();
            let named = Attribute::EACH.iter().filter(|attribute| set.has(**attribute)).map(|a| format!("{a:?}"));
            assert_eq!(named.collect::<Vec<_>>().join(" ").to_lowercase(), name.replace('_', "").to_lowercase());
        }
    }
}
