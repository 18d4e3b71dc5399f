//! How much memory it takes to compile a program, known before it is tried.

use wasmparser::{BinaryReaderError, ElementItems, Parser, Payload};

/// Memory the compiler takes for each byte of a program's functions; and as much again for the first of them, until each
/// of its threads has what it needs for one. It was 120 MB for 1.5 MB of functions, and 1070 for 19.
/// To refuse what would just have fitted costs an input, and to begin what does not fit the whole agent, at each start.
const BYTES_PER_CODE_BYTE: u64 = 54;
const BYTES_AT_FIRST: u64 = 38_000_000;
/// What it takes for each function, whatever is in it, where that is more; and as much again for each that can be
/// called from elsewhere or by its number in a table. It was 5600 and 5300.
const BYTES_PER_FUNCTION: u64 = 6000;

/// Bytes of memory that it takes at least to compile a program, given in binary form; none for what is no program, of
/// which the compiler will say what is wrong.
pub fn memory_bytes(binary: &[u8]) -> u64 {
    Functions::of(binary).map_or(0, |functions| functions.memory_bytes())
}

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

    fn memory_bytes(&self) -> u64 {
        let functions = self.count + self.declared.min(self.count);
        let for_functions = functions.saturating_mul(BYTES_PER_FUNCTION);
        let for_code = self.bytes.saturating_mul(BYTES_PER_CODE_BYTE);
        for_functions.max(for_code.saturating_add(for_code.min(BYTES_AT_FIRST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_bytes_of(text: &str) -> u64 {
        memory_bytes(&wat::parse_str(text).unwrap())
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
        assert_eq!(memory_bytes(b"\0asm\x01\0\0\0\x0a\x05"), 0);
    }
}
