//! Records as plugins append them: MessagePack, checked when they arrive and shown when they leave.

use std::fmt::Write;

use rmpv::Value;

use crate::hosts::Host;

/// One decoded record.
#[derive(Debug)]
pub struct Record {
    pub seconds: u32,
    pub nanoseconds: u32,
    /// `None` in the form of 2.0.
    pub metadata: Option<Value>,
    pub body: Value,
}

/// How many records there are; an error if `bytes` is anything but whole records this host can read.
pub fn count(bytes: &[u8], host: &Host) -> Result<usize, String> {
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        rest = after_record(rest, host).map_err(|what| {
            let at = bytes.len() - rest.len();
            format!("record {count} at byte {at}: {what}")
        })?;
        count += 1;
    }
    if count == 0 { Err("no bytes".to_owned()) } else { Ok(count) }
}

/// `[time, map]`, or `[[time, map], map]` where the host has metadata.
fn after_record<'b>(bytes: &'b [u8], host: &Host) -> Result<&'b [u8], &'static str> {
    let rest = bytes.strip_prefix(b"\x92").ok_or("not an array of two")?;
    let rest = match rest.strip_prefix(b"\x92") {
        Some(_) if !host.has_metadata() => return Err("unknown time format"),
        Some(rest) => after_map(after_time(rest)?)?,
        None => after_time(rest)?,
    };
    after_map(rest)
}

/// `EventTime`: extension 0 of 8 bytes.
fn after_time(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let rest = bytes.strip_prefix(b"\xd7\x00").ok_or("not a time")?;
    let nanoseconds = rest.get(4..8).ok_or("cut off")?;
    if u32::from_be_bytes(nanoseconds.try_into().expect("four bytes")) >= 1_000_000_000 {
        return Err("nanoseconds of more than a second");
    }
    Ok(&rest[8..])
}

fn after_map(bytes: &[u8]) -> Result<&[u8], &'static str> {
    match bytes.first() {
        Some(0x80..=0x8f | 0xde | 0xdf) => after_value(bytes),
        Some(_) => Err("not a map"),
        None => Err("cut off"),
    }
}

/// Skips one value without building it: appends may be large, and every one is checked.
fn after_value(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let mut rest = bytes;
    let mut values = 1usize;
    while values > 0 {
        values -= 1;
        let (&marker, after) = rest.split_first().ok_or("cut off")?;
        // Bytes that follow the marker as a length, bytes beside that length, values inside.
        let (length_bytes, extra, inside): (usize, usize, usize) = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0, 0),
            0x80..=0x8f => (0, 0, 2),
            0x90..=0x9f => (0, 0, 1),
            0xa0..=0xbf => (0, usize::from(marker & 0x1f), 0),
            0xc4 | 0xd9 => (1, 0, 0),
            0xc5 | 0xda => (2, 0, 0),
            0xc6 | 0xdb => (4, 0, 0),
            0xc7 => (1, 1, 0),
            0xc8 => (2, 1, 0),
            0xc9 => (4, 1, 0),
            0xcc | 0xd0 => (0, 1, 0),
            0xcd | 0xd1 | 0xd4 => (0, 2, 0),
            0xca | 0xce | 0xd2 => (0, 4, 0),
            0xcb | 0xcf | 0xd3 => (0, 8, 0),
            0xd5 => (0, 3, 0),
            0xd6 => (0, 5, 0),
            0xd7 => (0, 9, 0),
            0xd8 => (0, 17, 0),
            0xdc => (2, 0, 1),
            0xde => (2, 0, 2),
            0xdd => (4, 0, 1),
            0xdf => (4, 0, 2),
            0xc1 => return Err("a byte that MessagePack never uses"),
        };
        let length = after.get(..length_bytes).ok_or("cut off")?;
        let length = length.iter().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
        let (skipped, members) = match (inside, length_bytes) {
            (0, _) => (length_bytes + length + extra, 0),
            (inside, 0) => (0, usize::from(marker & 0x0f) * inside),
            (inside, _) => (length_bytes, length * inside),
        };
        rest = after.get(skipped..).ok_or("cut off")?;
        values += members;
    }
    Ok(rest)
}

/// Decodes records that `count` has accepted.
pub fn decode(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let value = rmpv::decode::read_value(&mut bytes).expect("checked when it was appended");
        let Value::Array(parts) = value else { unreachable!("checked when it was appended") };
        let [head, body] = <[Value; 2]>::try_from(parts).expect("checked when it was appended");
        let (time, metadata) = match head {
            Value::Array(mut head) => {
                let metadata = head.pop();
                (head.pop().expect("checked when it was appended"), metadata)
            }
            time => (time, None),
        };
        let Value::Ext(_, time) = time else { unreachable!("checked when it was appended") };
        let word = |at: usize| u32::from_be_bytes(time[at..at + 4].try_into().expect("four bytes"));
        records.push(Record { seconds: word(0), nanoseconds: word(4), metadata, body });
    }
    records
}

/// Encodes a record of this host's form, stamped with the current time.
pub fn encode(body: &Value, host: &Host) -> Vec<u8> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
    let mut bytes = if host.has_metadata() { vec![0x92, 0x92] } else { vec![0x92] };
    bytes.extend([0xd7, 0x00]);
    bytes.extend(seconds.to_be_bytes());
    bytes.extend(now.subsec_nanos().to_be_bytes());
    if host.has_metadata() {
        bytes.push(0x80);
    }
    rmpv::encode::write_value(&mut bytes, body).expect("a vector takes what is written to it");
    bytes
}

