//! Where lines go: a file that is followed by the next when it is full, or a stream.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use time::OffsetDateTime;
use time::macros::format_description;

use super::line::{Event, Head, LONGEST, Seal};

/// In place of the name of a file: standard output.
pub const STANDARD: &str = "-";

/// Where the lines go.
#[derive(Clone, Debug)]
pub struct AuditSettings {
    /// A file, or [`STANDARD`].
    pub place: PathBuf,
    /// Of a file, before the next one is begun; none for one file.
    pub most_bytes: Option<u64>,
    /// Finished files that are kept; none for all of them.
    pub most_files: Option<usize>,
    /// The file with the key of the hashes, if they have one.
    pub key: Option<PathBuf>,
}

/// Of a line that was cut off, so much is kept as text.
const KEPT_OF_CUT: usize = 4096;

/// How much of a file's end is read first to find its last line.
const WINDOW: u64 = 64 << 10;

/// The log.
pub struct Log {
    target: Target,
    seal: Seal,
    head: Head,
}

enum Target {
    /// Nothing of it can be read again.
    Stream(Box<dyn Write + Send>),
    File(LogFile),
}

struct LogFile {
    path: PathBuf,
    most_bytes: Option<u64>,
    most_files: Option<usize>,
    /// None when the next file has to be made first.
    file: Option<File>,
    /// Up to here its lines are whole.
    length: u64,
    /// Whether there may be something behind.
    is_torn: bool,
}

/// The end of a file of lines.
struct Tail {
    /// The last whole line, if there is one.
    line: Option<Vec<u8>>,
    /// What was begun behind it.
    torn: Vec<u8>,
}

impl Log {
    /// Opens the log where it ended. What was cut off there is told by a line in its place.
    pub fn open(settings: &AuditSettings, seal: Seal) -> Result<Self, String> {
        let path = &settings.place;
        let mut log = if path == Path::new(STANDARD) {
            Self { target: Target::Stream(Box::new(io::stdout())), seal, head: Head::default() }
        } else if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            let stream = OpenOptions::new().write(true).open(path).map_err(|error| cannot("open", path, &error))?;
            Self { target: Target::Stream(Box::new(stream)), seal, head: Head::default() }
        } else {
            Self::of_file(settings, seal)?
        };
        let start = Event::Start { version: env!("CARGO_PKG_VERSION"), keyed: log.seal.is_keyed() };
        log.write([(OffsetDateTime::now_utc(), &start)], true).map_err(|error| cannot("write", path, &error))?;
        Ok(log)
    }

    fn of_file(settings: &AuditSettings, seal: Seal) -> Result<Self, String> {
        let path = settings.place.clone();
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.and_then(locked).map_err(|error| cannot("open", &path, &error))?;
        sync_folder_of(&path).map_err(|error| cannot("open", &path, &error))?;
        let Tail { line, torn } = tail(&file).map_err(|error| cannot("read", &path, &error))?;
        let length = file.metadata().map_err(|error| cannot("read", &path, &error))?.len() - torn.len() as u64;
        let mut head = match line {
            Some(line) => head_of(&line, &path, &seal)?,
            // A server that ended between two files, or the first one ever.
            None => match finished(&path).map_err(|error| cannot("read", &path, &error))?.pop() {
                None => Head::default(),
                Some(last) => {
                    let tail = File::open(&last).and_then(|file| tail(&file));
                    let tail = tail.map_err(|error| cannot("read", &last, &error))?;
                    head_of(&tail.line.unwrap_or_default(), &last, &seal)?
                }
            },
        };
        let (most_bytes, most_files) = (settings.most_bytes, settings.most_files);
        let mut file = LogFile { path: path.clone(), most_bytes, most_files, file: Some(file), length, is_torn: false };
        if !torn.is_empty() {
            let cut = String::from_utf8_lossy(&torn[..torn.len().min(KEPT_OF_CUT)]).into_owned();
            let (mut line, repair) = (Vec::new(), Event::Repair { cut_bytes: torn.len() as u64, cut });
            head = seal.line(&mut line, head, OffsetDateTime::now_utc(), &repair);
            file.write_over_cut(&line).map_err(|error| cannot("write", &path, &error))?;
            tracing::warn!(file = %path.display(), bytes = torn.len(), "the audit log ended in a line that was cut off: a line says so now");
        }
        Ok(Self { target: Target::File(file), seal, head })
    }

    /// Writes lines, all of them or none, and waits for the disk where that is wanted.
    pub fn write<'e>(
        &mut self,
        events: impl IntoIterator<Item = (OffsetDateTime, &'e Event)>,
        durably: bool,
    ) -> io::Result<()> {
        let (mut lines, mut head) = (Vec::new(), self.head);
        for (time, event) in events {
            head = self.seal.line(&mut lines, head, time, event);
        }
        match &mut self.target {
            Target::Stream(stream) => stream.write_all(&lines).and_then(|()| stream.flush())?,
            Target::File(file) => file.append(&lines, self.head.seq, durably)?,
        }
        self.head = head;
        Ok(())
    }

    /// Waits until the disk has what was written.
    pub fn sync(&self) -> io::Result<()> {
        match &self.target {
            Target::File(LogFile { file: Some(file), .. }) => file.sync_data(),
            _ => Ok(()),
        }
    }

    /// For people.
    pub fn place(&self) -> String {
        match &self.target {
            Target::Stream(_) => "its stream".to_owned(),
            Target::File(file) => file.path.display().to_string(),
        }
    }
}

