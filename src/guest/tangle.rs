//! Programs that no compiler should be given.
//!
//! The compiler's effort for a function grows with the variables that change in each of its loops, counted
//! for each loop by itself: a few hundred kilobytes of nested loops and variables would take it hours, and
//! more memory than there is. Written programs are far from that, so one that isn't is refused.

use std::collections::HashSet;

use wasmparser::{BinaryReaderError, FunctionBody, Operator, Parser, Payload};

/// Most of these of one function: loops, times the variables that change in them. It makes for half a minute
/// and a gigabyte. The largest interpreters' main functions have some thousands.
const MOST: usize = 500_000;

/// Whether a program, in binary form, has a function beyond the limit. What can't be read has none.
pub fn is_in(binary: &[u8]) -> bool {
    any_function(binary).unwrap_or(false)
}

fn any_function(binary: &[u8]) -> Result<bool, BinaryReaderError> {
    for payload in Parser::new(0).parse_all(binary) {
        if let Payload::CodeSectionEntry(body) = payload?
            && is_beyond(&body)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_beyond(body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    // Of each block that is open: if it is a loop, what changes in it. What changes in an inner one changes
    // in the outer ones, too.
    let mut blocks: Vec<Option<HashSet<u32>>> = Vec::new();
    let mut count = 0;
    for operator in body.get_operators_reader()? {
        match operator? {
            Operator::Loop { .. } => blocks.push(Some(HashSet::new())),
            Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => blocks.push(None),
            Operator::End => drop(blocks.pop()),
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                let mut loops = blocks.iter_mut().rev().filter_map(Option::as_mut);
                while loops.next().is_some_and(|changing| changing.insert(local_index)) {
                    count += 1;
                }
                if count > MOST {
                    return Ok(true);
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::is_in;

    /// So many variables, each changed in the innermost of so many loops, `times` each.
    fn module(variables: usize, loops: usize, times: usize) -> String {
        let set = |n| format!("(local.set {n} (i32.const 1))");
        let sets: String = (0..variables).map(set).collect::<String>().repeat(times);
        let (open, close) = ("(block (loop ".repeat(loops), "))".repeat(loops));
        format!("(module (func (local {}) {open} {sets} {close}))", "i32 ".repeat(variables))
    }

    fn is_in_text(text: &str) -> bool {
        is_in(&wat::parse_str(text).expect("it can be read"))
    }

    #[test]
    fn variables_count_once_in_each_loop_around_them() {
        assert!(!is_in_text(&module(1000, 400, 20)));
        assert!(is_in_text(&module(1000, 600, 1)));
        assert!(is_in_text(&format!("(component (core {})", &module(1000, 600, 1)[1..])));
        assert!(!is_in(b"(module"));
        assert!(!is_in(b"\0asm\x01\0\0\0\x0a\x05"));
    }
}
