//! What the host itself takes from a section, before the plugin sees the rest.

use std::ffi::c_int;
use std::time::Duration;

use crate::abi::{DEBUG, ERROR, INFO, TRACE, WARN};

/// Properties of an input that the engine keeps.
#[derive(Debug, Default)]
pub struct InputSettings {
    pub tag: Option<String>,
    pub alias: Option<String>,
    pub log_level: Option<c_int>,
    /// Bytes; 0 is no limit.
    pub mem_buf_limit: usize,
    pub threaded: Option<bool>,
}

impl InputSettings {
    /// Splits a section into the engine's settings and the plugin's properties.
    #[allow(clippy::type_complexity, reason = "the pairs are what a section consists of")]
    pub fn split(pairs: &[(String, String)]) -> Result<(Self, Vec<(String, String)>), String> {
        let mut settings = Self::default();
        let mut own = Vec::new();
        for (key, value) in pairs {
            match key.to_ascii_lowercase().as_str() {
                "tag" => settings.tag = Some(value.clone()),
                "alias" => settings.alias = Some(value.clone()),
                "log_level" => settings.log_level = Some(log_level(value)?),
                "mem_buf_limit" => settings.mem_buf_limit = bytes(value)?,
                "threaded" => settings.threaded = Some(boolean(value)?),
                "storage.type" if value.eq_ignore_ascii_case("memory") => {}
                "routable"
                | "storage.type"
                | "storage.pause_on_chunks_overlimit"
                | "listen"
                | "host"
                | "port"
                | "ipv6"
                | "tls"
                | "log_suppress_interval" => {
                    return Err(format!("the input property '{key}={value}' isn't imitated"));
                }
                _ => own.push((key.clone(), value.clone())),
            }
        }
        Ok((settings, own))
    }
}

fn log_level(value: &str) -> Result<c_int, String> {
    match value.to_ascii_lowercase().as_str() {
        "off" => Ok(0),
        "error" => Ok(ERROR),
        "warn" | "warning" => Ok(WARN),
        "info" => Ok(INFO),
        "debug" => Ok(DEBUG),
        "trace" => Ok(TRACE),
        _ => Err(format!("log_level '{value}' is no level")),
    }
}

fn boolean(value: &str) -> Result<bool, String> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" => Ok(true),
        "false" | "off" | "no" => Ok(false),
        _ => Err(format!("'{value}' is neither on nor off")),
    }
}

/// A number of bytes, with a decimal K, KB, M, MB, G or GB behind it.
fn bytes(value: &str) -> Result<usize, String> {
    let upper = value.trim().to_ascii_uppercase();
    let number = upper.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &upper[number.len()..] {
        "" => 1,
        "K" | "KB" => 1_000,
        "M" | "MB" => 1_000_000,
        "G" | "GB" => 1_000_000_000,
        _ => return Err(format!("'{value}' is no size")),
    };
    let number: usize = number.trim().parse().map_err(|_| format!("'{value}' is no size"))?;
    number.checked_mul(unit).ok_or_else(|| format!("'{value}' is too large"))
}

/// Seconds, fractions allowed.
pub fn seconds(value: &str) -> Result<Duration, String> {
    let number: f64 = value.parse().map_err(|_| format!("'{value}' is no number of seconds"))?;
    Duration::try_from_secs_f64(number).map_err(|error| format!("'{value}' seconds: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_keeps_its_own_and_the_plugin_gets_the_rest() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let section =
            [pair("Tag", "t"), pair("env", "a"), pair("Mem_Buf_Limit", "5M"), pair("threaded", "On")];
        let (settings, own) = InputSettings::split(&section).expect("all known");
        assert_eq!((settings.tag.as_deref(), settings.mem_buf_limit), (Some("t"), 5_000_000));
        assert_eq!(settings.threaded, Some(true));
        assert_eq!(own, [pair("env", "a")]);
    }

    #[test]
    fn sizes_are_decimal_and_anything_else_is_an_error() {
        for (text, size) in [("7", 7), ("2k", 2_000), ("2KB", 2_000), ("1G", 1_000_000_000)] {
            assert_eq!(bytes(text), Ok(size));
        }
        for text in ["", "k", "1KiB", "-1", "99999999999G"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
