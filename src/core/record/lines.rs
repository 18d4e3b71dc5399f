//! Cuts a stream of bytes into lines.
//!
//! A line ends at `\n`, which isn't part of it; every other byte is, `\r` and NUL included. The stream
//! comes in blocks of any size, and where the blocks are cut must not show in the lines. A line that lies
//! whole inside one block is handed on as a slice of that block; only a line that crosses the edge of a
//! block is copied, into `partial`.
//!
//! No line is ever held beyond the limit: what to do with a longer one is decided while it is still
//! growing, so a guest that never prints a newline can't make the host's memory grow.

use std::ops::AddAssign;

use memchr::memchr;

/// What becomes of a line longer than the limit (option `long_lines`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongLines {
    /// It becomes several lines of at most the limit; no byte is lost.
    Split,
    /// Its first bytes, up to the limit, are kept.
    Truncate,
    /// Nothing of it is kept.
    Drop,
}

/// What a framer did to lines longer than its limit, since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LongLineCounts {
    /// Lines that were longer than the limit.
    pub lines: u64,
    /// Bytes of them that were thrown away (none with [`LongLines::Split`]).
    pub lost_bytes: u64,
}

impl AddAssign for LongLineCounts {
    fn add_assign(&mut self, more: Self) {
        self.lines += more.lines;
        self.lost_bytes += more.lost_bytes;
    }
}

/// The framer of one stream.
#[derive(Debug)]
pub struct Lines {
    limit_bytes: usize,
    long_lines: LongLines,
    /// The beginning of a line whose end hasn't come yet; never longer than the limit.
    partial: Vec<u8>,
    /// The current line has passed the limit.
    over_limit: bool,
    counts: LongLineCounts,
}

impl Lines {
    /// A framer for lines of at most `limit_bytes` (at least 1).
    #[must_use]
    pub fn new(limit_bytes: usize, long_lines: LongLines) -> Self {
        Self {
            limit_bytes: limit_bytes.max(1),
            long_lines,
            partial: Vec::new(),
            over_limit: false,
            counts: LongLineCounts::default(),
        }
    }

    /// Takes the next block of the stream and gives every line that is complete to `emit`.
    pub fn push(&mut self, mut block: &[u8], mut emit: impl FnMut(&[u8])) {
        while let Some(end) = memchr(b'\n', block) {
            let (line, rest) = (&block[..end], &block[end + 1..]);
            if self.at_line_start() && line.len() <= self.limit_bytes {
                emit(line);
            } else {
                self.grow(line, &mut emit);
                self.end_line(&mut emit);
            }
            block = rest;
        }
        self.grow(block, &mut emit);
    }

    /// The stream has ended: a last line without newline is a line too.
    pub fn finish(&mut self, mut emit: impl FnMut(&[u8])) {
        if !self.at_line_start() {
            self.end_line(&mut emit);
        }
    }

    /// Nothing will come for long: what was kept for lines that cross the edge of a block is free.
    pub fn release(&mut self) {
        self.partial.shrink_to_fit();
    }

    /// What happened to long lines since the last call.
    pub fn take_counts(&mut self) -> LongLineCounts {
        std::mem::take(&mut self.counts)
    }

    fn at_line_start(&self) -> bool {
        self.partial.is_empty() && !self.over_limit
    }

    /// More of the current line, without its end.
    fn grow(&mut self, mut piece: &[u8], emit: &mut impl FnMut(&[u8])) {
        loop {
            if self.over_limit && self.long_lines != LongLines::Split {
                self.counts.lost_bytes += piece.len() as u64;
                return;
            }
            let room = self.limit_bytes - self.partial.len();
            if piece.len() <= room {
                self.partial.extend_from_slice(piece);
                return;
            }
            // One byte more than fits: only now is the line known to be too long.
            let (fits, rest) = piece.split_at(room);
            self.pass_limit(fits, emit);
            piece = rest;
        }
    }

