//! Strings: most are short and plain, some long, a few have escapes.

use memchr::memchr2;

use super::super::encode::{SHORT_STRING, push_str, push_str_header};
use super::values::{NotJson, Rest, expect};

/// A string that ends within so many times eight bytes is short.
const SHORT_WORDS: usize = 3;
/// A string that goes on behind so many times eight bytes is long.
const LONG_WORDS: usize = 8;

/// A string with its quotes.
pub(super) fn string<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Rest<'a> {
    let text = expect(text, b'"')?;
    let start = out.len();
    let len = short_string(text, out).unwrap_or_else(|| {
        let len = plain_len(text);
        push_str(out, &text[..len]);
        len
    });
    match &text[len..] {
        [b'"', rest @ ..] => Ok(rest),
        [b'\\', ..] => {
            out.truncate(start);
            escaped(text, out)
        }
        _ => Err(NotJson),
    }
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

/// A string with escapes, behind its opening quote.
#[cold]
fn escaped<'a>(mut text: &'a [u8], out: &mut Vec<u8>) -> Rest<'a> {
    let start = out.len();
    loop {
        let (plain, rest) = text.split_at(plain_len(text));
        out.extend_from_slice(plain);
        text = match rest {
            [b'\\', b'u', code @ ..] => unicode(code, out)?,
            [b'\\', letter, rest @ ..] => {
                out.push(escape(*letter)?);
                rest
            }
            [b'"', rest @ ..] => {
                // How long it is says its header, which comes first but is only known now.
                let len = out.len() - start;
                push_str_header(out, len);
                let header_len = out.len() - start - len;
                out[start..].rotate_right(header_len);
                return Ok(rest);
            }
            _ => return Err(NotJson),
        };
    }
}

/// The byte that is written as a backslash and a letter.
fn escape(letter: u8) -> Result<u8, NotJson> {
    Ok(match letter {
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 0x08,
        b'f' => 0x0c,
        b'"' | b'\\' | b'/' => letter,
        _ => return Err(NotJson),
    })
}

/// A character that is written as one or two units of UTF-16, behind the `\u` of the first.
fn unicode<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Rest<'a> {
    let (unit, mut rest) = hex(text)?;
    let mut units = [unit, 0];
    let mut count = 1;
    if let (0xd800..0xdc00, [b'\\', b'u', behind @ ..]) = (unit, rest) {
        (units[1], rest) = hex(behind)?;
        count = 2;
    }
    for character in char::decode_utf16(units.into_iter().take(count)) {
        let character = character.map_err(|_| NotJson)?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(rest)
}

/// Four digits, and what comes behind them.
fn hex(text: &[u8]) -> Result<(u16, &[u8]), NotJson> {
    let (digits, rest) = text.split_first_chunk::<4>().ok_or(NotJson)?;
    let mut number = 0;
    for digit in digits {
        number = number << 4 | char::from(*digit).to_digit(16).ok_or(NotJson)? as u16;
    }
    Ok((number, rest))
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
        if number == LONG_WORDS {
            return long_plain_len(text, 8 * number);
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    8 * words.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// The same for a text that is known to be plain up to `known`. To call this takes longer than to look at a few words,
/// but it looks at more bytes at a time.
fn long_plain_len(text: &[u8], known: usize) -> usize {
    let unknown = &text[known..];
    let plain = &unknown[..memchr2(b'"', b'\\', unknown).unwrap_or(unknown.len())];
    // There is no control character in JSON, so all words are looked at without a branch for each. (By words: where all
    // crates are optimised as one, and for size, the compiler makes no use of wider registers by itself.)
    let (words, rest) = plain.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | less_than(u64::from_le_bytes(*word), b' '));
    let control = |byte: &u8| *byte < b' ';
    let len = if found & HIGHEST != 0 || rest.iter().any(control) {
        plain.iter().position(control).unwrap_or(plain.len())
    } else {
        plain.len()
    };
    known + len
}

/// Eight bytes at a time: the highest bit of the first special one is set, and of none before it.
fn special_bytes(word: u64) -> u64 {
    let is = |byte: u8| less_than(word ^ (EACH * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | less_than(word, b' ')) & HIGHEST
}

const EACH: u64 = u64::from_le_bytes([1; 8]);
const HIGHEST: u64 = EACH << 7;

/// The highest bit of the first byte that is less is set, and of none before it. Subtracting borrows from it; bytes that
/// had it set are not meant.
fn less_than(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(EACH * u64::from(byte)) & !word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_special_byte_is_found(text in "[ -~é\u{1}]{0,90}", many in "[!#-Z]{0,90}") {
            for text in [many.clone() + &text, text, many] {
                let special = text.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
                prop_assert_eq!(plain_len(text.as_bytes()), special.unwrap_or(text.len()));
            }
        }
    }
}
