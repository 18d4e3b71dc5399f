//! Panics of this library: what they say, and where they were.
//!
//! None leaves the library, and each is told where it is caught. The host's standard error is not the place.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static PLACE: Cell<Option<String>> = const { Cell::new(None) };
}

/// From now on a panic is silent until it is caught, and its place is known then.
pub fn keep_places() {
    std::panic::set_hook(Box::new(|info| {
        PLACE.set(info.location().map(|at| format!(" (at {}:{})", at.file(), at.line())));
    }));
}

/// Runs `body`, whatever becomes of it. What a panic may leave half-done is the caller's to think of.
///
/// # Errors
/// What it panicked with, and where; a clause.
pub fn caught<T>(body: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|panic| {
        let said = format!("{}{}", text(&*panic), place());
        // A payload whose own drop panics must not unwind into whoever called.
        std::mem::forget(panic);
        said
    })
}

/// Where this thread last panicked. For who is dropped by a panic that somebody else catches.
#[must_use]
pub fn place() -> String {
    PLACE.take().unwrap_or_default()
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_says_is_kept() {
        assert_eq!(caught(|| 5), Ok(5));
        let said = caught(|| panic!("no thread {}", 5)).unwrap_err();
        assert!(said.starts_with("no thread 5"), "{said}");
        let said = caught(|| std::panic::panic_any(5)).unwrap_err();
        assert!(said.starts_with("without words"), "{said}");
    }
}
