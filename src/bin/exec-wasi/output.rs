//! The outputs: standard output, a file, nothing. Each writes on a thread of its own, so that a slow one
//! doesn't hold up the engine.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Section;
use crate::chunks::{Chunk, Delivery};
use crate::events::EventLoop;
use crate::log::error;
use crate::settings;
use crate::sink::{FileFormat, Sink};

/// A configured output.
#[derive(Debug)]
pub struct Output {
    pattern: String,
    /// Takes nothing before this moment: an output that is down.
    down_until: Instant,
    /// The way to its thread; that one ends when this is dropped.
    jobs: Sender<Job>,
}

/// A chunk to be written, and where to say that it was.
struct Job {
    chunk: Arc<Chunk>,
    delivery: Arc<Mutex<Delivery>>,
}

impl Output {
    /// Configures and starts an output; the error says what is wrong with the section. `engine` is woken
    /// whenever a chunk has been written.
    pub fn start(section: &Section, id: usize, engine: &Arc<EventLoop>) -> Result<Self, String> {
        let kind = section.name.to_ascii_lowercase();
        let (mut pattern, mut down_for) = ("*".to_owned(), Duration::ZERO);
        let (mut path, mut file, mut format) = (None, None, None);
        for (key, value) in &section.properties {
            match (key.to_ascii_lowercase().as_str(), kind.as_str()) {
                ("match", _) => pattern.clone_from(value),
                ("down_for", _) => down_for = settings::seconds(value)?,
                // Of no consequence here; accepted so that a test can drive a real host with the same words.
                ("workers" | "retry_limit" | "alias", _) => {}
                ("format", "stdout" | "file") => format = Some(value.to_ascii_lowercase()),
                ("path", "file") => path = Some(PathBuf::from(value)),
                ("file", "file") => file = Some(value.clone()),
                _ => return Err(format!("{kind}: unknown configuration property '{key}'")),
            }
        }
        let file_format = match (kind.as_str(), format.as_deref()) {
            (_, None | Some("json")) => FileFormat::Json,
            ("file", Some("plain")) => FileFormat::Plain,
            ("file", Some("msgpack")) => FileFormat::Msgpack,
            ("stdout", Some("json_lines" | "msgpack")) => FileFormat::Json,
            (kind, Some(other)) => return Err(format!("{kind}: format '{other}' isn't imitated")),
        };
        let sink = match kind.as_str() {
            "null" => Sink::Null,
            "stdout" => Sink::Stdout { json_lines: format.as_deref() == Some("json_lines") },
            "file" => Sink::File { directory: path.unwrap_or_default(), file, format: file_format },
            _ => return Err(format!("output '{kind}' isn't imitated; there are stdout, file and null")),
        };
        let (jobs, received) = channel();
        let engine = Arc::clone(engine);
        let name = format!("{kind}.{id}");
        thread::Builder::new()
            .name(format!("flb-out-{name}"))
            .spawn(move || write_all(&name, &sink, &received, &engine))
            .map_err(|error| format!("starting an output's thread: {error}"))?;
        Ok(Self { pattern, down_until: Instant::now() + down_for, jobs })
    }

    /// Does this output want records of `tag`? `*` or the very tag.
    pub fn matches(&self, tag: &str) -> bool {
        self.pattern == "*" || self.pattern == tag
    }

    /// Sends a chunk that is waiting, unless the output is down.
    pub fn offer(&self, chunk: &Arc<Chunk>, delivery: &Arc<Mutex<Delivery>>) {
        let mut state = delivery.lock().expect("no panic under it");
        if *state == Delivery::Waiting && Instant::now() >= self.down_until {
            *state = Delivery::Sent;
            let job = Job { chunk: Arc::clone(chunk), delivery: Arc::clone(delivery) };
            self.jobs.send(job).expect("an output's thread ends after its output");
        }
    }
}

/// The output's thread. What it can't write waits for the next flush.
fn write_all(name: &str, sink: &Sink, jobs: &Receiver<Job>, engine: &EventLoop) {
    for Job { chunk, delivery } in jobs {
        let result = sink.write(&chunk);
        if let Err(error) = &result {
            error!("[output:{name}] chunk of {} bytes is kept: {error}", chunk.bytes.len());
        }
        let state = if result.is_ok() { Delivery::Taken } else { Delivery::Waiting };
        *delivery.lock().expect("no panic under it") = state;
        engine.ring();
    }
}
