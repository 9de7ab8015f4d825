//! The operations by name.

use std::fmt;
use std::str::FromStr;

macro_rules! operations {
    ($($name:ident),* $(,)?) => {
        /// An operation of the face-collection API.
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation { $($name),* }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name on the wire, in policies and in settings.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

operations!(
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
);

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
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No operation has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no operation has this name")]
pub struct UnknownOperation;

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, UnknownOperation> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name).ok_or(UnknownOperation)
    }
}
