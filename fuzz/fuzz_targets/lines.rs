//! A guest's output, from bytes to records, against the obvious way to do the same.
//!
//! The first bytes choose limit, policy, format and where the stream is cut into blocks; the rest is what
//! the guest writes.

#![no_main]

use flb_in_exec_wasi_fuzz::record::encode::{Encoder, Format, WireFormat};
use flb_in_exec_wasi_fuzz::record::lines::{Lines, LongLineCounts, LongLines};
use libfuzzer_sys::fuzz_target;
use rmpv::Value;

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
                counts.lost_bytes += (line.len() - limit) as u64;
                out.push(line[..limit].to_vec());
            }
            LongLines::Drop => counts.lost_bytes += line.len() as u64,
        }
    }
    (out, counts)
}

/// The body that a line must have, by way of a tree.
fn body(line: &[u8], format: Format) -> Value {
    let text = || Value::Map(vec![("k".into(), Value::String(utf8(line)))]);
    if format == Format::Text {
        return text();
    }
    match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(object @ serde_json::Value::Object(_)) if depth(&object) <= 31 => of_json(&object),
        _ => text(),
    }
}

/// Objects and lists within each other.
fn depth(json: &serde_json::Value) -> usize {
    match json {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(pairs) => 1 + pairs.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn utf8(bytes: &[u8]) -> rmpv::Utf8String {
    // The only way to a string that is none: as it is read.
    let mut packed = Vec::new();
    rmp::encode::write_str_len(&mut packed, u32::try_from(bytes.len()).unwrap()).unwrap();
    packed.extend_from_slice(bytes);
    match rmpv::decode::read_value(&mut &packed[..]).unwrap() {
        Value::String(text) => text,
        other => panic!("{other}"),
    }
}

fn of_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(bool) => (*bool).into(),
        serde_json::Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => number.into(),
            _ => number.as_f64().unwrap().into(),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => Value::Array(items.iter().map(of_json).collect()),
        serde_json::Value::Object(pairs) => {
            Value::Map(pairs.iter().map(|(key, value)| (key.as_str().into(), of_json(value))).collect())
        }
    }
}

/// As a reader that keeps the last of several equal keys sees it: a tree has each only once.
fn without_repeated_keys(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(without_repeated_keys).collect()),
        Value::Map(pairs) => {
            let mut kept: Vec<(Value, Value)> = Vec::new();
            for (key, value) in pairs {
                let value = without_repeated_keys(value);
                match kept.iter_mut().find(|(known, _)| *known == key) {
                    Some(pair) => pair.1 = value,
                    None => kept.push((key, value)),
                }
            }
            Value::Map(kept)
        }
        other => other,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[limit, choice, cut], stream)) = input.split_first_chunk::<3>() else { return };
    let limit = usize::from(limit) + 1;
    let policy = [LongLines::Split, LongLines::Truncate, LongLines::Drop][usize::from(choice % 3)];
    let format = if choice & 0x40 == 0 { Format::Text } else { Format::Json };
    let wire = if choice & 0x80 == 0 { WireFormat::Legacy } else { WireFormat::Metadata };

    let mut lines = Lines::new(limit, policy);
    let mut framed = Vec::new();
    for block in stream.chunks(usize::from(cut) + 1) {
        lines.push(block, |line| framed.push(line.to_vec()));
    }
    lines.finish(|line| framed.push(line.to_vec()));
    let counts = lines.take_counts();
    assert_eq!((framed.clone(), counts), naive(stream, limit, policy));

    let encoder = Encoder::new(wire, format, "k", None);
    let mut records = Vec::new();
    for line in &framed {
        encoder.record(line, &mut records);
    }
    let mut rest = &records[..];
    for line in &framed {
        let Value::Array(mut parts) = rmpv::decode::read_value(&mut rest).expect("a record") else {
            panic!("a record is an array")
        };
        assert_eq!(parts.len(), 2);
        assert_eq!(without_repeated_keys(parts.pop().unwrap()), body(line, format), "{line:?}");
    }
    assert!(rest.is_empty(), "as many records as lines");
});
