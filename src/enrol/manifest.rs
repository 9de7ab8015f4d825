//! Photos of a manifest: CSV with a line of names, or JSON Lines.

use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::domain::{ExternalImageId, UserId};

use super::photo::{Photo, Place};
use super::source::object_of;

/// The grammar of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// Comma-separated values.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

impl Grammar {
    /// By the ending of a file's name.
    pub fn of(file: &Path) -> Option<Self> {
        match file.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// A line of a manifest.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Row {
    path: String,
    #[serde(rename = "ExternalImageId", default)]
    external_image_id: Option<String>,
    #[serde(rename = "UserId", default)]
    user_id: Option<String>,
}

/// Reads a manifest whose paths are relative to `folder`. What is wrong with a line is told in `problems`.
pub fn read(grammar: Grammar, input: impl Read, folder: &Path, problems: &mut Vec<String>) -> Vec<Photo> {
    let rows = match grammar {
        Grammar::Csv => rows_of_csv(input),
        Grammar::JsonLines => rows_of_json(input),
    };
    let mut photos = Vec::new();
    for (number, row) in rows {
        match row.and_then(|row| photo(row, folder)) {
            Ok(photo) => photos.push(photo),
            Err(reason) => problems.push(format!("line {number}: {reason}")),
        }
    }
    photos
}

type Rows = Vec<(u64, Result<Row, String>)>;

fn rows_of_csv(input: impl Read) -> Rows {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(input);
    let headers = match reader.headers() {
        Ok(headers) => headers.clone(),
        Err(error) => return vec![(1, Err(error.to_string()))],
    };
    // Told once, and not for each line.
    const KNOWN: [&str; 3] = ["path", "ExternalImageId", "UserId"];
    let unknown = headers.iter().find(|name| !KNOWN.contains(name));
    if unknown.is_some() || !headers.iter().any(|name| name == KNOWN[0]) {
        let what =
            unknown.map_or("there is no column path".to_owned(), |name| format!("{name:?} is no column of a manifest"));
        return vec![(
            1,
            Err(format!(
                "{what}: the first line names the columns path, ExternalImageId and UserId, of which the last two may be missing"
            )),
        )];
    }
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => return rows,
            Ok(true) => {
                let number = record.position().map_or(line, csv::Position::line);
                rows.push((number, record.deserialize(Some(&headers)).map_err(|error| error.to_string())));
            }
            Err(error) => {
                let number = error.position().map_or(line, csv::Position::line);
                let reason = match error.kind() {
                    csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                        format!("{len} columns, and the first line names {expected_len}")
                    }
                    csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
                    _ => error.to_string(),
                };
                let is_broken = error.is_io_error();
                rows.push((number, Err(reason)));
                if is_broken {
                    return rows;
                }
            }
        }
    }
}

fn rows_of_json(mut input: impl Read) -> Rows {
    let mut text = Vec::new();
    if let Err(error) = input.read_to_end(&mut text) {
        return vec![(1, Err(error.to_string()))];
    }
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    let written = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    written.map(|(number, line)| (number, serde_json::from_slice(line).map_err(|error| error.to_string()))).collect()
}

