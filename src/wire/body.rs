//! The body of a request: received within bounds of size, memory and time, digested on the way, and unpacked.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Limited};
use sha2::{Digest, Sha256};
use tokio::sync::SemaphorePermit;

use crate::domain::Fault;

use super::errors::Rejection;
use super::router::Front;

const OUT_OF_BODIES: Fault = Fault::Overloaded("the memory for bodies is used up");

/// A body, and its share of the memory for bodies.
pub struct Received<'a> {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256 as they were sent; zeros where nobody checks signatures.
    pub sha256: [u8; 32],
    share: SemaphorePermit<'a>,
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

/// Reads a body, and digests it where signatures are checked. Memory is taken as bytes arrive, not as they are announced.
pub async fn receive<'a>(front: &'a Front, headers: &HeaderMap, body: Body) -> Result<Received<'a>, Rejection> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > front.max_body) {
        return Err(Rejection::BodyTooLarge);
    }
    tokio::time::timeout(front.body_timeout, read(front, body)).await.unwrap_or(Err(Rejection::BodyTimeout))
}

async fn read(front: &Front, mut body: Body) -> Result<Received<'_>, Rejection> {
    let mut bytes = Vec::new();
    let mut digest = front.access.is_signed().then(Sha256::new);
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
        // In line: another thread hid nothing of it in the figures (docs/benchmarks.md).
        if let Some(digest) = &mut digest {
            digest.update(&data);
        }
    }
    let sha256 = digest.map_or([0; 32], |digest| digest.finalize().into());
    Ok(Received { bytes, sha256, share })
}

/// Unpacks a body that was sent with `Content-Encoding: gzip`; any other is what it is.
pub async fn unpack<'a>(front: &'a Front, headers: &HeaderMap, body: Received<'a>) -> Result<Received<'a>, Rejection> {
    let packed =
        headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if !packed {
        return Ok(body);
    }
    let Received { bytes: packed, sha256, mut share } = body;
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
    Ok(Received { bytes, sha256, share })
}

fn room_for(front: &Front, bytes: usize) -> Result<SemaphorePermit<'_>, Rejection> {
    let bytes = u32::try_from(bytes).map_err(|_| Rejection::BodyTooLarge)?;
    front.body_bytes.try_acquire_many(bytes).map_err(|_| OUT_OF_BODIES.into())
}
