//! The commands that call a server.

use std::path::PathBuf;

use clap::{Args, value_parser};
use strum::VariantNames;

use crate::domain::{CollectionId, QualityFilter};
use crate::enrol::{Naming, Source};

use super::values::collection;

/// Headings, in `--help`.
mod heading {
    pub const ENDPOINT: &str = "Endpoint and key";
    pub const FACES: &str = "Faces";
    pub const NAMES: &str = "Names";
}

/// Examples of a command, after what all of them need, and what else is said below its settings.
macro_rules! examples {
    ($title:literal, $rest:literal) => {
        concat!(
            $title,
            ":\n",
            "  export AWS_ENDPOINT_URL_REKOGNITION=http://127.0.0.1:7350 AWS_REGION=us-east-1\n",
            "  export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n",
            $rest
        )
    };
}

/// Whom a command calls, and with which key.
#[derive(Clone, Debug, Args)]
pub struct ClientSettings {
    /// The endpoint, such as http://127.0.0.1:7350. The default is AWS_ENDPOINT_URL_REKOGNITION, AWS_ENDPOINT_URL or the profile's endpoint_url. Amazon's own has to be named as well.
    #[arg(long, value_name = "URL", help_heading = heading::ENDPOINT)]
    pub endpoint_url: Option<String>,
    /// The region of signatures. The default is AWS_REGION, AWS_DEFAULT_REGION or the profile's region.
    #[arg(long, help_heading = heading::ENDPOINT)]
    pub region: Option<String>,
    /// The profile in ~/.aws/credentials and ~/.aws/config whose key signs. The default is AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, then AWS_PROFILE, then the profile `default`.
    #[arg(long, value_name = "NAME", help_heading = heading::ENDPOINT)]
    pub profile: Option<String>,
    /// The S3 server that lists the objects of s3://bucket/prefix. The default is AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile's endpoint_url, and without any of them Amazon's own.
    #[arg(long, value_name = "URL", help_heading = heading::ENDPOINT)]
    pub s3_endpoint_url: Option<String>,
}

/// What `rekollect enrol` does.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples!("Examples", "  rekollect enrol people/ --collection people --create-collection --users
  rekollect enrol people.csv --collection people --dry-run

If it was stopped, the same command goes on where it ended.

Exit codes:
  0    every photo is done; a photo without a face to index is done, too
  1    nothing was begun, or nothing further could work: the message says why
  2    the command line is wrong
  3    some photos failed: the report says why, and the same command tries them again
  130  stopped by Ctrl-C or SIGTERM"))]
pub struct EnrolSettings {
    /// A folder, with a sub-folder for each person or without; a manifest (.csv, .jsonl) with path, ExternalImageId and UserId; or s3://bucket/prefix.
    pub source: Source,
    /// The collection.
    #[arg(long, value_name = "ID", value_parser = collection)]
    pub collection: CollectionId,
    /// Make the collection if it is not there.
    #[arg(long)]
    pub create_collection: bool,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Photos that are enrolled at a time.
    #[arg(long, value_name = "NUMBER", default_value = "8", value_parser = value_parser!(u16).range(1..=256))]
    pub parallel: u16,
    /// File that gets a line of JSON for each photo. A report that is there already says what is done. The default is enrol-COLLECTION.jsonl.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Make a user of each person, and associate the largest face of each photo with it. The person is the sub-folder, or the manifest's UserId.
    #[arg(long, help_heading = heading::FACES)]
    pub users: bool,
    /// How alike a face has to be to those that its user has: UserMatchThreshold. The default is the endpoint's.
    #[arg(long, value_name = "PERCENT", requires = "users", value_parser = percent, help_heading = heading::FACES)]
    pub user_match_threshold: Option<f32>,
    /// Faces of a photo that are indexed, the largest first: MaxFaces. The default is 1 with --users, else the endpoint's.
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..), help_heading = heading::FACES)]
    pub max_faces: Option<u32>,
    /// How good a face has to be: QualityFilter. The default is the endpoint's.
    #[arg(long, value_name = "LEVEL", value_parser = quality_filter, help_heading = heading::FACES)]
    pub quality_filter: Option<QualityFilter>,

    /// What becomes the ExternalImageId of a photo of a folder or a bucket. What such an id cannot have becomes `_`.
    #[arg(long, value_enum, default_value_t = Naming::Path, help_heading = heading::NAMES)]
    pub external_image_id: Naming,
    /// Several photos may have the same ExternalImageId.
    #[arg(long, help_heading = heading::NAMES)]
    pub shared_ids: bool,

    /// Whom to call.
    #[command(flatten)]
    pub client: ClientSettings,
}

/// What `rekollect reindex` does.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples!("Examples", "  rekollect reindex people.csv --from people --to people-2 --model-pack standard --dry-run
  rekollect reindex people.csv --from people --to people-2 --model-pack standard

The old collection answers all the while, and is not changed. When your program uses the new one, delete the old one.
If it was stopped, the same command goes on where it ended. Run it once more before the switch for what came meanwhile.

Exit codes:
  0    every photo is done; the last line and the report say which faces are not in the new collection
  1    nothing was begun, or nothing further could work: the message says why
  2    the command line is wrong
  3    some photos failed: the report says why, and the same command tries them again
  130  stopped by Ctrl-C or SIGTERM"))]
