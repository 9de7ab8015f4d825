//! The operations by name.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// An operation of the face-collection API.
#[allow(missing_docs)]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Display, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(parse_err_fn = unknown, parse_err_ty = UnknownOperation)]
pub enum Operation {
    AssociateFaces,
    CompareFaces,
    CreateCollection,
    CreateUser,
    DeleteCollection,
    DeleteFaces,
    DeleteUser,
    DescribeCollection,
    DetectFaces,
    DisassociateFaces,
    IndexFaces,
    ListCollections,
    ListFaces,
    ListTagsForResource,
    ListUsers,
    SearchFaces,
    SearchFacesByImage,
    SearchUsers,
    SearchUsersByImage,
    TagResource,
    UntagResource,
}

impl Operation {
    /// Whether it changes what is stored.
    pub fn is_change(self) -> bool {
        use Operation::*;
        match self {
            AssociateFaces | CreateCollection | CreateUser | DeleteCollection | DeleteFaces | DeleteUser
            | DisassociateFaces | IndexFaces | TagResource | UntagResource => true,
            CompareFaces | DescribeCollection | DetectFaces | ListCollections | ListFaces | ListTagsForResource
            | ListUsers | SearchFaces | SearchFacesByImage | SearchUsers | SearchUsersByImage => false,
        }
    }

    /// Whether it looks for somebody among those who are stored.
    pub fn is_search(self) -> bool {
        use Operation::*;
        matches!(self, SearchFaces | SearchFacesByImage | SearchUsers | SearchUsersByImage)
    }

    /// Every operation.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the wire, in policies and in settings.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// No operation has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no operation has this name")]
pub struct UnknownOperation;

fn unknown(_: &str) -> UnknownOperation {
    UnknownOperation
}
