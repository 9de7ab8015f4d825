//! Counters for Prometheus: requests by operation and answer, how long they took and where, and what is waiting or held right now.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{Stage, Stages};
use crate::domain::Stored;

/// The type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper ends of the histograms' buckets, in seconds: a stage takes microseconds, a group photo under load seconds.
const REQUEST_SECONDS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const STAGE_SECONDS: [f64; 15] =
    [0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    operation: &'static str,
    /// The error's name, or OK.
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct In {
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// What a server is, which stays the same while it runs.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct Identity {
    /// Of this program.
    pub version: &'static str,
    /// The model pack.
    pub pack: String,
    /// The version of its vectors.
    pub face_model_version: String,
    /// What finds the nearest.
    pub search: &'static str,
}

/// A server's counters.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    request_seconds: Family<Of, Histogram>,
    stage_seconds: Family<In, Histogram>,
    images_waiting: Gauge,
    requests_in_progress: Gauge,
    body_bytes: Gauge,
    reply_bytes: Gauge,
    gallery_members: Gauge,
    gallery_bytes: Gauge,
    gallery_file_bytes: Gauge,
    galleries_loading: Gauge,
    vectors_to_load: Gauge,
    audit_failing: Gauge,
    stored: Family<Kind, Gauge>,
    store_bytes: Gauge<f64, AtomicU64>,
    resident_bytes: Gauge<f64, AtomicU64>,
    cpu_seconds: Counter<f64, AtomicU64>,
    open_files: Gauge,
}

/// What is waiting or held at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Images that wait for a vision worker.
    pub images_waiting: usize,
    /// Requests whose body is there and whose reply is not.
    pub requests_in_progress: usize,
    /// Bytes of bodies that have arrived and are not parsed yet.
    pub body_bytes: usize,
    /// Bytes of replies that their clients have not taken yet.
    pub reply_bytes: usize,
    /// Vectors in memory, of faces and of users.
    pub gallery_members: usize,
    /// What they take.
    pub gallery_bytes: usize,
    /// And what they take of the disk.
    pub gallery_file_bytes: u64,
    /// Galleries that are being loaded.
    pub galleries_loading: usize,
    /// Their vectors that are not in memory yet, about.
    pub vectors_to_load: usize,
    /// Whether the audit log cannot be written.
    pub is_audit_failing: bool,
    /// What the store holds, where it answers.
    pub stored: Option<Stored>,
}

