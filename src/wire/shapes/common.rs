//! What every family of requests needs: the trait of a request, what it is about, and members that several of them have.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::audit::Touched;
use crate::domain::limits::{DEFAULT_THRESHOLD, MAX_ITEMS};
use crate::domain::{AccountId, CollectionId, Constraint, Operation, Percent};
use crate::operations;
use crate::wire::validation::{Checks, Violations, whole_number};

use super::values::Threshold;

/// A request body.
pub trait Input: DeserializeOwned {
    /// What the operation takes.
    type Command;

    /// Checks every member.
    fn parse(self) -> Result<Self::Command, Violations>;

    /// What the command is about.
    fn subject(command: &Self::Command) -> Subject<'_>;

    /// The faces and users that the request names.
    fn names(_: &Self::Command) -> Touched {
        Touched::default()
    }

    /// The operations that its sender needs the right to, and on what: `operation` itself, as a rule.
    fn needs(operation: Operation, command: &Self::Command) -> Vec<(Operation, Subject<'_>)> {
        vec![(operation, Self::subject(command))]
    }
}

/// What a request is about, as policies see it.
pub enum Subject<'a> {
    /// No resource, or every one.
    Nothing,
    /// A collection.
    Collection(&'a CollectionId),
    /// Whatever this ARN names, with or without the `arn:` that CreateCollection leaves out.
    Arn(&'a str),
}

impl Subject<'_> {
    /// The name of the collection, if it is one, of whatever region and account.
    pub fn collection(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Collection(id) => Some(id.as_str()),
            Self::Arn(arn) => arn.split_once(":collection/").map(|(_, id)| id),
        }
    }

    /// The ARN of the resource; `*` for none.
    pub fn resource(&self, service: &operations::Service, account: &AccountId) -> String {
        match self {
            Self::Nothing => "*".to_owned(),
            Self::Collection(id) => service.collection_arn(account, id),
            Self::Arn(arn) if arn.starts_with("arn:") => (*arn).to_owned(),
            Self::Arn(arn) => format!("arn:{arn}"),
        }
    }
}

/// The collection that a request is about.
pub fn collection_id(checks: &mut Checks, id: Option<String>) -> Option<CollectionId> {
    checks.required("collectionId", id, CollectionId::try_from)
}

/// A page of as many items as a caller likes.
pub fn page(checks: &mut Checks, max_results: Option<i32>, next_token: Option<String>) -> operations::PageRequest {
    page_of(checks, max_results, next_token, (0, MAX_ITEMS as i32))
}

/// A page of between `sizes` items.
pub fn page_of(
    checks: &mut Checks,
    max_results: Option<i32>,
    next_token: Option<String>,
    sizes: (i32, i32),
) -> operations::PageRequest {
    operations::PageRequest {
        max_results: checks.optional("maxResults", max_results, whole_number(sizes.0, sizes.1)),
        next_token: checks.optional("nextToken", next_token, |token| {
            if token.chars().count() > 255 { Err(vec![Constraint::MaxLength(255)]) } else { Ok(token) }
        }),
    }
}

/// The threshold of a search.
pub fn threshold(checks: &mut Checks, path: &str, threshold: Option<Threshold>) -> Percent {
    threshold_or(checks, path, threshold, DEFAULT_THRESHOLD)
}

/// A threshold that has a default of its own.
pub fn threshold_or(checks: &mut Checks, path: &str, threshold: Option<Threshold>, default: f32) -> Percent {
    checks.optional(path, threshold, |Threshold(value)| Percent::try_from(value)).unwrap_or(Percent::clamped(default))
}

/// The reply of an operation that has nothing to say: `{}`.
#[derive(Serialize)]
pub struct EmptyResponse {}

impl From<()> for EmptyResponse {
    fn from((): ()) -> Self {
        Self {}
    }
}

/// What the tests of the families share.
#[cfg(test)]
pub mod testing {
    use bytes::Bytes;

    use super::*;
    use crate::domain::ImageSource;

    pub fn parse<I: Input>(json: &str) -> Result<I::Command, Violations> {
        serde_json::from_str::<I>(json).unwrap().parse()
    }

    pub fn violations<T>(result: Result<T, Violations>) -> Vec<String> {
        let Err(Violations(list)) = result else { panic!("no violation") };
        list.iter().map(ToString::to_string).collect()
    }

    pub fn inline(bytes: &[u8]) -> Option<ImageSource> {
        Some(ImageSource::Bytes(Bytes::copy_from_slice(bytes)))
    }
}
