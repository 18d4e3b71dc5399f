//! What an input has appended and no output has taken yet.

use crate::output::Output;

/// A chunk this large is closed to further records.
const CHUNK_BYTES: usize = 2_048_000;

/// Records of one tag, as they were appended.
#[derive(Debug)]
pub struct Chunk {
    pub tag: String,
    pub bytes: Vec<u8>,
    pub records: usize,
    /// Outputs that haven't taken it; set when the chunk is closed.
    waiting: Option<Vec<usize>>,
}

/// The chunks of one input, oldest first.
#[derive(Debug, Default)]
pub struct Chunks {
    chunks: Vec<Chunk>,
}

impl Chunks {
    /// Adds records to the open chunk of their tag.
    pub fn add(&mut self, tag: &str, bytes: &[u8], records: usize) {
        let open = |chunk: &&mut Chunk| {
            chunk.waiting.is_none() && chunk.tag == tag && chunk.bytes.len() < CHUNK_BYTES
        };
        if let Some(chunk) = self.chunks.iter_mut().find(open) {
            chunk.bytes.extend_from_slice(bytes);
            chunk.records += records;
        } else {
            let (tag, bytes) = (tag.to_owned(), bytes.to_vec());
            self.chunks.push(Chunk { tag, bytes, records, waiting: None });
        }
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes.len()).sum()
    }

    /// Chunks kept.
    pub fn count(&self) -> usize {
        self.chunks.len()
    }

    /// Chunks that outputs have been offered, in vain so far.
    pub fn offered(&self) -> usize {
        self.chunks.iter().filter(|chunk| chunk.waiting.is_some()).count()
    }

    /// Closes all chunks and offers them to the outputs; what every matching output has taken goes.
    pub fn flush(&mut self, outputs: &mut [Output]) {
        for chunk in &mut self.chunks {
            let all = || (0..outputs.len()).filter(|&i| outputs[i].matches(&chunk.tag)).collect();
            let mut waiting = chunk.waiting.take().unwrap_or_else(all);
            waiting.retain(|&i| !outputs[i].take(chunk));
            chunk.waiting = Some(waiting);
        }
        self.chunks.retain(|chunk| chunk.waiting.as_ref().is_none_or(|waiting| !waiting.is_empty()));
    }
}