pub struct ReindexSettings {
    /// Where the photos are that the faces came from: a folder, a manifest (.csv, .jsonl) with path and ExternalImageId, or s3://bucket/prefix.
    pub source: Source,
    /// The old collection.
    #[arg(long, value_name = "ID", value_parser = collection)]
    pub from: CollectionId,
    /// The new collection. It is made, with the old one's tags, if it is not there.
    #[arg(long, value_name = "ID", value_parser = collection)]
    pub to: CollectionId,
    /// The model pack of a new collection: the tag rekollect:pack. The default is the server's own pack.
    #[arg(long, value_name = "PACK")]
    pub model_pack: Option<String>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Photos that are indexed at a time.
    #[arg(long, value_name = "NUMBER", default_value = "8", value_parser = value_parser!(u16).range(1..=256))]
    pub parallel: u16,
    /// File that gets a line of JSON for each photo, and for each difference. A report that is there already says what is done. The default is reindex-COLLECTION.jsonl, by the new one.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Keep faces that only the new model finds, and index photos of which the old collection has no face. Without it the new collection gets no face that the old one does not have, so nobody comes back who was deleted.
    #[arg(long, help_heading = heading::FACES)]
    pub new_faces: bool,
    /// How good a face has to be: QualityFilter. The faces passed one when they came into the old collection.
    #[arg(long, value_name = "LEVEL", default_value = "none", value_parser = quality_filter, help_heading = heading::FACES)]
    pub quality_filter: QualityFilter,
    /// Of how many faces the matches are compared in both collections; 0 for none.
    #[arg(long, value_name = "NUMBER", default_value = "1000", help_heading = heading::FACES)]
    pub compare: u32,
    /// How alike two faces are that match, in that comparison.
    #[arg(long, value_name = "PERCENT", default_value = "80", value_parser = percent, help_heading = heading::FACES)]
    pub threshold: f32,

    /// What the ExternalImageId of a photo of a folder or a bucket was made of, when it was enrolled. Photos that are here need no name: their content tells which faces are theirs.
    #[arg(long, value_enum, default_value_t = Naming::Path, help_heading = heading::NAMES)]
    pub external_image_id: Naming,

    /// Whom to call.
    #[command(flatten)]
    pub client: ClientSettings,
}

/// What `rekollect identify` does.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples!("Example", "  rekollect identify party.jpg --collection people

Exit codes:
  0  every photo was looked at
  1  nothing further could work: the message says why
  2  the command line is wrong
  3  some photos could not be looked at; the messages say why"))]
pub struct IdentifySettings {
    /// The photos.
    #[arg(required = true)]
    pub photos: Vec<PathBuf>,
    /// The collection.
    #[arg(long, value_name = "ID", value_parser = collection)]
    pub collection: CollectionId,
    /// How alike a match is. The default is the server's.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub threshold: Option<f32>,
    /// The most users, and the most faces, that are told of each face.
    #[arg(long, value_name = "NUMBER", default_value = "3", value_parser = value_parser!(u32).range(1..=500))]
    pub matches: u32,
    /// Tell a line of JSON for each photo: the server's reply, and the photo's name.
    #[arg(long)]
    pub json: bool,

    /// Whom to call.
    #[command(flatten)]
    pub client: ClientSettings,
}

/// What `rekollect group` does.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples!("Example", "  rekollect group --collection people --threshold 90 > groups.jsonl"))]
pub struct GroupSettings {
    /// The collection.
    #[arg(long, value_name = "ID", value_parser = collection)]
    pub collection: CollectionId,
    /// How alike two faces of one person are. The default is the server's.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub threshold: Option<f32>,
    /// The least faces of a group. The default is the server's.
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(2..))]
    pub min_faces: Option<u32>,
    /// Group the faces of users as well.
    #[arg(long)]
    pub all: bool,

    /// Whom to call.
    #[command(flatten)]
    pub client: ClientSettings,
}

/// What `rekollect erase` does.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples!("Example", "  rekollect erase --collection people --user ada

Exit codes:
  0  the server has nothing of them any more
  1  nothing was done: the message says why
  2  the command line is wrong
  3  something is left: the output says where"))]
pub struct EraseSettings {
    /// The collection.
    #[arg(long, value_name = "ID", value_parser = collection)]
    pub collection: CollectionId,
    /// A user, who goes with all of its faces.
    #[arg(long, value_name = "ID", required_unless_present = "faces", conflicts_with = "faces")]
    pub user: Option<String>,
    /// A face, whoever has it. Give the flag several times for several faces.
    #[arg(long = "face", value_name = "ID")]
    pub faces: Vec<String>,

    /// Whom to call.
    #[command(flatten)]
    pub client: ClientSettings,
}

fn percent(text: &str) -> Result<f32, String> {
    let percent = text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.ok_or_else(|| "a number from 0 to 100".to_owned())
}

fn quality_filter(text: &str) -> Result<QualityFilter, String> {
    text.to_ascii_uppercase().parse().map_err(|_| format!("one of {}", QualityFilter::VARIANTS.join(", ")))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    fn parses(args: &[&str]) -> bool {
        Cli::try_parse_from(["rekollect", "enrol"].iter().chain(args)).is_ok()
    }

    #[test]
    fn a_command_line_that_could_never_work_is_refused() {
        const GOOD: [&str; 3] = ["people", "--collection", "people"];
        assert!(parses(&GOOD));
        assert!(parses(
            &[&GOOD[..], &["--quality-filter", "high", "--users", "--user-match-threshold", "80"]].concat()
        ));
        for bad in [
            ["--parallel", "0"],
            ["--max-faces", "0"],
            ["--quality-filter", "best"],
            ["--user-match-threshold", "80"],
            ["--external-image-id", "digest"],
        ] {
            assert!(!parses(&[&GOOD[..], &bad].concat()), "{bad:?}");
        }
        assert!(!parses(&["people"]) && !parses(&["--collection", "people"]));
        assert!(!parses(&["people", "--collection", "a b"]) && !parses(&["s3://", "--collection", "people"]));
        assert!(!parses(&[&GOOD[..], &["--users", "--user-match-threshold", "101"]].concat()));
    }
}
