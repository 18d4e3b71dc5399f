//! How much memory it takes to compile a program, known before it is tried.

use wasmparser::{BinaryReader, BinaryReaderError, ElementItems, Parser, Payload};

/// Memory the compiler takes for each byte of a program's functions; and as much again for the first of them, until each
/// of its threads has what it needs for one, or what it does need for the largest, if that is more. It was 120 MB for
/// 1.5 MB of functions, and 1070 for 19. Five programs of 2.5 to 22 MB took 0.85 to 1.06 of what comes out.
/// To refuse what would just have fitted costs an input, and to begin what does not fit the whole agent, at each start.
const BYTES_PER_CODE_BYTE: u64 = 54;
const BYTES_AT_FIRST: u64 = 38_000_000;
/// What it takes for each function, whatever is in it, where that is more; and as much again for each that can be
/// called from elsewhere or by its number in a table. It was 5600 and 5300.
const BYTES_PER_FUNCTION: u64 = 6000;

/// Bytes of memory that it takes to compile a program, given in binary form; none for what is no program, of
/// which the compiler will say what is wrong. `at_a_time`: for the largest functions, as many as are compiled at a time.
pub fn memory_bytes(binary: &[u8], at_a_time: u64) -> u64 {
    Functions::of(binary).map_or(0, |functions| functions.memory_bytes(at_a_time))
}

/// Bytes of memory that the compiler holds for an operator, which `code` begins with, until it is done with the
/// function. What may trap is several blocks and a call to it, and it keeps dozens of things of each; of anything else
/// next to nothing. It was measured with twenty thousand of each in one function.
pub fn of_operator(code: &[u8]) -> u64 {
    // The second number of some may be written longer than need be.
    let second = || BinaryReader::new(&code[1..], 0).read_var_u32().unwrap_or(u32::MAX);
    match *code {
        [0xfd, ..] => match second() {
            0..=11 | 84..=93 => LOAD,
            _ => 0,
        },
        // Whole ranges of memory or tables.
        [0xfc, ..] => match second() {
            8..=0x11 => 39_000,
            _ => 0,
        },
        // Blocks and branches; loops.
        [0x02 | 0x04 | 0x05 | 0x0c..=0x0e, ..] => 2200,
        [0x03, ..] => 12_000,
        // Calls, direct and by number.
        [0x10 | 0x12 | 0x14 | 0x15, ..] => 1700,
        [0x11 | 0x13, ..] => 35_000,
        // table.get and table.set; memory.grow.
        [0x25 | 0x26, ..] => 18_000,
        [0x40, ..] => 2800,
        [0x28..=0x3e, ..] => LOAD,
        // Division, and numbers that may not fit.
        [0x6d..=0x70 | 0x7f..=0x82, ..] => 16_500,
        [0xa8..=0xab | 0xae..=0xb1, ..] => 25_000,
        _ => 0,
    }
}

/// For a load or a store, of vectors as well.
const LOAD: u64 = 9500;

/// The functions of a program.
#[derive(Default)]
struct Functions {
    count: u64,
    bytes: u64,
    /// Places where one is exported, or stands in a table's elements.
    declared: u64,
}

impl Functions {
    fn of(binary: &[u8]) -> Result<Self, BinaryReaderError> {
        let mut functions = Self::default();
        // To the end, since what a section says of its size is only true if that is there.
        for payload in Parser::new(0).parse_all(binary) {
            match payload? {
                Payload::CodeSectionStart { count, size, .. } => {
                    functions.count += u64::from(count);
                    functions.bytes += u64::from(size);
                }
                Payload::ExportSection(exports) => functions.declared += u64::from(exports.count()),
                Payload::ElementSection(elements) => {
                    for element in elements {
                        let count = match element?.items {
                            ElementItems::Functions(items) => items.count(),
                            ElementItems::Expressions(_, items) => items.count(),
                        };
                        functions.declared += u64::from(count);
                    }
                }
                _ => {}
            }
        }
        Ok(functions)
    }

    fn memory_bytes(&self, at_a_time: u64) -> u64 {
        let functions = self.count + self.declared.min(self.count);
        let for_functions = functions.saturating_mul(BYTES_PER_FUNCTION);
        let for_code = self.bytes.saturating_mul(BYTES_PER_CODE_BYTE);
        for_functions.max(for_code.saturating_add(for_code.min(BYTES_AT_FIRST).max(at_a_time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_bytes_of(text: &str) -> u64 {
        memory_bytes(&wat::parse_str(text).unwrap(), 0)
    }

    #[test]
    fn an_operator_is_the_same_however_long_it_is_written() {
        for (short, long) in [
            (&[0xfd, 0x00, 0, 0][..], &[0xfd, 0x80, 0x80, 0x00, 0, 0][..]),
            (&[0xfd, 0x5d, 0, 0, 0], &[0xfd, 0xdd, 0x00, 0, 0, 0]),
            (&[0xfc, 0x0b, 0], &[0xfc, 0x8b, 0x00, 0]),
        ] {
            assert!(of_operator(short) > 0);
            assert_eq!(of_operator(short), of_operator(long));
        }
        assert_eq!((of_operator(&[0xfd, 0x0c]), of_operator(&[0xfc, 0x00]), of_operator(&[0xfc])), (0, 0, 0));
    }

    #[test]
    fn many_small_functions_take_memory_as_well() {
        let functions = |count: usize, more: &str| {
            memory_bytes_of(&format!("(module {} {more})", "(func)".repeat(count)))
        };
        assert_eq!(functions(1000, ""), 1000 * BYTES_PER_FUNCTION);
        // One that stands in several places is one.
        let places = "(table 2000 funcref) (elem (i32.const 0) func 0 1 1 1) (export \"f\" (func 0))";
        assert_eq!(functions(1000, places), 1005 * BYTES_PER_FUNCTION);
        assert_eq!(functions(2, places), 4 * BYTES_PER_FUNCTION);
        let code = format!("(module (func {}))", "i32.const 1 drop ".repeat(10_000));
        assert!(memory_bytes_of(&code) > 60_000 * BYTES_PER_CODE_BYTE);
        let code = wat::parse_str(code).unwrap();
        assert!((1_000_000_000..1_010_000_000).contains(&memory_bytes(&code, 1_000_000_000)));
        assert_eq!(memory_bytes(b"\0asm\x01\0\0\0\x0a\x05", 0), 0);
    }
}
