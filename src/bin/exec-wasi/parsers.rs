//! Parsers files: only `Format json`, which is enough to try an input's `parser` option.

use std::ffi::{CStr, CString};
use std::path::Path;

use rmpv::Value;

/// A configured parser.
#[derive(Debug)]
pub struct Parser {
    name: CString,
}

impl Parser {
    /// Names are compared as they are.
    pub fn is_called(&self, name: &CStr) -> bool {
        self.name.as_c_str() == name
    }

    /// The map that a line holds, as MessagePack; `None` if it isn't a JSON object.
    #[allow(clippy::unused_self, reason = "there is only one format")]
    pub fn parse(&self, line: &[u8]) -> Option<Vec<u8>> {
        let value: Value = serde_json::from_slice(line).ok()?;
        if !value.is_map() {
            return None;
        }
        let mut map = Vec::new();
        rmpv::encode::write_value(&mut map, &value).expect("a vector takes what is written to it");
        Some(map)
    }
}

/// Reads the `[PARSER]` sections of a file.
pub fn read(path: &Path) -> Result<Vec<Parser>, String> {
    let in_file = |what: String| format!("parsers file {}: {what}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| in_file(error.to_string()))?;
    let mut sections: Vec<Vec<(String, String)>> = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            if !line.eq_ignore_ascii_case("[PARSER]") {
                return Err(in_file(format!("section {line} isn't imitated")));
            }
            sections.push(Vec::new());
            continue;
        }
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let section = sections.last_mut().ok_or_else(|| in_file(format!("'{line}' before any section")))?;
        section.push((key.to_ascii_lowercase(), value.trim().to_owned()));
    }
    sections.iter().map(|section| parser(section).map_err(in_file)).collect()
}

fn parser(section: &[(String, String)]) -> Result<Parser, String> {
    let value = |key| section.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    let name = value("name").ok_or("a parser has no name")?;
    match value("format") {
        Some(format) if format.eq_ignore_ascii_case("json") => {}
        format => {
            let format = format.unwrap_or("none");
            return Err(format!("parser '{name}': format '{format}' isn't imitated, only json"));
        }
    }
    if let Some((key, _)) = section.iter().find(|(key, _)| key != "name" && key != "format") {
        return Err(format!("parser '{name}': '{key}' isn't imitated"));
    }
    let name = CString::new(name).map_err(|_| "a parser's name contains a NUL")?;
    Ok(Parser { name })
}
