//! Where an output writes to, and how records look there.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;

use rmpv::Value;

use crate::chunks::Chunk;
use crate::records::{self, Record};

/// A place for records.
#[derive(Clone, Debug)]
pub enum Sink {
    Null,
    Stdout { json_lines: bool },
    File { directory: PathBuf, file: Option<String>, format: FileFormat },
}

#[derive(Clone, Copy, Debug)]
pub enum FileFormat {
    /// `tag: [time, {...}]`
    Json,
    /// The bodies as JSON.
    Plain,
    /// The bytes that were appended.
    Msgpack,
}

impl Sink {
    /// Writes a whole chunk; may block.
    pub fn write(&self, chunk: &Chunk) -> io::Result<()> {
        match self {
            Self::Null => Ok(()),
            Self::Stdout { json_lines } => {
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
            Self::File { directory, file, format } => {
                let path = directory.join(file.as_ref().unwrap_or(&chunk.tag));
                let with_path = |error| io::Error::other(format!("{}: {error}", path.display()));
                let mut out = OpenOptions::new().append(true).create(true).open(&path).map_err(with_path)?;
                match format {
                    FileFormat::Msgpack => out.write_all(&chunk.bytes),
                    FileFormat::Plain => out.write_all(&file_lines(chunk, true)),
                    FileFormat::Json => out.write_all(&file_lines(chunk, false)),
                }
                .map_err(with_path)
            }
        }
    }
}

fn file_lines(chunk: &Chunk, plain: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for Record { seconds, nanoseconds, body, .. } in records::decode(&chunk.bytes) {
        let body = records::json(&body);
        let line = if plain {
            format!("{body}\n")
        } else {
            format!("{}: [{seconds}.{nanoseconds:09}, {body}]\n", chunk.tag)
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
