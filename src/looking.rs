//! Looking for bytes in files.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use aho_corasick::AhoCorasick;

/// What a look at files found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// So many bytes were looked at.
    pub bytes: u64,
    /// And what was looked for was there so often.
    pub found: u64,
}

/// Looks for any of these, none of which is empty. A file that is gone by then has nothing.
pub fn look(files: &[PathBuf], for_any: &[Vec<u8>]) -> io::Result<Looked> {
    let mut looked = Looked::default();
    if for_any.is_empty() {
        return Ok(looked);
    }
    let automaton = AhoCorasick::new(for_any).map_err(io::Error::other)?;
    for file in files {
        let file = match File::open(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        looked.bytes += file.metadata()?.len();
        for found in automaton.stream_find_iter(file) {
            found?;
            looked.found += 1;
        }
    }
    Ok(looked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_wherever_they_begin() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (vec![7u8; 600], [vec![1u8; 300], vec![2; 300]].concat());
        let mut content = vec![0u8; 300_000];
        content[65_300..65_900].copy_from_slice(&first);
        content[200_001..200_601].copy_from_slice(&second);
        let (file, gone) = (folder.path().join("file"), folder.path().join("gone"));
        std::fs::write(&file, content).unwrap();
        let files = [file, gone];
        let found = |needles: &[Vec<u8>]| look(&files, needles).unwrap();
        assert_eq!(found(&[first.clone(), second.clone()]), Looked { bytes: 300_000, found: 2 });
        assert_eq!(found(&[second]).found, 1);
        assert_eq!(found(&[vec![9; 8]]).found, 0);
        assert_eq!(found(&[]), Looked::default());
    }
}
