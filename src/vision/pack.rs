//! Model packs: `models/manifest.toml`, which names the weights, what goes into them, and what comes out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::domain::ModelVersion;

use super::Calibration;

/// The manifest, as far as the server reads it.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    /// The pack that is used unless another one is named.
    pub default_pack: String,
    /// Every pack.
    #[serde(rename = "pack")]
    pub packs: Vec<Pack>,
    /// What every pack finds out about a face beside its vector.
    pub attributes: AttributesSpec,
    /// Every file, by the name that packs use.
    #[serde(rename = "file")]
    pub files: BTreeMap<String, File>,
}

/// A detector and an embedder that belong together.
#[derive(Clone, Debug, Deserialize)]
pub struct Pack {
    /// Its name.
    pub name: String,
    /// One sentence for people.
    pub summary: String,
    /// What collections remember: vectors of another version are never compared with this pack's.
    #[serde(deserialize_with = "version")]
    pub face_model_version: ModelVersion,
    /// How faces are found.
    pub detector: DetectorSpec,
    /// How faces become vectors.
    pub embedder: EmbedderSpec,
}

/// A YuNet detector and the way it is run.
#[derive(Clone, Debug, Deserialize)]
pub struct DetectorSpec {
    /// Its file's name in the manifest.
    pub file: String,
    /// The long sides, in pixels, to which an image is brought for one pass each; an image is at most
    /// doubled.
    pub long_sides: Vec<u32>,
    /// The long side, in pixels, of one more pass when the others hint at tiny faces and the image is that large.
    pub tiny_faces_side: u32,
    /// Scores (0 to 1) below this are no faces.
    pub score_threshold: f32,
    /// Of two boxes with more overlap (intersection over union) than this only the better one stays.
    pub nms_iou: f32,
    /// From score to confidence.
    pub confidence: Calibration,
}

/// An embedder: aligned crop in, vector out.
#[derive(Clone, Debug, Deserialize)]
pub struct EmbedderSpec {
    /// Its file's name in the manifest.
    pub file: String,
    /// Length of its vectors.
    pub dimensions: usize,
    /// Side of the square crop, in pixels.
    pub input_size: u32,
    /// Order of the colour planes.
    pub channels: Channels,
    /// A plane holds (pixel - mean) * scale.
    pub mean: f32,
    /// See `mean`.
    pub scale: f32,
    /// Where the five landmarks lie in the crop, in pixels.
    pub template: [[f32; 2]; 5],
    /// A vector that lies nearer than this to that of an empty crop, before it is brought to unit length, is of no face.
    pub face_from_distance: f32,
    /// From cosine to similarity.
    pub similarity: Calibration,
}

/// The nets that every pack uses for attributes, by their files' names in the manifest.
#[derive(Clone, Debug, Deserialize)]
pub struct AttributesSpec {
    /// The face mesh.
    pub mesh: String,
    /// The iris model.
    pub iris: String,
    /// Age and gender.
    pub age_gender: String,
    /// Seven expressions.
    pub expressions: String,
    /// The project's own net of traits.
    pub traits: TraitsSpec,
}

/// The net of traits: aligned crop in, a logit a trait out.
#[derive(Clone, Debug, Deserialize)]
pub struct TraitsSpec {
    /// Its file's name in the manifest.
    pub file: String,
    /// Side of the square crop, in pixels.
    pub input_size: u32,
    /// Where the five landmarks lie in the crop, in pixels.
    pub template: [[f32; 2]; 5],
    /// From logit to chance (0 to 100), in the order of the net's numbers.
    #[serde(rename = "curve")]
    pub curves: Vec<TraitCurve>,
}

/// A trait's name and curve.
#[derive(Clone, Debug, Deserialize)]
pub struct TraitCurve {
    /// The trait.
    pub name: String,
    /// From logit to chance; 50 is where the answer turns.
    pub curve: Calibration,
}

impl TraitsSpec {
    /// Where a trait stands among the net's numbers; `None` when the manifest has no curve for it.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.curves.iter().position(|curve| curve.name == name)
    }
}

/// The order of the colour planes of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red first.
    Rgb,
    /// Blue first.
    Bgr,
}

/// A weights file.
#[derive(Clone, Debug, Deserialize)]
pub struct File {
    /// Where it lies, below the models folder.
    pub path: PathBuf,
    /// The digest of its bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Under which terms it may be used.
    pub licence: String,
    /// Who made it.
    pub origin: String,
}

