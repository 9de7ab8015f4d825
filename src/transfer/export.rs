//! Out of a store.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;

use futures_util::{StreamExt, TryStreamExt};

use crate::domain::{AccountId, CollectionId, FaceId};
use crate::store::{Collection, Snapshot, Store};

use super::lines::{Checker, Entry, LONGEST_LINE, Line, Totals};
use super::{TransferError, progress};

/// Which collections.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Of this account; of every one without.
    pub account: Option<AccountId>,
    /// Of these names; all of them when empty.
    pub collections: Vec<CollectionId>,
}

/// A collection that is written, or of which a part is.
struct Begun {
    /// Its first line: with the account, the name, the time of creation, the tags and the revision.
    line: Vec<u8>,
    /// Where it begins in the file, and what had come before.
    offset: u64,
    before: Checker,
    is_whole: bool,
    users: u64,
    last_face: Option<FaceId>,
}

/// What is written already.
struct Written {
    checker: Checker,
    offset: u64,
    collections: Vec<Begun>,
}

impl Written {
    fn nothing() -> Self {
        Self { checker: Checker::new(), offset: 0, collections: Vec::new() }
    }

    /// Forgets everything from the first collection on that is not what comes in its place now: another one, or one that has changed.
    fn keep_what_is_right(&mut self, first_lines: &[Vec<u8>]) {
        let right = self.collections.iter().zip(first_lines).take_while(|(begun, line)| begun.line == **line).count();
        if let Some(wrong) = self.collections.drain(right..).next() {
            (self.checker, self.offset) = (wrong.before, wrong.offset);
        }
    }
}

/// Writes to a file, which gets its name when it is whole: until then `.part` is added to it, and an export that finds such a part goes on
/// where it ends.
pub async fn export_to_file(store: &Store, choice: &Choice, path: &Path) -> Result<Totals, TransferError> {
    let mut chosen = Chosen::of(store, choice).await?;
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let fail = |source| TransferError::File { place: part.display().to_string(), source };
    let mut options = OpenOptions::new();
    // Vectors of faces are nobody else's business.
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.read(true).write(true).create(true).truncate(false).open(&part).map_err(fail)?;
    file.try_lock().map_err(|error| fail(error.into()))?;
    let mut written = read_part(&file).map_err(fail)?;
    if written.offset == 0 && !Line::header().to_bytes().starts_with(&beginning_of(&file).map_err(fail)?) {
        return Err(fail(std::io::Error::other(
            "this is no part of an export, and would be overwritten: move it away",
        )));
    }
    written.keep_what_is_right(&chosen.first_lines);
    chosen.written = written;
    file.set_len(chosen.written.offset).map_err(fail)?;
    file.seek(SeekFrom::Start(chosen.written.offset)).map_err(fail)?;
    let totals = chosen.write(&file, &part.display().to_string()).await?;
    file.sync_all().map_err(fail)?;
    std::fs::rename(&part, path).map_err(fail)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fail)?;
    Ok(totals)
}

/// Writes to a stream.
pub async fn export_to_writer(store: &Store, choice: &Choice, out: impl Write) -> Result<Totals, TransferError> {
    Chosen::of(store, choice).await?.write(out, "standard output").await
}

/// As much of a file as a header has.
fn beginning_of(mut file: &File) -> std::io::Result<Vec<u8>> {
    let mut beginning = Vec::new();
    file.rewind()?;
    file.take(Line::header().to_bytes().len() as u64).read_to_end(&mut beginning)?;
    Ok(beginning)
}

