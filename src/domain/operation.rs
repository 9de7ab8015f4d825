//! The operations by name.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::absent::ABSENT;

/// An operation of the face-collection API, or one of ours beside it.
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
    DescribeUser,
    EraseFaces,
    GroupFaces,
    SearchAllFacesByImage,
}

impl Operation {
    /// Whether it changes what is stored.
    pub fn is_change(self) -> bool {
        use Operation::*;
        match self {
            AssociateFaces | CreateCollection | CreateUser | DeleteCollection | DeleteFaces | DeleteUser
            | DisassociateFaces | IndexFaces | TagResource | UntagResource | EraseFaces => true,
            CompareFaces
            | DescribeCollection
            | DetectFaces
            | ListCollections
            | ListFaces
            | ListTagsForResource
            | ListUsers
            | SearchFaces
            | SearchFacesByImage
            | SearchUsers
            | SearchUsersByImage
            | DescribeUser
            | GroupFaces
            | SearchAllFacesByImage => false,
        }
    }

    /// Whether it is ours, and the service has none of this name.
    pub fn is_extension(self) -> bool {
        matches!(self, Self::DescribeUser | Self::EraseFaces | Self::GroupFaces | Self::SearchAllFacesByImage)
    }

    /// Whether it looks for somebody among those who are stored.
    pub fn is_search(self) -> bool {
        use Operation::*;
        matches!(
            self,
            SearchFaces | SearchFacesByImage | SearchUsers | SearchUsersByImage | SearchAllFacesByImage | GroupFaces
        )
    }

    /// Every operation.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name on the wire, in policies and in settings.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// This server has no operation of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownOperation {
    /// The service has: of this name.
    #[error("this server does not have the operation {0}")]
    Absent(&'static str),
    /// Nor has the service.
    #[error("no operation has this name")]
    Unknown,
}

impl UnknownOperation {
    /// What it is counted as. A name that nobody has would be a series of its own, for each that comes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Absent(name) => name,
            Self::Unknown => "unknown",
        }
    }
}

fn unknown(name: &str) -> UnknownOperation {
    ABSENT
        .iter()
        .find(|absent| **absent == name)
        .map_or(UnknownOperation::Unknown, |absent| UnknownOperation::Absent(absent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_of_an_operation_here_or_only_in_the_cloud_or_of_none() {
        assert_eq!("IndexFaces".parse(), Ok(Operation::IndexFaces));
        assert_eq!("DetectLabels".parse::<Operation>(), Err(UnknownOperation::Absent("DetectLabels")));
        for nobodys in ["", "detectlabels", "DetectLabelz"] {
            assert_eq!(nobodys.parse::<Operation>(), Err(UnknownOperation::Unknown), "{nobodys}");
        }
        assert!(ABSENT.iter().all(|absent| Operation::ALL.iter().all(|ours| ours.name() != *absent)));
    }
}
