//! Whether an audit log is whole.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::line::{Hash, Head, LONGEST, Seal, parse_hash};
use super::log::STANDARD;

/// A log that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// How many lines it has.
    pub lines: u64,
    /// Where the chain was before its first line: number 0 at the true beginning.
    pub before: Head,
    /// Where it ends.
    pub end: Head,
}

/// Checks the lines of these files, in their order, and that one of them has the hash that was noted before. The error names the first line
/// that is wrong.
pub fn verify(files: &[PathBuf], seal: &Seal, noted: Option<&str>) -> Result<Whole, String> {
    let noted =
        noted.map(|text| parse_hash(text.as_bytes()).ok_or("the hash to look for is not 64 hexadecimal digits"));
    let noted = noted.transpose()?;
    let mut check = Check { seal, noted, has_noted: false, lines: 0, before: None, end: Head::default() };
    for path in files {
        let name = path.display();
        let outcome = if path == Path::new(STANDARD) {
            check.read(io::stdin().lock())
        } else {
            let file = File::open(path).map_err(|error| format!("cannot open {name}: {error}"))?;
            check.read(BufReader::new(file))
        };
        outcome.map_err(|(line, what)| format!("{name}, line {line}: {what}"))?;
    }
    let Some(before) = check.before else { return Err("there is no line".to_owned()) };
    if noted.is_some() && !check.has_noted {
        return Err(
            "no line has the hash that was noted: lines are missing at the end, or this is another log".to_owned()
        );
    }
    Ok(Whole { lines: check.lines, before, end: check.end })
}

struct Check<'a> {
    seal: &'a Seal,
    noted: Option<Hash>,
    has_noted: bool,
    lines: u64,
    before: Option<Head>,
    end: Head,
}

impl Check<'_> {
    /// Fails with the number of a line in its file, and what is wrong.
    fn read(&mut self, mut file: impl BufRead) -> Result<(), (u64, String)> {
        let (mut line, mut number) = (Vec::new(), 0);
        loop {
            line.clear();
            number += 1;
            let mut bounded = (&mut file).take(LONGEST as u64);
            let read = bounded.read_until(b'\n', &mut line).map_err(|error| (number, error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            self.line(&line).map_err(|what| (number, what))?;
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let line = line.strip_suffix(b"\n").ok_or("it is cut off")?;
        let sealed = self.seal.open(line).map_err(|broken| broken.to_string())?;
        let before = match self.before {
            Some(_) => self.end,
            // Earlier files may be elsewhere.
            None => *self.before.insert(Head { seq: sealed.head.seq.saturating_sub(1), hash: sealed.previous }),
        };
        let (seq, expected) = (sealed.head.seq, before.seq.wrapping_add(1));
        if seq != expected {
            return Err(format!(
                "it has the number {seq}, and {expected} comes next: lines are missing, or are not in order"
            ));
        }
        if sealed.previous != before.hash || before.seq == 0 && before != Head::default() {
            return Err("it does not follow the line before: that was changed, or is missing".to_owned());
        }
        self.has_noted |= self.noted == Some(sealed.head.hash);
        (self.lines, self.end) = (self.lines + 1, sealed.head);
        Ok(())
    }
}
