//! Objects, lists and what is in them.
//!
//! What is still to be read is a slice that each step takes and returns, and not a position in a reader: a
//! position is written to memory and read again at each of a line's hundred steps, which took as long as all the
//! rest.

use rmp::encode::{write_bool, write_nil};

use super::numbers::number;
use super::strings::string;
use super::{ARRAY, INFALLIBLE, MAP, MAX_DEPTH, counted};

/// It is something else, or too deep.
pub struct NotJson;

/// What comes behind what was read.
pub(super) type Rest<'a> = Result<&'a [u8], NotJson>;

/// Appends an object to `out` as a MessagePack map.
///
/// # Errors
/// When it is none. What stands in `out` behind its old length is then of no use.
pub fn object(line: &str, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let text = expect(skip_spaces(line.as_bytes()), b'{')?;
    let rest = skip_spaces(pairs(text, MAX_DEPTH - 1, out)?);
    if rest.is_empty() { Ok(()) } else { Err(NotJson) }
}

/// Behind `byte`.
pub(super) fn expect(text: &[u8], byte: u8) -> Rest<'_> {
    match text {
        [first, rest @ ..] if *first == byte => Ok(rest),
        _ => Err(NotJson),
    }
}

fn skip_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

/// A value with at most `depth` objects and lists within each other.
fn value<'a>(text: &'a [u8], depth: usize, out: &mut Vec<u8>) -> Rest<'a> {
    match text {
        [b'"', ..] => string(text, out),
        [b'-' | b'0'..=b'9', ..] => number(text, out),
        [b'{', rest @ ..] => pairs(rest, depth.checked_sub(1).ok_or(NotJson)?, out),
        [b'[', rest @ ..] => items(rest, depth.checked_sub(1).ok_or(NotJson)?, out),
        [b't', b'r', b'u', b'e', rest @ ..] => {
            write_bool(out, true).expect(INFALLIBLE);
            Ok(rest)
        }
        [b'f', b'a', b'l', b's', b'e', rest @ ..] => {
            write_bool(out, false).expect(INFALLIBLE);
            Ok(rest)
        }
        [b'n', b'u', b'l', b'l', rest @ ..] => {
            write_nil(out).expect(INFALLIBLE);
            Ok(rest)
        }
        _ => Err(NotJson),
    }
}

/// An object, behind its opening bracket.
fn pairs<'a>(text: &'a [u8], depth: usize, out: &mut Vec<u8>) -> Rest<'a> {
    list(text, b'}', MAP, out, |text, out| {
        let rest = expect(skip_spaces(string(text, out)?), b':')?;
        value(skip_spaces(rest), depth, out)
    })
}

/// A list, behind its opening bracket.
fn items<'a>(text: &'a [u8], depth: usize, out: &mut Vec<u8>) -> Rest<'a> {
    list(text, b']', ARRAY, out, |text, out| value(text, depth, out))
}

