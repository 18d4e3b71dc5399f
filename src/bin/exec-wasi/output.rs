//! The outputs: standard output, a file, nothing.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rmpv::Value;

use crate::args::Section;
use crate::chunks::Chunk;
use crate::log::error;
use crate::records::{self, Record};
use crate::settings;

/// A configured output.
#[derive(Debug)]
pub struct Output {
    /// `<kind>.<id>`
    name: String,
    pattern: String,
    target: Target,
    /// Takes nothing before this moment: an output that is down.
    down_until: Instant,
}

#[derive(Debug)]
enum Target {
    Null,
    Stdout { json_lines: bool },
    File { directory: PathBuf, file: Option<String>, format: FileFormat },
}

#[derive(Clone, Copy, Debug)]
enum FileFormat {
    /// `tag: [time, {...}]`
    Json,
    /// The bodies as JSON.
    Plain,
    /// The bytes that were appended.
    Msgpack,
}

impl Output {
    /// Configures an output; the error says what is wrong with the section.
    pub fn new(section: &Section, id: usize) -> Result<Self, String> {
        let kind = section.name.to_ascii_lowercase();
        let (mut pattern, mut down_for) = ("*".to_owned(), Duration::ZERO);
        let (mut path, mut file, mut format) = (None, None, None);
        for (key, value) in &section.properties {
            match (key.to_ascii_lowercase().as_str(), kind.as_str()) {
                ("match", _) => pattern.clone_from(value),
                ("down_for", _) => down_for = settings::seconds(value)?,
                // Of no consequence here; accepted so that a test can drive a real host with the same words.
                ("workers" | "retry_limit", _) => {}
                ("format", "stdout" | "file") => format = Some(value.to_ascii_lowercase()),
                ("path", "file") => path = Some(PathBuf::from(value)),
                ("file", "file") => file = Some(value.clone()),
                _ => return Err(format!("{kind}: unknown configuration property '{key}'")),
            }
        }
        let target = match (kind.as_str(), format.as_deref()) {
            ("null", None) => Target::Null,
            ("stdout", None | Some("msgpack")) => Target::Stdout { json_lines: false },
            ("stdout", Some("json_lines")) => Target::Stdout { json_lines: true },
            ("file", format) => Target::File {
                directory: path.unwrap_or_default(),
                file,
                format: match format {
                    None | Some("json") => FileFormat::Json,
                    Some("plain") => FileFormat::Plain,
                    Some("msgpack") => FileFormat::Msgpack,
                    Some(other) => return Err(format!("file: format '{other}' isn't imitated")),
                },
            },
            ("null" | "stdout", Some(other)) => {
                return Err(format!("{kind}: format '{other}' isn't imitated"));
            }
            _ => return Err(format!("output '{kind}' isn't imitated; there are stdout, file and null")),
        };
        let down_until = Instant::now() + down_for;
        Ok(Self { name: format!("{kind}.{id}"), pattern, target, down_until })
    }

    /// Does this output want records of `tag`? `*` or the very tag.
    pub fn matches(&self, tag: &str) -> bool {
        self.pattern == "*" || self.pattern == tag
    }

    /// Takes a chunk, or leaves it for later.
    pub fn take(&mut self, chunk: &Chunk) -> bool {
        if Instant::now() < self.down_until {
            return false;
        }
        match self.write(chunk) {
            Ok(()) => true,
            Err(error) => {
                error!("[output:{}] chunk of {} bytes is kept: {error}", self.name, chunk.bytes.len());
                false
            }
        }
    }

    fn write(&self, chunk: &Chunk) -> io::Result<()> {
        match &self.target {
            Target::Null => Ok(()),
            Target::Stdout { json_lines } => {
                let mut text = Vec::with_capacity(2 * chunk.bytes.len());
                for (at, record) in records::decode(&chunk.bytes).iter().enumerate() {
                    if *json_lines {
                        write_json_line(&mut text, record);
                    } else {
                        write_shown(&mut text, at, &chunk.tag, record);
                    }
                }
                let mut stdout = io::stdout().lock();
                stdout.write_all(&text)?;
                stdout.flush()
            }
            Target::File { directory, file, format } => {
                let path = directory.join(file.as_ref().unwrap_or(&chunk.tag));
                let with_path = |error| io::Error::other(format!("{}: {error}", path.display()));
                let mut out = OpenOptions::new().append(true).create(true).open(&path).map_err(with_path)?;
                out.write_all(&file_text(chunk, *format)).map_err(with_path)
            }
        }
    }
}

fn file_text(chunk: &Chunk, format: FileFormat) -> Vec<u8> {
    if matches!(format, FileFormat::Msgpack) {
        return chunk.bytes.clone();
    }
    let mut text = Vec::new();
    for record in records::decode(&chunk.bytes) {
        let body = records::json(&record.body);
        let line = match format {
            FileFormat::Plain => format!("{body}\n"),
            FileFormat::Json | FileFormat::Msgpack => {
                format!("{}: [{}.{:09}, {body}]\n", chunk.tag, record.seconds, record.nanoseconds)
            }
        };
        text.extend_from_slice(line.as_bytes());
    }
    text
}

fn write_json_line(text: &mut Vec<u8>, record: &Record) {
    let date = format!("{}.{:06}", record.seconds, record.nanoseconds / 1000);
    let members = match &record.body {
        Value::Map(members) if !members.is_empty() => format!(",{}", records::json_members(members)),
        _ => String::new(),
    };
    text.extend_from_slice(format!("{{\"date\":{date}{members}}}\n").as_bytes());
}

fn write_shown(text: &mut Vec<u8>, at: usize, tag: &str, record: &Record) {
    let time = format!("{}.{:09}", record.seconds, record.nanoseconds);
    text.extend_from_slice(format!("[{at}] {tag}: [").as_bytes());
    if let Some(metadata) = &record.metadata {
        text.extend_from_slice(format!("[{time}, ").as_bytes());
        records::show(text, metadata);
        text.extend_from_slice(b"], ");
    } else {
        text.extend_from_slice(format!("{time}, ").as_bytes());
    }
    records::show(text, &record.body);
    text.extend_from_slice(b"]\n");
}
