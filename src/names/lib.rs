//! Names of a guest's functions, as people read them: in their language, and no longer than a log line needs.

use std::fmt::{self, Write};

use cpp_demangle::DemangleOptions;

/// Bytes of a name that are shown.
const MAX_NAME_BYTES: usize = 300;
/// Names longer than this are shown as they are: real ones are shorter, and reading one takes time.
const MAX_MANGLED_BYTES: usize = 4000;

/// A name as it is, cut off where it gets long.
#[must_use]
pub fn shortened(name: &str) -> String {
    Short::of(name).to_string()
}

/// A function's name as its language writes it, cut off where it gets long.
///
/// Names are the guest's, and a few hundred bytes in the mangling of C++ can stand for gigabytes: each of
/// its types may contain an earlier one twice. wasmtime's own text of a backtrace writes them out, so it is
/// never asked for; here, writing ends when enough is written.
#[must_use]
pub fn demangled(name: &str) -> String {
    let mut short = Short::default();
    let written = if name.len() > MAX_MANGLED_BYTES {
        Err(fmt::Error)
    } else if let Ok(rust) = rustc_demangle::try_demangle(name) {
        write!(short, "{rust}")
    } else if (name.starts_with("_Z") || name.starts_with("__Z"))
        // Anything else it would take for a type: "f" for "float".
        && let Ok(symbol) = cpp_demangle::Symbol::new(name)
    {
        symbol.structured_demangle(&mut short, &DemangleOptions::default())
    } else {
        Err(fmt::Error)
    };
    if written.is_ok() || short.is_cut { short.to_string() } else { shortened(name) }
}

/// Text of at most [`MAX_NAME_BYTES`]; what is beyond is an ellipsis, and ends whoever writes it.
#[derive(Default)]
struct Short {
    text: String,
    is_cut: bool,
}

impl Short {
    fn of(text: &str) -> Self {
        let mut short = Self::default();
        // An error says that it was cut, which it knows itself.
        let _ = short.write_str(text);
        short
    }
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_NAME_BYTES - self.text.len();
        if text.len() <= room {
            self.text.push_str(text);
            return Ok(());
        }
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
        self.is_cut = true;
        Err(fmt::Error)
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.is_cut { f.write_str("…") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_demangled() {
        assert_eq!(demangled("_ZN3foo3barE"), "foo::bar");
        assert_eq!(
            demangled("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"),
            "core::fmt::Write::write_fmt::h0123456789abcdef"
        );
        assert_eq!(demangled("_RNvC6_123foo3bar"), "123foo::bar");
        assert_eq!(demangled("_Z1fi"), "f(int)");
        for plain in ["main", "", "_Znonsense", "é", "f", "PKc", "3foo"] {
            assert_eq!(demangled(plain), plain);
        }
    }

    #[test]
    fn a_name_that_stands_for_gigabytes_is_cut_off() {
        let mut name = "_Z1f1AIiiE".to_owned();
        for digit in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ".chars() {
            name.push_str(&format!("S_IS{digit}_S{digit}_E"));
        }
        for name in [name, "é".repeat(100_000)] {
            let shown = demangled(&name);
            assert!(shown.ends_with('…') && shown.len() <= MAX_NAME_BYTES + '…'.len_utf8(), "{shown}");
        }
    }
}
