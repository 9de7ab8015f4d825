//! The body of a request: received within bounds of size, memory and time, digested on the way, and unpacked.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Limited};
use sha2::{Digest as _, Sha256};
use tokio::sync::SemaphorePermit;
use tokio::task::JoinHandle;

use crate::domain::Fault;

use super::errors::Rejection;
use super::router::Front;

const OUT_OF_BODIES: Fault = Fault::Overloaded("the memory for bodies is used up");

/// So many bytes are worth giving to another thread to digest.
const WORTH_A_THREAD: usize = 256 << 10;

/// A body, and its share of the memory for bodies.
pub struct Received<'a> {
    /// The bytes.
    pub bytes: Vec<u8>,
    share: SemaphorePermit<'a>,
}

/// The SHA-256 of a body as it was sent, perhaps still in the making: another thread digests the large parts of a large body, while
/// further ones arrive and while the body is read. It holds no thread while it waits for a slow client.
#[derive(Default)]
pub struct Digest {
    /// Nothing is digested where nobody checks signatures.
    wanted: bool,
    made: Option<JoinHandle<Sha256>>,
    pending: Vec<Bytes>,
    pending_bytes: usize,
}

impl Digest {
    fn update(&mut self, part: Bytes) {
        if self.wanted {
            self.pending_bytes += part.len();
            self.pending.push(part);
            let idle = self.made.as_ref().is_none_or(JoinHandle::is_finished);
            if idle && self.pending_bytes >= WORTH_A_THREAD {
                self.go_on();
            }
        }
    }

    /// Has another thread digest what is pending.
    fn go_on(&mut self) {
        let parts = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let before = self.made.take();
        self.made = Some(tokio::spawn(async move {
            let hash = match before {
                Some(made) => made.await.unwrap_or_default(),
                None => Sha256::new(),
            };
            let digesting = tokio::task::spawn_blocking(|| parts.into_iter().fold(hash, Sha256::chain_update));
            digesting.await.unwrap_or_default()
        }));
    }

    /// Everything has arrived.
    fn end(&mut self) {
        if self.made.is_some() {
            self.go_on();
        }
    }

    /// The digest, when it is there; zeros where none is wanted.
    pub async fn wait(self) -> Result<[u8; 32], Fault> {
        if !self.wanted {
            return Ok([0; 32]);
        }
        let hash = match self.made {
            Some(made) => made.await.map_err(Fault::internal("digesting a body"))?,
            None => Sha256::new(),
        };
        Ok(self.pending.into_iter().fold(hash, Sha256::chain_update).finalize().into())
    }
}

/// Reads a body and keeps none of it, so that a client that is refused by its head gets to read the answer.
pub async fn discard(front: &Front, body: Body) {
    let reading = async {
        let mut body = Limited::new(body, front.max_body);
        while let Some(Ok(_)) = body.frame().await {}
    };
    // Whatever the end of it: the answer is the same.
    let _ = tokio::time::timeout(front.body_timeout, reading).await;
}

/// Reads a body, and has it digested where signatures are checked. Memory is taken as bytes arrive, not as they are announced.
pub async fn receive<'a>(
    front: &'a Front,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Received<'a>, Digest), Rejection> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > front.max_body) {
        return Err(Rejection::BodyTooLarge);
    }
    tokio::time::timeout(front.body_timeout, read(front, body)).await.unwrap_or(Err(Rejection::BodyTimeout))
}

async fn read(front: &Front, mut body: Body) -> Result<(Received<'_>, Digest), Rejection> {
    let mut bytes = Vec::new();
    let mut digest = Digest { wanted: front.access.is_signed(), ..Digest::default() };
    let mut share = front.body_bytes.try_acquire_many(0).map_err(|_| OUT_OF_BODIES)?;
    while let Some(frame) = body.frame().await {
        // The client said more than it sent: what came is no JSON.
        let frame =
            frame.map_err(|_| Rejection::Serialization { text: None, detail: "the body is cut off".to_owned() })?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > front.max_body {
            return Err(Rejection::BodyTooLarge);
        }
        share.merge(room_for(front, data.len())?);
        bytes.extend_from_slice(&data);
        digest.update(data);
    }
    digest.end();
    Ok((Received { bytes, share }, digest))
}

/// Unpacks a body that was sent with `Content-Encoding: gzip`; any other is what it is.
pub async fn unpack<'a>(front: &'a Front, headers: &HeaderMap, body: Received<'a>) -> Result<Received<'a>, Rejection> {
    let packed =
        headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if !packed {
        return Ok(body);
    }
    let Received { bytes: packed, mut share } = body;
    let limit = front.max_body;
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        // One byte too many tells a body that is too large.
        MultiGzDecoder::new(packed.as_slice()).take(limit as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    let bytes = unpacking.await.map_err(Fault::internal("unpacking a body"))?;
    let bytes = bytes.map_err(|error| Rejection::Serialization { text: None, detail: format!("not gzip: {error}") })?;
    if bytes.len() > limit {
        return Err(Rejection::BodyTooLarge);
    }
    share.merge(room_for(front, bytes.len())?);
    Ok(Received { bytes, share })
}

fn room_for(front: &Front, bytes: usize) -> Result<SemaphorePermit<'_>, Rejection> {
    let bytes = u32::try_from(bytes).map_err(|_| Rejection::BodyTooLarge)?;
    front.body_bytes.try_acquire_many(bytes).map_err(|_| OUT_OF_BODIES.into())
}
