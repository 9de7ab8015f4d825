//! The galleries' files in the data folder, which save reading a collection again after a start, and memory.
//!
//! Every gallery has a folder: its segments, and a manifest that says which of them make the gallery of a certain revision, without which
//! members. A manifest takes the place of the one before in one step, after its segments are on the disk. So whatever ends a server in
//! between leaves the gallery of before, and segments that no manifest names, which go. The database is the truth: files that are missing
//! or damaged cost the time to read it again, and nothing else.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::super::member::Member;
use super::gallery::{Gallery, SEGMENT};
use super::segment::Segment;
use crate::domain::{AccountId, CollectionId, Fault};
use crate::looking::{Looked, look};
use crate::store::Collection;

const FORMAT: u32 = 1;
const FOLDER: &str = "galleries";
const LOCK: &str = "lock";
const MANIFEST: &str = "manifest";
const CONTEXT: &str = "writing a gallery file";

/// The files of one server.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    /// What they may take, in bytes.
    most: u64,
    /// Another server with the same data folder has its own galleries.
    _lock: File,
}

/// The files of one gallery.
#[derive(Debug)]
pub struct GalleryFiles {
    files: Arc<Files>,
    folder: PathBuf,
    of: Of,
}

/// Which gallery it is, so that no other one's is taken for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Of {
    members: String,
    account: String,
    collection: String,
    key: i64,
    created_at_ms: i64,
    model_version: String,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    format: u32,
    of: Of,
    revision: i64,
    /// What the database knows the files by.
    mark: String,
    segments: Vec<Named>,
}

#[derive(Serialize, Deserialize)]
struct Named {
    file: String,
    /// Places whose members have gone.
    gone: Vec<u32>,
}

impl Files {
    /// In this data folder, of at most so many bytes; `None` where there are to be none, or cannot be.
    pub fn open(data_dir: &Path, most: u64) -> Option<Arc<Self>> {
        // Numbers in them are little-endian.
        if most == 0 || cfg!(target_endian = "big") {
            return None;
        }
        let folder = data_dir.join(FOLDER);
        let open = || -> io::Result<File> {
            DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let lock = OpenOptions::new().append(true).create(true).mode(0o600).open(folder.join(LOCK))?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            Ok(lock)
        };
        match open() {
            Ok(lock) => Some(Arc::new(Self { folder, most, _lock: lock })),
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "galleries have no files: every start reads them from the database");
                None
            }
        }
    }

    /// Those of a collection's faces, or of its users.
    pub fn of<Id: Member>(self: &Arc<Self>, collection: &Collection) -> GalleryFiles {
        let of = Of {
            members: Id::VECTORS.to_owned(),
            account: collection.account.as_str().to_owned(),
            collection: collection.id.as_str().to_owned(),
            key: collection.key,
            created_at_ms: collection.created_at_ms,
            model_version: collection.model_version.to_string(),
        };
        let folder = self.folder.join(format!("{}-{}", collection.key, Id::VECTORS));
        GalleryFiles { files: self.clone(), folder, of }
    }

    /// What they take on the disk, in bytes.
    pub fn bytes(&self) -> u64 {
        let in_folder = |folder: PathBuf| names_in(&folder).into_iter().map(move |name| folder.join(name));
        let files = in_folder(self.folder.clone())
            .flat_map(|inner| if inner.is_dir() { in_folder(inner).collect() } else { vec![] });
        files.filter_map(|file| fs::metadata(file).ok()).map(|data| data.len()).sum()
    }

    /// Looks for vectors in those of a collection.
    pub fn look(&self, collection: &Collection, for_any: &[Vec<u8>]) -> io::Result<Looked> {
        let of_it = format!("{}-", collection.key);
        let folders = names_in(&self.folder).into_iter().filter(|name| name.starts_with(&of_it));
        let folders = folders.map(|name| self.folder.join(name));
        let files: Vec<PathBuf> =
            folders.flat_map(|folder| names_in(&folder).into_iter().map(move |name| folder.join(name))).collect();
        look(&files, for_any)
    }

    /// Removes those of a collection that is gone.
    pub fn forget(&self, account: &AccountId, id: &CollectionId) {
        for name in names_in(&self.folder) {
            let folder = self.folder.join(name);
            let of = manifest_in(&folder).map(|manifest| manifest.of);
            if of.is_ok_and(|of| of.account == account.as_str() && of.collection == id.as_str()) {
                remove(&folder);
            }
        }
    }

    /// Removes those of collections that have none of these keys.
    pub fn keep(&self, keys: &HashSet<i64>) {
        for name in names_in(&self.folder) {
            let key = name.split_once('-').and_then(|(key, _)| key.parse().ok());
            if key.is_some_and(|key| !keys.contains(&key)) {
                remove(&self.folder.join(name));
            }
        }
    }
}

impl GalleryFiles {
    /// What they hold, and their mark. Files that cannot be used go.
    pub fn read<Id: Member>(&self) -> Option<(Gallery<Id>, String)> {
        if !self.folder.exists() {
            return None;
        }
        match self.gallery() {
            Ok(kept) => Some(kept),
            Err(reason) => {
                tracing::warn!(folder = %self.folder.display(), reason, "gallery files are of no use: the database is read again");
                self.remove();
                None
            }
        }
    }

