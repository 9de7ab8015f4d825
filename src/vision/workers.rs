//! The worker pool: pixels never block the async runtime, and waiting work is bounded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, select};
use tokio::sync::oneshot;

use crate::domain::Fault;
use crate::task;
use crate::telemetry::{Stage, Stages};

use super::pack::VerifiedPack;
use super::pipeline::WideNets;
use super::together::{Help, Job};
use super::wide::Cores;
use super::{Pipeline, Runtime, RuntimeError};

/// A handle on the workers; they end when the last handle is gone.
#[derive(Clone)]
pub struct Workers {
    jobs: Sender<Job<Pipeline>>,
}

impl Workers {
    /// Starts `workers` threads with a pipeline each; up to `queue` further jobs may wait.
    pub fn start(
        runtime: &Runtime,
        pack: &VerifiedPack,
        estimates_orientation: bool,
        workers: usize,
        queue: usize,
    ) -> Result<Self, RuntimeError> {
        let (jobs, waiting) = crossbeam_channel::bounded(queue);
        let (help, offers) = Help::among(workers, waiting.clone());
        let cores = Cores::of(workers);
        let wide = WideNets::of(runtime, pack, &cores);
        for number in 0..workers {
            let mut pipeline = Pipeline::new(runtime, pack, estimates_orientation, help.clone(), wide.as_ref())?;
            let (waiting, offers): (Receiver<Job<Pipeline>>, _) = (waiting.clone(), offers.clone());
            let cores = cores.clone();
            let work = move || {
                while let Ok(job) = select! { recv(waiting) -> photo => photo, recv(offers) -> offer => offer } {
                    cores.busy_with(|| job(&mut pipeline));
                }
            };
            task::thread_of(format!("vision-{number}"), work).expect("the operating system starts a thread");
        }
        Ok(Self { jobs })
    }

    /// Images that wait for a worker.
    pub fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Runs `work` on a worker and waits for its result. A caller that goes away while waiting is skipped.
    ///
    /// Fails at once with [`Fault::Overloaded`] when the queue is full.
    pub async fn run<T: Send + 'static>(
        &self,
        stages: &Stages,
        work: impl FnOnce(&mut Pipeline) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let (queued, stages) = (Instant::now(), stages.clone());
        let job: Job<Pipeline> = Box::new(move |pipeline| {
            stages.add(Stage::Queue, queued.elapsed());
            if reply.is_closed() {
                return;
            }
            // A panic in a decoder must cost one request, not a worker: sessions hold no state between runs.
            let result = catch_unwind(AssertUnwindSafe(|| work(pipeline)))
                .unwrap_or_else(|_| Err(Fault::internal("working on an image")("a panic, see the log above")));
            let _ = reply.send(result);
        });
        match self.jobs.try_send(job) {
            Ok(()) => answer.await.map_err(Fault::internal("a vision worker ended while it held the request"))?,
            Err(TrySendError::Full(_)) => Err(Fault::Overloaded("the queue of images is full")),
            Err(TrySendError::Disconnected(_)) => {
                Err(Fault::internal("handing an image to the workers")("no vision worker is left"))
            }
        }
    }
}
