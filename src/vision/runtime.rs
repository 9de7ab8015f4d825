//! ONNX Runtime: loading the shared library, and sessions of one thread.

use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::session::Session;

/// The loaded library.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
}

/// The library or a graph cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// No usable shared library.
    #[error("cannot load ONNX Runtime from {path}: {reason}; {remedy}")]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What went wrong.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The manifest does not say what a trait's number means.
    #[error(
        "the manifest has no [[attributes.traits.curve]] with the name {0:?}; add it to manifest.toml in the models folder, or serve \
         without the net of traits (REKOLLECT_ATTRIBUTE_MODEL=off)"
    )]
    NoCurve(&'static str),
    /// A graph that the library does not take.
    #[error("ONNX Runtime refuses the weights of the {role}: {source}")]
    Graph {
        /// Which of the pack's models.
        role: &'static str,
        /// What it says.
        source: ort::Error,
    },
}

impl Runtime {
    /// Loads `library`, or else the one that set-up put below the models folder.
    pub fn load(library: Option<&Path>, models_dir: &Path) -> Result<Self, RuntimeError> {
        let name = if cfg!(target_os = "macos") { "libonnxruntime.dylib" } else { "libonnxruntime.so" };
        let path = library.map_or_else(|| models_dir.join("runtime").join(name), Path::to_path_buf);
        let remedy = match library {
            Some(_) => "name another library with --onnxruntime, or none".to_owned(),
            None => format!("fetch it with `python3 {}`", models_dir.join("setup.py").display()),
        };
        let fail = |reason: String| RuntimeError::Library { path: path.clone(), reason, remedy: remedy.clone() };
        if !path.is_file() {
            return Err(fail("no such file".to_owned()));
        }
        let builder = ort::init_from(&path).map_err(|e| fail(e.to_string()))?;
        // The switch below is not enough: main.rs has the rest.
        let environment = builder.with_name("rekollect").with_telemetry(false).build();
        Ok(Self { environment: environment.map_err(|e| fail(e.to_string()))? })
    }

    /// A session over a graph in memory, on the calling thread alone: the worker pool is where the cores are shared, and two
    /// sessions with threads of their own spin against one another.
    pub(super) fn session(&self, role: &'static str, graph: &[u8]) -> Result<Session, RuntimeError> {
        self.build(graph).map_err(|source| RuntimeError::Graph { role, source })
    }

    fn build(&self, graph: &[u8]) -> ort::Result<Session> {
        let session = Session::builder(&self.environment)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .commit_from_memory(graph)?;
        Ok(session)
    }
}
