//! The host's parser, on the lines of a batch.

use crate::counters::Counters;
use crate::event::Event;
use crate::host::api::Parser;
use crate::pipe::Batch;
use crate::rarely::Tally;
use crate::record::encode::WireFormat;
use crate::record::skip::is_unfit;

/// One input's parser. What a guest writes decides how often it has something to tell, so that is told rarely.
#[derive(Debug)]
pub struct Parsing {
    name: String,
    parser: Parser,
    wire: WireFormat,
    unparsed: Tally,
    odd_times: Tally,
}

impl Parsing {
    pub fn new(name: String, parser: Parser, wire: WireFormat) -> Self {
        Self { name, parser, wire, unparsed: Tally::default(), odd_times: Tally::default() }
    }

    /// Replaces the text of each record by what the parser makes of its line; a batch that was refused
    /// once has been parsed already. Returns what is to be told.
    pub fn parse(&mut self, batch: &mut Batch, counters: &Counters) -> Vec<Event> {
        if batch.ends.is_empty() {
            return Vec::new();
        }
        let mut parsed = Vec::with_capacity(batch.bytes.len() * 2);
        let (mut unparsed, mut odd_times) = (0, 0);
        let mut start = 0;
        for record_end in &batch.ends {
            let record = &batch.bytes[start..record_end.end];
            start = record_end.end;
            let line_len = record_end.line_len;
            // What is too deep would take the rest of its chunk with it.
            let parsed_line = line_len.and_then(|len| self.parser.parse(&record[record.len() - len..]));
            let Some(map) = parsed_line.filter(|map| !is_unfit(map.body())) else {
                unparsed += u64::from(line_len.is_some());
                parsed.extend_from_slice(record);
                continue;
            };
            let at = parsed.len();
            parsed.extend_from_slice(&record[..self.wire.head_len()]);
            parsed.extend_from_slice(map.body());
            odd_times += u64::from(map.has_odd_time);
            if let Some(time) = map.time {
                self.wire.set_time(&mut parsed[at..], time);
            }
        }
        batch.ends.clear();
        batch.bytes = parsed;
        counters.unparsed_lines.add(unparsed);
        let told = (self.unparsed.add(unparsed), self.odd_times.add(odd_times));
        self.events(told)
    }

    /// What hasn't been told yet.
    pub fn rest(&mut self) -> Vec<Event> {
        let rest = (self.unparsed.rest(), self.odd_times.rest());
        self.events(rest)
    }

    fn events(&self, (unparsed, odd_times): (Option<u64>, Option<u64>)) -> Vec<Event> {
        let parser = || self.name.clone();
        let unparsed = unparsed.map(|lines| Event::Unparsed { parser: parser(), lines });
        let odd_times = odd_times.map(|records| Event::OddTimes { parser: parser(), records });
        unparsed.into_iter().chain(odd_times).collect()
    }
}
