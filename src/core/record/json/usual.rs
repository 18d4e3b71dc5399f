//! The JSON line as services write it: an object without escapes in its strings and without odd numbers.
//!
//! What serde_json does for such a line takes half as long again, for it must be ready for all others. This one
//! never says that a line is no JSON; whatever it isn't made for is *unusual*, and serde_json's to judge. So
//! there is one rule for it: a line it takes, serde_json takes too, and the same bytes come out.
//!
//! What is still to be read is a slice that each step takes and returns, and not a position in a reader: a
//! position is written to memory and read again at each of a line's hundred steps, which took as long as all the
//! rest.

use rmp::encode::{write_bool, write_f64, write_nil, write_sint, write_uint};

use super::super::encode::{SHORT_STRING, push_str};
use super::{ARRAY, INFALLIBLE, MAP, counted};

/// Not a line for this module.
pub struct Unusual;

/// What comes behind what was read.
type Rest<'a> = Result<&'a [u8], Unusual>;

/// Deeper ones are unusual, so that a line can't use up the stack.
const MAX_DEPTH: usize = 32;
/// A number of so many digits is exact in a double, and in an integer of 64 bits with a sign.
const SAFE_DIGITS: usize = 15;
/// A string that ends within so many times eight bytes is short.
const SHORT_WORDS: usize = 3;
/// Powers of ten, exact as well.
const POWERS: [f64; SAFE_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Appends an object to `out` as a MessagePack map.
///
/// # Errors
/// When it isn't usual. What stands in `out` behind its old length is then of no use.
pub fn object(line: &str, out: &mut Vec<u8>) -> Result<(), Unusual> {
    let rest = pairs(expect(line.as_bytes(), b'{')?, MAX_DEPTH, out)?;
    if rest.is_empty() { Ok(()) } else { Err(Unusual) }
}

/// Behind `byte`.
fn expect(text: &[u8], byte: u8) -> Rest<'_> {
    match text {
        [first, rest @ ..] if *first == byte => Ok(rest),
        _ => Err(Unusual),
    }
}

fn skip_spaces(mut text: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] = text {
        text = rest;
    }
    text
}

/// A value with at most `depth` objects and lists within each other.
fn value<'a>(text: &'a [u8], depth: usize, out: &mut Vec<u8>) -> Rest<'a> {
    match text {
        [b'"', ..] => string(text, out),
        [b'-', rest @ ..] => number(rest, true, out),
        [b'0'..=b'9', ..] => number(text, false, out),
        [b'{', rest @ ..] => pairs(rest, depth.checked_sub(1).ok_or(Unusual)?, out),
        [b'[', rest @ ..] => items(rest, depth.checked_sub(1).ok_or(Unusual)?, out),
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
        _ => Err(Unusual),
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

fn string<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Rest<'a> {
    let text = expect(text, b'"')?;
    let len = short_string(text, out).unwrap_or_else(|| {
        let len = plain_len(text);
        push_str(out, &text[..len]);
        len
    });
    expect(&text[len..], b'"')
}

/// Appends what comes before a string's first special byte, if that is short: keys are, and most values. They are
/// copied while they are looked through, since to call for a copy takes longer than such a copy.
fn short_string(text: &[u8], out: &mut Vec<u8>) -> Option<usize> {
    let header = out.len();
    out.push(SHORT_STRING);
    for (number, word) in text.as_chunks::<8>().0.iter().take(SHORT_WORDS).enumerate() {
        out.extend_from_slice(word);
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            let len = 8 * number + special.trailing_zeros() as usize / 8;
            out.truncate(header + 1 + len);
            // Below 24, so it is the header's.
            out[header] |= len as u8;
            return Some(len);
        }
    }
    out.truncate(header);
    None
}

/// A number, behind its sign.
fn number<'a>(text: &'a [u8], is_negative: bool, out: &mut Vec<u8>) -> Rest<'a> {
    let (number, digits, rest) = more_digits(0, text)?;
    let has_needless_zero = text[0] == b'0' && digits > 1;
    match rest {
        _ if has_needless_zero => Err(Unusual),
        [b'.', decimals @ ..] => {
            let (number, decimals, rest) = more_digits(number, decimals)?;
            if digits + decimals > SAFE_DIGITS || matches!(rest, [b'e' | b'E', ..]) {
                return Err(Unusual);
            }
            // Both are exact, so the quotient is the double next to the number.
            let number = number as f64 / POWERS[decimals];
            write_f64(out, if is_negative { -number } else { number }).expect(INFALLIBLE);
            Ok(rest)
        }
        [b'e' | b'E', ..] => Err(Unusual),
        _ if is_negative => {
            // -0 is a double.
            let number = i64::try_from(number).ok().filter(|number| *number != 0).ok_or(Unusual)?;
            write_sint(out, -number).expect(INFALLIBLE);
            Ok(rest)
        }
        _ => {
            write_uint(out, number).expect(INFALLIBLE);
            Ok(rest)
        }
    }
}

