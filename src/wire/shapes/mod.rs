//! Requests and replies as the service model spells them, a family of operations a file, each request beside its reply.
//!
//! A request's members are all optional and loosely typed here; [`Input::parse`] turns them into an operation's command or into
//! every violation at once. A reply's numbers are 32-bit values printed as the doubles they widen to, as the service prints them.

mod all_faces;
mod collections;
mod common;
mod detection;
mod erasure;
mod face_detail;
mod faces;
mod images;
mod names;
mod people;
mod search;
mod tags;
mod users;
mod values;

pub use all_faces::{SearchAllFacesByImageRequest, SearchAllFacesByImageResponse};
pub use collections::{
    CollectionRequest, CreateCollectionRequest, CreateCollectionResponse, DeleteCollectionResponse,
    DescribeCollectionResponse, ListCollectionsRequest, ListCollectionsResponse,
};
pub use common::{EmptyResponse, Input};
pub use detection::{CompareFacesRequest, CompareFacesResponse, DetectFacesRequest, DetectFacesResponse};
pub use erasure::{EraseFacesRequest, EraseFacesResponse};
pub use faces::{
    DeleteFacesRequest, DeleteFacesResponse, IndexFacesRequest, IndexFacesResponse, ListFacesRequest, ListFacesResponse,
};
pub use people::{DescribeUserRequest, DescribeUserResponse, GroupFacesRequest, GroupFacesResponse};
pub use search::{SearchFacesByImageRequest, SearchFacesByImageResponse, SearchFacesRequest, SearchFacesResponse};
pub use tags::{ListTagsForResourceRequest, ListTagsForResourceResponse, TagResourceRequest, UntagResourceRequest};
pub use users::{
    AssociateFacesRequest, AssociateFacesResponse, DisassociateFacesRequest, DisassociateFacesResponse,
    ListUsersRequest, ListUsersResponse, SearchUsersByImageRequest, SearchUsersByImageResponse, SearchUsersRequest,
    SearchUsersResponse, UserRequest,
};
pub use values::{Blob, Object};
