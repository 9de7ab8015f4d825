//! Logs, and the stopwatch of a request's stages.
//!
//! Messages are constant sentences, what varies goes into fields with the unit in their name. A failure is logged once, at the
//! boundary (`wire::dispatch`). No field ever holds an image, a vector or a key.

pub mod metrics;
pub mod traced;
#[cfg_attr(not(feature = "otlp"), path = "no_traces.rs")]
pub mod traces;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use strum::{IntoStaticStr, VariantArray};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Who is told how long the stages of a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Timing {
    /// Nobody.
    Off,
    /// Callers whose signature was checked.
    Signed,
    /// Everybody.
    All,
}

/// sqlx warns with the value of a URL parameter that it does not know, a mistyped password among them: never shown.
const NEVER_SHOWN: &str = "sqlx_postgres::options=off";

/// Sends log lines to standard error. `RUST_LOG` sets what is shown, `info` and above unless it says otherwise.
pub fn init(format: LogFormat) {
    let wanted = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let filter = EnvFilter::new(
        wanted
            .as_deref()
            .unwrap_or("info,ort=warn,sqlx=warn,opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry-otlp=warn"),
    )
    .add_directive(NEVER_SHOWN.parse().expect("a directive"));
    // A line that cannot be written, on a full disk, is lost; telling so on the same stream would panic, and cost a request.
    let lines = tracing_subscriber::fmt().log_internal_errors(false);
    let lines = lines.with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).init(),
    }
}

/// A part of a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Stage {
    /// The body comes in from the network, and is digested where signatures are checked.
    Receive,
    /// The signature is checked.
    Authenticate,
    /// JSON and constraints.
    Parse,
    /// Base64 becomes an image's bytes.
    Base64,
    /// The image comes from S3.
    Fetch,
    /// Waiting for a vision worker.
    Queue,
    /// Image bytes become pixels.
    Decode,
    /// Pixels are brought to the sizes that the detector looks at.
    Resize,
    /// Pixels become boxes.
    Detect,
    /// Boxes become crops, pose and quality.
    Align,
    /// Faces become attributes.
    Attributes,
    /// Crops become vectors.
    Embed,
    /// The store reads or writes.
    Store,
    /// The gallery is scanned.
    Search,
    /// The reply becomes JSON.
    Encode,
}

impl Stage {
    /// Every stage, in the order of a request's way.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How long a request spent in each stage; clones share one set of counters.
#[derive(Clone, Debug, Default)]
pub struct Stages(Arc<Watch>);

#[derive(Debug, Default)]
struct Watch {
    nanoseconds: [AtomicU64; Stage::ALL.len()],
    laps: Option<Mutex<Vec<Lap>>>,
}

/// One time that a request was in a stage.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    /// In which.
    pub stage: Stage,
    /// From when.
    pub began: SystemTime,
    /// To when.
    pub ended: SystemTime,
}

/// A request with more laps is remembered by its first ones: a photo of a hundred faces has some three hundred.
const MOST_LAPS: usize = 512;

impl Stages {
    /// Remembers each lap too, for [`Self::laps`].
    pub fn with_laps() -> Self {
        Self(Arc::new(Watch { laps: Some(Mutex::default()), ..Watch::default() }))
    }

    /// Adds to a stage's time, that has just gone by.
    pub fn add(&self, stage: Stage, elapsed: Duration) {
        self.0.nanoseconds[stage as usize].fetch_add(elapsed.as_nanos() as u64, Relaxed);
        if let Some(laps) = &self.0.laps {
            let (mut laps, ended) = (laps.lock().unwrap_or_else(PoisonError::into_inner), SystemTime::now());
            if laps.len() < MOST_LAPS {
                laps.push(Lap { stage, began: ended.checked_sub(elapsed).unwrap_or(ended), ended });
            }
        }
    }

    /// The laps in the order in which they ended; none where they are not remembered.
    pub fn laps(&self) -> Vec<Lap> {
        let laps = self.0.laps.as_ref();
        laps.map_or_else(Vec::new, |laps| laps.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Runs `work` and adds the time it took.
    pub fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(stage, start.elapsed());
        result
    }

    /// Awaits `work` and adds the time it took.
    pub async fn time_async<T>(&self, stage: Stage, work: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let result = work.await;
        self.add(stage, start.elapsed());
        result
    }

    /// Seconds spent in a stage; `None` when the request did not come through it.
    pub fn seconds(&self, stage: Stage) -> Option<f64> {
        match self.0.nanoseconds[stage as usize].load(Relaxed) {
            0 => None,
            nanoseconds => Some(nanoseconds as f64 / 1e9),
        }
    }

    /// The same for the log, see [`milliseconds`].
    pub fn milliseconds(&self, stage: Stage) -> Option<f64> {
        self.seconds(stage).map(milliseconds)
    }

    /// The value of the header `Server-Timing` (W3C): the numbers of the log, of the stages that the request came through, and of the whole.
    pub fn header(&self, total_ms: f64) -> String {
        let of = |stage: &Stage| self.milliseconds(*stage).map(|ms| format!("{};dur={ms}, ", stage.name()));
        Stage::ALL.iter().filter_map(of).chain([format!("total;dur={total_ms}")]).collect()
    }
}

/// Seconds in milliseconds, rounded to hundredths.
pub fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1e5).round() / 1e2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_are_remembered_where_somebody_wants_them() {
        let (stages, without) = (Stages::with_laps(), Stages::default());
        for stages in [&stages, &without] {
            stages.add(Stage::Decode, Duration::from_millis(2));
            stages.clone().add(Stage::Detect, Duration::from_millis(1));
        }
        assert!(without.laps().is_empty());
        let laps = stages.laps();
        assert_eq!(laps.iter().map(|lap| lap.stage).collect::<Vec<_>>(), [Stage::Decode, Stage::Detect]);
        assert_eq!(laps[0].ended.duration_since(laps[0].began).unwrap(), Duration::from_millis(2));
    }

    #[test]
    fn clones_share_their_counters_and_untouched_stages_are_absent() {
        let stages = Stages::default();
        stages.clone().add(Stage::Detect, Duration::from_micros(1500));
        stages.add(Stage::Detect, Duration::from_micros(500));
        assert_eq!(stages.milliseconds(Stage::Detect), Some(2.0));
        assert_eq!(stages.milliseconds(Stage::Embed), None);
    }
}
