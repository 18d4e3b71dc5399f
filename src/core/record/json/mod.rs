//! A JSON line becomes a MessagePack map, without a tree between the two.
//!
//! The order of keys and the kind of numbers are kept: integers of up to 64 bits stay integers,
//! everything else is a double, as JSON itself promises no more.
//!
//! A reader of our own, since this is most of what such a line costs: serde_json takes half as long again for plain
//! lines, and twice as long for strings with escapes. Which lines it takes, and what comes out, is serde_json's to say
//! all the same: property tests and a fuzz target hold the one against the other, byte by byte.
//!
//! - `values` reads objects, lists and what is in them;
//! - `strings` and `numbers` read those.

mod numbers;
mod strings;
mod values;

/// Objects and lists within each other that a record may have, itself included. The hosts' readers give up beyond 31
/// (2.2) or 63 (5.1), and with it what is behind in the chunk.
pub(super) const MAX_DEPTH: usize = 31;

/// Appends `line` to `out` as a MessagePack map, if it is one whole JSON object, and not too deep. Otherwise the
/// answer is `false`, and what stands in `out` behind its old length is of no use.
pub fn object_to_map(line: &[u8], out: &mut Vec<u8>) -> bool {
    // Once for the line, and not for each string in it.
    std::str::from_utf8(line).is_ok_and(|line| values::object(line, out).is_ok())
}

const INFALLIBLE: &str = "writing to a Vec can't fail";

/// Writes what `items` writes, with a header before it that says how many they were. Of a header's three
/// forms, the first holds counts up to 15 in its own byte.
fn counted<E>(
    out: &mut Vec<u8>,
    forms: [u8; 3],
    items: impl FnOnce(&mut Vec<u8>) -> Result<u32, E>,
) -> Result<(), E> {
    let at = out.len();
    out.push(forms[0]);
    let count = items(out)?;
    match (u8::try_from(count), u16::try_from(count)) {
        (Ok(count @ ..16), _) => out[at] = forms[0] | count,
        (_, Ok(count)) => {
            out[at] = forms[1];
            out.splice(at + 1..at + 1, count.to_be_bytes());
        }
        _ => {
            out[at] = forms[2];
            out.splice(at + 1..at + 1, count.to_be_bytes());
        }
    }
    Ok(())
}

const MAP: [u8; 3] = [0x80, 0xde, 0xdf];
const ARRAY: [u8; 3] = [0x90, 0xdc, 0xdd];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(line: &str) -> Option<rmpv::Value> {
        let mut out = Vec::new();
        object_to_map(line.as_bytes(), &mut out).then(|| {
            let mut rest = &out[..];
            let value = rmpv::decode::read_value(&mut rest).unwrap();
            assert!(rest.is_empty());
            value
        })
    }

    #[test]
    fn order_numbers_and_nesting_are_kept() {
        let text = r#" {"z":18446744073709551615,"a":-9223372036854775808,"f":1.5,"e":1e3,
            "n":null,"t":true,"s":"\u00e9\u0000","l":[1,[],{}],"z":2} "#;
        let value = map(text).expect("an object");
        assert_eq!(
            value.to_string(),
            "{\"z\": 18446744073709551615, \"a\": -9223372036854775808, \"f\": 1.5, \"e\": 1000, \
             \"n\": nil, \"t\": true, \"s\": \"é\\0\", \"l\": [1, [], {}], \"z\": 2}"
        );
        assert_eq!(value["e"], rmpv::Value::F64(1000.0));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for line in ["", " ", "1", "[]", "\"{}\"", "{", "{}{}", "{'a':1}", &deep] {
            assert_eq!(map(line), None, "{line}");
        }
    }

    /// The obvious way.
    fn naive(line: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reader = serde_json::Deserializer::from_str(line);
        serde_transcode::transcode(&mut reader, &mut rmp_serde::Serializer::new(&mut out)).unwrap();
        out
    }

    #[test]
    fn headers_are_the_shortest_whatever_the_size() {
        for count in [0, 1, 15, 16, 17, 255, 256, 65535, 65536, 70000] {
            let list = vec!["1"; count].join(",");
            let pairs: Vec<String> = (0..count).map(|number| format!("\"{number}\":{number}")).collect();
            let line = format!("{{\"list\":[{list}],\"map\":{{{}}},\"end\":0}}", pairs.join(","));
            let mut out = vec![7];
            assert!(object_to_map(line.as_bytes(), &mut out));
            assert!(out[1..] == naive(&line), "{count}");
        }
    }

    #[test]
    fn as_deep_as_every_host_can_read_and_no_deeper() {
        for space in ["", "\t"] {
            let deep = |depth| format!("{}1{}", format!("{{{space}\"a\":").repeat(depth), "}".repeat(depth));
            assert!(map(&deep(MAX_DEPTH)).is_some());
            assert_eq!(map(&deep(MAX_DEPTH + 1)), None);
            let list = |depth| format!("{{{space}\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
            assert!(map(&list(MAX_DEPTH - 1)).is_some());
            assert_eq!(map(&list(MAX_DEPTH)), None);
        }
    }

    #[test]
    fn invalid_utf8_is_refused() {
        assert!(!object_to_map(b"{\"a\":\"\xff\"}", &mut Vec::new()));
    }

    proptest! {
        #[test]
        fn any_object_reads_back_the_same(keys in proptest::collection::vec(".{0,20}", 0..40),
                                          text in ".{0,300}", number in any::<i64>()) {
            let mut object = serde_json::Map::new();
            for key in keys {
                object.insert(key, serde_json::json!([text, number, {"x": number as f64}]));
            }
            let object = serde_json::Value::Object(object);
            let line = object.to_string();
            let mut out = Vec::new();
            prop_assert!(object_to_map(line.as_bytes(), &mut out));
            prop_assert_eq!(&out, &naive(&line));
            let value = map(&line).expect("an object");
            let back: serde_json::Value = rmpv::ext::from_value(value).unwrap();
            prop_assert_eq!(back, object);
        }
    }
}