/// The number that `number` becomes with the digits that follow, of which there must be some, and not too many;
/// how many they are, and what comes behind.
fn more_digits(mut number: u64, text: &[u8]) -> Result<(u64, usize, &[u8]), Unusual> {
    let mut rest = text;
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = behind;
    }
    let digits = text.len() - rest.len();
    if (1..=SAFE_DIGITS).contains(&digits) { Ok((number, digits, rest)) } else { Err(Unusual) }
}

/// How many bytes of a string's inside come before the first that ends it or needs a closer look: a quote, a
/// backslash, a control character.
fn plain_len(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return 8 * number + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    8 * words.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// Eight bytes at a time: the highest bit of the first special one is set, and of none before it.
fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = EACH << 7;
    // Subtracting borrows from a byte's highest bit where the byte is less; those that had it set are not meant.
    let less_than = |word: u64, byte: u8| word.wrapping_sub(EACH * u64::from(byte)) & !word;
    let is = |byte: u8| less_than(word ^ (EACH * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | less_than(word, 0x20)) & HIGHEST
}

#[cfg(test)]
mod tests {
    use super::super::general;
    use super::*;
    use proptest::prelude::*;

    fn usual(line: &str) -> Option<Vec<u8>> {
        let mut out = vec![7];
        object(line, &mut out).ok().map(|()| out)
    }

    fn as_serde_json_reads(line: &str) -> Option<Vec<u8>> {
        let mut out = vec![7];
        general(line, &mut out).then_some(out)
    }

    #[test]
    fn what_services_write_is_usual() {
        let many: Vec<String> = (0..20).map(|number| format!("\"key {number}\": {number}")).collect();
        for line in [
            "{}",
            r#"{"a":1}"#,
            r#"{"time":1700000000.123,"level":"info","status":200,"ok":true,"none":null,"no":false}"#,
            r#"{ "a" : [ 1 , -2 , [ ] , { } ] , "é" : "größer" }"#,
            r#"{"n":999999999999999,"m":-999999999999999,"z":0,"f":-0.0,"g":0.1}"#,
            &format!("{{{}}}", many.join(", ")),
        ] {
            assert!(usual(line).is_some(), "{line}");
            assert_eq!(usual(line), as_serde_json_reads(line), "{line}");
        }
    }

    #[test]
    fn what_is_odd_is_left_to_serde_json() {
        for line in [
            "",
            "[]",
            "{",
            "{}x",
            "{} ",
            " {}",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{a:1}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":-0}"#,
            r#"{"a":1.}"#,
            r#"{"a":.5}"#,
            r#"{"a":1e3}"#,
            r#"{"a":1.5e3}"#,
            r#"{"a":1.5.5}"#,
            r#"{"a":1-5}"#,
            r#"{"a":1234567890123456}"#,
            r#"{"a":tru}"#,
            r#"{"a":truex}"#,
            r#"{"a":"\n"}"#,
            "{\"a\":\"\u{1}\"}",
            "{\"a\":\"b}",
            r#"{"a":[1,]}"#,
            r#"{"a":[1}"#,
            "{\"a\":\t1}",
        ] {
            assert!(usual(line).is_none(), "{line}");
        }
        let deep = |levels| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(usual(&deep(MAX_DEPTH)).is_some());
        assert!(usual(&deep(MAX_DEPTH + 1)).is_none());
    }

    proptest! {
        #[test]
        fn the_first_special_byte_is_found(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let special = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_len(&text), special.unwrap_or(text.len()));
        }

        #[test]
        fn what_is_taken_is_json_and_comes_out_the_same(
            line in r#"\{("[a-zé]{0,9}" ?: ?(-?[0-9]{1,19}(\.[0-9]{0,20})?([eE][0-9]{1,3})?|"[ -~é\\]{0,12}"|true|nul?l|\[[0-9,]{0,6}\]|\{\}),? ?){0,20}\} ?"#
        ) {
            if let Some(taken) = usual(&line) {
                prop_assert_eq!(Some(taken), as_serde_json_reads(&line));
            }
        }

        #[test]
        fn strings_of_every_length_come_out_the_same(texts in proptest::collection::vec("[ !#-Z]{0,40}", 1..4)) {
            let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\":\"{text}\"")).collect();
            let line = format!("{{{}}}", quoted.join(","));
            prop_assert!(usual(&line).is_some());
            prop_assert_eq!(usual(&line), as_serde_json_reads(&line));
        }

        #[test]
        fn every_number_comes_out_the_same(number in any::<i64>(), double in any::<f64>()) {
            let line = format!("{{\"a\":{number},\"b\":{double:?},\"c\":{:.3}}}", double % 1e9);
            if let Some(taken) = usual(&line) {
                prop_assert_eq!(Some(taken), as_serde_json_reads(&line));
            }
        }
    }
}
