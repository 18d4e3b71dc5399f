//! One option's value at a time: how it is written, which values are allowed, and what is said of others.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    AfterRun, CachePlace, ConfigError, Given, OPTIONS, OptionSpec, Preopen, Properties, Rules,
    STATE_DIR_OF_GUEST,
};
use crate::schedule::Rhythm;

/// The host's properties, read as the options they are.
pub struct Reader(Vec<Texts>);

/// What one option was given.
struct Texts {
    spec: &'static OptionSpec,
    values: Vec<String>,
    may_be_more: bool,
}

impl Reader {
    /// Takes all values there are.
    pub fn new(properties: &impl Properties) -> Result<Self, ConfigError> {
        let text =
            |option, value: Vec<u8>| String::from_utf8(value).map_err(|_| ConfigError::NotText(option));
        let read = |spec: &'static OptionSpec| {
            let Given { values, may_be_more } = properties.values(spec.name);
            let values = values.into_iter().map(|value| text(spec.name, value));
            Ok(Texts { spec, values: values.collect::<Result<_, _>>()?, may_be_more })
        };
        OPTIONS.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn given(&self, name: &'static str) -> &Texts {
        self.0.iter().find(|given| given.spec.name == name).expect("it is in the table of options")
    }

    /// Whether there may be values that can't be read.
    pub fn may_have_more(&self, name: &'static str) -> bool {
        self.given(name).may_be_more
    }

    /// The value given, or the default of the option table.
    pub fn text(&self, name: &'static str) -> Option<String> {
        let Texts { spec, values, .. } = self.given(name);
        let value = values.first().filter(|value| !value.is_empty());
        value.cloned().or_else(|| spec.default.map(str::to_owned))
    }

    pub fn list(&self, name: &'static str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        let items = text.split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    pub fn choice<T: Copy>(
        &self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<T, ConfigError> {
        let value = self.text(name).unwrap_or_default();
        let found = choices.iter().find(|(word, _)| value.eq_ignore_ascii_case(word));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            invalid(name, value, format!("allowed are {}", words.join(", ")))
        })
    }

    pub fn boolean(&self, name: &'static str) -> Result<bool, ConfigError> {
        let words =
            [("true", true), ("on", true), ("yes", true), ("false", false), ("off", false), ("no", false)];
        self.choice(name, &words)
    }

    pub fn number(&self, name: &'static str, max: u64) -> Result<u64, ConfigError> {
        let value = self.text(name).unwrap_or_default();
        match value.parse() {
            Ok(number) if number <= max => Ok(number),
            _ => Err(invalid(name, value, format!("a whole number from 0 to {max} is needed"))),
        }
    }

    pub fn size(&self, name: &'static str, min: u64, max: u64) -> Result<u64, ConfigError> {
        let value = self.text(name).unwrap_or_default();
        match parse_size(&value) {
            Some(bytes) if (min..=max).contains(&bytes) => Ok(bytes),
            _ => Err(invalid(
                name,
                value,
                format!("a size such as 65536, 512K, 1.5M or 1G is needed, from {min} to {max} bytes"),
            )),
        }
    }

    /// A size that may be left out: then there is no limit.
    pub fn limit(&self, name: &'static str) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match parse_size(&value) {
            Some(limit) if limit > 0 => Ok(Some(limit)),
            _ => Err(invalid(name, value, "a number such as 65536, 512K or 1.5M is needed, above 0".into())),
        }
    }

    pub fn small_number(&self, name: &'static str, max: u32) -> Result<u32, ConfigError> {
        let number = self.number(name, max.into())?;
        Ok(u32::try_from(number).expect("the limit is small"))
    }

    pub fn length(&self, name: &'static str, min: u64, max: u64) -> Result<usize, ConfigError> {
        let bytes = self.size(name, min, max)?;
        Ok(usize::try_from(bytes).expect("the host's layouts are 64-bit"))
    }

    pub fn time(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        match parse_time(&value) {
            Some(time) if !time.is_zero() => Ok(Some(time)),
            _ => Err(no_time(name, value)),
        }
    }

    pub fn rhythm(&self) -> Result<Rhythm, ConfigError> {
        // Both are read, so that a bad value of either is said.
        let (oneshot, old_name) = (self.boolean("oneshot")?, self.boolean("bool")?);
        let text = self.text("interval_sec").unwrap_or_default();
        let whole = parse_time(&text).ok_or_else(|| no_time("interval_sec", text))?;
        let nanos = self.number("interval_nsec", u64::from(u32::MAX))?;
        if oneshot || old_name || self.boolean("exit_after_oneshot")? {
            return Ok(Rhythm::Once);
        }
        let interval = whole + Duration::from_nanos(nanos);
        // As the built-in does: no interval at all is the default one.
        Ok(Rhythm::Every(if interval.is_zero() { Duration::from_secs(1) } else { interval }))
    }

    pub fn after_run(&self) -> Result<AfterRun, ConfigError> {
        match (self.boolean("exit_after_oneshot")?, self.boolean("propagate_exit_code")?) {
            (false, false) => Ok(AfterRun::HostGoesOn),
            (true, false) => Ok(AfterRun::HostStops),
            (true, true) => Ok(AfterRun::HostStopsWithCode),
            (false, true) => Err(ConfigError::Conflict(
                "\"propagate_exit_code\" without \"exit_after_oneshot\"",
                "there is an exit code only if the run ends the host",
            )),
        }
    }

    pub fn cache(&self) -> Result<CachePlace, ConfigError> {
        match self.text("cache_dir") {
            None => Ok(CachePlace::Default),
            Some(word) if word.eq_ignore_ascii_case("off") => Ok(CachePlace::Off),
            // Not a bare word: "on" or "no" would become a folder of that name.
            Some(path) if path.contains('/') => Ok(CachePlace::Folder(path.into())),
            Some(value) => {
                let allowed = "a folder's path with a / in it is needed, or \"off\"".into();
                Err(invalid("cache_dir", value, allowed))
            }
        }
    }

    pub fn args(&self) -> Result<Vec<String>, ConfigError> {
        let Some(value) = self.text("args") else {
            return Ok(Vec::new());
        };
        shlex::split(&value)
            .ok_or_else(|| invalid("args", value, "a quotation mark or backslash is left open".into()))
    }

    pub fn env(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let given = self.given("env").values.iter();
        given
            .map(|value| match value.split_once('=') {
                Some((key, text)) if !key.is_empty() => Ok((key.to_owned(), text.to_owned())),
                _ => {
                    let allowed = "KEY=VALUE is needed, one variable for each \"env\"";
                    Err(invalid("env", value.clone(), allowed.into()))
                }
            })
            .collect()
    }

    pub fn inherit_env(&self) -> Result<Vec<String>, ConfigError> {
        let names = self.list("inherit_env");
        match names.iter().find(|name| name.contains('=')) {
            Some(name) => {
                let allowed = "names are needed; a variable with its value is what \"env\" is for";
                Err(invalid("inherit_env", name.clone(), allowed.into()))
            }
            None => Ok(names),
        }
    }

    pub fn state_dir(&self, preopens: &[Preopen]) -> Result<Option<PathBuf>, ConfigError> {
        let state_dir = self.text("state_dir").map(PathBuf::from);
        if state_dir.is_some() && preopens.iter().any(|preopen| preopen.guest == STATE_DIR_OF_GUEST) {
            return Err(ConfigError::Conflict(
                "\"state_dir\" and an \"accessible_paths\" item with ::/state",
                "the program sees state_dir as /state",
            ));
        }
        Ok(state_dir)
    }

    pub fn allow_hosts(&self) -> Result<Rules, ConfigError> {
        Rules::parse(self.list("allow_hosts")).map_err(|item| {
            let allowed = "items are a name, *.name, *, an address or a range, each with or without :port";
            invalid("allow_hosts", item, allowed.into())
        })
    }

    pub fn allow_listen(&self) -> Result<Rules, ConfigError> {
        let allowed = "items are this machine's addresses, or *, each with or without :port";
        let rules = Rules::parse(self.list("allow_listen"))
            .map_err(|item| invalid("allow_listen", item, allowed.into()))?;
        if rules.are_for_addresses() {
            Ok(rules)
        } else {
            Err(invalid("allow_listen", self.text("allow_listen").unwrap_or_default(), allowed.into()))
        }
    }

    pub fn preopens(&self) -> Result<Vec<Preopen>, ConfigError> {
        let mut preopens: Vec<Preopen> = Vec::new();
        for item in self.list("accessible_paths") {
            let preopen = parse_preopen(&item).ok_or_else(|| {
                invalid("accessible_paths", item.clone(), "items are host[::guest][:ro]".into())
            })?;
            if preopens.contains(&preopen) {
                continue;
            }
            if preopens.iter().any(|other| other.guest == preopen.guest) {
                let allowed = format!("two directories would be \"{}\" to the program", preopen.guest);
                return Err(invalid("accessible_paths", item, allowed));
            }
            preopens.push(preopen);
        }
        Ok(preopens)
    }
}

