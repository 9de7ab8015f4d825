//! Into a store.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use indicatif::ProgressBar;

use crate::domain::{IndexedFace, UserId};
use crate::store::{Collection, Store, UserKey};

use super::lines::{Checker, Entry, LONGEST_LINE, Totals};
use super::{TransferError, progress};

/// What an import read, and what of it was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What was in the file.
    pub totals: Totals,
    /// Faces that the store did not have.
    pub new_faces: usize,
}

/// Faces, or users, of one transaction.
const AT_ONCE: usize = 1000;

/// Reads a file twice: whether it is whole, and only then into the store. What the store has already stays as it is, so that an import that
/// was cut off is made whole by another one.
pub async fn import_file(store: &Store, path: &Path) -> Result<Imported, TransferError> {
    let place = path.display().to_string();
    let fail = |source| TransferError::File { place: place.clone(), source };
    let mut file = File::open(path).map_err(fail)?;
    let mut lines = Lines {
        input: BufReader::with_capacity(1 << 20, &file),
        place: place.clone(),
        checker: Checker::new(),
        number: 0,
    };
    while lines.next()?.is_some() {}
    let faces = lines.checker.totals().faces;
    file.rewind().map_err(fail)?;
    import(store, BufReader::with_capacity(1 << 20, &file), place, Some(faces)).await
}

/// Reads a stream into the store, as far as it is whole.
pub async fn import_stream(store: &Store, input: impl BufRead) -> Result<Imported, TransferError> {
    import(store, input, "standard input".to_owned(), None).await
}

async fn import(
    store: &Store,
    input: impl BufRead,
    place: String,
    faces: Option<u64>,
) -> Result<Imported, TransferError> {
    let mut lines = Lines { input, place, checker: Checker::new(), number: 0 };
    let (mut target, mut new_faces, bar) = (None::<Target>, 0, progress(faces));
    while let Some(entry) = lines.next()? {
        match (entry, &mut target) {
            (Entry::Collection(founding), target) => {
                let collection = store.found_collection(*founding).await?;
                let dimensions = store.dimensions(&collection).await?;
                let (users, new_users, faces) = (HashMap::new(), Vec::new(), Vec::new());
                *target = Some(Target { store, collection, dimensions, users, new_users, faces, added: 0 });
            }
            (Entry::User(user), Some(target)) => target.user(user).await?,
            (Entry::Face(face), Some(target)) => {
                target.face(*face, lines.number, &bar).await?;
            }
            (Entry::End, target) => {
                if let Some(target) = target.take() {
                    new_faces += target.finish(&bar).await?;
                }
            }
            _ => {}
        }
    }
    bar.finish_and_clear();
    Ok(Imported { totals: lines.checker.totals(), new_faces })
}

/// A file's lines, checked one after the other, to the last.
struct Lines<R> {
    input: R,
    place: String,
    checker: Checker,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<Entry>, TransferError> {
        let mut line = Vec::new();
        self.number += 1;
        let read = self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        let refuse = |reason: String| TransferError::Line { number: self.number, reason };
        match read.map_err(|source| TransferError::File { place: self.place.clone(), source })? {
            0 if self.checker.is_complete() => Ok(None),
            0 => Err(refuse("the export ends here, and is not whole".to_owned())),
            _ => self.checker.take(&line).map(Some).map_err(refuse),
        }
    }
}

/// The collection that is read into.
struct Target<'a> {
    store: &'a Store,
    collection: Collection,
    /// Of the vectors that it has.
    dimensions: Option<usize>,
    users: HashMap<UserId, UserKey>,
    new_users: Vec<UserId>,
    faces: Vec<(IndexedFace, Option<UserKey>)>,
    /// Faces that it did not have.
    added: usize,
}

impl Target<'_> {
    async fn user(&mut self, user: UserId) -> Result<(), TransferError> {
        self.new_users.push(user);
        if self.new_users.len() == AT_ONCE { self.store_users().await } else { Ok(()) }
    }

    async fn face(&mut self, face: IndexedFace, number: u64, bar: &ProgressBar) -> Result<(), TransferError> {
        self.store_users().await?;
        if self.dimensions.is_some_and(|dimensions| dimensions != face.embedding.len()) {
            let reason = "an embedding of another length than those that the collection has".to_owned();
            return Err(TransferError::Line { number, reason });
        }
        let user = match &face.face.user_id {
            None => None,
            Some(name) => Some(*self.users.get(name).ok_or_else(|| {
                let reason = format!("the face belongs to the user {name}, who did not come before");
                TransferError::Line { number, reason }
            })?),
        };
        self.faces.push((face, user));
        if self.faces.len() == AT_ONCE { self.store_faces(bar).await } else { Ok(()) }
    }

    async fn store_users(&mut self) -> Result<(), TransferError> {
        if !self.new_users.is_empty() {
            self.users.extend(self.store.found_users(&self.collection, std::mem::take(&mut self.new_users)).await?);
        }
        Ok(())
    }

    async fn store_faces(&mut self, bar: &ProgressBar) -> Result<(), TransferError> {
        let faces = std::mem::take(&mut self.faces);
        bar.inc(faces.len() as u64);
        self.added += self.store.found_faces(&self.collection, faces).await?;
        Ok(())
    }

    /// How many faces it did not have.
    async fn finish(mut self, bar: &ProgressBar) -> Result<usize, TransferError> {
        self.store_users().await?;
        self.store_faces(bar).await?;
        let keys: Vec<UserKey> = self.users.into_values().collect();
        for some in keys.chunks(AT_ONCE) {
            self.store.refresh_users(&self.collection, some.to_vec()).await?;
        }
        Ok(self.added)
    }
}
