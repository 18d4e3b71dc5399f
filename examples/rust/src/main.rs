//! Turns the lines of an access log into structured ones: a JSON object for each request.
//!
//!     requests FILE
//!
//! A line of the file is `CLIENT METHOD PATH STATUS BYTES SECONDS`. The environment variable `SERVICE`
//! becomes a field of every object.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};

use serde_json::{json, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let path = env::args().nth(1).ok_or("usage: requests FILE")?;
    let service = env::var("SERVICE").unwrap_or_else(|_| "unknown".to_owned());
    let file = File::open(&path).map_err(|error| format!("{}: {}", path, error))?;
    let mut out = io::stdout().lock();
    for (index, line) in BufReader::new(file).lines().enumerate() {
        let line = line?;
        let entry = entry(&service, &line).unwrap_or_else(|| {
            json!({"level": "warn", "service": service, "message": "no request", "line": index + 1, "text": line})
        });
        writeln!(out, "{}", entry)?;
    }
    Ok(())
}

/// The structured form of a line, if it is a request.
fn entry(service: &str, line: &str) -> Option<Value> {
    let mut words = line.split_whitespace();
    let client = words.next()?;
    let method = words.next()?;
    let path = words.next()?;
    let status: u16 = words.next()?.parse().ok()?;
    let bytes: u64 = words.next()?.parse().ok()?;
    let seconds: f64 = words.next()?.parse().ok()?;
    let level = if status >= 500 { "error" } else { "info" };
    Some(json!({
        "level": level,
        "service": service,
        "request": {"client": client, "method": method, "path": path},
        "status": status,
        "bytes": bytes,
        "seconds": seconds,
    }))
}
