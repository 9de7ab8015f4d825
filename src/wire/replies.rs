//! Replies that their clients have not taken yet: their bytes are counted until the last of them is sent or the client is given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use crate::domain::Fault;

const OUT_OF_REPLIES: Fault = Fault::Overloaded("the memory for replies is used up");

/// The memory for replies.
pub struct Replies {
    most: usize,
    held: Arc<AtomicUsize>,
}

/// A reply, and its share of that memory.
struct Reply {
    bytes: Box<[u8]>,
    held: Arc<AtomicUsize>,
}

impl Replies {
    /// Room for so many bytes.
    pub fn new(most: usize) -> Self {
        Self { most, held: Arc::default() }
    }

    /// The bytes that wait for their clients.
    pub fn bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Refuses work whose reply would find no room at all.
    pub fn are_welcome(&self) -> Result<(), Fault> {
        if self.bytes() < self.most { Ok(()) } else { Err(OUT_OF_REPLIES) }
    }

    /// Counts a reply until it is dropped, or refuses it. What tells of a change that was made is never refused: its client would take
    /// the change for one that failed.
    pub fn hold(&self, reply: Vec<u8>, tells_of_change: bool) -> Result<Bytes, Fault> {
        let before = self.held.fetch_add(reply.len(), Ordering::Relaxed);
        let fits = before + reply.len() <= self.most;
        let reply = Reply { bytes: reply.into_boxed_slice(), held: self.held.clone() };
        if fits || tells_of_change { Ok(Bytes::from_owner(reply)) } else { Err(OUT_OF_REPLIES) }
    }
}

impl AsRef<[u8]> for Reply {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_counted_until_the_last_of_their_bytes_is_dropped() {
        let replies = Replies::new(10);
        let mut one = replies.hold(vec![1; 6], false).unwrap();
        let two = replies.hold(vec![2; 4], false).unwrap();
        assert!(replies.are_welcome().is_err());
        drop(two);
        assert!(replies.are_welcome().is_ok());
        assert!(replies.hold(vec![3; 5], false).is_err(), "there are 4 bytes left");
        assert_eq!(replies.bytes(), 6);
        // As it is sent: in pieces.
        let rest = one.split_off(5);
        drop(one);
        assert_eq!(replies.bytes(), 6);
        drop(rest);
        assert_eq!(replies.bytes(), 0);
    }

    #[test]
    fn a_change_is_refused_before_it_is_made_and_not_after() {
        let replies = Replies::new(10);
        let change = replies.hold(vec![1; 60], true).unwrap();
        assert_eq!(change.len(), 60);
        assert!(replies.are_welcome().is_err());
    }
}
