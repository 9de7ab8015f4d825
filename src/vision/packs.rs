//! The packs that a server runs: one from the start on, the others from when a collection needs them.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::domain::{Fault, ModelVersion};
use crate::task;

use super::pack::{Manifest, Pack, PackError, VerifiedPack};
use super::runtime::{Runtime, RuntimeError};
use super::workers::Workers;

/// A pack that runs: its description, and workers that have its models.
pub struct Models {
    /// What goes in, what comes out and what that means.
    pub pack: Pack,
    /// The threads that run it.
    pub workers: Workers,
}

/// Every pack of the manifest.
pub struct Packs {
    ours: Arc<Models>,
    others: Vec<Arc<Other>>,
    starter: Arc<Starter>,
}

/// A pack that runs when it is asked for.
struct Other {
    pack: Pack,
    models: OnceCell<Arc<Models>>,
}

/// How packs are started.
pub struct Starter {
    /// What describes them.
    pub manifest: Manifest,
    /// Where their weights are.
    pub models_dir: PathBuf,
    /// What runs them.
    pub runtime: Runtime,
    /// Whether the net of traits is among the attributes' nets.
    pub with_traits: bool,
    /// Whether an image whose Exif declares no orientation may be found to lie turned.
    pub estimates_orientation: bool,
    /// Threads of each pack.
    pub workers: usize,
    /// Images that may wait for them.
    pub queue: usize,
}

/// Why a pack does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its weights are not there, or are others.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// They cannot be run.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

impl Starter {
    fn start(&self, name: &str) -> Result<Models, StartError> {
        self.run(self.manifest.load(&self.models_dir, name, self.with_traits)?)
    }

    fn run(&self, pack: VerifiedPack) -> Result<Models, StartError> {
        let workers = Workers::start(&self.runtime, &pack, self.estimates_orientation, self.workers, self.queue)?;
        Ok(Models { pack: pack.pack, workers })
    }
}

impl Packs {
    /// Starts a pack.
    pub fn start(starter: Starter, pack: VerifiedPack) -> Result<Self, StartError> {
        let ours = Arc::new(starter.run(pack)?);
        let name = &ours.pack.name;
        let others = starter.manifest.packs.iter().filter(|pack| pack.name != *name);
        let others = others.map(|pack| Arc::new(Other { pack: pack.clone(), models: OnceCell::new() })).collect();
        Ok(Self { ours, others, starter: Arc::new(starter) })
    }

    /// The one that new collections are made with, and that images are looked at with where no collection is asked.
    pub fn ours(&self) -> &Arc<Models> {
        &self.ours
    }

    /// Their descriptions, ours first.
    pub fn all(&self) -> impl Iterator<Item = &Pack> {
        std::iter::once(&self.ours.pack).chain(self.others.iter().map(|other| &other.pack))
    }

    /// The one that makes vectors of this version, whether it runs or not.
    pub fn making(&self, version: &ModelVersion) -> Option<&Pack> {
        self.all().find(|pack| pack.face_model_version == *version)
    }

    /// What makes vectors of this version. It is started if it does not run yet, and then runs until the server stops.
    /// `None` if the manifest has no such pack, or it cannot be started: the log says why.
    pub async fn of(&self, version: &ModelVersion) -> Result<Option<Arc<Models>>, Fault> {
        const CONTEXT: &str = "starting another pack";
        if *version == self.ours.pack.face_model_version {
            return Ok(Some(self.ours.clone()));
        }
        let Some(other) = self.others.iter().find(|other| other.pack.face_model_version == *version) else {
            return Ok(None);
        };
        if let Some(models) = other.models.get() {
            return Ok(Some(models.clone()));
        }
        let (other, starter) = (other.clone(), self.starter.clone());
        // Started once for all who ask, and whoever asked first may go.
        task::to_the_end(CONTEXT, async move {
            let starting = || async {
                let name = other.pack.name.clone();
                let models = task::on_a_thread(CONTEXT, move || starter.start(&name)).await?;
                models.map(Arc::new).map_err(Fault::internal(CONTEXT))
            };
            match other.models.get_or_try_init(starting).await {
                Ok(models) => {
                    tracing::info!(
                        pack = other.pack.name,
                        "a collection of another pack is used: that pack runs now too"
                    );
                    Ok(Some(models.clone()))
                }
                Err(error) => {
                    tracing::error!(pack = other.pack.name, %error, "a collection's pack cannot be started");
                    Ok(None)
                }
            }
        })
        .await
    }

    /// Why a pack cannot be started, as far as its files tell that are not there.
    pub fn missing(&self, pack: &Pack) -> Option<PackError> {
        self.starter.manifest.missing(&self.starter.models_dir, pack)
    }

    /// Images that wait for a worker of any pack.
    pub fn waiting(&self) -> usize {
        let others = self.others.iter().filter_map(|other| other.models.get());
        std::iter::once(&self.ours).chain(others).map(|models| models.workers.waiting()).sum()
    }
}