impl LogFile {
    /// Writes over what was cut off. There is no moment at which nothing tells of it: where the line is shorter, the rest goes with the next
    /// line, and where it cannot be written, there is still a line without an end.
    fn write_over_cut(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.write_all_at(line, self.length)?;
            file.sync_data()?;
        }
        self.length += line.len() as u64;
        self.is_torn = true;
        Ok(())
    }

    /// Writes at the end. On an error nothing of it stays.
    fn append(&mut self, lines: &[u8], last_seq: u64, durably: bool) -> io::Result<()> {
        let end = self.length + lines.len() as u64;
        if self.length > 0 && self.most_bytes.is_some_and(|most| end > most) {
            self.finish(last_seq)?;
        }
        if self.file.as_ref().is_some_and(|file| file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)) {
            tracing::error!(file = %self.path.display(), "the audit log was removed: it goes on in a new file, which does not begin the chain");
            self.file = None;
        }
        let file = match &self.file {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                let file = options.read(true).write(true).create_new(true).mode(0o600).open(&self.path)?;
                let file = locked(file)?;
                sync_folder_of(&self.path)?;
                (self.length, self.is_torn) = (0, false);
                self.file.insert(file)
            }
        };
        if self.is_torn {
            file.set_len(self.length)?;
            self.is_torn = false;
        }
        let written =
            file.write_all_at(lines, self.length).and_then(|()| if durably { file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.length += lines.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.is_torn = file.set_len(self.length).is_err();
                Err(error)
            }
        }
    }

    /// Gives the full file a name of its own. The next line begins a new one.
    fn finish(&mut self, last_seq: u64) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.sync_data()?;
            let format = format_description!("[year][month][day]T[hour][minute][second][subsecond digits:3]Z");
            let time = OffsetDateTime::now_utc().format(format).map_err(io::Error::other)?;
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{time}-{last_seq:012}"));
            if fs::exists(&name)? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(&self.path, &name)?;
        }
        self.file = None;
        if let Some(most) = self.most_files {
            let files = finished(&self.path)?;
            for old in &files[..files.len().saturating_sub(most)] {
                fs::remove_file(old)?;
            }
        }
        Ok(())
    }
}

