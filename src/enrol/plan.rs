//! Which photos are to be enrolled, and as what: known, and checked, before anything is called.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use crate::client::Configuration;

use super::bucket;
use super::errors::EnrolError;
use super::folder;
use super::manifest::{self, Grammar};
use super::names::{Naming, name};
use super::photo::Photo;
use super::source::Source;

/// Which photos.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Where they come from.
    pub source: Source,
    /// What becomes their ExternalImageId, where no manifest says it.
    pub naming: Naming,
    /// Whether several photos may have the same ExternalImageId.
    pub shared_ids: bool,
    /// Whether they belong to users.
    pub users: bool,
}

/// The photos that are to be enrolled.
#[derive(Debug)]
pub struct Plan {
    /// In the order in which they are handed out.
    pub photos: Vec<Photo>,
    /// Files or objects beside them that are no photos by their names.
    pub others: usize,
    /// Photos whose UserId in the manifest goes unused, since users are not asked for.
    pub unused_users: usize,
}

impl Plan {
    /// Finds the photos. Fails with everything that is wrong with them.
    pub async fn of(choice: &Choice, configuration: &Configuration) -> Result<Self, EnrolError> {
        let mut problems = Vec::new();
        let mut shared_ids = choice.shared_ids;
        let (photos, others) = match &choice.source {
            Source::Path(path) if path.is_dir() => {
                let (found, others) = folder::find(path, &mut problems);
                shared_ids |= choice.naming == Naming::Person;
                (name(found, choice.naming, choice.users, &mut problems), others)
            }
            Source::Path(path) => {
                let fail = |source| EnrolError::File { place: path.display().to_string(), source };
                let input = File::open(path).map_err(fail)?;
                let grammar = Grammar::of(path).ok_or_else(|| {
                    let what = "is neither a folder nor a manifest, whose name ends in .csv, .jsonl or .ndjson";
                    EnrolError::Plan(vec![format!("{} {what}", path.display())])
                })?;
                let folder = path.parent().unwrap_or(Path::new(""));
                (manifest::read(grammar, input, folder, &mut problems), 0)
            }
            Source::Bucket { bucket, prefix } => {
                let found = bucket::find(configuration, bucket, prefix, &mut problems).await;
                let place = format!("s3://{}/{prefix}", bucket.as_str());
                let (found, others) = found.map_err(|reason| EnrolError::Bucket { place, reason })?;
                shared_ids |= choice.naming == Naming::Person;
                (name(found, choice.naming, choice.users, &mut problems), others)
            }
        };
        check(&photos, shared_ids, &mut problems);
        if photos.is_empty() && problems.is_empty() {
            problems.push(
                "there is no photo: none of the names ends in .jpg, .jpeg or .png, or the manifest is empty".to_owned(),
            );
        }
        if !problems.is_empty() {
            return Err(EnrolError::Plan(problems));
        }
        let mut plan = Self { photos, others, unused_users: 0 };
        if !choice.users {
            plan.unused_users = plan.photos.iter_mut().filter_map(|photo| photo.user_id.take()).count();
        }
        Ok(plan)
    }
}

