//! MessagePack records as the host's storage wants them.
//!
//! A text record is a frame that is the same for every line, but for eight bytes of time stamp, and then
//! the line. So the frame is built once; a record is two copies and a length:
//!
//! ```text
//!  92                         [                        since 2.1: 92 92 … 80, an array with metadata
//!  d7 00 SSSSSSSS NNNNNNNN      time (EventTime),
//!  81 ab "wasi_stdout"          { key:
//!  dX …                           line } ]
//! ```
//!
//! A line is a MessagePack *string* whatever its bytes, NUL and invalid UTF-8 included. The format has a
//! type for bytes, but the host's outputs and filters treat that as something else than text (they print
//! its length, or skip it), while strings pass through them byte for byte and are escaped where a format
//! like JSON asks for it. The host's own inputs do the same.

use std::time::Duration;

use super::json;

/// The last second, counted from the beginning of 1970, that a record can be of. The host takes the next two for marks
/// of its own: where a group of records begins and ends (`FLB_LOG_EVENT_GROUP_START`, since 3.2).
pub const LAST_SECOND: u32 = u32::MAX - 2;

/// The record format a host understands; it changed with Fluent Bit 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireFormat {
    /// `[time, body]`: Fluent Bit 2.0; later ones accept it too.
    Legacy,
    /// `[[time, metadata], body]`: Fluent Bit 2.1 and later.
    Metadata,
}

impl WireFormat {
    /// What comes before a record's body, with a time of zero.
    fn head(self) -> &'static [u8] {
        match self {
            Self::Legacy => &[0x92, 0xd7, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Self::Metadata => &[0x92, 0x92, 0xd7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80],
        }
    }

    /// Length in bytes of what comes before a record's body.
    #[must_use]
    pub fn head_len(self) -> usize {
        self.head().len()
    }

    /// Writes a time, counted from the beginning of 1970, into the record (or only its head) that `record`
    /// begins with.
    pub fn set_time(self, record: &mut [u8], time: Duration) {
        let at = match self {
            Self::Legacy => 3,
            Self::Metadata => 4,
        };
        // A later time can't be said in this format; its end is said instead.
        let seconds = u32::try_from(time.as_secs()).map_or(LAST_SECOND, |seconds| seconds.min(LAST_SECOND));
        record[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        record[at + 4..at + 8].copy_from_slice(&time.subsec_nanos().to_be_bytes());
    }
}

/// How a line becomes a record's body (option `format`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `{message_key: line}`
    Text,
    /// A line that is a JSON object is the body; any other is a text record.
    Json,
}

/// Encodes the records of one stream of a guest.
#[derive(Debug)]
pub struct Encoder {
    wire: WireFormat,
    format: Format,
    /// The frame of a text record, up to the line.
    frame: Vec<u8>,
}

impl Encoder {
    /// An encoder whose text records are `{message_key: line}`, or with a `stream` name
    /// `{"stream": stream, message_key: line}`.
    #[must_use]
    pub fn new(wire: WireFormat, format: Format, message_key: &str, stream: Option<&str>) -> Self {
        let mut frame = wire.head().to_vec();
        frame.push(if stream.is_some() { 0x82 } else { 0x81 });
        if let Some(stream) = stream {
            push_str(&mut frame, b"stream");
            push_str(&mut frame, stream.as_bytes());
        }
        push_str(&mut frame, message_key.as_bytes());
        Self { wire, format, frame }
    }

    /// How long the record of an empty line is, in bytes.
    #[must_use]
    pub fn empty_record_len(&self) -> usize {
        self.frame.len() + 1
    }

    /// The records that follow were written at `time`, counted from the beginning of 1970.
    pub fn set_time(&mut self, time: Duration) {
        self.wire.set_time(&mut self.frame, time);
    }

    /// Appends the record of `line` to `out`.
    pub fn record(&self, line: &[u8], out: &mut Vec<u8>) {
        if self.format == Format::Json {
            let start = out.len();
            out.extend_from_slice(&self.frame[..self.wire.head_len()]);
            if json::object_to_map(line, out) {
                return;
            }
            out.truncate(start);
        }
        out.extend_from_slice(&self.frame);
        push_str(out, line);
    }
}

/// The header of a string of less than 32 bytes, without its length.
pub(super) const SHORT_STRING: u8 = 0xa0;

/// Appends a string, whatever its bytes.
#[inline]
pub(super) fn push_str(out: &mut Vec<u8>, text: &[u8]) {
    push_str_header(out, text.len());
    out.extend_from_slice(text);
}

