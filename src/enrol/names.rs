//! Ids for photos that have none of their own: from where they lie.

use std::collections::HashMap;

use crate::domain::{ExternalImageId, UserId};

use super::photo::{Photo, Place};

/// What becomes the ExternalImageId of a photo of a folder or of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Naming {
    /// The path below the folder, with `:` for `/`: `anna:1.jpg`.
    Path,
    /// The name of the file: `1.jpg`.
    File,
    /// The sub-folder: `anna`.
    Person,
}

/// A photo that was found.
pub struct Found {
    /// What the report calls it.
    pub name: String,
    /// Its path below the folder or the prefix, with `/` between the parts.
    pub path: String,
    /// Where it is.
    pub place: Place,
}

impl Found {
    /// The sub-folder that it lies in: the first part of its path.
    fn person(&self) -> Option<&str> {
        self.path.split_once('/').map(|(person, _)| person)
    }
}

/// Names what was found. `users` says whether the sub-folders are users. What cannot be named is told in `problems`.
pub fn name(found: Vec<Found>, naming: Naming, users: bool, problems: &mut Vec<String>) -> Vec<Photo> {
    // What ids cannot say is replaced, and that must not make one person of two.
    let mut people: HashMap<String, String> = HashMap::new();
    let mut photos = Vec::with_capacity(found.len());
    for found in found {
        let person = found.person().map(str::to_owned);
        if let Some(person) = person.as_ref().filter(|_| users || naming == Naming::Person) {
            let folder = people.entry(fit(person)).or_insert_with(|| person.clone());
            if folder != person {
                let id = fit(person);
                problems.push(format!(
                    "the folders {folder} and {person} would both be {id}: rename one, or write a manifest"
                ));
                *folder = person.clone();
            }
        }
        let id = match (naming, &person) {
            (Naming::Path, _) => fit(&found.path.replace('/', ":")),
            (Naming::File, _) => fit(found.path.rsplit('/').next().unwrap_or(&found.path)),
            (Naming::Person, Some(person)) => fit(person),
            (Naming::Person, None) => {
                problems.push(format!("{} lies in no sub-folder that could name its person", found.name));
                continue;
            }
        };
        let external_image_id = ExternalImageId::try_from(id);
        let user_id = person.filter(|_| users).map(|person| UserId::try_from(fit(&person))).transpose();
        match (external_image_id, user_id) {
            (Ok(id), Ok(user_id)) => {
                photos.push(Photo { name: found.name, place: found.place, external_image_id: Some(id), user_id });
            }
            (Err(_), _) => problems
                .push(format!("{} is too long a name: an ExternalImageId has at most 255 characters", found.name)),
            (_, Err(_)) => {
                problems.push(format!("{} is too long a name: a UserId has at most 128 characters", found.name))
            }
        }
    }
    photos
}

/// A text with `_` for each character that an ExternalImageId and a UserId cannot have.
fn fit(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | ':');
    text.chars().map(|c| if fits(c) { c } else { '_' }).collect()
}

/// Whether a name is a photo's, by its ending.
pub fn is_photo(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ExternalImageId and a UserId.
    type Named = (Option<String>, Option<String>);

    fn named(paths: &[&str], naming: Naming, users: bool) -> (Vec<Named>, Vec<String>) {
        let found = paths.iter().map(|path| Found {
            name: (*path).to_owned(),
            path: (*path).to_owned(),
            place: Place::File((*path).into()),
        });
        let mut problems = Vec::new();
        let photos = name(found.collect(), naming, users, &mut problems);
        let ids = photos
            .into_iter()
            .map(|photo| (photo.external_image_id.map(|id| id.to_string()), photo.user_id.map(|id| id.to_string())));
        (ids.collect(), problems)
    }

    fn ids(path: &str, naming: Naming, users: bool) -> (Option<String>, Option<String>) {
        let (mut ids, problems) = named(&[path], naming, users);
        assert_eq!(problems, Vec::<String>::new());
        ids.remove(0)
    }

    #[test]
    fn a_photo_is_called_after_where_it_lies() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(ids("1.jpg", Naming::Path, true), (some("1.jpg"), None));
        assert_eq!(ids("anna/1.jpg", Naming::Path, false), (some("anna:1.jpg"), None));
        assert_eq!(ids("anna/1.jpg", Naming::Path, true), (some("anna:1.jpg"), some("anna")));
        assert_eq!(ids("anna/old/1.jpg", Naming::Path, true), (some("anna:old:1.jpg"), some("anna")));
        assert_eq!(ids("anna/1.jpg", Naming::File, true), (some("1.jpg"), some("anna")));
        assert_eq!(ids("anna/1.jpg", Naming::Person, false), (some("anna"), None));
        assert_eq!(ids("Änne B/ü 1.jpg", Naming::Path, true), (some("_nne_B:__1.jpg"), some("_nne_B")));
    }

    #[test]
    fn two_people_do_not_become_one() {
        for naming in [Naming::Path, Naming::Person] {
            let (_, problems) = named(&["anna b/1.jpg", "anna_b/2.jpg", "anna_b/3.jpg"], naming, true);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains("anna b and anna_b would both be anna_b"), "{problems:?}");
        }
        let (_, problems) = named(&["anna b/1.jpg", "anna_b/2.jpg"], Naming::Path, false);
        assert!(problems.is_empty());
    }

    #[test]
    fn what_cannot_be_named_is_told() {
        let long = "a".repeat(129);
        for (path, naming, users, wanted) in [
            ("1.jpg".to_owned(), Naming::Person, false, "lies in no sub-folder"),
            (format!("{long}/1.jpg"), Naming::Path, true, "at most 128"),
            (format!("{long}{long}"), Naming::Path, false, "at most 255"),
        ] {
            let (photos, problems) = named(&[&path], naming, users);
            assert!(photos.is_empty() && problems.len() == 1 && problems[0].contains(wanted), "{problems:?}");
        }
    }

    #[test]
    fn photos_are_told_by_their_endings() {
        assert!(["a.jpg", "A.JPG", "a.b.jpeg", "x.Png"].into_iter().all(is_photo));
        assert!(!["jpg", "a.gif", "a.jpg.txt", "a", ""].into_iter().any(is_photo));
    }
}
