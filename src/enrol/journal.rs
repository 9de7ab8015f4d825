//! A file that gets a line for each photo as soon as it is done, and so tells the next run what is.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::errors::EnrolError;

/// A file that is held by this run alone, and is a journal or becomes one.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    file: File,
}

impl Held {
    /// Makes the file if it is not there. Fails if another run holds it.
    pub fn hold(path: &Path) -> Result<Self, EnrolError> {
        let mut options = OpenOptions::new();
        // Who is on which photo is nobody else's business.
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(fail(path))?;
        if !file.metadata().map_err(fail(path))?.is_file() {
            return Err(refused(path, "is no regular file: name another one with --report"));
        }
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(refused(
                path,
                "is held by another run that goes on now: wait for it, or name another one with --report",
            )),
            Err(std::fs::TryLockError::Error(error)) => Err(fail(path)(error)),
        }
    }

    /// The journal whose first line is `terms`. `line` gets each whole further line, and says what is wrong with it. Fails if the file is
    /// something else.
    pub fn open<T: Serialize + DeserializeOwned + PartialEq>(
        self,
        terms: &T,
        line: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
    ) -> Result<Journal, EnrolError> {
        let Self { path, file } = self;
        let length = read(&file, &path, terms, line)?;
        // A line that was cut off says nothing, and would spoil the next one.
        file.set_len(length).map_err(fail(&path))?;
        (&file).seek(SeekFrom::End(0)).map_err(fail(&path))?;
        Ok(Journal { path, file, is_new: length == 0 })
    }
}

/// A journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    is_new: bool,
}

impl Journal {
    /// Reads a journal that may be there, and changes nothing: for a run that only says what it would do.
    pub fn peek<T: Serialize + DeserializeOwned + PartialEq>(
        path: &Path,
        terms: &T,
        line: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
    ) -> Result<(), EnrolError> {
        match File::open(path) {
            Ok(file) => read(&file, path, terms, line).map(|_| ()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(fail(path)(error)),
        }
    }

    /// Writes the first line, if there is none.
    pub fn begin(&mut self, terms: &impl Serialize) -> Result<(), EnrolError> {
        if std::mem::take(&mut self.is_new) { self.note(terms) } else { Ok(()) }
    }

    /// Adds a line. A kill from now on does not undo it.
    pub fn note(&mut self, line: &impl Serialize) -> Result<(), EnrolError> {
        let mut line = serde_json::to_vec(line).expect("a line is made of what JSON can say");
        line.push(b'\n');
        self.file.write_all(&line).map_err(fail(&self.path))
    }

    /// Sees to it that a loss of power does not undo it either.
    pub fn finish(self) -> Result<(), EnrolError> {
        self.file.sync_all().map_err(fail(&self.path))
    }
}

fn fail(path: &Path) -> impl FnOnce(std::io::Error) -> EnrolError {
    move |source| EnrolError::File { place: path.display().to_string(), source }
}

fn refused(path: &Path, reason: impl Into<String>) -> EnrolError {
    EnrolError::Report { place: path.display().to_string(), reason: reason.into() }
}

/// Reads the whole lines of a journal. How many bytes they are.
fn read<T: Serialize + DeserializeOwned + PartialEq>(
    file: &File,
    path: &Path,
    terms: &T,
    mut each: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
) -> Result<u64, EnrolError> {
    let mut input = BufReader::with_capacity(1 << 16, file);
    let (mut length, mut line) = (0, Vec::new());
    for number in 1.. {
        line.clear();
        input.read_until(b'\n', &mut line).map_err(fail(path))?;
        let is_whole = line.last() == Some(&b'\n');
        if number == 1 && !line.is_empty() {
            check_first_line(&line, is_whole, path, terms)?;
        }
        if !is_whole {
            break;
        }
        if number > 1 {
            each(&line).map_err(|error| {
                refused(path, format!("is damaged in line {number} ({error}): name another one with --report"))
            })?;
        }
        length += line.len() as u64;
    }
    Ok(length)
}

fn check_first_line<T: Serialize + DeserializeOwned + PartialEq>(
    line: &[u8],
    is_whole: bool,
    path: &Path,
    terms: &T,
) -> Result<(), EnrolError> {
    let json = |terms: &T| serde_json::to_string(terms).expect("terms are made of what JSON can say");
    match serde_json::from_slice::<T>(line) {
        Ok(first) if first == *terms => Ok(()),
        Err(_) if !is_whole && json(terms).as_bytes().starts_with(line) => Ok(()),
        Err(_) => {
            Err(refused(path, "is no report of this command, and stays as it is: name another one with --report"))
        }
        Ok(other) => Err(refused(
            path,
            format!(
                "belongs to another run, {}, and this one is {}: name another one with --report",
                json(&other),
                json(terms)
            ),
        )),
    }
}
