//! Programs that no compiler should be given.
//!
//! The compiler's effort for a function doesn't only grow with its size. A few kilobytes can take it minutes, or
//! more memory than there is, by what it holds, or looks at, again and again:
//!
//! - loops, squared;
//! - the variables that change in a loop, counted for each loop by itself;
//! - the variables that change in a block, counted for each branch to its end, and all this squared;
//! - the values that blocks and functions take and give: a thousand of them by two bytes;
//! - all that may trap, at ten and more kilobytes of memory each, and what else it keeps (see [`need`]).
//!
//! Written programs are far from that, so one that isn't is refused.

use super::need;
use wasmparser::{
    BinaryReaderError, BlockType, Catch, CompositeInnerType, FunctionBody, Operator, Parser, Payload, TypeRef,
};

/// Most loops of a program's functions, each function's squared. It makes for half a minute. Large programs have some
/// millions, thousands of loops in one function hardly any.
const MOST_LOOPS: u64 = 500_000_000;

/// Most of these of one function: loops, times the variables that change in them. It makes for half a minute
/// and a gigabyte. The largest interpreters' main functions have some thousands.
const MOST_IN_LOOPS: u64 = 500_000;

/// Most of these of a program: ways to the end of a block, times the variables that change in it and the values
/// it gives; their sum of each function, squared. It makes for a minute or some. Besides, so many for each byte: large
/// programs, with large functions, have 1100 to 2500.
const MOST_LOOKS: u64 = 200_000_000_000;
const LOOKS_PER_BYTE: u64 = 4000;

/// Most values that the blocks, branches and calls of one function take and give, besides what its size explains.
/// It makes for two hundred megabytes. Written programs have at most one value for six bytes.
const MOST_VALUES: u64 = 100_000;
const BYTES_OF_VALUE: u64 = 4;

/// Most memory for one function. Its time grows faster than that, and would be some minutes.
const MOST_MEMORY_BYTES: u64 = 3_000_000_000;

/// A function can have no more.
const MOST_VARIABLES: usize = 50_000;

/// A program with a function beyond the limits.
#[derive(Debug, PartialEq, Eq)]
pub struct Tangled;

/// Memory, in bytes, that it takes for each of a program's functions, given in binary form, besides what grows with its
/// size. What can't be read takes none.
///
/// # Errors
/// When one is beyond the limits.
pub fn memory_of_functions(binary: &[u8]) -> Result<Vec<u64>, Tangled> {
    let mut memory = Vec::new();
    match any_function(binary, &mut memory) {
        Ok(true) => Err(Tangled),
        // What comes behind the place that can't be read is not compiled.
        Ok(false) | Err(_) => Ok(memory),
    }
}

