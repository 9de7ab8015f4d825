//! Requests and replies of the operations that look at images and keep nothing.

use serde::{Deserialize, Serialize};

use crate::domain::{self, AttributeSet, ImageSource, OrientationCorrection, Percent, QualityFilter};
use crate::operations;
use crate::wire::validation::{Checks, Violations};

use super::common::{Input, Subject, threshold};
use super::face_detail::{BoundingBox, FaceDetail};
use super::images::{Image, image};
use super::names::{attributes, quality_filter};
use super::values::{Float, Object, Threshold};

/// DetectFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetectFacesRequest {
    image: Option<Object<Image>>,
    attributes: Option<Vec<String>>,
}

impl Input for DetectFacesRequest {
    type Command = (Option<ImageSource>, AttributeSet);

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let image = image(&mut checks, "image", self.image);
        let attributes = attributes(&mut checks, "attributes", self.attributes);
        Ok((checks.finish(image)?, attributes))
    }

    fn subject(_: &Self::Command) -> Subject<'_> {
        Subject::Nothing
    }
}

/// DetectFaces' reply. `OrientationCorrection` as in IndexFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DetectFacesResponse {
    face_details: Vec<FaceDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    orientation_correction: Option<&'static str>,
}

impl From<operations::DetectedFaces> for DetectFacesResponse {
    fn from(result: operations::DetectedFaces) -> Self {
        Self {
            face_details: result.details.into_iter().map(FaceDetail::from).collect(),
            orientation_correction: result.orientation_correction.map(OrientationCorrection::name),
        }
    }
}

/// CompareFaces' request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompareFacesRequest {
    source_image: Option<Object<Image>>,
    target_image: Option<Object<Image>>,
    similarity_threshold: Option<Threshold>,
    quality_filter: Option<String>,
}

impl Input for CompareFacesRequest {
    type Command = operations::CompareFaces;

    fn parse(self) -> Result<Self::Command, Violations> {
        let mut checks = Checks::default();
        let source = image(&mut checks, "sourceImage", self.source_image);
        let target = image(&mut checks, "targetImage", self.target_image);
        let threshold = threshold(&mut checks, "similarityThreshold", self.similarity_threshold);
        let quality_filter = quality_filter(&mut checks, self.quality_filter).unwrap_or(QualityFilter::None);
        let (source, target) = checks.finish(source.zip(target))?;
        Ok(operations::CompareFaces { source, target, threshold, quality_filter })
    }

    fn subject(_: &Self::Command) -> Subject<'_> {
        Subject::Nothing
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ComparedSourceImageFace {
    bounding_box: BoundingBox,
    confidence: Float,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CompareFacesMatch {
    similarity: Float,
    face: FaceDetail,
}

/// CompareFaces' reply. A compared face has the members of the DEFAULT attributes; the two `OrientationCorrection`s are as in
/// IndexFaces.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CompareFacesResponse {
    source_image_face: ComparedSourceImageFace,
    face_matches: Vec<CompareFacesMatch>,
    unmatched_faces: Vec<FaceDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_image_orientation_correction: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_image_orientation_correction: Option<&'static str>,
}

impl From<operations::ComparedFaces> for CompareFacesResponse {
    fn from(result: operations::ComparedFaces) -> Self {
        let found = |(similarity, face): (Percent, domain::FaceDetail)| CompareFacesMatch {
            similarity: similarity.into(),
            face: face.into(),
        };
        Self {
            source_image_face: ComparedSourceImageFace {
                bounding_box: result.source.bounding_box.into(),
                confidence: result.source.confidence.into(),
            },
            face_matches: result.matches.into_iter().map(found).collect(),
            unmatched_faces: result.unmatched.into_iter().map(FaceDetail::from).collect(),
            source_image_orientation_correction: result.source_correction.map(OrientationCorrection::name),
            target_image_orientation_correction: result.target_correction.map(OrientationCorrection::name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::testing::{inline, parse, violations};
    use super::*;
    use crate::domain::Attribute;

    #[test]
    fn all_wins_over_single_attributes_and_an_empty_list_is_default() {
        let wanted =
            |list: &str| parse::<DetectFacesRequest>(&format!(r#"{{"Image":{{}},"Attributes":{list}}}"#)).unwrap().1;
        assert_eq!(wanted("[]"), AttributeSet::DEFAULT);
        assert_eq!(wanted("null"), AttributeSet::DEFAULT);
        assert_eq!(wanted(r#"["DEFAULT"]"#), AttributeSet::DEFAULT);
        assert_eq!(wanted(r#"["SMILE","DEFAULT"]"#), AttributeSet::of(Attribute::Smile));
        assert_eq!(wanted(r#"["DEFAULT","ALL","BEARD"]"#), AttributeSet::ALL);
    }

    #[test]
    fn an_image_is_given_once_in_one_of_two_ways() {
        let image = |json: &str| Ok(parse::<DetectFacesRequest>(&format!(r#"{{"Image":{json}}}"#))?.0);
        let object = r#""S3Object":{"Bucket":"photos","Name":"a/b c.jpg","Version":"v1"}"#;
        let Some(ImageSource::S3(found)) = image(&format!("{{{object}}}")).unwrap() else { panic!() };
        assert_eq!((found.arn().as_str(), found.action()), ("arn:aws:s3:::photos/a/b c.jpg", "s3:GetObjectVersion"));
        for json in [
            "{}".to_owned(),
            format!(r#"{{"Bytes":"aGk=",{object}}}"#),
            r#"{"S3Object":{"Bucket":"photos"}}"#.to_owned(),
            r#"{"S3Object":{}}"#.to_owned(),
        ] {
            assert_eq!(image(&json).unwrap(), None, "{json}");
        }
        let broken = violations(image(r#"{"S3Object":{"Bucket":"a/","Name":"","Version":""}}"#));
        let paths = broken.iter().map(|text| text.split('\'').nth(3).unwrap()).collect::<Vec<_>>();
        assert_eq!(
            paths,
            ["image.s3Object.bucket", "image.s3Object.bucket", "image.s3Object.name", "image.s3Object.version"]
        );
    }

    #[test]
    fn blobs_are_base64_with_or_without_escapes() {
        let (image, _) = parse::<DetectFacesRequest>(r#"{"Image":{"Bytes":"\/\/\/\/"}}"#).unwrap();
        assert_eq!(image, inline(&[255, 255, 255]));
        for bad in [r#"{"Image":{"Bytes":"@@@"}}"#, r#"{"Image":{"Bytes":7}}"#, r#"{"Image":{"Bytes":"aGk"}}"#] {
            assert!(serde_json::from_str::<DetectFacesRequest>(bad).is_err(), "{bad}");
        }
    }
}
