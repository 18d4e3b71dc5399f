//! A JSON line becomes a MessagePack map, streaming: no tree is built between the two.
//!
//! The order of keys and the kind of numbers are kept: integers of up to 64 bits stay integers,
//! everything else is a double, as JSON itself promises no more.

use rmp_serde::Serializer;
use serde_json::Deserializer;

/// Appends `line` to `out` as a MessagePack map, if it is one whole JSON object. Otherwise the
/// answer is `false`, and what stands in `out` behind its old length is of no use.
pub fn object_to_map(line: &[u8], out: &mut Vec<u8>) -> bool {
    let first = line.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return false;
    }
    let mut reader = Deserializer::from_slice(line);
    let mut writer = Serializer::new(out);
    serde_transcode::transcode(&mut reader, &mut writer).is_ok() && reader.end().is_ok()
}

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

    proptest! {
        #[test]
        fn any_object_reads_back_the_same(keys in proptest::collection::vec(".{0,20}", 0..40),
                                          text in ".{0,300}", number in any::<i64>()) {
            let mut object = serde_json::Map::new();
            for key in keys {
                object.insert(key, serde_json::json!([text, number, {"x": number as f64}]));
            }
            let object = serde_json::Value::Object(object);
            let value = map(&object.to_string()).expect("an object");
            let back: serde_json::Value = rmpv::ext::from_value(value).unwrap();
            prop_assert_eq!(back, object);
        }
    }
}