/// A graph's bytes, and where they can be read again.
pub struct Graph {
    /// The ONNX graph.
    pub bytes: Vec<u8>,
    /// Its file.
    pub file: GraphFile,
}

/// Where a graph lies, and what it has to be.
#[derive(Clone)]
pub struct GraphFile {
    models_dir: PathBuf,
    file: File,
    pack: String,
}

impl GraphFile {
    /// Reads it and checks its digest.
    pub fn read(&self) -> Result<Vec<u8>, PackError> {
        read_verified(&self.models_dir, &self.file, &self.pack)
    }
}

/// A pack that is ready to load: bytes that have the digests that the manifest pins.
pub struct VerifiedPack {
    /// Its description.
    pub pack: Pack,
    /// The detector's graph.
    pub detector: Graph,
    /// The embedder's graph.
    pub embedder: Graph,
    /// The nets for attributes.
    pub attributes: VerifiedAttributes,
}

/// The ONNX graphs of the nets for attributes.
pub struct VerifiedAttributes {
    /// The face mesh.
    pub mesh: Vec<u8>,
    /// The iris model.
    pub iris: Vec<u8>,
    /// Age and gender.
    pub age_gender: Vec<u8>,
    /// Seven expressions.
    pub expressions: Vec<u8>,
    /// The net of traits and its description; absent where it is switched off.
    pub traits: Option<(Vec<u8>, TraitsSpec)>,
}

/// What is wrong with the models folder; each message ends with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The manifest cannot be read.
    #[error("cannot read the manifest {path}: {reason}; point --models-dir at the project's models folder")]
    Manifest {
        /// Where it was looked for.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// No such pack.
    #[error("there is no pack {name:?} in the manifest; it has {known}")]
    UnknownPack {
        /// The name asked for.
        name: String,
        /// Those that exist.
        known: String,
    },
    /// A pack names a file that the manifest does not describe.
    #[error("the manifest has no [file.{0}]; describe it there")]
    UnknownFile(String),
    /// A weights file cannot be read.
    #[error("cannot read the weights {path}: {reason}; fetch them with `{remedy}`")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What went wrong.
        reason: String,
        /// The command that fetches it.
        remedy: String,
    },
    /// A weights file is not the one that the manifest pins.
    #[error(
        "the weights {path} have SHA-256 {actual}, the manifest pins {pinned}; delete the file and fetch it anew with `{remedy}`"
    )]
    WrongDigest {
        /// The file.
        path: PathBuf,
        /// What its bytes hash to.
        actual: String,
        /// What they should hash to.
        pinned: String,
        /// The command that fetches it.
        remedy: String,
    },
}

impl Manifest {
    /// Reads `manifest.toml` of a models folder.
    pub fn read(models_dir: &Path) -> Result<Self, PackError> {
        let path = models_dir.join("manifest.toml");
        let fail = |reason: String| PackError::Manifest { path: path.clone(), reason };
        let text = fs::read_to_string(&path).map_err(|e| fail(e.to_string()))?;
        toml::from_str(&text).map_err(|e| fail(e.to_string()))
    }

