//! Photos of a folder.

use std::path::Path;

use walkdir::WalkDir;

use super::names::{Found, is_photo};
use super::photo::Place;

/// Every photo below a folder, in the order of their names, and how many other files there are. Links are followed.
pub fn find(folder: &Path, problems: &mut Vec<String>) -> (Vec<Found>, usize) {
    let (mut found, mut others) = (Vec::new(), 0);
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = match entry {
            Ok(entry) if entry.file_type().is_dir() => continue,
            Ok(entry) => entry,
            Err(error) => {
                problems.push(error.to_string());
                continue;
            }
        };
        if !entry.file_type().is_file() || !is_photo(&entry.file_name().to_string_lossy()) {
            others += 1;
            continue;
        }
        let below = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        match below.to_str() {
            Some(path) => {
                let path = path.to_owned();
                found.push(Found { name: path.clone(), path, place: Place::File(entry.into_path()) });
            }
            None => problems.push(format!("{} has a name that is not UTF-8: rename it", below.display())),
        }
    }
    (found, others)
}