/// The finished files of a log, from the oldest.
fn finished(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let mut found = Vec::new();
    for entry in fs::read_dir(folder_of(path))? {
        let entry = entry?;
        let file = entry.file_name();
        let rest = file.to_str().and_then(|file| file.strip_prefix(&name));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let parts = rest.and_then(|rest| rest.split_once("Z-"));
        if parts.is_some_and(|(time, seq)| digits(&time.replacen('T', "", 1)) && digits(seq)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

fn locked(file: File) -> io::Result<File> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another server writes to it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn tail(mut file: &File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    let mut window = WINDOW;
    loop {
        let from = length.saturating_sub(window);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        file.take(length - from).read_to_end(&mut bytes)?;
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let begin = end.and_then(|end| bytes[..end].iter().rposition(|byte| *byte == b'\n')).map(|before| before + 1);
        match (end, begin) {
            (Some(end), Some(begin)) => {
                return Ok(Tail { line: Some(bytes[begin..end].to_vec()), torn: bytes.split_off(end + 1) });
            }
            (Some(end), None) if from == 0 => {
                let torn = bytes.split_off(end + 1);
                bytes.truncate(end);
                return Ok(Tail { line: Some(bytes), torn });
            }
            (None, _) if from == 0 => return Ok(Tail { line: None, torn: bytes }),
            _ if window > 2 * LONGEST as u64 => return Err(io::Error::other("its end is no line of an audit log")),
            _ => window *= 2,
        }
    }
}

fn head_of(line: &[u8], path: &Path, seal: &Seal) -> Result<Head, String> {
    seal.open(line).map(|sealed| sealed.head).map_err(|broken| {
        format!(
            "--audit-log (REKOLLECT_AUDIT_LOG): the last line of {} cannot be continued: {broken}; name the key that it was written with \
             (--audit-key), or move the file away to begin a new log",
            path.display()
        )
    })
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> String {
    format!("--audit-log (REKOLLECT_AUDIT_LOG): cannot {what} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::super::line::About;
    use super::super::verify;
    use super::*;

    fn settings(folder: &Path, most_bytes: Option<u64>, most_files: Option<usize>) -> AuditSettings {
        AuditSettings { place: folder.join("audit.jsonl"), most_bytes, most_files, key: None }
    }

    fn event(number: usize) -> Event {
        let about = About { request_id: number.to_string(), ..Default::default() };
        Event::Intent(about)
    }

    fn write(log: &mut Log, number: usize) -> io::Result<()> {
        log.write([(OffsetDateTime::UNIX_EPOCH, &event(number))], false)
    }

    fn files(settings: &AuditSettings) -> Vec<PathBuf> {
        finished(&settings.place).unwrap().into_iter().chain([settings.place.clone()]).collect()
    }

    #[test]
    fn the_chain_goes_on_wherever_the_file_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), None, None);
        let mut log = Log::open(&settings, Seal::plain()).unwrap();
        write(&mut log, 1).unwrap();
        drop(log);
        let whole = fs::read(&settings.place).unwrap();
        let lines = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count();
        for cut in 0..=whole.len() {
            fs::write(&settings.place, &whole[..cut]).unwrap();
            drop(Log::open(&settings, Seal::plain()).unwrap());
            let text = fs::read_to_string(&settings.place).unwrap();
            let is_torn = cut > 0 && whole[cut - 1] != b'\n';
            assert_eq!(text.contains(r#""event":"repair""#), is_torn, "cut at {cut}");
            assert_eq!(lines(text.as_bytes()), lines(&whole[..cut]) + usize::from(is_torn) + 1);
            verify(std::slice::from_ref(&settings.place), &Seal::plain(), None).unwrap();
        }
    }

    #[test]
    fn full_files_are_followed_by_others_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let every = settings(folder.path(), Some(1000), None);
        let mut log = Log::open(&every, Seal::plain()).unwrap();
        for number in 0..20 {
            write(&mut log, number).unwrap();
        }
        drop(log);
        assert!(files(&every).len() > 3);
        assert!(files(&every).iter().all(|file| fs::metadata(file).unwrap().len() <= 1000));
        let whole = verify(&files(&every), &Seal::plain(), None).unwrap();
        assert_eq!((whole.lines, whole.before), (21, Head::default()));
        // Others that lie beside it are nobody's.
        let notes = folder.path().join("audit.jsonl.notes");
        fs::write(&notes, "").unwrap();
        let few = settings(folder.path(), Some(1000), Some(1));
        let mut log = Log::open(&few, Seal::plain()).unwrap();
        for number in 0..5 {
            write(&mut log, number).unwrap();
        }
        assert_eq!(files(&few).len(), 2);
        assert!(notes.exists());
        // A line that is longer than a file may be has one of its own.
        let tiny = AuditSettings { most_bytes: Some(1), ..few };
        drop(log);
        let mut log = Log::open(&tiny, Seal::plain()).unwrap();
        write(&mut log, 1).unwrap();
        assert_eq!(verify(&[tiny.place], &Seal::plain(), None).unwrap().lines, 1);
    }

    #[test]
    fn a_stream_that_is_full_says_so() {
        let settings = AuditSettings { place: "/dev/full".into(), ..settings(Path::new("/"), None, None) };
        let error = Log::open(&settings, Seal::plain()).err().unwrap();
        assert!(error.contains("/dev/full") && error.contains("No space"), "{error}");
    }

    #[test]
    fn what_is_no_log_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path(), None, None);
        for other in ["a diary\n", "{\"seq\":1}\n"] {
            fs::write(&settings.place, other).unwrap();
            assert!(Log::open(&settings, Seal::plain()).is_err());
            assert_eq!(fs::read_to_string(&settings.place).unwrap(), other);
        }
    }
}
