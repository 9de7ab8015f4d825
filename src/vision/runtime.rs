//! ONNX Runtime: loading the shared library, and sessions.

use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::SessionBuilder;

use super::provider::Provider;

/// How long a thread of a session spins before it sleeps. It is often woken on the core of the thread that it helps, because no other is idle
/// at that moment. If it spins there, it takes half of that core; a thread that sleeps is woken on another.
const SPINS_FOR: &str = "session.intra_op.spin_duration_us";
const SPINS_MICROSECONDS: &str = "20";
/// And never when the run is over. Builds of the library that do not know the former would spin for a while then.
const SPINS_NO_LONGER: &str = "session.force_spinning_stop";

/// The loaded library, and what in it runs the nets.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    provider: Provider,
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
    /// The library cannot run nets in this way.
    #[error("ONNX Runtime from {path} cannot run nets with {provider}: {reason}; {}", provider.remedy())]
    Provider {
        /// Where it was loaded from.
        path: PathBuf,
        /// What was asked for.
        provider: Provider,
        /// What went wrong.
        reason: String,
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
    /// Loads `library`, or else the one that set-up put below the models folder. It runs nets with this provider.
    pub fn load(library: Option<&Path>, models_dir: &Path, provider: Provider) -> Result<Self, RuntimeError> {
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
        let runtime = Self { environment: environment.map_err(|e| fail(e.to_string()))?, provider };
        let fail = |reason: String| RuntimeError::Provider { path: path.clone(), provider, reason };
        let offered = Provider::offered().map_err(|e| fail(e.to_string()))?;
        if !offered.contains(&provider) {
            let offered: Vec<_> = offered.iter().map(ToString::to_string).collect();
            return Err(fail(format!("it was built for {}", offered.join(", "))));
        }
        // Whatever the provider itself needs is loaded now. A graph would get the blame later.
        runtime.builder(1).map_err(|e| fail(e.to_string()))?;
        Ok(runtime)
    }

    /// What runs the nets.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// A session over a graph in memory, on the calling thread alone: the worker pool is where the cores are shared, and two
    /// sessions with threads of their own spin against one another.
    pub(super) fn session(&self, role: &'static str, graph: &[u8]) -> Result<Session, RuntimeError> {
        self.session_of(role, graph, 1)
    }

    /// The same on so many threads, the calling one among them.
    pub(super) fn session_of(&self, role: &'static str, graph: &[u8], threads: usize) -> Result<Session, RuntimeError> {
        self.builder(threads)
            .and_then(|mut builder| builder.commit_from_memory(graph))
            .map_err(|source| RuntimeError::Graph { role, source })
    }

    fn builder(&self, threads: usize) -> ort::Result<SessionBuilder> {
        let builder = Session::builder(&self.environment)?
            .with_intra_threads(threads)?
            .with_config_entry(SPINS_FOR, SPINS_MICROSECONDS)?
            .with_config_entry(SPINS_NO_LONGER, "1")?
            .with_inter_threads(1)?;
        match self.provider.dispatch() {
            Some(provider) => Ok(builder.with_execution_providers([provider])?),
            None => Ok(builder),
        }
    }
}
