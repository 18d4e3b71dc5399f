//! Native code for option `precompiled`: compiling on one machine what another runs.
//!
//! The file is good for this version of the plugin and for processors that have what this one has.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::cache::entry;
use super::compiler::Source;
use super::component::is_concurrent;
use super::engine::{GuestEngine, Traits};
use super::outcome::causes;
use super::program::ready;
use super::scan::{is_precompiled, read, recognise};

/// Compiles the program in `input` to the file `output`, which appears once it is whole. Returns its size
/// in bytes. With `counts_fuel` it is for inputs with the option `fuel`, and only for those.
///
/// # Errors
/// What was tried with which file, and why it failed; a clause.
pub fn precompile(input: &Path, output: &Path, counts_fuel: bool) -> Result<usize, String> {
    let code = code_of(input, counts_fuel)
        .map_err(|reason| format!("can't compile \"{}\": {reason}", input.display()))?;
    write(output, &code).map_err(|error| format!("can't write \"{}\": {error}", output.display()))?;
    Ok(code.len())
}

fn code_of(input: &Path, counts_fuel: bool) -> Result<Vec<u8>, String> {
    let content = read(input).map_err(|error| error.to_string())?;
    if is_precompiled(&content) {
        return Err("it is compiled already".into());
    }
    recognise(&content)?;
    let concurrent = is_concurrent(&content);
    let traits = Traits { counts_fuel, concurrent, ..Traits::default() };
    let engine = GuestEngine::berth(traits).map_err(|error| causes(&error))?;
    let image = Source::new(content).and_then(|source| source.compile(&engine.engine));
    let image = image.map_err(|failure| failure.to_string())?;
    // What would be refused when it is to run is better refused now.
    let code = image.load(&engine.engine).map_err(|error| causes(&error))?;
    ready(&engine, &code)?;
    Ok(image.into_bytes())
}

/// Under another name first: an input that looks at the file meanwhile sees the old one or the new one.
fn write(output: &Path, code: &[u8]) -> io::Result<()> {
    if fs::metadata(output).is_ok_and(|found| !found.is_file()) {
        // To rename a file over `/dev/null` would work, too well.
        return Err(io::Error::other("it exists and is not a regular file"));
    }
    let mut name = output.as_os_str().to_owned();
    name.push(format!(".tmp-{}", std::process::id()));
    let temporary = PathBuf::from(name);
    let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let written = entry::write(&file, code).and_then(|()| fs::rename(&temporary, output));
    if written.is_err() {
        // The reason is in the first error; a second one adds nothing.
        let _ = fs::remove_file(&temporary);
    }
    written
}
