//! Out of a store.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::TryStreamExt;

use crate::domain::{AccountId, CollectionId, FaceId};
use crate::store::{Collection, Founding, Snapshot, Store};

use super::lines::{Checker, Entry, Line, Totals};
use super::{TransferError, progress};

/// Which collections.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Of this account; of every one without.
    pub account: Option<AccountId>,
    /// Of these names; all of them when empty.
    pub collections: Vec<CollectionId>,
}

/// A collection of which a part is written.
struct Begun {
    account: AccountId,
    id: CollectionId,
    revision: i64,
    /// Where it begins in the file, and what had come before.
    offset: u64,
    before: Checker,
    users: u64,
    last_face: Option<FaceId>,
}

/// What is written already.
struct Written {
    checker: Checker,
    offset: u64,
    whole: Vec<(AccountId, CollectionId)>,
    begun: Option<Begun>,
}

impl Written {
    fn nothing() -> Self {
        Self { checker: Checker::new(), offset: 0, whole: Vec::new(), begun: None }
    }
}

/// Writes to a file, which gets its name when it is whole: until then `.part` is added to it, and an export that finds such a part goes on
/// where it ends.
pub async fn export_to_file(store: &Store, choice: &Choice, path: &Path) -> Result<Totals, TransferError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let fail = |source| TransferError::File { place: part.display().to_string(), source };
    let mut options = OpenOptions::new();
    // Vectors of faces are nobody else's business.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&part).map_err(fail)?;
    let mut written = read_part(&file).map_err(fail)?;
    let mut snapshot = store.snapshot().await?;
    let collections = snapshot.collections().await?;
    // What was begun and has changed since is written anew.
    if let Some(begun) = written.begun.take_if(|begun| {
        !collections
            .iter()
            .any(|now| (&now.account, &now.id, now.revision) == (&begun.account, &begun.id, begun.revision))
    }) {
        (written.checker, written.offset) = (begun.before, begun.offset);
    }
    file.set_len(written.offset).map_err(fail)?;
    file.seek(SeekFrom::Start(written.offset)).map_err(fail)?;
    let writer = BufWriter::with_capacity(1 << 20, &file);
    let place = part.display().to_string();
    let totals = Writing { snapshot, out: writer, place, written }.write(collections, choice).await?;
    file.sync_all().map_err(fail)?;
    std::fs::rename(&part, path).map_err(fail)?;
    Ok(totals)
}

/// Writes to a stream.
pub async fn export_to_writer(store: &Store, choice: &Choice, out: impl Write) -> Result<Totals, TransferError> {
    let mut snapshot = store.snapshot().await?;
    let collections = snapshot.collections().await?;
    let (place, written) = ("standard output".to_owned(), Written::nothing());
    Writing { snapshot, out: BufWriter::new(out), place, written }.write(collections, choice).await
}

/// What of an earlier export is whole: up to the first line that cannot be taken, most likely the last, of which a part is missing.
fn read_part(file: &File) -> std::io::Result<Written> {
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let (mut written, mut line) = (Written::nothing(), Vec::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 || line.last() != Some(&b'\n') {
            return Ok(written);
        }
        let before = written.checker.clone();
        match written.checker.take(&line) {
            Ok(Entry::Header) => {}
            Ok(Entry::Collection(founding, revision)) => {
                let Founding { account, id, .. } = *founding;
                let offset = written.offset;
                written.begun = Some(Begun { account, id, revision, offset, before, users: 0, last_face: None });
            }
            Ok(Entry::User(_)) => written.begun.iter_mut().for_each(|begun| begun.users += 1),
            Ok(Entry::Face(face)) => {
                written.begun.iter_mut().for_each(|begun| begun.last_face = Some(face.face.face_id))
            }
            Ok(Entry::End) => written.whole.extend(written.begun.take().map(|begun| (begun.account, begun.id))),
            // All of it is written but the name of the file: the last line is written again.
            Ok(Entry::Complete) | Err(_) => {
                written.checker = before;
                return Ok(written);
            }
        }
        written.offset += line.len() as u64;
    }
}

struct Writing<W: Write> {
    snapshot: Snapshot,
    out: BufWriter<W>,
    place: String,
    written: Written,
}

impl<W: Write> Writing<W> {
    async fn write(mut self, all: Vec<Collection>, choice: &Choice) -> Result<Totals, TransferError> {
        let of_account = |collection: &Collection| choice.account.as_ref().is_none_or(|one| *one == collection.account);
        let named =
            |collection: &Collection| choice.collections.is_empty() || choice.collections.contains(&collection.id);
        for name in &choice.collections {
            if !all.iter().any(|collection| of_account(collection) && collection.id == *name) {
                return Err(TransferError::NoCollection(name.as_str().to_owned()));
            }
        }
        let chosen: Vec<Collection> = all.into_iter().filter(|one| of_account(one) && named(one)).collect();
        if self.written.offset == 0 {
            self.line(&Line::header())?;
        }
        let bar = progress(Some(chosen.iter().map(|collection| collection.face_count as u64).sum()));
        for collection in &chosen {
            if self.written.whole.contains(&(collection.account.clone(), collection.id.clone())) {
                bar.inc(collection.face_count as u64);
                continue;
            }
            self.collection(collection, &bar).await?;
        }
        let totals = self.written.checker.totals();
        self.line(&Line::Complete { collections: totals.collections })?;
        self.out.flush().map_err(|source| TransferError::File { place: self.place.clone(), source })?;
        bar.finish_and_clear();
        Ok(totals)
    }

    async fn collection(&mut self, collection: &Collection, bar: &indicatif::ProgressBar) -> Result<(), TransferError> {
        let is_it = |begun: &Begun| (&begun.account, &begun.id) == (&collection.account, &collection.id);
        let begun = self.written.begun.take_if(|begun| is_it(begun));
        if begun.is_none() {
            let tags = self.snapshot.tags(collection).await?;
            self.line(&Line::collection(collection, &tags))?;
        }
        let (users_there, last_face) = begun.map_or((0, None), |begun| (begun.users, begun.last_face));
        let (place, checker, out) = (&self.place, &mut self.written.checker, &mut self.out);
        if last_face.is_none() {
            let (mut users, mut skip) = (pin!(self.snapshot.users(collection)), users_there);
            while let Some(user) = users.try_next().await? {
                if skip > 0 {
                    skip -= 1;
                    continue;
                }
                write_line(place, checker, out, &Line::User { user_id: user.as_str().to_owned() })?;
            }
        }
        let mut faces = pin!(self.snapshot.faces(collection, last_face));
        while let Some(face) = faces.try_next().await? {
            write_line(place, checker, out, &Line::face(&face))?;
            bar.inc(1);
        }
        let end = checker.end();
        write_line(place, checker, out, &end)
    }

    fn line(&mut self, line: &Line) -> Result<(), TransferError> {
        write_line(&self.place, &mut self.written.checker, &mut self.out, line)
    }
}

/// Every line that is written is also read: what an import would refuse is found out now.
fn write_line(place: &str, checker: &mut Checker, out: &mut impl Write, line: &Line) -> Result<(), TransferError> {
    let bytes = line.to_bytes();
    checker.take(&bytes).map_err(|reason| TransferError::Line { number: 0, reason })?;
    out.write_all(&bytes).map_err(|source| TransferError::File { place: place.to_owned(), source })
}
