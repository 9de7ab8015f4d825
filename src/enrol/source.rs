//! Where photos come from.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::domain::{BucketName, ObjectName, S3Object};

/// How the address of an object in S3 begins.
const SCHEME: &str = "s3://";

/// Where photos come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A folder, or a file with one photo a line: which of the two, the disk tells.
    Path(PathBuf),
    /// The objects of a bucket whose keys begin with a prefix.
    Bucket {
        /// The bucket.
        bucket: BucketName,
        /// A folder of it, without a slash at either end; empty for the whole bucket.
        prefix: String,
    },
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(SCHEME) {
            None if text.is_empty() => Err("a folder, a file or s3://bucket/prefix".to_owned()),
            None => Ok(Self::Path(Path::new(text).to_owned())),
            Some(rest) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                let bucket = BucketName::try_from(bucket.to_owned()).map_err(|_| {
                    "a bucket's name has 3 to 255 letters, digits, dots, hyphens and underscores".to_owned()
                })?;
                Ok(Self::Bucket { bucket, prefix: prefix.trim_matches('/').to_owned() })
            }
        }
    }
}

/// The object of an address; `None` where the text is none.
pub fn object_of(text: &str) -> Option<Result<S3Object, String>> {
    let rest = text.strip_prefix(SCHEME)?;
    let wrong = || format!("{text} is no address of an object, such as s3://bucket/people/anna.jpg");
    let object = || {
        let (bucket, key) = rest.split_once('/').ok_or_else(wrong)?;
        let bucket = BucketName::try_from(bucket.to_owned()).map_err(|_| wrong())?;
        let key = ObjectName::try_from(key.to_owned()).map_err(|_| wrong())?;
        Ok(S3Object { bucket, key, version: None })
    };
    Some(object())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_path_or_a_part_of_a_bucket() {
        let bucket = |name: &str, prefix: &str| {
            let bucket = BucketName::try_from(name.to_owned()).unwrap();
            Source::Bucket { bucket, prefix: prefix.to_owned() }
        };
        assert_eq!("photos/people".parse(), Ok(Source::Path("photos/people".into())));
        assert_eq!("s3://photos".parse(), Ok(bucket("photos", "")));
        assert_eq!("s3://photos/".parse(), Ok(bucket("photos", "")));
        assert_eq!("s3://photos/a/b/".parse(), Ok(bucket("photos", "a/b")));
        for bad in ["", "s3://", "s3:///key", "s3://a b/key"] {
            assert!(bad.parse::<Source>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_names_an_object() {
        let object = object_of("s3://photos/a/b c.jpg").unwrap().unwrap();
        assert_eq!((object.bucket.as_str(), object.key.as_str()), ("photos", "a/b c.jpg"));
        assert!(object_of("photos/a.jpg").is_none());
        for bad in ["s3://photos", "s3://photos/", "s3:///a.jpg", "s3://x/a.jpg"] {
            assert!(object_of(bad).unwrap().is_err(), "{bad}");
        }
    }
}