impl Metrics {
    /// Of a server that is this and has counted nothing.
    pub fn new(identity: Identity) -> Self {
        let mut registry = Registry::with_prefix("rekollect");
        registry.register("server", "What this server is", Info::new(identity));
        let requests = Family::default();
        registry.register("requests", "Requests by operation and answer", requests.clone());
        let request_seconds = Family::new_with_constructor((|| Histogram::new(REQUEST_SECONDS)) as fn() -> Histogram);
        let help = "From the head of a request to its reply";
        registry.register_with_unit("request_duration", help, Unit::Seconds, request_seconds.clone());
        let stage_seconds = Family::new_with_constructor((|| Histogram::new(STAGE_SECONDS)) as fn() -> Histogram);
        let help = "What requests spent in each stage that they went through";
        registry.register_with_unit("stage_duration", help, Unit::Seconds, stage_seconds.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let images_waiting = gauge("images_waiting", "Images that wait for a vision worker");
        let requests_in_progress = gauge("requests_in_progress", "Requests whose body is there and whose reply is not");
        let body_bytes = gauge("body_bytes", "Bytes of bodies that are there and not parsed yet");
        let reply_bytes = gauge("reply_bytes", "Bytes of replies that are not sent yet");
        let gallery_members = gauge("gallery_members", "Vectors of faces and users in memory");
        let gallery_bytes = gauge("gallery_bytes", "Memory of those vectors");
        let gallery_file_bytes = gauge("gallery_file_bytes", "Bytes of gallery files in the data folder");
        let galleries_loading = gauge("galleries_loading", "Galleries that are being loaded into memory");
        let vectors_to_load = gauge("vectors_to_load", "Vectors of those galleries that are not in memory yet");
        let audit_failing =
            gauge("audit_failing", "1 while the audit log cannot be written, so that nothing is changed");
        let open_files = gauge("process_open_fds", "Open files and connections of the process");
        let stored = Family::default();
        registry.register("stored", "What the store holds, of every account", stored.clone());
        let mut number = |name: &str, help: &str| {
            let gauge = Gauge::<f64, AtomicU64>::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let store_bytes = number("store_bytes", "Size of the database");
        let resident_bytes = number("process_resident_memory_bytes", "Memory of the process");
        let started = number("process_start_time_seconds", "When the process began, in seconds since 1970");
        let cpu_seconds = Counter::default();
        let help = "Time that the process has spent on processors";
        registry.register("process_cpu_seconds", help, cpu_seconds.clone());
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        started.set(since_1970.map_or(0.0, |since| since.as_secs_f64()));
        Self {
            registry,
            requests,
            request_seconds,
            stage_seconds,
            images_waiting,
            requests_in_progress,
            body_bytes,
            reply_bytes,
            gallery_members,
            gallery_bytes,
            gallery_file_bytes,
            galleries_loading,
            vectors_to_load,
            audit_failing,
            stored,
            store_bytes,
            resident_bytes,
            cpu_seconds,
            open_files,
        }
    }

    /// Counts an answered request. `operation` is one of the names that there are: a name is a series that stays.
    pub fn count(&self, operation: &'static str, code: Option<&'static str>, took: Duration, stages: &Stages) {
        self.requests.get_or_create(&Answered { operation, code: code.unwrap_or("OK") }).inc();
        self.request_seconds.get_or_create(&Of { operation }).observe(took.as_secs_f64());
        for stage in Stage::ALL {
            if let Some(seconds) = stages.seconds(*stage) {
                self.stage_seconds.get_or_create(&In { stage: stage.name() }).observe(seconds);
            }
        }
    }

    /// Everything as OpenMetrics text ([`CONTENT_TYPE`]).
    pub fn text(&self, load: Load) -> String {
        let whole = |number: usize| number as i64;
        self.images_waiting.set(whole(load.images_waiting));
        self.requests_in_progress.set(whole(load.requests_in_progress));
        self.body_bytes.set(whole(load.body_bytes));
        self.reply_bytes.set(whole(load.reply_bytes));
        self.gallery_members.set(whole(load.gallery_members));
        self.gallery_bytes.set(whole(load.gallery_bytes));
        self.gallery_file_bytes.set(i64::try_from(load.gallery_file_bytes).unwrap_or(i64::MAX));
        self.galleries_loading.set(whole(load.galleries_loading));
        self.vectors_to_load.set(whole(load.vectors_to_load));
        self.audit_failing.set(i64::from(load.is_audit_failing));
        self.stored.clear();
        self.store_bytes.set(load.stored.map_or(f64::NAN, |stored| stored.bytes as f64));
        if let Some(stored) = load.stored {
            for (kind, number) in
                [("collections", stored.collections), ("faces", stored.faces), ("users", stored.users)]
            {
                self.stored.get_or_create(&Kind { kind }).set(number);
            }
        }
        self.resident_bytes.set(resident_bytes().unwrap_or(f64::NAN));
        if let Some(seconds) = cpu_seconds() {
            // The kernel counts: this only tells.
            self.cpu_seconds.inner().store(seconds.to_bits(), Relaxed);
        }
        self.open_files.set(std::fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as i64));
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes whatever is written to it");
        text
    }
}

/// What of the process lies in memory, where the system tells as Linux does.
pub fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok().map(|kilobytes| 1024.0 * kilobytes)
}

/// What the process has spent on processors, where the system tells as Linux does: the fields utime and stime of /proc/PID/stat, whose unit
/// is a hundredth of a second whatever the kernel's own clock. The name in the second field may hold anything.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let after_name = stat.rsplit_once(')')?.1;
    let mut ticks = after_name.split_whitespace().skip(11).map_while(|field| field.parse::<f64>().ok());
    Some((ticks.next()? + ticks.next()?) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told() {
        let identity = Identity {
            version: "1",
            pack: "compact".to_owned(),
            face_model_version: "7.1".to_owned(),
            search: "memory",
        };
        let metrics = Metrics::new(identity);
        let stages = Stages::default();
        stages.add(Stage::Detect, Duration::from_millis(20));
        metrics.count("IndexFaces", None, Duration::from_millis(30), &stages);
        metrics.count("IndexFaces", Some("ThrottlingException"), Duration::from_millis(1), &Stages::default());
        let stored = Some(Stored { collections: 1, faces: 2, users: 3, bytes: 4096 });
        let load = Load {
            images_waiting: 3,
            requests_in_progress: 4,
            body_bytes: 5,
            reply_bytes: 10,
            gallery_members: 6,
            gallery_bytes: 7,
            gallery_file_bytes: 11,
            galleries_loading: 8,
            vectors_to_load: 9,
            is_audit_failing: true,
            stored,
        };
        let text = metrics.text(load);
        for line in [
            "rekollect_requests_total{operation=\"IndexFaces\",code=\"OK\"} 1",
            "rekollect_requests_total{operation=\"IndexFaces\",code=\"ThrottlingException\"} 1",
            "rekollect_request_duration_seconds_bucket{le=\"0.05\",operation=\"IndexFaces\"} 2",
            "rekollect_stage_duration_seconds_count{stage=\"detect\"} 1",
            "rekollect_images_waiting 3",
            "rekollect_reply_bytes 10",
            "rekollect_gallery_members 6",
            "rekollect_gallery_bytes 7",
            "rekollect_gallery_file_bytes 11",
            "rekollect_galleries_loading 8",
            "rekollect_vectors_to_load 9",
            "rekollect_audit_failing 1",
            "rekollect_stored{kind=\"faces\"} 2",
            "rekollect_store_bytes 4096.0",
            "rekollect_server_info{version=\"1\",pack=\"compact\",face_model_version=\"7.1\",search=\"memory\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
