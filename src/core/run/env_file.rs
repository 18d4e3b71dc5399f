//! The option `env_file`: variables for the guest that stand in a file, so that tokens stay out of the
//! configuration and out of the log. No message here repeats what is in the file.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Far more than anyone writes by hand.
const MAX_BYTES: u64 = 1_000_000;
/// Permission bits of everyone who is neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// The variables in the file at `path`, in order. It is read anew for each run, so a token may change.
///
/// # Errors
/// When the file can't be read, others may read or write it, or a line is not `KEY=VALUE`.
pub fn read(path: &Path) -> Result<Vec<(String, String)>, String> {
    let shown = path.display();
    let unreadable = |error| format!("env_file \"{shown}\" can't be read: {error}");
    // Without NONBLOCK, opening a named pipe would wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("env_file \"{shown}\" is not a regular file"));
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(format!(
            "env_file \"{shown}\" is open to all users (mode {:04o}); take that away with chmod o= and try again",
            metadata.mode() & 0o7777
        ));
    }
    if metadata.len() > MAX_BYTES {
        return Err(format!("env_file \"{shown}\" is larger than {MAX_BYTES} bytes"));
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    parse(&text).map_err(|line| format!("env_file \"{shown}\", line {line}: KEY=VALUE is needed"))
}

/// Lines `KEY=VALUE`; empty ones and those that begin with `#` are for the reader. The error is the number of
/// a line that is none of these.
fn parse(text: &str) -> Result<Vec<(String, String)>, usize> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_start().starts_with('#') && !line.trim().is_empty());
    lines
        .map(|(number, line)| match line.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() && !line.contains('\0') => {
                Ok((key.trim().to_owned(), value.to_owned()))
            }
            _ => Err(number + 1),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn lines_are_variables_and_comments_are_not() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let text = "# comment\nTOKEN=a=b c\r\n\n  KEY = spaced \nEMPTY=";
        assert_eq!(parse(text), Ok(vec![pair("TOKEN", "a=b c"), pair("KEY", " spaced "), pair("EMPTY", "")]));
        assert_eq!(parse("A=1\nsecret"), Err(2));
        assert_eq!(parse("=x"), Err(1));
    }

    #[test]
    fn a_file_that_everyone_may_read_is_refused_and_nothing_of_it_is_told() {
        let path = std::env::temp_dir().join(format!("exec-wasi-env-{}", std::process::id()));
        std::fs::write(&path, "TOKEN=secret\nsecret\n").unwrap();
        for (mode, reason) in [(0o644, "mode 0644"), (0o640, "line 2"), (0o600, "line 2")] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.contains(reason) && !error.contains("secret"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path).unwrap_err().contains("No such file"));
    }
}
