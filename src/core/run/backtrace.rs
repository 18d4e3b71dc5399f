//! Where a guest trapped, in the names of its functions.

use exec_wasi_names::{demangled, shortened};
use wasmtime::{FrameInfo, WasmBacktrace};

/// Frames of a backtrace that are shown.
const MAX_FRAMES: usize = 12;

/// Function names, innermost first.
pub fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let names = backtrace.frames().iter().map(name_of);
    let mut frames: Vec<(String, usize)> = Vec::new();
    for name in names {
        match frames.last_mut() {
            // A recursion is one entry, however deep.
            Some((last, times)) if *last == name => *times += 1,
            _ => frames.push((name, 1)),
        }
    }
    let shown = frames.into_iter().take(MAX_FRAMES);
    shown.map(|(name, times)| if times == 1 { name } else { format!("{name} ({times} times)") }).collect()
}

fn name_of(frame: &FrameInfo) -> String {
    let function = match frame.func_name() {
        Some(name) => demangled(name),
        None => format!("<wasm function {}>", frame.func_index()),
    };
    match frame.module().name() {
        Some(module) => format!("{}!{function}", shortened(module)),
        None => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::outcome::causes;

    #[test]
    fn an_error_is_told_without_its_backtrace_wherever_that_is() {
        let engine = wasmtime::Engine::default();
        let text = "(module (func $inner (import \"\" \"\")) (func $outer (export \"f\") (call $inner)))";
        let module = wasmtime::Module::new(&engine, text).unwrap();
        let mut store = wasmtime::Store::new(&engine, ());
        let inner = wasmtime::Func::wrap(&mut store, || -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg("the cause").context("what was tried"))
        });
        let instance = wasmtime::Instance::new(&mut store, &module, &[inner.into()]).unwrap();
        let outer = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        let error = outer.call(&mut store, ()).unwrap_err();
        assert_eq!(causes(&error), "what was tried: the cause");
        assert_eq!(frames(error.downcast_ref().expect("a backtrace")), ["outer"]);
        assert_eq!(causes(&error.context("around")), "around: what was tried: the cause");
    }
}