    /// `fits` fills the line up to the limit, and there is more.
    fn pass_limit(&mut self, fits: &[u8], emit: &mut impl FnMut(&[u8])) {
        if !self.over_limit {
            self.over_limit = true;
            self.counts.lines += 1;
        }
        if self.long_lines == LongLines::Drop {
            self.counts.lost_bytes += (self.partial.len() + fits.len()) as u64;
        } else if self.partial.is_empty() {
            emit(fits);
        } else {
            self.partial.extend_from_slice(fits);
            emit(&self.partial);
        }
        self.partial.clear();
    }

    fn end_line(&mut self, emit: &mut impl FnMut(&[u8])) {
        if !self.over_limit || self.long_lines == LongLines::Split {
            emit(&self.partial);
        }
        self.partial.clear();
        self.over_limit = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(blocks: &[&[u8]], limit: usize, policy: LongLines) -> (Vec<Vec<u8>>, LongLineCounts) {
        let mut lines = Lines::new(limit, policy);
        let mut out = Vec::new();
        for block in blocks {
            lines.push(block, |line| out.push(line.to_vec()));
        }
        lines.finish(|line| out.push(line.to_vec()));
        (out, lines.take_counts())
    }

    /// The obvious way, given the whole stream at once.
    fn naive(stream: &[u8], limit: usize, policy: LongLines) -> (Vec<Vec<u8>>, LongLineCounts) {
        let mut counts = LongLineCounts::default();
        let mut out = Vec::new();
        let mut lines: Vec<&[u8]> = stream.split(|&byte| byte == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        for line in lines {
            if line.len() <= limit {
                out.push(line.to_vec());
                continue;
            }
            counts.lines += 1;
            match policy {
                LongLines::Split => out.extend(line.chunks(limit).map(<[u8]>::to_vec)),
                LongLines::Truncate => {
                    out.push(line[..limit].to_vec());
                    counts.lost_bytes += (line.len() - limit) as u64;
                }
                LongLines::Drop => counts.lost_bytes += line.len() as u64,
            }
        }
        (out, counts)
    }

    #[test]
    fn a_line_that_fills_the_limit_exactly_is_one_line() {
        for policy in [LongLines::Split, LongLines::Truncate, LongLines::Drop] {
            let (lines, counts) = frame(&[b"abcd\nx"], 4, policy);
            assert_eq!(lines, [b"abcd".to_vec(), b"x".to_vec()]);
            assert_eq!(counts, LongLineCounts::default());
        }
    }

    #[test]
    fn empty_lines_carriage_returns_and_nul_are_kept() {
        let (lines, _) = frame(&[b"\n\r\na\0b\n\n"], 10, LongLines::Split);
        assert_eq!(lines, [b"".to_vec(), b"\r".to_vec(), b"a\0b".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn a_line_without_end_never_holds_more_than_the_limit() {
        let mut lines = Lines::new(1000, LongLines::Truncate);
        let mut emitted = 0;
        for _ in 0..1000 {
            lines.push(&[b'x'; 4096], |line| emitted += line.len());
            assert!(lines.partial.capacity() <= 2000);
        }
        assert_eq!(emitted, 1000);
    }

    fn policies() -> impl Strategy<Value = LongLines> {
        prop_oneof![Just(LongLines::Split), Just(LongLines::Truncate), Just(LongLines::Drop)]
    }

    /// Streams in which newlines, long and short lines are all likely.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![3 => Just(b'a'), 1 => Just(b'\n'), 1 => any::<u8>()], 0..80)
    }

    proptest! {
        #[test]
        fn framing_agrees_with_the_naive_twin(
            stream in streams(), limit in 1usize..12, policy in policies()
        ) {
            prop_assert_eq!(frame(&[&stream], limit, policy), naive(&stream, limit, policy));
        }

        #[test]
        fn where_blocks_are_cut_does_not_show(
            stream in streams(), limit in 1usize..12, policy in policies(),
            cuts in proptest::collection::vec(0usize..80, 0..6)
        ) {
            let whole = frame(&[&stream], limit, policy);
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(frame(&bytes, limit, policy), whole.clone());
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.sort_unstable();
            let mut blocks = Vec::new();
            let mut start = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                blocks.push(&stream[start..cut]);
                start = cut;
            }
            prop_assert_eq!(frame(&blocks, limit, policy), whole);
        }
    }
}
