//! The body of a request: received within bounds of size, memory and time, digested on the way, and unpacked.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt, Limited};
use sha2::{Digest, Sha256};
use tokio::sync::SemaphorePermit;

use crate::domain::Fault;
use crate::task;

use super::errors::Rejection;
use super::front::Front;

/// Bytes that are unpacked before they are counted.
const PIECE: usize = 16 << 10;

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

/// Unpacks a body that was sent with `Content-Encoding: gzip`; any other is what it is. Memory is taken as bytes come out: a few packed
/// bytes can become the largest body.
pub fn unpack<'a>(front: &'a Front, headers: &HeaderMap, body: Received<'a>) -> Result<Received<'a>, Rejection> {
    let packed =
        headers.get(header::CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if !packed {
        return Ok(body);
    }
    // In place: a thread of its own would go on, beyond every limit, when the client leaves.
    task::in_place(|| inflate(front, body))
}

fn inflate<'a>(front: &'a Front, body: Received<'a>) -> Result<Received<'a>, Rejection> {
    let Received { bytes: packed, sha256, mut share } = body;
    let (mut bytes, mut piece) = (Vec::new(), [0; PIECE]);
    let mut unpacker = MultiGzDecoder::new(packed.as_slice());
    loop {
        let not_gzip = |error| Rejection::Serialization { text: None, detail: format!("not gzip: {error}") };
        let unpacked = unpacker.read(&mut piece).map_err(not_gzip)?;
        if unpacked == 0 {
            return Ok(Received { bytes, sha256, share });
        }
        if bytes.len() + unpacked > front.max_body {
            return Err(Rejection::BodyTooLarge);
        }
        share.merge(room_for(front, unpacked)?);
        bytes.extend_from_slice(&piece[..unpacked]);
    }
}

fn room_for(front: &Front, bytes: usize) -> Result<SemaphorePermit<'_>, Rejection> {
    let bytes = u32::try_from(bytes).map_err(|_| Rejection::BodyTooLarge)?;
    front.body_bytes.try_acquire_many(bytes).map_err(|_| OUT_OF_BODIES.into())
}