fn invalid(option: &'static str, value: String, allowed: String) -> ConfigError {
    ConfigError::Invalid { option, value, allowed }
}

fn no_time(option: &'static str, value: String) -> ConfigError {
    invalid(option, value, "a time such as 30, 30s, 5m, 1h or 1d is needed".into())
}

/// The host's sizes: decimal, with K, KB, M, MB, G or GB, and fractions (`flb_utils_size_to_bytes`).
pub fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 1,
        "k" | "kb" => 1_000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000u64,
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 9 {
        return None;
    }
    let bytes = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    let part = format!("{fraction:0<9}").parse::<u64>().ok()?;
    let part = u128::from(part) * u128::from(factor) / 1_000_000_000;
    bytes.checked_add(u64::try_from(part).ok()?)
}

/// The host's times: seconds, or a number with m, h or d (`flb_utils_time_to_seconds`); `s` is ours.
pub fn parse_time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse::<u64>().ok()?.checked_mul(factor)?;
    // A century: far beyond any run, and safe to add to a clock.
    (seconds <= 100 * 365 * 86_400).then(|| Duration::from_secs(seconds))
}

fn parse_preopen(item: &str) -> Option<Preopen> {
    let (paths, writable) = match item.strip_suffix(":ro") {
        Some(paths) => (paths, false),
        None => (item, true),
    };
    let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
    // Meant for what ":ro" is for, and it would be a directory that the program may write to.
    let misspelt = [":ro", ":rw"].iter().any(|suffix| paths.to_ascii_lowercase().ends_with(suffix));
    if host.is_empty() || guest.is_empty() || misspelt {
        return None;
    }
    Some(Preopen { host: host.into(), guest: guest.to_owned(), writable })
}
