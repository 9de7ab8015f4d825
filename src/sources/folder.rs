//! A folder that stands in for S3: one sub-folder a bucket, one file an object.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use crate::domain::limits::MAX_OBJECT_BYTES;
use crate::domain::{Fault, S3Object};
use crate::task;

use super::size::check_size;

/// The version that S3 gives the objects of a bucket without versions.
const ONLY_VERSION: &str = "null";

/// The folder. Opened files lie below it by construction: `cap-std` resolves every name and link from the bucket's own handle.
pub struct Folder(Arc<Dir>);

impl Folder {
    /// Opens the folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        Dir::open_ambient_dir(path, ambient_authority()).map(|dir| Self(Arc::new(dir)))
    }

    /// See [`S3::get`](super::S3::get).
    pub async fn get(&self, object: &S3Object) -> Result<Bytes, Fault> {
        let (root, object) = (self.0.clone(), object.clone());
        task::on_a_thread("reading an S3 object from its folder", move || read(&root, &object)).await?
    }
}

fn read(root: &Dir, object: &S3Object) -> Result<Bytes, Fault> {
    if object.version.as_ref().is_some_and(|version| version.as_str() != ONLY_VERSION) {
        return Err(Fault::S3ObjectUnavailable("a folder has no versions".to_owned()));
    }
    // In S3 these are names like others; in a folder they would name another object, or none.
    let key = object.key.as_str();
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Fault::S3ObjectUnavailable("a folder has no such key".to_owned()));
    }
    let unavailable = |error: io::Error| Fault::S3ObjectUnavailable(error.to_string());
    let bucket = root.open_dir(object.bucket.as_str()).map_err(unavailable)?;
    // Asked before it is opened: opening a pipe would wait for its other end.
    let metadata = bucket.metadata(key).map_err(unavailable)?;
    if !metadata.is_file() {
        return Err(Fault::S3ObjectUnavailable("not a file".to_owned()));
    }
    check_size(metadata.len())?;
    let file = bucket.open(key).map_err(unavailable)?;
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    file.take(MAX_OBJECT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Fault::S3ObjectUnreadable(error.to_string()))?;
    // It may have grown since.
    check_size(bytes.len() as u64)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::domain::{BucketName, ObjectName};

    fn object(bucket: &str, key: &str) -> S3Object {
        let text = |text: &str| ObjectName::try_from(text.to_owned()).unwrap();
        S3Object { bucket: BucketName::try_from(bucket.to_owned()).unwrap(), key: text(key), version: None }
    }

    fn dir(path: &Path) -> Dir {
        Dir::open_ambient_dir(path, ambient_authority()).unwrap()
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root/photos/a b")).unwrap();
        fs::create_dir_all(folder.path().join("root/other")).unwrap();
        fs::write(folder.path().join("root/photos/a b/ö%2F.jpg"), "inside").unwrap();
        fs::write(folder.path().join("root/photos/plain"), "inside").unwrap();
        fs::write(folder.path().join("root/other/secret"), "outside").unwrap();
        fs::write(folder.path().join("secret"), "outside").unwrap();
        folder
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let folder = folder();
        let root = dir(&folder.path().join("root"));
        assert_eq!(read(&root, &object("photos", "a b/ö%2F.jpg")).unwrap(), "inside");
        let versioned = |version: &str| S3Object {
            version: Some(ObjectName::try_from(version.to_owned()).unwrap()),
            ..object("photos", "plain")
        };
        assert_eq!(read(&root, &versioned("null")).unwrap(), "inside");
        assert!(read(&root, &versioned("v1")).is_err());
    }

    #[test]
    fn no_key_reads_a_file_outside_its_bucket() {
        let folder = folder();
        let photos = folder.path().join("root/photos");
        symlink("../other/secret", photos.join("link")).unwrap();
        symlink("../other", photos.join("dirlink")).unwrap();
        symlink(folder.path().join("secret"), photos.join("absolute-link")).unwrap();
        symlink("plain", photos.join("inner-link")).unwrap();
        symlink("../../secret", folder.path().join("root/bucketlink")).unwrap();
        symlink(folder.path(), folder.path().join("root/outside-bucket")).unwrap();
        let root = dir(&folder.path().join("root"));
        let absolute = folder.path().join("secret").display().to_string();
        for (bucket, key) in [
            ("photos", "../other/secret"),
            ("photos", "../../secret"),
            ("photos", "a b/../../../secret"),
            ("photos", "./plain"),
            ("photos", "a b//ö%2F.jpg"),
            ("photos", "plain/"),
            ("photos", "..%2Fother%2Fsecret"),
            ("photos", "%2e%2e/other/secret"),
            ("photos", "..\\other\\secret"),
            ("photos", "link"),
            ("photos", "dirlink/secret"),
            ("photos", "absolute-link"),
            ("photos", &absolute),
            ("photos", "plain\0"),
            ("photos", "a b"),
            ("photos", "."),
            ("photos", "none"),
            ("...", "secret"),
            ("none", "secret"),
            ("bucketlink", "secret"),
            ("outside-bucket", "secret"),
        ] {
            let found = read(&root, &object(bucket, key));
            assert!(matches!(found, Err(Fault::S3ObjectUnavailable(_))), "{bucket} {key:?}: {found:?}");
        }
        assert_eq!(read(&root, &object("photos", "inner-link")).unwrap(), "inside");
    }

    #[test]
    fn a_large_object_is_refused_by_its_size() {
        let folder = folder();
        let file = fs::File::create(folder.path().join("root/photos/large")).unwrap();
        let root = dir(&folder.path().join("root"));
        file.set_len(MAX_OBJECT_BYTES).unwrap();
        assert_eq!(read(&root, &object("photos", "large")).unwrap().len() as u64, MAX_OBJECT_BYTES);
        file.set_len(MAX_OBJECT_BYTES + 1).unwrap();
        assert!(matches!(read(&root, &object("photos", "large")), Err(Fault::S3ObjectTooLarge(_))));
    }
}
