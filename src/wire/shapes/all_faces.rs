//! SearchAllFacesByImage, which is ours, in the shapes of the service's own searches.

use serde::{Deserialize, Serialize};

use crate::domain::limits::DEFAULT_THRESHOLD;
use crate::domain::{OrientationCorrection, QualityFilter};
use crate::operations;
use crate::wire::validation::{Checks, Violations};

use super::common::{Input, Subject, collection_id, threshold_or};
use super::face_detail::FaceDetail;
use super::images::{Image, image};
use super::names::quality_filter;
use super::search::{FaceMatch, face_matches, max_matches};
use super::users::{UnsearchedFace, UserMatch, max_users, unsearched_faces, user_matches};
use super::values::{Object, Threshold};

/// SearchAllFacesByImage's request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchAllFacesByImageRequest {
    collection_id: Option<String>,
    image: Option<Object<Image>>,
    max_faces: Option<i32>,
    face_match_threshold: Option<Threshold>,
    max_users: Option<i32>,
    user_match_threshold: Option<Threshold>,
    quality_filter: Option<String>,
}

impl Input for SearchAllFacesByImageRequest {
    type Command = operations::SearchAllFacesByImage;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let collection_id = collection_id(&mut checks, self.collection_id);
        let image = image(&mut checks, "image", self.image);
        let max_faces = max_matches(&mut checks, self.max_faces);
        let mut threshold = |path, given| threshold_or(&mut checks, path, given, DEFAULT_THRESHOLD);
        let face_threshold = threshold("faceMatchThreshold", self.face_match_threshold);
        let user_threshold = threshold("userMatchThreshold", self.user_match_threshold);
        let max_users = max_users(&mut checks, self.max_users);
        let quality_filter = quality_filter(&mut checks, self.quality_filter).unwrap_or(QualityFilter::None);
        let (collection_id, image) = checks.finish(collection_id.zip(image))?;
        Ok(operations::SearchAllFacesByImage {
            collection_id,
            image,
            max_faces,
            face_threshold,
            max_users,
            user_threshold,
            quality_filter,
        })
    }

    fn subject(command: &Self::Command) -> Subject<'_> {
        Subject::Collection(&command.collection_id)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SearchedFace {
    face_detail: FaceDetail,
    face_matches: Vec<FaceMatch>,
    user_matches: Vec<UserMatch>,
}

/// SearchAllFacesByImage's reply. `OrientationCorrection` as in IndexFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct SearchAllFacesByImageResponse {
    faces: Vec<SearchedFace>,
    unsearched_faces: Vec<UnsearchedFace>,
    face_model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    orientation_correction: Option<&'static str>,
}

impl From<operations::AllFacesSearch> for SearchAllFacesByImageResponse {
    fn from(result: operations::AllFacesSearch) -> Self {
        let version = result.model_version;
        let searched = |face: operations::SearchedFace| SearchedFace {
            face_detail: face.detail.into(),
            face_matches: face_matches(face.faces, &version),
            user_matches: user_matches(face.users),
        };
        Self {
            faces: result.faces.into_iter().map(searched).collect(),
            unsearched_faces: unsearched_faces(result.unsearched),
            face_model_version: version.to_string(),
            orientation_correction: result.orientation_correction.map(OrientationCorrection::name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::testing::{parse, violations};
    use super::*;

    #[test]
    fn members_have_the_defaults_and_the_rules_of_the_searches_by_the_largest_face() {
        let parsed = |members: &str| {
            parse::<SearchAllFacesByImageRequest>(&format!(
                r#"{{"CollectionId":"people","Image":{{"Bytes":"aGk="}}{members}}}"#
            ))
        };
        let plain = parsed("").unwrap();
        assert_eq!((plain.max_faces, plain.max_users, plain.quality_filter), (80, 500, QualityFilter::None));
        assert_eq!((plain.face_threshold.get(), plain.user_threshold.get()), (80.0, 80.0));
        let full = parsed(r#","MaxFaces":4096,"FaceMatchThreshold":0,"MaxUsers":1,"UserMatchThreshold":99.5"#).unwrap();
        assert_eq!((full.max_faces, full.max_users), (4096, 1));
        assert_eq!((full.face_threshold.get(), full.user_threshold.get()), (0.0, 99.5));
        let broken = violations(parsed(
            r#","MaxFaces":0,"FaceMatchThreshold":101,"MaxUsers":501,"UserMatchThreshold":-1,"QualityFilter":"GOOD""#,
        ));
        let paths = broken.iter().map(|text| text.split('\'').nth(3).unwrap()).collect::<Vec<_>>();
        assert_eq!(paths, ["maxFaces", "faceMatchThreshold", "userMatchThreshold", "maxUsers", "qualityFilter"]);
        assert_eq!(violations(parse::<SearchAllFacesByImageRequest>("{}")).len(), 2);
    }
}
