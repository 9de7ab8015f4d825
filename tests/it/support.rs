//! A server for one test, and the calls to it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

/// Where a server keeps its collections.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Store {
    Sqlite,
    Postgres,
}

/// Defines each test once for every store; the Postgres half is skipped, and says so, when there is no TEST_DATABASE_URL.
macro_rules! on_both_stores {
    ($($name:ident($server:ident) $body:block)*) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                fn run($server: &crate::support::Server) $body

                #[test]
                fn sqlite() {
                    run(&crate::support::Server::start(crate::support::Store::Sqlite, &[]).unwrap());
                }

                #[test]
                fn postgres() {
                    if let Some(server) = crate::support::Server::start(crate::support::Store::Postgres, &[]) {
                        run(&server);
                    }
                }
            }
        )*
    };
}
pub(crate) use on_both_stores;

/// A running server; it ends with the value.
pub struct Server {
    process: Child,
    pub url: String,
    // Removed after the process is gone.
    _data: tempfile::TempDir,
}

/// A reply.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

impl Server {
    /// A server with an empty store of its own; `None` (and a line in the list of skips) when the store cannot be had.
    pub fn start(store: Store, args: &[&str]) -> Option<Self> {
        let data = tempfile::tempdir().unwrap();
        let database = match store {
            Store::Sqlite => None,
            Store::Postgres => Some(new_database()?),
        };
        Some(Self::start_on(data, database.as_deref(), args))
    }

    /// A server on this data folder and database.
    pub fn start_on(data: tempfile::TempDir, database_url: Option<&str>, args: &[&str]) -> Self {
        let mut command = serve(data.path());
        command.args(args);
        if let Some(url) = database_url {
            command.env("DATABASE_URL", url);
        }
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let url = first.strip_prefix("rekollect ready: ").map(|url| url.trim().to_owned());
        let url = url.unwrap_or_else(|| panic!("the server did not start: {first:?}"));
        Self { process, url, _data: data }
    }

    /// Ends the server and gives its data folder back.
    pub fn stop(mut self) -> tempfile::TempDir {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        std::mem::replace(&mut self._data, tempfile::tempdir().unwrap())
    }

    /// The most megabytes that the process has had in memory so far, where the system tells as Linux does.
    pub fn peak_megabytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
    }

    /// Calls an operation with this body.
    pub fn post(&self, operation: &str, body: impl AsRef<[u8]>) -> Reply {
        let request = agent()
            .post(&self.url)
            .header("X-Amz-Target", format!("RekognitionService.{operation}"))
            .header("Content-Type", "application/x-amz-json-1.1");
        reply(request.send(body.as_ref()))
    }

    /// Sends a request as it is.
    pub fn send(&self, request: ureq::http::Request<Vec<u8>>) -> Reply {
        reply(agent().run(request))
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Reply {
        reply(agent().get(format!("{}{path}", self.url)).call())
    }

    /// Calls an operation that has to succeed.
    pub fn ok(&self, operation: &str, request: Value) -> Value {
        let reply = self.post(operation, request.to_string());
        assert_eq!(reply.status, 200, "{operation}: {}", reply.text);
        reply.json()
    }

    /// Calls an operation that has to fail, and returns its code and text.
    pub fn fail(&self, operation: &str, request: Value) -> (String, String) {
        let reply = self.post(operation, request.to_string());
        assert_ne!(reply.status, 200, "{operation}: {}", reply.text);
        let body = reply.json();
        let text = body.get("Message").or(body.get("message")).and_then(Value::as_str).unwrap_or_default();
        (body["__type"].as_str().unwrap().to_owned(), text.to_owned())
    }

    /// Makes a collection.
    pub fn collection(&self, id: &str) {
        self.ok("CreateCollection", json!({"CollectionId": id}));
    }

    /// Indexes an image with further members of the request.
    pub fn index(&self, collection: &str, image: &[u8], more: Value) -> Value {
        self.ok("IndexFaces", with(json!({"CollectionId": collection, "Image": {"Bytes": base64(image)}}), more))
    }

    /// How many faces a collection has.
    pub fn face_count(&self, collection: &str) -> i64 {
        self.ok("DescribeCollection", json!({"CollectionId": collection}))["FaceCount"].as_i64().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// `rekollect serve` on a free port, with nothing of this environment but the weights.
pub fn serve(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekollect"));
    let inherited = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REKOLLECT_"));
    for (name, _) in inherited {
        command.env_remove(name);
    }
    command.env_remove("DATABASE_URL").env("RUST_LOG", "error");
    command.arg("serve").args(["--listen", "127.0.0.1:0", "--workers", "1"]);
    command.arg("--data-dir").arg(data).arg("--models-dir").arg(models_dir());
    command
}

/// The weights, wherever a test runs from.
pub fn models_dir() -> PathBuf {
    let folder = std::env::var_os("REKOLLECT_MODELS_DIR").map_or_else(|| root().join("models"), PathBuf::from);
    std::path::absolute(folder).unwrap()
}

/// A photo out of a registry package: obama.jpg, obama2.jpg, biden.jpg, sample1.jpg to sample6.jpg.
pub fn photo(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("REKOLLECT_TEST_PHOTOS").map_or_else(|| root().join("tests/photos"), PathBuf::from);
    let path = folder.join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}; run `make test`", path.display()))
}

/// A grey PNG: an image without a face.
pub fn plain_png(width: u32, height: u32) -> Vec<u8> {
    png(&image::RgbImage::from_pixel(width, height, image::Rgb([127; 3])))
}

pub fn png(image: &image::RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// A request with further members.
pub fn with(mut request: Value, more: Value) -> Value {
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

/// The strings at `key` of each object of a list.
pub fn strings<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
}

/// Compares a body with `golden/NAME.json`; numbers with a fraction, which differ between processors, count by their type alone.
/// With UPDATE_GOLDEN set the file is written instead.
pub fn assert_golden(name: &str, body: &Value) {
    let path = root().join("tests/it/golden").join(format!("{name}.json"));
    let text = serde_json::to_string_pretty(&without_fractions(body)).unwrap() + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(text, golden, "{name} is not what golden/{name}.json says");
}

fn without_fractions(body: &Value) -> Value {
    match body {
        Value::Number(n) if n.is_f64() => json!("<float>"),
        Value::Array(items) => items.iter().map(without_fractions).collect(),
        Value::Object(members) => members.iter().map(|(k, v)| (k.clone(), without_fractions(v))).collect(),
        other => other.clone(),
    }
}

/// Notes a test that could not run, for the end of `make test`.
fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
    if let Some(path) = std::env::var_os("REKOLLECT_TEST_SKIPS") {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| writeln!(file, "{reason}")).unwrap();
    }
}

/// The URL of a new, empty database.
pub fn new_database() -> Option<String> {
    static SAID: OnceLock<()> = OnceLock::new();
    let Ok(server) = std::env::var("TEST_DATABASE_URL") else {
        SAID.get_or_init(|| skip("integration tests over Postgres: TEST_DATABASE_URL is not set"));
        return None;
    };
    let name = format!("rekollect_{}", uuid::Uuid::new_v4().simple());
    block_on(async {
        use sqlx::{AssertSqlSafe, Connection, Executor};
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    });
    let (base, _) = server.rsplit_once('/').unwrap();
    Some(format!("{base}/{name}"))
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(120)));
        config.build().into()
    })
}

fn reply(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
    let mut response = result.unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    Reply { status: response.status().as_u16(), headers: response.headers().clone(), text }
}