/// A value as JSON. Bytes that aren't UTF-8 are replaced, as there is no other way to write them.
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    write_json(&mut text, value);
    text
}

/// The members of a map as JSON, without the braces.
pub fn json_members(map: &[(Value, Value)]) -> String {
    let mut text = String::new();
    write_members(&mut text, map);
    text
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Nil => out.push_str("null"),
        Value::String(string) => quote(out, string.as_bytes()),
        Value::Binary(bytes) | Value::Ext(_, bytes) => quote(out, bytes),
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                write_json(out, value);
            }
            out.push(']');
        }
        Value::Map(members) => {
            out.push('{');
            write_members(out, members);
            out.push('}');
        }
        // Numbers and booleans are written alike in both.
        Value::Boolean(_) | Value::Integer(_) | Value::F32(_) | Value::F64(_) => {
            write!(out, "{value}").expect("a string takes what is written to it");
        }
    }
}

fn write_members(out: &mut String, members: &[(Value, Value)]) {
    for (at, (key, value)) in members.iter().enumerate() {
        out.push_str(if at == 0 { "" } else { "," });
        match key {
            Value::String(key) => quote(out, key.as_bytes()),
            key => quote(out, json(key).as_bytes()),
        }
        out.push(':');
        write_json(out, value);
    }
}

fn quote(out: &mut String, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    out.push_str(&serde_json::to_string(&text).expect("a string can be written as JSON"));
}

/// A value as Fluent Bit's plain `stdout` shows it: `{"key"=>"value"}`, strings as they are.
pub fn show(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::String(string) => show_string(out, string.as_bytes()),
        Value::Binary(bytes) => show_string(out, bytes),
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"" } else { b", " });
                show(out, value);
            }
            out.push(b']');
        }
        Value::Map(members) => {
            out.push(b'{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.extend_from_slice(if at == 0 { b"" } else { b", " });
                show(out, key);
                out.extend_from_slice(b"=>");
                show(out, value);
            }
            out.push(b'}');
        }
        other => out.extend_from_slice(json(other).as_bytes()),
    }
}

fn show_string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    out.extend_from_slice(bytes);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::HOSTS;

    fn host(name: &str) -> &'static Host {
        HOSTS.iter().find(|host| host.name == name).expect("in the table")
    }

    fn body() -> Value {
        let text =
            r#"{"a":[1,-1,70000,-70000,1.5,true,null],"long":"0123456789012345678901234567890123456789"}"#;
        serde_json::from_str(text).expect("JSON")
    }

    #[test]
    fn what_is_encoded_is_counted_and_decoded() {
        for name in ["2.0.14", "5.1.1"] {
            let bytes = encode(&body(), host(name)).repeat(3);
            assert_eq!(count(&bytes, host(name)), Ok(3));
            let records = decode(&bytes);
            assert_eq!(records.len(), 3);
            assert_eq!(records[2].body, body());
            assert_eq!(records[2].metadata.is_some(), name == "5.1.1");
        }
    }

    #[test]
    fn every_kind_of_value_is_skipped_as_the_decoder_would() {
        let mut values = vec![
            Value::Binary(vec![1; 300]),
            Value::Binary(vec![1; 70_000]),
            Value::from("x".repeat(300)),
            Value::from("x".repeat(70_000)),
            Value::F32(1.0),
            Value::Array(vec![Value::Nil; 20]),
            Value::Array(vec![Value::Nil; 70_000]),
            Value::Map(vec![(Value::from(1), Value::from(u64::MAX)); 20]),
            Value::Map(vec![(Value::from(300), Value::from(i64::MIN)); 70_000]),
        ];
        values.extend([1, 2, 4, 8, 16, 17, 300, 70_000].map(|len| Value::Ext(5, vec![0; len])));
        for value in values {
            let mut bytes = Vec::new();
            rmpv::encode::write_value(&mut bytes, &value).expect("a vector");
            bytes.push(0xc0);
            assert_eq!(after_value(&bytes), Ok(&[0xc0][..]), "{value:.40}");
            assert!(after_value(&bytes[..bytes.len() - 2]).is_err(), "{value:.40}");
        }
    }

    #[test]
    fn a_host_of_2_0_refuses_metadata_and_later_ones_read_both() {
        let (old, new) = (encode(&body(), host("2.0.3")), encode(&body(), host("5.1.1")));
        assert!(count(&new, host("2.0.3")).is_err());
        assert_eq!(count(&old, host("5.1.1")), Ok(1));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let record = encode(&body(), host("5.1.1"));
        for len in 0..record.len() {
            assert!(count(&record[..len], host("5.1.1")).is_err(), "{len}");
        }
        assert!(count(b"line", host("5.1.1")).is_err());
    }

    #[test]
    fn order_and_bytes_survive_in_what_is_shown() {
        let value = Value::Map(vec![
            (Value::from("z"), Value::from("a\"b")),
            (Value::from("a"), Value::Array(vec![Value::from(1), Value::Nil])),
        ]);
        assert_eq!(json(&value), r#"{"z":"a\"b","a":[1,null]}"#);
        let mut shown = Vec::new();
        show(&mut shown, &value);
        assert_eq!(String::from_utf8(shown).as_deref(), Ok(r#"{"z"=>"a"b", "a"=>[1, null]}"#));
    }
}