/// What stands between commas, up to the closing bracket.
fn list<'a>(
    text: &'a [u8],
    close: u8,
    forms: [u8; 3],
    out: &mut Vec<u8>,
    mut read: impl FnMut(&'a [u8], &mut Vec<u8>) -> Rest<'a>,
) -> Rest<'a> {
    let mut text = skip_spaces(text);
    counted(out, forms, |out| {
        if let Ok(rest) = expect(text, close) {
            text = rest;
            return Ok(0);
        }
        let mut count = 0;
        loop {
            text = skip_spaces(read(text, out)?);
            count += 1;
            if let Ok(rest) = expect(text, close) {
                text = rest;
                return Ok(count);
            }
            text = skip_spaces(expect(text, b',')?);
        }
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &str) -> Option<Vec<u8>> {
        let mut out = vec![7];
        object(line, &mut out).ok().map(|()| out)
    }

    /// The obvious way.
    fn as_serde_json_reads(line: &str) -> Option<Vec<u8>> {
        let mut out = vec![7];
        let mut reader = serde_json::Deserializer::from_str(line);
        serde_transcode::transcode(&mut reader, &mut rmp_serde::Serializer::new(&mut out)).ok()?;
        reader.end().ok()?;
        line.trim_start().starts_with('{').then_some(out)
    }

    #[test]
    fn what_services_write_is_read() {
        let many: Vec<String> = (0..20).map(|number| format!("\"key {number}\": {number}")).collect();
        for line in [
            "{}",
            r#"{"a":1}"#,
            r#"{"time":1700000000.123,"level":"info","status":200,"ok":true,"none":null,"no":false}"#,
            r#"{ "a" : [ 1 , -2 , [ ] , { } ] , "é" : "größer" }"#,
            r#"{"n":999999999999999,"m":-999999999999999,"z":0,"y":-0,"f":-0.0,"g":0.1,"h":1e3,"i":-1.5E-7}"#,
            r#"{"n":1234567890123456,"f":0.12345678901234567,"g":1e-400,"h":1234567890123456.5e-3}"#,
            r#"{"n":18446744073709551615,"m":-9223372036854775808}"#,
            r#"{"n":18446744073709551616,"m":-9223372036854775809}"#,
            r#"{"\u00e9":"\"\\\/\b\f\n\r\t","u":"\u00E9\u20ac\uD83D\ude00\u0000","after":1}"#,
            &format!(r#"{{"long":"{0}\n{0}","longer":"{1}\n{1}"}}"#, "a".repeat(20), "a".repeat(200)),
            "\t{ \r\n\"a\"\t:\n[\t1\r,2\n]\t}\r\n ",
            &format!("{{{}}}", many.join(", ")),
        ] {
            assert!(read(line).is_some(), "{line}");
            assert_eq!(read(line), as_serde_json_reads(line), "{line}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for line in [
            "",
            "[]",
            "{",
            "{}x",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":1.5.5}"#,
            r#"{"a":1-5}"#,
            r#"{"a":-01}"#,
            r#"{"a":1e}"#,
            r#"{"a":1e+}"#,
            r#"{"a":1.e5}"#,
            r#"{"a":1e400}"#,
            r#"{"a":tru}"#,
            r#"{"a":truex}"#,
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"a control character in a long string \u{1f}\"}",
            "{\"a\":\"b}",
            "{\"a\":\"a long string without an end}",
            r#"{"a":"\x"}"#,
            r#"{"a":"\"#,
            r#"{"a":"\u12"}"#,
            r#"{"a":"\u12g4"}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\ud800\n"}"#,
            r#"{"a":"\ud800\ud800"}"#,
            r#"{"a":"\udc00"}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[1}"#,
            "{\"a\":\u{b}1}",
            "\u{feff}{}",
        ] {
            assert_eq!(read(line), None, "{line}");
            assert_eq!(as_serde_json_reads(line), None, "{line}");
        }
        let deep = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(&deep(MAX_DEPTH - 1)).is_some());
        assert!(read(&deep(MAX_DEPTH)).is_none());
    }

    proptest! {
        #[test]
        fn lines_that_look_like_json_come_out_the_same(
            line in r#"\{("[a-zé]{0,9}" ?: ?(-?[0-9]{1,19}(\.[0-9]{0,20})?([eE][0-9]{1,3})?|"[ -~é\\]{0,12}"|true|nul?l|\[[0-9,]{0,6}\]|\{\}),? ?){0,20}\} ?"#
        ) {
            prop_assert_eq!(read(&line), as_serde_json_reads(&line));
        }

        #[test]
        fn strings_of_every_length_come_out_the_same(texts in proptest::collection::vec("[ !#-Z]{0,40}", 1..4)) {
            let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\":\"{text}\"")).collect();
            let line = format!("{{{}}}", quoted.join(","));
            prop_assert!(read(&line).is_some());
            prop_assert_eq!(read(&line), as_serde_json_reads(&line));
        }

        #[test]
        fn escapes_come_out_the_same(
            texts in proptest::collection::vec(r#"([ -~]{0,30}|\\[nrtbf"/\\]|\\u[0-9a-fA-F]{4}|\\u[dD][89a-fA-F][0-9a-f]{2}|é){0,5}"#, 1..4)
        ) {
            let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\":\"{text}\"")).collect();
            let line = format!("{{{}}}", quoted.join(","));
            prop_assert_eq!(read(&line), as_serde_json_reads(&line));
        }

        #[test]
        fn every_number_comes_out_the_same(
            number in any::<i64>(), double in any::<f64>(), text in "-?[0-9]{1,25}(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?"
        ) {
            let line = format!("{{\"a\":{number},\"b\":{double:?},\"c\":{:.3},\"d\":{text}}}", double % 1e9);
            prop_assert_eq!(read(&line), as_serde_json_reads(&line));
        }
    }
}
