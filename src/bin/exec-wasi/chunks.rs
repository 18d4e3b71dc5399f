//! What an input has appended and not every output has taken yet.

use std::sync::{Arc, Mutex};

use crate::output::Output;

/// A chunk this large is closed to further records.
const CHUNK_BYTES: usize = 2_048_000;

/// Records of one tag, as they were appended.
#[derive(Debug)]
pub struct Chunk {
    pub tag: String,
    pub bytes: Vec<u8>,
}

/// Where a chunk is on its way to one output. Written by the engine's thread when it offers the chunk, and
/// by the output's when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// To be offered at the next flush.
    Waiting,
    /// In the output's hands.
    Sent,
    Taken,
}

/// A chunk and, once it is closed, its way to each output that wants it.
#[derive(Debug)]
struct Stored {
    chunk: Arc<Chunk>,
    deliveries: Option<Vec<(usize, Arc<Mutex<Delivery>>)>>,
}

/// The chunks of one input, oldest first.
#[derive(Debug, Default)]
pub struct Chunks {
    list: Vec<Stored>,
}

impl Chunks {
    /// Adds records to the open chunk of their tag.
    pub fn add(&mut self, tag: &str, bytes: &[u8]) {
        for stored in self.list.iter_mut().filter(|stored| stored.deliveries.is_none()) {
            let chunk = Arc::get_mut(&mut stored.chunk).expect("an open chunk isn't shared");
            if chunk.tag == tag && chunk.bytes.len() < CHUNK_BYTES {
                chunk.bytes.extend_from_slice(bytes);
                return;
            }
        }
        let chunk = Arc::new(Chunk { tag: tag.to_owned(), bytes: bytes.to_vec() });
        self.list.push(Stored { chunk, deliveries: None });
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.list.iter().map(|stored| stored.chunk.bytes.len()).sum()
    }

    /// Chunks kept.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Chunks that outputs have been offered and not all have taken.
    pub fn offered(&self) -> usize {
        self.list.iter().filter(|stored| stored.deliveries.is_some()).count()
    }

    /// Closes all chunks and offers to each output what it hasn't been sent.
    pub fn flush(&mut self, outputs: &[Output]) {
        for stored in &mut self.list {
            let Stored { chunk, deliveries } = stored;
            let deliveries = deliveries.get_or_insert_with(|| {
                let wanted = (0..outputs.len()).filter(|&at| outputs[at].matches(&chunk.tag));
                wanted.map(|at| (at, Arc::new(Mutex::new(Delivery::Waiting)))).collect()
            });
            for (at, delivery) in deliveries {
                outputs[*at].offer(chunk, delivery);
            }
        }
        self.forget_taken();
    }

    /// Lets go of what every output has taken.
    pub fn forget_taken(&mut self) {
        let taken = |(_, delivery): &(usize, Arc<Mutex<Delivery>>)| {
            *delivery.lock().expect("no panic under it") == Delivery::Taken
        };
        self.list.retain(|stored| !stored.deliveries.as_ref().is_some_and(|all| all.iter().all(taken)));
    }
}