/// Tells photos that are there twice, and ids that two photos would share.
fn check(photos: &[Photo], shared_ids: bool, problems: &mut Vec<String>) {
    let (mut names, mut ids) = (HashMap::new(), HashMap::new());
    for photo in photos {
        if names.insert(photo.name.as_str(), ()).is_some() {
            problems.push(format!("{} is there twice", photo.name));
            continue;
        }
        let Some(id) = photo.external_image_id.as_ref().filter(|_| !shared_ids) else { continue };
        if let Some(other) = ids.insert(id.as_str(), photo.name.as_str()) {
            problems.push(format!(
                "{other} and {} would both have the ExternalImageId {id}: change one, or allow it with --shared-ids",
                photo.name
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn plan(choice: Choice) -> Result<Plan, EnrolError> {
        let configuration = Configuration {
            endpoint: "http://127.0.0.1:1".parse().unwrap(),
            region: "us-east-1".to_owned(),
            key: crate::client::Key { id: "id".to_owned(), secret: "secret".into(), token: None },
            s3_endpoint: None,
            ca_bundle: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Plan::of(&choice, &configuration))
    }

    fn choice(path: &Path) -> Choice {
        Choice { source: Source::Path(path.to_owned()), naming: Naming::Path, shared_ids: false, users: false }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in ["anna/1.jpg", "anna/2.PNG", "ben/1.jpg", "ben/notes.txt", "loose.jpeg"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        folder
    }

    fn problems(outcome: Result<Plan, EnrolError>) -> Vec<String> {
        match outcome {
            Err(EnrolError::Plan(problems)) => problems,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_folder_is_read_in_order_and_what_is_no_photo_is_counted() {
        let folder = folder();
        let found = plan(choice(folder.path())).unwrap();
        let ids: Vec<_> = found.photos.iter().map(|photo| photo.external_image_id.as_ref().unwrap().as_str()).collect();
        assert_eq!((ids, found.others), (vec!["anna:1.jpg", "anna:2.PNG", "ben:1.jpg", "loose.jpeg"], 1));
        let with_users = plan(Choice { users: true, ..choice(folder.path()) }).unwrap();
        let users: Vec<_> =
            with_users.photos.iter().map(|photo| photo.user_id.as_ref().map(|id| id.as_str())).collect();
        assert_eq!(users, [Some("anna"), Some("anna"), Some("ben"), None]);
    }

    #[test]
    fn ids_that_two_photos_would_share_are_told() {
        let folder = folder();
        let by_file = Choice { naming: Naming::File, ..choice(folder.path()) };
        let told = problems(plan(by_file.clone()));
        assert_eq!(
            told,
            [
                "anna/1.jpg and ben/1.jpg would both have the ExternalImageId 1.jpg: change one, or allow it with --shared-ids"
            ]
        );
        assert_eq!(plan(Choice { shared_ids: true, ..by_file }).unwrap().photos.len(), 4);
        fs::remove_file(folder.path().join("loose.jpeg")).unwrap();
        let by_person = Choice { naming: Naming::Person, ..choice(folder.path()) };
        assert_eq!(plan(by_person).unwrap().photos.len(), 3);
    }

    #[test]
    fn a_manifest_tells_photos_beside_it() {
        let folder = folder();
        let manifest = folder.path().join("people.csv");
        fs::write(&manifest, "path,ExternalImageId,UserId\nanna/1.jpg,a,anna\nben/1.jpg,b,\n").unwrap();
        let found = plan(choice(&manifest)).unwrap();
        assert_eq!((found.photos.len(), found.unused_users), (2, 1));
        assert!(found.photos.iter().all(|photo| photo.user_id.is_none()));
        let with_users = plan(Choice { users: true, ..choice(&manifest) }).unwrap();
        assert_eq!((with_users.unused_users, with_users.photos[0].user_id.is_some()), (0, true));
        fs::write(&manifest, "path,ExternalImageId\nanna/1.jpg,a\nanna/1.jpg,b\nben/1.jpg,a\nnone.jpg,c\n").unwrap();
        let told = problems(plan(choice(&manifest)));
        assert!(
            told.len() == 3 && told[0].starts_with("line 5: none.jpg") && told[1] == "anna/1.jpg is there twice",
            "{told:?}"
        );
    }

    #[test]
    fn what_is_no_source_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(problems(plan(choice(folder.path())))[0].starts_with("there is no photo"));
        assert!(matches!(plan(choice(&folder.path().join("nothing"))), Err(EnrolError::File { .. })));
        let photo = folder.path().join("photo.jpg");
        fs::write(&photo, "").unwrap();
        assert!(problems(plan(choice(&photo)))[0].contains("is neither a folder nor a manifest"));
    }
}
