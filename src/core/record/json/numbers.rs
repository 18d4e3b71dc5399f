//! Numbers: integers stay integers where 64 bits hold them, all else is the nearest double.
//!
//! Most are short, and what is made of them is exact in each step. The standard library reads the others.

use rmp::encode::{write_f64, write_sint, write_uint};

use super::INFALLIBLE;
use super::values::{NotJson, Rest};

/// A number of so many digits is exact in a double, and in an integer of 64 bits with a sign.
const SAFE_DIGITS: usize = 15;
/// Powers of ten, exact as well.
const POWERS: [f64; SAFE_DIGITS + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A number.
pub(super) fn number<'a>(text: &'a [u8], out: &mut Vec<u8>) -> Rest<'a> {
    let (is_negative, whole) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (number, digits, rest) = more_digits(0, whole)?;
    if whole[0] == b'0' && digits > 1 {
        return Err(NotJson);
    }
    match rest {
        [b'.', decimals @ ..] => {
            let (number, decimals, rest) = more_digits(number, decimals)?;
            if digits + decimals > SAFE_DIGITS || matches!(rest, [b'e' | b'E', ..]) {
                return long_number(text, rest, out);
            }
            // Both are exact, so the quotient is the double next to the number.
            let number = number as f64 / POWERS[decimals];
            write_f64(out, if is_negative { -number } else { number }).expect(INFALLIBLE);
            Ok(rest)
        }
        _ if digits > SAFE_DIGITS || matches!(rest, [b'e' | b'E', ..]) => long_number(text, rest, out),
        // -0 is a double.
        _ if is_negative && number == 0 => {
            write_f64(out, -0.0).expect(INFALLIBLE);
            Ok(rest)
        }
        _ if is_negative => {
            write_sint(out, -(number as i64)).expect(INFALLIBLE);
            Ok(rest)
        }
        _ => {
            write_uint(out, number).expect(INFALLIBLE);
            Ok(rest)
        }
    }
}

/// A number whose digits have been read, up to `rest`, and are too many, or followed by an exponent.
#[cold]
fn long_number<'a>(text: &'a [u8], rest: &'a [u8], out: &mut Vec<u8>) -> Rest<'a> {
    let rest = match rest {
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            more_digits(0, exponent)?.2
        }
        _ => rest,
    };
    let number = str::from_utf8(&text[..text.len() - rest.len()]).expect("digits are text");
    if let Ok(number) = number.parse() {
        write_uint(out, number).expect(INFALLIBLE);
    } else if let Ok(number) = number.parse() {
        write_sint(out, number).expect(INFALLIBLE);
    } else {
        let number: f64 = number.parse().expect("as JSON writes numbers, Rust reads them");
        // One that no double is near to.
        if number.is_infinite() {
            return Err(NotJson);
        }
        write_f64(out, number).expect(INFALLIBLE);
    }
    Ok(rest)
}

/// The number that `number` becomes with the digits that follow, of which there must be some (if they are too many, it is
/// of no use); how many they are, and what comes behind.
fn more_digits(mut number: u64, text: &[u8]) -> Result<(u64, usize, &[u8]), NotJson> {
    let mut rest = text;
    while let [digit @ b'0'..=b'9', behind @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = behind;
    }
    let digits = text.len() - rest.len();
    if digits == 0 { Err(NotJson) } else { Ok((number, digits, rest)) }
}