    /// The pack of this name, or the default one.
    pub fn pack(&self, name: Option<&str>) -> Result<&Pack, PackError> {
        let name = name.unwrap_or(&self.default_pack);
        self.packs.iter().find(|pack| pack.name == name).ok_or_else(|| PackError::UnknownPack {
            name: name.to_owned(),
            known: self.packs.iter().map(|pack| pack.name.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The description of a file that a pack names.
    pub fn file(&self, name: &str) -> Result<&File, PackError> {
        self.files.get(name).ok_or_else(|| PackError::UnknownFile(name.to_owned()))
    }

    /// Reads a pack's weights and checks their digests; the net of traits only when it is wanted.
    pub fn load(&self, models_dir: &Path, name: &str, with_traits: bool) -> Result<VerifiedPack, PackError> {
        let pack = self.pack(Some(name))?.clone();
        let read = |file: &str| read_verified(models_dir, self.file(file)?, &pack.name);
        let graph = |file: &str| {
            let file = self.file(file)?.clone();
            let file = GraphFile { models_dir: models_dir.to_owned(), file, pack: pack.name.clone() };
            Ok(Graph { bytes: file.read()?, file })
        };
        let (detector, embedder) = (graph(&pack.detector.file)?, graph(&pack.embedder.file)?);
        let spec = &self.attributes;
        let traits = with_traits.then(|| Ok((read(&spec.traits.file)?, spec.traits.clone()))).transpose()?;
        let attributes = VerifiedAttributes {
            mesh: read(&spec.mesh)?,
            iris: read(&spec.iris)?,
            age_gender: read(&spec.age_gender)?,
            expressions: read(&spec.expressions)?,
            traits,
        };
        Ok(VerifiedPack { pack, detector, embedder, attributes })
    }

    /// The first of a pack's files that is not there. Whether they are the right ones is seen when they are loaded.
    pub fn missing(&self, models_dir: &Path, pack: &Pack) -> Option<PackError> {
        let missing = |name: &&str| -> Option<PackError> {
            let path = models_dir.join(&self.files.get(*name)?.path);
            let reason = "no such file".to_owned();
            (!path.is_file()).then(|| PackError::Missing { path, reason, remedy: remedy(models_dir, &pack.name) })
        };
        self.files_of(pack).iter().find_map(missing)
    }

    /// The names of the files that a pack loads.
    pub fn files_of<'a>(&'a self, pack: &'a Pack) -> [&'a str; 7] {
        let AttributesSpec { mesh, iris, age_gender, expressions, traits } = &self.attributes;
        [&pack.detector.file, &pack.embedder.file, mesh, iris, age_gender, expressions, &traits.file]
    }
}

/// The bytes of a weights file, if they have the pinned digest.
pub fn read_verified(models_dir: &Path, file: &File, pack: &str) -> Result<Vec<u8>, PackError> {
    let path = models_dir.join(&file.path);
    let remedy = remedy(models_dir, pack);
    let bytes = fs::read(&path).map_err(|e| PackError::Missing {
        path: path.clone(),
        reason: e.to_string(),
        remedy: remedy.clone(),
    })?;
    let actual = hex::encode(Sha256::digest(&bytes));
    if actual == file.sha256 {
        Ok(bytes)
    } else {
        Err(PackError::WrongDigest { path, actual, pinned: file.sha256.clone(), remedy })
    }
}

/// The command that fetches a pack.
fn remedy(models_dir: &Path, pack: &str) -> String {
    format!("python3 {} --pack {pack}", models_dir.join("setup.py").display())
}

fn version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ModelVersion, D::Error> {
    String::deserialize(deserializer)?.try_into().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
    }

    #[test]
    fn the_committed_manifest_is_whole() {
        let manifest = Manifest::read(&repository()).unwrap();
        assert_eq!(manifest.pack(None).unwrap().name, "standard");
        assert!(manifest.pack(Some("compact")).is_ok() && manifest.pack(Some("accurate")).is_ok());
        let mut versions = Vec::new();
        for pack in &manifest.packs {
            for file in manifest.files_of(pack) {
                assert_eq!(manifest.file(file).unwrap().sha256.len(), 64, "{file}");
            }
            versions.push(pack.face_model_version.as_str());
            // The fixed points of the similarity scale that the documentation promises.
            assert_eq!(pack.embedder.similarity.percent(1.0).get(), 100.0);
        }
        versions.dedup();
        assert_eq!(versions.len(), manifest.packs.len(), "packs share a face model version");
        assert!(matches!(manifest.pack(Some("none")), Err(PackError::UnknownPack { .. })));
    }

    #[test]
    fn bytes_with_another_digest_are_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("w.onnx"), b"tampered").unwrap();
        let mut file =
            File { path: "w.onnx".into(), sha256: "00".repeat(32), licence: String::new(), origin: String::new() };
        let error = read_verified(dir.path(), &file, "compact").unwrap_err();
        assert!(matches!(error, PackError::WrongDigest { .. }));
        assert!(error.to_string().contains("setup.py --pack compact"), "{error}");
        file.sha256 = hex::encode(Sha256::digest(b"tampered"));
        assert_eq!(read_verified(dir.path(), &file, "compact").unwrap(), b"tampered");
        file.path = "absent.onnx".into();
        assert!(matches!(read_verified(dir.path(), &file, "compact"), Err(PackError::Missing { .. })));
    }
}