fn photo(row: Row, folder: &Path) -> Result<Photo, String> {
    let place = match object_of(&row.path) {
        Some(object) => Place::Object { object: object?, tag: None },
        None if row.path.is_empty() => return Err("no path".to_owned()),
        None => {
            let file = folder.join(&row.path);
            match file.metadata() {
                Ok(metadata) if metadata.is_file() => Place::File(file),
                Ok(_) => return Err(format!("{} is no file", row.path)),
                Err(error) => return Err(format!("{}: {error}", row.path)),
            }
        }
    };
    let external_image_id = row.external_image_id.map(ExternalImageId::try_from).transpose();
    let external_image_id = external_image_id
        .map_err(|_| "an ExternalImageId has 1 to 255 letters of a-z and A-Z, digits, and any of _ . - :".to_owned())?;
    let user_id = row.user_id.map(UserId::try_from).transpose();
    let user_id =
        user_id.map_err(|_| "a UserId has 1 to 128 letters of a-z and A-Z, digits, and any of _ . - :".to_owned())?;
    Ok(Photo { name: row.path, place, external_image_id, user_id })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_text(grammar: Grammar, text: &[u8]) -> (Vec<Photo>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jpg", "b c.jpg", "größe,1.jpg"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut problems = Vec::new();
        let photos = read(grammar, text, folder.path(), &mut problems);
        (photos, problems)
    }

    fn ids(photos: &[Photo]) -> Vec<(&str, Option<&str>, Option<&str>)> {
        photos
            .iter()
            .map(|photo| {
                let id = photo.external_image_id.as_ref().map(ExternalImageId::as_str);
                (photo.name.as_str(), id, photo.user_id.as_ref().map(UserId::as_str))
            })
            .collect()
    }

    #[test]
    fn both_grammars_say_the_same() {
        let csv = "\u{feff}UserId, path,ExternalImageId\r\nanna,a.jpg,one\r\n,b c.jpg,\r\n,\"größe,1.jpg\",three\n,s3://bucket/x.jpg,\n";
        let json = r#"
            {"path": "a.jpg", "ExternalImageId": "one", "UserId": "anna"}

            {"path": "b c.jpg"}
            {"path": "größe,1.jpg", "ExternalImageId": "three", "UserId": null}
            {"path": "s3://bucket/x.jpg"}"#;
        let wanted = [
            ("a.jpg", Some("one"), Some("anna")),
            ("b c.jpg", None, None),
            ("größe,1.jpg", Some("three"), None),
            ("s3://bucket/x.jpg", None, None),
        ];
        for (grammar, text) in [(Grammar::Csv, csv), (Grammar::JsonLines, json)] {
            let (photos, problems) = read_text(grammar, text.as_bytes());
            assert_eq!(problems, Vec::<String>::new());
            assert_eq!(ids(&photos), wanted, "{grammar:?}");
            assert!(matches!(photos[0].place, Place::File(_)) && matches!(photos[3].place, Place::Object { .. }));
        }
    }

    #[test]
    fn every_wrong_line_is_told_by_its_number() {
        let csv = "path,ExternalImageId\na.jpg,one\nmissing.jpg,two\n\"a.jpg\",spa ce\na.jpg\n.,x\n,y\ns3://bucket,z\nb c.jpg,last\n";
        let (photos, problems) = read_text(Grammar::Csv, csv.as_bytes());
        assert_eq!(ids(&photos), [("a.jpg", Some("one"), None), ("b c.jpg", Some("last"), None)]);
        let wanted = [
            "line 3: missing.jpg",
            "line 4: an ExternalImageId",
            "line 5: 1 columns",
            "line 6: . is no file",
            "line 7: no path",
            "line 8: s3://bucket is no",
        ];
        assert_eq!(problems.len(), wanted.len(), "{problems:?}");
        for (problem, wanted) in problems.iter().zip(wanted) {
            assert!(problem.starts_with(wanted), "{problem}");
        }
        let json = "{\"path\":\"a.jpg\"}\n{\"path\":\"a.jpg\",\"Userid\":\"x\"}\n{\"path\":3}\nnonsense\n";
        let (photos, problems) = read_text(Grammar::JsonLines, json.as_bytes());
        assert_eq!(photos.len(), 1);
        assert!(problems[0].starts_with("line 2: unknown field `Userid`"), "{problems:?}");
        assert!(problems[1].starts_with("line 3: ") && problems[2].starts_with("line 4: "), "{problems:?}");
    }

    #[test]
    fn a_wrong_first_line_is_told_once() {
        for (csv, wanted) in [
            ("path;UserId\na.jpg;x\na.jpg;x\n", "line 1: \"path;UserId\" is no column"),
            ("ExternalImageId\nx\ny\n", "line 1: there is no column path"),
            ("", "line 1: there is no column path"),
        ] {
            let (photos, problems) = read_text(Grammar::Csv, csv.as_bytes());
            assert!(photos.is_empty() && problems.len() == 1 && problems[0].starts_with(wanted), "{problems:?}");
        }
        let (_, problems) = read_text(Grammar::Csv, b"path\n\xff.jpg\na.jpg\n");
        assert_eq!(problems, ["line 2: not UTF-8"]);
    }

    proptest! {
        #[test]
        fn what_a_program_wrote_is_read_as_it_meant_it(
            rows in prop::collection::vec(("s3://bucket/[^\0]{1,30}", prop::option::of("[a-zA-Z0-9_.:-]{1,20}"), prop::option::of("[a-zA-Z0-9_.:-]{1,20}")), 1..10)
        ) {
            let mut csv = csv::Writer::from_writer(Vec::new());
            csv.write_record(["path", "ExternalImageId", "UserId"]).unwrap();
            let mut json = String::new();
            for (path, id, user) in &rows {
                let texts = [Some(path), id.as_ref(), user.as_ref()].map(|text| text.map_or("", String::as_str));
                csv.write_record(texts).unwrap();
                json += &serde_json::json!({"path": path, "ExternalImageId": id, "UserId": user}).to_string();
                json.push('\n');
            }
            let wanted: Vec<_> = rows.iter().map(|(path, id, user)| (path.as_str(), id.as_deref(), user.as_deref())).collect();
            for (grammar, text) in [(Grammar::Csv, csv.into_inner().unwrap()), (Grammar::JsonLines, json.into_bytes())] {
                let (photos, problems) = read_text(grammar, &text);
                prop_assert_eq!(&problems, &Vec::<String>::new());
                prop_assert_eq!(ids(&photos), wanted.clone());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for grammar in [Grammar::Csv, Grammar::JsonLines] {
                read_text(grammar, &bytes);
                read_text(grammar, &[b"path,UserId\n", bytes.as_slice()].concat());
            }
        }
    }
}