fn any_function(binary: &[u8], memory: &mut Vec<u64>) -> Result<bool, BinaryReaderError> {
    let mut types = Types::default();
    let (mut looks, mut loops): (u64, u64) = (0, 0);
    let most_looks = MOST_LOOKS + LOOKS_PER_BYTE * binary.len() as u64;
    for payload in Parser::new(0).parse_all(binary) {
        match payload? {
            // The next module, if they are many.
            Payload::Version { .. } => types = Types::default(),
            Payload::TypeSection(groups) => {
                for group in groups {
                    for of in group?.into_types() {
                        types.types.push(match of.composite_type.inner {
                            CompositeInnerType::Func(function) => {
                                (function.params().len() as u64, function.results().len() as u64)
                            }
                            _ => (0, 0),
                        });
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    if let TypeRef::Func(of) | TypeRef::FuncExact(of) = import?.ty {
                        types.functions.push(of);
                        types.read += 1;
                    }
                }
            }
            Payload::FunctionSection(functions) => {
                for of in functions {
                    types.functions.push(of?);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let (_, results) = types.of_function(types.read);
                types.read = types.read.saturating_add(1);
                // The compiler may be at the others before it is at one that can't be read.
                let Ok(tangle) = measured(&body, &types, results) else { continue };
                looks = looks.saturating_add(tangle.moves.saturating_mul(tangle.moves));
                loops = loops.saturating_add(tangle.loops.saturating_mul(tangle.loops));
                memory.push(tangle.memory);
                let explained = body.as_bytes().len() as u64 / BYTES_OF_VALUE;
                if tangle.in_loops > MOST_IN_LOOPS
                    || tangle.values > MOST_VALUES + explained
                    || looks > most_looks
                    || loops > MOST_LOOPS
                    || tangle.memory > MOST_MEMORY_BYTES
                {
                    return Ok(true);
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

/// How many values a module's functions take and give.
#[derive(Default)]
struct Types {
    types: Vec<(u64, u64)>,
    functions: Vec<u32>,
    /// How many functions are imported or have been read.
    read: u32,
}

impl Types {
    /// What doesn't exist takes and gives nothing: that is the compiler's affair.
    fn of(&self, index: u32) -> (u64, u64) {
        usize::try_from(index).ok().and_then(|index| self.types.get(index)).copied().unwrap_or_default()
    }

    fn of_function(&self, index: u32) -> (u64, u64) {
        let known = usize::try_from(index).ok().and_then(|index| self.functions.get(index));
        known.map_or((0, 0), |of| self.of(*of))
    }

    fn of_block(&self, block: BlockType) -> (u64, u64) {
        match block {
            BlockType::Empty => (0, 0),
            BlockType::Type(_) => (0, 1),
            BlockType::FuncType(of) => self.of(of),
        }
    }
}

/// A function's effort, as above.
#[derive(Default)]
struct Tangle {
    loops: u64,
    memory: u64,
    in_loops: u64,
    moves: u64,
    values: u64,
}

/// A block that is open, or the function itself.
struct Block {
    is_loop: bool,
    /// When it began, in changes of variables before it.
    begun: u64,
    /// The variables whose latest change was in it, and in no block in it that is open.
    changing: u64,
    /// What a branch to it takes with it.
    values: u64,
    branches: u64,
}

fn measured(body: &FunctionBody<'_>, types: &Types, results: u64) -> Result<Tangle, BinaryReaderError> {
    let mut tangle = Tangle::default();
    let mut blocks = vec![Block { is_loop: false, begun: 0, changing: 0, values: results, branches: 0 }];
    let mut changes: u64 = 0;
    // Of each variable, which of these was the latest that changed it.
    let mut latest: Vec<Option<u64>> = Vec::new();
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let code = &body.as_bytes()[operators.original_position() - body.range().start..];
        let operator = operators.read()?;
        tangle.memory += need::of_operator(code);
        match operator {
            Operator::Loop { blockty } => {
                tangle.loops += 1;
                let (taken, given) = types.of_block(blockty);
                tangle.values += taken + given;
                blocks.push(Block { is_loop: true, begun: changes, changing: 0, values: taken, branches: 0 });
            }
            Operator::Block { blockty } | Operator::If { blockty } => {
                tangle.values += open(&mut blocks, types.of_block(blockty), changes);
            }
            Operator::TryTable { try_table } => {
                for catch in try_table.catches {
                    let (Catch::One { label, .. }
                    | Catch::OneRef { label, .. }
                    | Catch::All { label }
                    | Catch::AllRef { label }) = catch;
                    tangle.values += branch(&mut blocks, label);
                }
                tangle.values += open(&mut blocks, types.of_block(try_table.ty), changes);
            }
            // The second way to its end.
            Operator::Else => tangle.values += branch(&mut blocks, 0),
            Operator::End => {
                if let Some(ended) = blocks.pop() {
                    if ended.is_loop {
                        tangle.in_loops += ended.changing;
                    } else {
                        let moves = ended.branches.saturating_mul(ended.changing + ended.values);
                        tangle.moves = tangle.moves.saturating_add(moves);
                    }
                    // What changes in an inner block changes in the outer ones, too.
                    if let Some(outer) = blocks.last_mut() {
                        outer.changing += ended.changing;
                    }
                }
            }
            Operator::LocalSet { local_index } | Operator::LocalTee { local_index } => {
                let variable = usize::try_from(local_index).unwrap_or(usize::MAX);
                if variable >= MOST_VARIABLES {
                    // The compiler says so.
                    continue;
                }
                if variable >= latest.len() {
                    latest.resize(variable + 1, None);
                }
                if let Some(before) = latest[variable].replace(changes) {
                    let begun = blocks.partition_point(|block| block.begun <= before);
                    if let Some(block) = blocks[..begun].last_mut() {
                        block.changing -= 1;
                    }
                }
                changes += 1;
                if let Some(block) = blocks.last_mut() {
                    block.changing += 1;
                }
            }
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => {
                tangle.values += branch(&mut blocks, relative_depth);
            }
            Operator::BrTable { targets } => {
                for depth in targets.targets() {
                    tangle.values += branch(&mut blocks, depth?);
                }
                tangle.values += branch(&mut blocks, targets.default());
            }
            Operator::Return => tangle.values += results,
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                let (taken, given) = types.of_function(function_index);
                tangle.values += taken + given;
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => {
                let (taken, given) = types.of(type_index);
                tangle.values += taken + given;
            }
            _ => {}
        }
    }
    Ok(tangle)
}

/// Begins a block that isn't a loop; how many values it takes and gives.
fn open(blocks: &mut Vec<Block>, (taken, given): (u64, u64), changes: u64) -> u64 {
    blocks.push(Block { is_loop: false, begun: changes, changing: 0, values: given, branches: 1 });
    taken + given
}

/// Counts a branch; how many values it takes with it.
fn branch(blocks: &mut [Block], depth: u32) -> u64 {
    let last = blocks.len().checked_sub(1);
    let to = usize::try_from(depth).ok().and_then(|depth| last?.checked_sub(depth));
    let Some(block) = to.and_then(|to| blocks.get_mut(to)) else { return 0 };
    block.branches += 1;
    block.values
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Tangled, memory_of_functions};

    fn is_in(binary: &[u8]) -> bool {
        memory_of_functions(binary) == Err(Tangled)
    }

    /// So many variables, each changed in the innermost of so many loops, `times` each.
    fn module(variables: usize, loops: usize, times: usize) -> String {
        let set = |n| format!("(local.set {n} (i32.const 1))");
        let sets: String = (0..variables).map(set).collect::<String>().repeat(times);
        let (open, close) = ("(block (loop ".repeat(loops), "))".repeat(loops));
        format!("(module (func (local {}) {open} {sets} {close}))", "i32 ".repeat(variables))
    }

    /// A block with so many changing variables and so many branches to its end.
    fn branches(variables: usize, branches: usize, label: &str) -> String {
        let set = |n| format!("(local.set {n} (i32.const 1))");
        let sets: String = (0..variables).map(set).collect();
        let branches = "(br_if LABEL (i32.const 1))".repeat(branches).replace("LABEL", label);
        format!("(func (local {}) (block (loop {sets} {branches})))", "i32 ".repeat(variables))
    }

    /// `inner` so many times, with so many values of a type that takes and gives them on the stack.
    fn values(values: usize, inner: &str, times: usize) -> String {
        let (all, inner) = ("i32 ".repeat(values), inner.repeat(times));
        let pushes = "i32.const 1 ".repeat(values);
        format!(
            "(module (type $t (func (param {all}) (result {all}))) (type $g (func (result {all})))
            (import \"a\" \"b\" (func $f (type $t))) (table 1 funcref)
            (func (type $g) block (type $g) {pushes} {inner} end))"
        )
    }

    fn is_in_text(text: &str) -> bool {
        is_in(&wat::parse_str(text).expect("it can be read"))
    }

    #[test]
    fn loops_count_squared_wherever_they_are() {
        let one = |open: &str, close: &str, times, functions| {
            let body = format!("{}{}", open.repeat(times), close.repeat(times));
            is_in_text(&format!("(module {})", format!("(func {body})").repeat(functions)))
        };
        for (open, close) in [("(loop)", ""), ("(loop ", ")")] {
            assert!(!one(open, close, 10_000, 1));
            assert!(one(open, close, 25_000, 1));
            assert!(!one(open, close, 1_000, 100));
        }
        assert!(one("(loop)", "", 10_000, 6));
    }

    #[test]
    fn what_may_trap_counts_by_its_memory() {
        let one = |operator: &str, times| {
            let body = operator.repeat(times);
            memory_of_functions(
                &wat::parse_str(format!(
                    "(module (type $t (func)) (table 1 funcref) (memory 1) (func (local i32) {body}))"
                ))
                .unwrap(),
            )
        };
        let calls = |times| one("(call_indirect (type $t) (local.get 0))", times);
        assert_eq!(calls(1000), Ok(vec![35_000_000]));
        assert_eq!(calls(100_000), Err(Tangled));
        assert_eq!(one("(drop (i32.load (local.get 0)))", 1000), Ok(vec![9_500_000]));
        assert_eq!(
            one("(memory.fill (local.get 0) (local.get 0) (local.get 0))", 1000),
            Ok(vec![39_000_000])
        );
        assert_eq!(one("(local.set 0 (i32.add (local.get 0) (local.get 0)))", 1000), Ok(vec![0]));
    }

    #[test]
    fn variables_count_once_in_each_loop_around_them() {
        assert!(!is_in_text(&module(1000, 400, 20)));
        assert!(is_in_text(&module(1000, 600, 1)));
        assert!(is_in_text(&format!("(component (core {})", &module(1000, 600, 1)[1..])));
        assert!(!is_in(b"(module"));
        assert!(!is_in(b"\0asm\x01\0\0\0\x0a\x05"));
    }

    #[test]
    fn variables_count_once_for_each_branch_past_them() {
        let one = |count, label| is_in_text(&format!("(module {})", branches(1000, count, label)));
        assert!(!one(400, "1"));
        assert!(one(500, "1"));
        // Back to the loop's begin it is no effort.
        assert!(!one(5000, "0"));
        // Functions are counted together, small ones for little.
        let many = |count, times| format!("(module {})", branches(100, count, "1").repeat(times));
        assert!(!is_in_text(&many(1000, 10)));
        assert!(is_in_text(&many(1000, 30)));
        assert!(!is_in_text(&many(10, 3000)));
    }

    #[test]
    fn a_variable_is_in_the_blocks_around_each_of_its_changes() {
        // In the second of two blocks, in both, and in the one around them.
        let branches = "(br_if 0 (i32.const 1))".repeat(100_000);
        let set = "(local.set 0 (i32.const 1)) (local.set 1 (i32.const 1)) (local.set 2 (i32.const 1))";
        let program = |first: &str| {
            format!(
                "(module (func (local i32 i32 i32) (block (block {first} {branches}) (block {set} {branches}))))"
            )
        };
        assert!(!is_in_text(&program("")));
        assert!(is_in_text(&program(set)));
    }

    #[test]
    fn values_count_wherever_many_are_taken_or_given() {
        let one_too_many = |inner: &str| {
            assert!(!is_in_text(&values(1000, inner, 10)), "{inner}");
            assert!(is_in_text(&values(1000, inner, 120)), "{inner}");
            assert!(!is_in_text(&values(2, inner, 10_000)), "{inner}");
        };
        one_too_many("i32.const 1 br_if 0 ");
        one_too_many("i32.const 1 br_if 1 ");
        one_too_many("i32.const 1 if (type $t) i32.const 1 br_table 0 0 0 end ");
        one_too_many("i32.const 1 if (type $t) return end ");
        one_too_many("i32.const 1 if (type $t) else end ");
        one_too_many("block (type $t) end ");
        one_too_many("loop (type $t) end ");
        one_too_many("call $f ");
        one_too_many("i32.const 0 call_indirect (type $t) ");
        one_too_many("try_table (type $t) end ");
    }

    #[test]
    fn deep_and_wide_takes_no_longer_than_its_size() {
        // Every block has its own changes, and a branch far out.
        let (open, close) =
            ("(block (block (local.set 0 (i32.const 1)) ".repeat(20_000), "(br 9000)))".repeat(20_000));
        let file = wat::parse_str(format!("(module (func (local i32) {open} (br 9000) {close}))"));
        let begin = Instant::now();
        assert!(!is_in(&file.expect("it can be read")));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_function_that_cannot_be_read_hides_no_other() {
        let mut file =
            wat::parse_str(format!("(module (func (drop (i32.const 77))) {})", branches(1000, 500, "1")))
                .expect("it can be read");
        let at =
            file.windows(3).position(|bytes| bytes == [0x41, 0xcd, 0x00]).expect("the constant is there");
        file[at] = 0xff;
        assert!(is_in(&file));
    }

    #[test]
    fn what_does_not_exist_is_not_counted() {
        let text =
            "(module (func br 7 end br 0 local.set 9 block local.set 9 end end call 3 block (type 5) end";
        assert!(!is_in_text(&format!("{text}))")));
    }
}