/// What of an earlier export is whole: up to the first line that cannot be taken, most likely the last, of which a part is missing.
fn read_part(file: &File) -> std::io::Result<Written> {
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let (mut written, mut line) = (Written::nothing(), Vec::new());
    loop {
        line.clear();
        if lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 || line.last() != Some(&b'\n') {
            return Ok(written);
        }
        let before = written.checker.clone();
        let begun = written.collections.last_mut();
        match (written.checker.take(&line), begun) {
            (Ok(Entry::Header), _) => {}
            (Ok(Entry::Collection(_)), _) => written.collections.push(Begun {
                line: line.clone(),
                offset: written.offset,
                before,
                is_whole: false,
                users: 0,
                last_face: None,
            }),
            (Ok(Entry::User(_)), Some(begun)) => begun.users += 1,
            (Ok(Entry::Face(face)), Some(begun)) => begun.last_face = Some(face.face.face_id),
            (Ok(Entry::End), Some(begun)) => begun.is_whole = true,
            // Where everything is written but the name of the file, the last line is written again.
            (Ok(_) | Err(_), _) => {
                written.checker = before;
                return Ok(written);
            }
        }
        written.offset += line.len() as u64;
    }
}

/// The collections that are to be written, in one state of the store, and what of them is written.
struct Chosen {
    snapshot: Snapshot,
    collections: Vec<Collection>,
    first_lines: Vec<Vec<u8>>,
    written: Written,
}

impl Chosen {
    async fn of(store: &Store, choice: &Choice) -> Result<Self, TransferError> {
        let mut snapshot = store.snapshot().await?;
        let mut collections = snapshot.collections().await?;
        collections.retain(|collection| choice.account.as_ref().is_none_or(|one| *one == collection.account));
        if let Some(missing) = choice.collections.iter().find(|id| !collections.iter().any(|one| one.id == **id)) {
            return Err(TransferError::NoCollection(missing.to_string()));
        }
        collections.retain(|collection| choice.collections.is_empty() || choice.collections.contains(&collection.id));
        let mut first_lines = Vec::new();
        for collection in &collections {
            first_lines.push(Line::collection(collection, &snapshot.tags(collection).await?).to_bytes());
        }
        Ok(Self { snapshot, collections, first_lines, written: Written::nothing() })
    }

    async fn write(mut self, out: impl Write, place: &str) -> Result<Totals, TransferError> {
        let checker = self.written.checker;
        let mut out = Output { place, checker, out: BufWriter::with_capacity(1 << 20, out) };
        if self.written.offset == 0 {
            out.line(&Line::header().to_bytes(), "the header")?;
        }
        let bar = progress(Some(self.collections.iter().map(|collection| collection.face_count as u64).sum()));
        let mut begun = self.written.collections.into_iter();
        for (collection, first_line) in self.collections.iter().zip(&self.first_lines) {
            let name = collection.id.as_str();
            let (users_there, last_face) = match begun.next() {
                Some(begun) if begun.is_whole => {
                    bar.inc(collection.face_count as u64);
                    continue;
                }
                Some(begun) => (begun.users, begun.last_face),
                None => {
                    out.line(first_line, name)?;
                    (0, None)
                }
            };
            if last_face.is_none() {
                let mut users = pin!(self.snapshot.users(collection).skip(users_there as usize));
                while let Some(user) = users.try_next().await? {
                    out.line(&Line::User { user_id: user.as_str().to_owned() }.to_bytes(), name)?;
                }
            }
            let mut faces = pin!(self.snapshot.faces(collection, last_face));
            while let Some(face) = faces.try_next().await? {
                out.line(&Line::face(&face).to_bytes(), name)?;
                bar.inc(1);
            }
            let end = out.checker.end().to_bytes();
            out.line(&end, name)?;
        }
        let totals = out.checker.totals();
        out.line(&Line::Complete { collections: totals.collections }.to_bytes(), "the end")?;
        out.out.flush().map_err(|source| TransferError::File { place: place.to_owned(), source })?;
        bar.finish_and_clear();
        Ok(totals)
    }
}

struct Output<'a, W: Write> {
    place: &'a str,
    checker: Checker,
    out: BufWriter<W>,
}

impl<W: Write> Output<'_, W> {
    /// Every line that is written is also read: what an import would refuse is found out now.
    fn line(&mut self, bytes: &[u8], of: &str) -> Result<(), TransferError> {
        self.checker.take(bytes).map_err(|reason| TransferError::Unfit { of: of.to_owned(), reason })?;
        self.out.write_all(bytes).map_err(|source| TransferError::File { place: self.place.to_owned(), source })
    }
}