    /// Whether there are files that may have vectors of members that were gone by this revision.
    pub fn may_have_gone(&self, revision: i64) -> bool {
        let has_gone = |manifest: &Manifest| manifest.segments.iter().any(|segment| !segment.gone.is_empty());
        self.folder.exists()
            && !manifest_in(&self.folder).is_ok_and(|manifest| manifest.revision == revision && !has_gone(&manifest))
    }

    fn gallery<Id: Member>(&self) -> Result<(Gallery<Id>, String), String> {
        let manifest = manifest_in(&self.folder)?;
        if manifest.of != self.of {
            return Err("the manifest is of something else".to_owned());
        }
        self.remove_others(&manifest);
        let mut gallery = Gallery::for_members(0);
        for Named { file, gone } in &manifest.segments {
            let segment = Segment::open::<Id>(&self.folder.join(file)).map_err(|reason| format!("{file}: {reason}"))?;
            gallery.map(Arc::new(segment), gone);
        }
        gallery.revision = manifest.revision;
        Ok((gallery, manifest.mark))
    }

    /// Moves what the gallery holds into a file. A manifest has to follow before that is of use after a start. Where it fails, the gallery
    /// is what it was.
    pub fn write<Id: Member>(&self, gallery: &mut Gallery<Id>) -> Result<(), Fault> {
        let most = (gallery.held() + SEGMENT).min(gallery.len());
        self.with_a_file(gallery, most, Gallery::write)
    }

    /// Writes one file anew that has vectors of members that are gone, without them. As [`Self::write`] otherwise.
    pub fn write_without_gone<Id: Member>(&self, gallery: &mut Gallery<Id>) -> Result<(), Fault> {
        self.with_a_file(gallery, gallery.members_with_gone(), Gallery::write_without_gone)
    }

    /// Lets the gallery write a file of at most so many members.
    fn with_a_file<Id: Member>(
        &self,
        gallery: &mut Gallery<Id>,
        most: usize,
        write: impl FnOnce(&mut Gallery<Id>, &Path) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let failed = Fault::internal::<io::Error>(CONTEXT);
        let bytes = Segment::bytes_of::<Id>(most, gallery.dimensions()) as u64;
        if self.files.bytes() + bytes > self.files.most {
            return Err(failed(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "--gallery-files (REKOLLECT_GALLERY_FILES) allows no more",
            )));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(&failed)?;
        let file = self.folder.join(uuid::Uuid::new_v4().to_string());
        write(gallery, &file).inspect_err(|_| {
            let _ = fs::remove_file(&file);
        })
    }

    /// Notes that the gallery, which holds nobody, is the one of its revision, and the mark that the database has for it.
    pub fn note<Id: Member>(&self, gallery: &Gallery<Id>, mark: String) -> Result<(), Fault> {
        let named = |(segment, gone): (&Segment, Vec<u32>)| {
            let file = segment.file().file_name().unwrap_or_default().to_string_lossy().into_owned();
            Named { file, gone }
        };
        let segments = gallery.segments().map(named).collect();
        let manifest = Manifest { format: FORMAT, of: self.of.clone(), revision: gallery.revision, mark, segments };
        let text = serde_json::to_vec(&manifest).map_err(Fault::internal(CONTEXT))?;
        let write = || -> io::Result<()> {
            let new = self.folder.join(format!("{MANIFEST}.new"));
            let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            out.write_all(&crc32fast::hash(&text).to_le_bytes())?;
            out.write_all(&text)?;
            out.sync_all()?;
            fs::rename(&new, self.folder.join(MANIFEST))?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(Fault::internal(CONTEXT))?;
        self.remove_others(&manifest);
        Ok(())
    }

    /// Removes them all.
    pub fn remove(&self) {
        remove(&self.folder);
    }

    /// Removes what a manifest does not name. A file that is still mapped stays until it is not.
    fn remove_others(&self, manifest: &Manifest) {
        for name in names_in(&self.folder) {
            if name != MANIFEST && !manifest.segments.iter().any(|segment| segment.file == name) {
                let _ = fs::remove_file(self.folder.join(name));
            }
        }
    }
}

fn manifest_in(folder: &Path) -> Result<Manifest, String> {
    let text = fs::read(folder.join(MANIFEST)).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let (sum, text) = text.split_at_checked(size_of::<u32>()).ok_or("the manifest is cut off")?;
    if sum != crc32fast::hash(text).to_le_bytes() {
        return Err("the manifest has another checksum".to_owned());
    }
    let manifest: Manifest = serde_json::from_slice(text).map_err(|error| format!("{MANIFEST}: {error}"))?;
    match manifest.format {
        FORMAT => Ok(manifest),
        other => Err(format!("the manifest has format {other} and not {FORMAT}")),
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, folder = %folder.display(), "gallery files stay although they are of no use");
    }
}
