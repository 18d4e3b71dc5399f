//! Offering records to the engine: how many at a time, and what became of them.

use std::time::Duration;

use super::gate::{Flow, Gate};
use super::stuck::Stuck;
use super::witness::Witness;
use crate::host::api::{Input, Refused};
use crate::pipe::Batch;
use crate::record::skip::len_of;

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    All,
    /// The engine pauses an input when it has taken something. So it took some, and then no more: where it has routes
    /// with conditions (since 4.2), it makes several appends of one. To offer the same again would double what it took,
    /// and again and again, since the same part makes it pause each time.
    Part,
    Nothing,
}

/// What of a batch is offered: so many records from its beginning, and their length.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub records: usize,
    pub len: usize,
}

/// An input's offers, and what was learned from the last ones.
#[derive(Debug)]
pub struct Offers {
    input: Input,
    /// What of the refused may be too large.
    stuck: Stuck,
    /// What of it may have been taken all the same.
    witness: Witness,
}

impl Offers {
    pub fn new(input: Input) -> Self {
        Self { input, stuck: Stuck::default(), witness: Witness::default() }
    }

    /// What of a batch is to be offered next.
    pub fn piece(&mut self, batch: &Batch) -> Piece {
        match self.stuck.most_records() {
            Some(most) if most < batch.records => Piece { records: most, len: len_of(batch.rest(), most) },
            _ => Piece { records: batch.records, len: batch.rest().len() },
        }
    }

    /// Offers it.
    pub fn offer(&mut self, piece: Piece, batch: &Batch, gate: &Gate) -> Offered {
        let before = self.witness.asks().then(|| self.input.records_taken()).flatten();
        let bytes = &batch.rest()[..piece.len];
        let (result, paused_within) = gate.during_append(|| self.input.append(piece.records, bytes));
        let growth = before.and_then(|before| Some(self.input.records_taken()? - before));
        let offered = match result {
            Ok(()) => {
                self.witness.taken(piece.records, growth);
                Offered::All
            }
            Err(Refused) if self.witness.refused(piece.records, growth) || paused_within => Offered::Part,
            Err(Refused) => Offered::Nothing,
        };
        match offered {
            Offered::All => self.stuck.taken(),
            // Less of it, the next time.
            Offered::Part => _ = self.stuck.offers_less(piece.records),
            Offered::Nothing => {}
        }
        offered
    }

    /// Nothing of a piece was taken: whether less of it is to be offered at once. Where the input has a thread of its
    /// own, records pass a ring that has so many places, and none was free for a second: less needs one, too.
    pub fn offers_less(&mut self, refused: Piece, gate: &Gate) -> bool {
        gate.flow() == Flow::Open
            && self.input.is_on_engine_thread()
            && self.stuck.offers_less(refused.records)
    }

    /// Nothing is taken, however little it is, and the input is not paused: for how long, if that is to be said now.
    pub fn is_stuck(&mut self, gate: &Gate) -> Option<Duration> {
        (gate.flow() == Flow::Open).then(|| self.stuck.is_told()).flatten()
    }
}
