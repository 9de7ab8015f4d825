//! Requests and replies of the operations on tags.

use std::collections::BTreeMap;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::limits::MAX_TAGS;
use crate::domain::{Constraint, TagKey, TagValue, Tags};
use crate::wire::validation::{Checks, Violations, rules};

use super::common::{Input, Subject};

/// A map of tags. A key that is there twice is refused: no two readers agree on which one counts.
#[derive(Default)]
pub struct TagMap(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for TagMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = TagMap;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<TagMap, A::Error> {
                let mut tags = BTreeMap::new();
                while let Some((key, value)) = entries.next_entry()? {
                    if tags.insert(key, value).is_some() {
                        return Err(serde::de::Error::custom("duplicate key"));
                    }
                }
                Ok(TagMap(tags))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

pub fn tags(checks: &mut Checks, TagMap(tags): TagMap) -> Option<Tags> {
    let shown = tags.iter().take(MAX_TAGS).map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let shown = format!("{{{}}}", shown.join(", "));
    if tags.len() > MAX_TAGS {
        checks.report("tags", Some(shown), &Constraint::MaxLength(MAX_TAGS));
        return None;
    }
    let (keys, values): (Vec<String>, Vec<String>) = tags.into_iter().unzip();
    let keys: Result<Vec<TagKey>, _> = keys.into_iter().map(TagKey::try_from).collect();
    let values: Result<Vec<TagValue>, _> = values.into_iter().map(TagValue::try_from).collect();
    if keys.is_err() {
        checks.report(
            "tags",
            Some(shown.clone()),
            &format!("Map keys must satisfy constraint: [{}]", rules(TagKey::RULES)),
        );
    }
    if values.is_err() {
        checks.report("tags", Some(shown), &format!("Map value must satisfy constraint: [{}]", rules(TagValue::RULES)));
    }
    Some(keys.ok()?.into_iter().zip(values.ok()?).collect())
}

fn resource_arn(checks: &mut Checks, arn: Option<String>) -> Option<String> {
    checks.required("resourceArn", arn, |arn| match arn.chars().count() {
        0..20 => Err(vec![Constraint::MinLength(20)]),
        20..=2048 => Ok(arn),
        _ => Err(vec![Constraint::MaxLength(2048)]),
    })
}

/// TagResource's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagResourceRequest {
    resource_arn: Option<String>,
    tags: Option<TagMap>,
}

impl Input for TagResourceRequest {
    type Command = (String, Tags);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let arn = resource_arn(&mut checks, self.resource_arn);
        if self.tags.is_none() {
            checks.report("tags", None, &Constraint::NotNull);
        }
        let tags = self.tags.and_then(|members| tags(&mut checks, members));
        checks.finish(arn.zip(tags))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Arn(&command.0)
    }
}

/// UntagResource's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UntagResourceRequest {
    resource_arn: Option<String>,
    tag_keys: Option<Vec<String>>,
}

impl Input for UntagResourceRequest {
    type Command = (String, Vec<TagKey>);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let arn = resource_arn(&mut checks, self.resource_arn);
        let keys = checks.required_list("tagKeys", self.tag_keys, (0, MAX_TAGS), TagKey::RULES, TagKey::try_from);
        checks.finish(arn.zip(keys))
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Arn(&command.0)
    }
}

/// ListTagsForResource's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceRequest {
    resource_arn: Option<String>,
}

impl Input for ListTagsForResourceRequest {
    type Command = String;

    fn parse(self) -> Result<String, Violations> {
        let mut checks = Checks::default();
        let arn = resource_arn(&mut checks, self.resource_arn);
        checks.finish(arn)
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Arn(command)
    }
}

/// ListTagsForResource's reply.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ListTagsForResourceResponse {
    tags: BTreeMap<String, String>,
}

impl From<Tags> for ListTagsForResourceResponse {
    fn from(tags: Tags) -> Self {
        let text = |(key, value): (TagKey, TagValue)| (key.as_str().to_owned(), value.as_str().to_owned());
        Self { tags: tags.into_iter().map(text).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::collections::CreateCollectionRequest;
    use super::super::common::testing::{parse, violations};
    use super::*;

    #[test]
    fn tags_are_a_map_whose_keys_and_values_are_checked() {
        let (_, tags) = parse::<CreateCollectionRequest>(r#"{"CollectionId":"c","Tags":{"b":"","a":"x y"}}"#).unwrap();
        assert_eq!(tags.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect::<Vec<_>>(), [("a", "x y"), ("b", "")]);
        let broken = violations(parse::<TagResourceRequest>(r#"{"ResourceArn":"short","Tags":{"aws:a":"b"}}"#));
        assert_eq!(
            broken,
            [
                "Value 'short' at 'resourceArn' failed to satisfy constraint: Member must have length greater than or equal to 20",
                r"Value '{aws:a=b}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: ^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$]",
            ]
        );
    }
}
