//! Where a MessagePack value ends, so that encoded records can be told apart again, and how deep it is.

use rmp::Marker;

use super::json::MAX_DEPTH;

/// The length of the first `count` values of `bytes`, or of as many as there are whole.
#[must_use]
pub fn len_of(bytes: &[u8], count: usize) -> usize {
    let mut len = 0;
    for _ in 0..count {
        match value_len(&bytes[len..]) {
            Some(value_len) => len += value_len,
            None => break,
        }
    }
    len
}

/// Whether a record's body that another than this library has made is none: it has more arrays and maps within each other
/// than the hosts' readers take, or isn't one value that can be read.
#[must_use]
pub fn is_unfit(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    // How many values are still to come, on each level.
    let mut levels = [0_u64; MAX_DEPTH];
    let mut depth = 0;
    loop {
        let Some(inner) = enter(&mut rest) else { return true };
        if inner > 0 {
            let Some(level) = levels.get_mut(depth) else { return true };
            *level = inner;
            depth += 1;
            continue;
        }
        // A value has ended, and with it those that it was the last of.
        loop {
            let Some(level) = depth.checked_sub(1) else { return !rest.is_empty() };
            levels[level] -= 1;
            if levels[level] > 0 {
                break;
            }
            depth = level;
        }
    }
}

/// The length of the value that `bytes` begins with; `None` if it is cut off.
fn value_len(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let mut values = 1_u64;
    while values > 0 {
        values = values - 1 + enter(&mut rest)?;
    }
    Some(bytes.len() - rest.len())
}

/// Takes from the beginning of `rest` what a value is without those in it; how many these are. `None` if it is cut off.
fn enter(rest: &mut &[u8]) -> Option<u64> {
    let (&first, behind) = rest.split_first()?;
    *rest = behind;
    let (content, inner) = match Marker::from_u8(first) {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => (0, 0),
        Marker::Reserved => return None,
        Marker::U8 | Marker::I8 => (1, 0),
        Marker::U16 | Marker::I16 => (2, 0),
        Marker::U32 | Marker::I32 | Marker::F32 => (4, 0),
        Marker::U64 | Marker::I64 | Marker::F64 => (8, 0),
        Marker::FixStr(len) => (len.into(), 0),
        Marker::Str8 | Marker::Bin8 => (number(rest, 1)?, 0),
        Marker::Str16 | Marker::Bin16 => (number(rest, 2)?, 0),
        Marker::Str32 | Marker::Bin32 => (number(rest, 4)?, 0),
        Marker::FixExt1 => (2, 0),
        Marker::FixExt2 => (3, 0),
        Marker::FixExt4 => (5, 0),
        Marker::FixExt8 => (9, 0),
        Marker::FixExt16 => (17, 0),
        Marker::Ext8 => (1 + number(rest, 1)?, 0),
        Marker::Ext16 => (1 + number(rest, 2)?, 0),
        Marker::Ext32 => (1 + number(rest, 4)?, 0),
        Marker::FixArray(count) => (0, count.into()),
        Marker::Array16 => (0, number(rest, 2)?),
        Marker::Array32 => (0, number(rest, 4)?),
        Marker::FixMap(pairs) => (0, 2 * u64::from(pairs)),
        Marker::Map16 => (0, 2 * number(rest, 2)?),
        Marker::Map32 => (0, 2 * number(rest, 4)?),
    };
    *rest = rest.get(usize::try_from(content).ok()?..)?;
    Some(inner)
}

/// A big-endian number of so many bytes.
fn number(rest: &mut &[u8], len: usize) -> Option<u64> {
    let (number, behind) = rest.split_at_checked(len)?;
    *rest = behind;
    Some(number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rmpv::Value;

    fn any_value() -> impl Strategy<Value = Value> {
        let sizes = prop_oneof![0..40_usize, Just(255), Just(256), Just(65_535), Just(65_536)];
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            sizes.clone().prop_map(|len| Value::from("x".repeat(len))),
            sizes.clone().prop_map(|len| Value::from(vec![1_u8; len])),
            (any::<i8>(), sizes).prop_map(|(kind, len)| Value::Ext(kind, vec![2; len])),
        ];
        leaf.prop_recursive(4, 100, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::Array),
                proptest::collection::vec((inner.clone(), inner), 0..20).prop_map(Value::Map),
            ]
        })
    }

    /// How many lists and maps are within each other; empty ones have nothing in them to be deeper.
    fn depth(value: &Value) -> usize {
        let inner: Vec<&Value> = match value {
            Value::Array(values) => values.iter().collect(),
            Value::Map(pairs) => pairs.iter().flat_map(|(key, value)| [key, value]).collect(),
            _ => vec![],
        };
        inner.into_iter().map(|value| depth(value) + 1).max().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn values_end_where_they_end(values in proptest::collection::vec(any_value(), 1..6), cut in 1..9_usize) {
            let mut bytes = Vec::new();
            let mut ends = vec![0];
            for value in &values {
                rmpv::encode::write_value(&mut bytes, value).unwrap();
                ends.push(bytes.len());
            }
            for (count, end) in ends.iter().enumerate() {
                prop_assert_eq!(len_of(&bytes, count), *end);
            }
            // Cut off within the last one.
            let last = ends[ends.len() - 2];
            let cut_at = bytes.len().saturating_sub(cut).max(last);
            prop_assert_eq!(len_of(&bytes[..cut_at], usize::MAX), last);
        }

        #[test]
        fn anything_at_all_has_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(len_of(&bytes, usize::MAX) <= bytes.len());
            let _ = is_unfit(&bytes);
        }

        #[test]
        fn a_value_is_as_deep_as_it_is(value in any_value(), wraps in proptest::collection::vec(any::<bool>(), 0..40)) {
            // In lists that have something before it and behind it, or in maps.
            let value = wraps.iter().fold(value, |value, list| match list {
                true => Value::Array(vec![Value::Array(vec![]), value, Value::from("x")]),
                false => Value::Map(vec![(Value::from("a"), Value::Nil), (Value::from("b"), value)]),
            });
            let mut bytes = Vec::new();
            rmpv::encode::write_value(&mut bytes, &value).unwrap();
            prop_assert_eq!(is_unfit(&bytes), depth(&value) > MAX_DEPTH);
            prop_assert!(is_unfit(&bytes[..bytes.len() - 1]));
            bytes.push(0);
            prop_assert!(is_unfit(&bytes));
        }
    }
}