/// Appends what comes before a string of so many bytes.
#[inline]
pub(super) fn push_str_header(out: &mut Vec<u8>, len: usize) {
    // Lines are limited to far below 4 GiB by the option table, keys by common sense.
    let len = u32::try_from(len).expect("a string of a record is below 4 GiB");
    match len.to_be_bytes() {
        [0, 0, 0, len @ ..32] => out.push(SHORT_STRING | len),
        [0, 0, 0, len] => out.extend_from_slice(&[0xd9, len]),
        [0, 0, high, low] => out.extend_from_slice(&[0xda, high, low]),
        [a, b, c, d] => out.extend_from_slice(&[0xdb, a, b, c, d]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(wire: WireFormat, format: Format, line: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(wire, format, "wasi_stdout", None);
        encoder.set_time(Duration::new(0x6566_6768, 0x0102_0304));
        let mut out = Vec::new();
        encoder.record(line, &mut out);
        out
    }

    /// The body of a record as an independent reader understands it, and the bytes it read.
    fn decode(wire: WireFormat, mut bytes: &[u8]) -> (rmpv::Value, rmpv::Value) {
        let value = rmpv::decode::read_value(&mut bytes).expect("a record is MessagePack");
        assert!(bytes.is_empty(), "exactly one record");
        let rmpv::Value::Array(mut parts) = value else { panic!("a record is an array") };
        assert_eq!(parts.len(), 2);
        let body = parts.pop().unwrap();
        let head = parts.pop().unwrap();
        let time = match (wire, head) {
            (WireFormat::Legacy, time) => time,
            (WireFormat::Metadata, rmpv::Value::Array(mut head)) => {
                assert_eq!(head.pop(), Some(rmpv::Value::Map(vec![])));
                head.pop().unwrap()
            }
            (_, other) => panic!("unexpected head {other}"),
        };
        (time, body)
    }

    #[test]
    fn no_time_becomes_one_of_the_hosts_marks() {
        for seconds in [u64::from(LAST_SECOND), u64::from(u32::MAX) - 1, u64::from(u32::MAX), u64::MAX] {
            let mut record = WireFormat::Metadata.head().to_vec();
            WireFormat::Metadata.set_time(&mut record, Duration::from_secs(seconds));
            assert_eq!(record[4..8], LAST_SECOND.to_be_bytes());
        }
    }

    #[test]
    fn text_records_are_these_bytes() {
        let body = b"\x81\xabwasi_stdout\xa2hi";
        assert_eq!(
            one(WireFormat::Legacy, Format::Text, b"hi"),
            [b"\x92\xd7\x00efgh\x01\x02\x03\x04".as_slice(), body].concat()
        );
        assert_eq!(
            one(WireFormat::Metadata, Format::Text, b"hi"),
            [b"\x92\x92\xd7\x00efgh\x01\x02\x03\x04\x80".as_slice(), body].concat()
        );
    }

    #[test]
    fn a_json_object_is_the_body_and_anything_else_is_text() {
        let (_, body) =
            decode(WireFormat::Metadata, &one(WireFormat::Metadata, Format::Json, b"{\"b\":1,\"a\":2}"));
        assert_eq!(body.to_string(), r#"{"b": 1, "a": 2}"#);
        for line in ["[1]", "{\"a\":1", "{\"a\":1} x", "12", "", "null"] {
            assert_eq!(
                one(WireFormat::Metadata, Format::Json, line.as_bytes()),
                one(WireFormat::Metadata, Format::Text, line.as_bytes()),
                "{line}"
            );
        }
    }

    #[test]
    fn the_stream_comes_before_the_line() {
        let encoder = Encoder::new(WireFormat::Legacy, Format::Text, "m", Some("stderr"));
        let mut out = Vec::new();
        encoder.record(b"x", &mut out);
        assert_eq!(&out[WireFormat::Legacy.head_len()..], b"\x82\xa6stream\xa6stderr\xa1m\xa1x");
    }

    proptest! {
        #[test]
        fn an_independent_reader_sees_the_line_byte_for_byte(
            line in proptest::collection::vec(any::<u8>(), 0..70_000),
            legacy in any::<bool>()
        ) {
            let wire = if legacy { WireFormat::Legacy } else { WireFormat::Metadata };
            let (time, body) = decode(wire, &one(wire, Format::Text, &line));
            prop_assert_eq!(time, rmpv::Value::Ext(0, b"efgh\x01\x02\x03\x04".to_vec()));
            let rmpv::Value::Map(pairs) = body else { panic!("the body is a map") };
            prop_assert_eq!(pairs.len(), 1);
            prop_assert_eq!(pairs[0].0.as_str(), Some("wasi_stdout"));
            let rmpv::Value::String(text) = &pairs[0].1 else { panic!("the line is a string") };
            prop_assert_eq!(text.as_bytes(), &line[..]);
        }
    }
}
