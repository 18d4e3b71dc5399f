//! The command line: the words of Fluent Bit's own, as far as they are imitated, and a few of ours.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::{Long, Short, Value};

use crate::abi::{DEBUG, INFO, TRACE};
use crate::hosts::{self, HOSTS, Host};
use crate::settings;

/// A configured input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub name: String,
    pub properties: Vec<(String, String)>,
}

impl Section {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), properties: Vec::new() }
    }

    fn set(&mut self, key: &str, value: &str) {
        self.properties.push((key.to_owned(), value.to_owned()));
    }
}

/// What the program is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    Run,
    /// Options were read up to here: the last input's help, or the list of plugins.
    Help,
    Version,
    ListHosts,
}

/// Everything the command line says.
#[derive(Debug)]
pub struct Args {
    pub task: Task,
    pub host: &'static Host,
    /// Symbols that the host shall lack.
    pub without: Vec<String>,
    /// The built-in's name can't be changed in place.
    pub shared_name: bool,
    pub plugins: Vec<PathBuf>,
    pub inputs: Vec<Section>,
    pub outputs: Vec<Section>,
    pub parsers: Vec<PathBuf>,
    pub flush: Duration,
    pub grace: i32,
    pub log_level: i32,
    pub hot_reload: bool,
    pub exit_when_idle: Option<Duration>,
    /// End with an error after so long; used by the demonstration.
    pub give_up_after: Option<Duration>,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            task: Task::Run,
            host: host(hosts::DEFAULT).expect("the default host is in the table"),
            without: Vec::new(),
            shared_name: false,
            plugins: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            parsers: Vec::new(),
            flush: Duration::from_secs(1),
            grace: 5,
            log_level: INFO,
            hot_reload: false,
            exit_when_idle: None,
            give_up_after: None,
        }
    }
}

/// Which section a `-p` belongs to.
enum Last {
    None,
    Input,
    Output,
}

/// Reads the command line, the program's name not included.
pub fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Args, String> {
    parse_words(lexopt::Parser::from_args(words)).map_err(|error| error.to_string())
}

fn parse_words(mut words: lexopt::Parser) -> Result<Args, lexopt::Error> {
    let mut args = Args::default();
    let mut last = Last::None;
    while let Some(word) = words.next()? {
        match word {
            Short('e') | Long("plugin") => args.plugins.push(words.value()?.into()),
            Short('i') | Long("input") => {
                args.inputs.push(Section::new(&text(words.value()?)?));
                last = Last::Input;
            }
            Short('o') | Long("output") => {
                args.outputs.push(Section::new(&text(words.value()?)?));
                last = Last::Output;
            }
            Short('p') | Long("prop") => {
                let word = text(words.value()?)?;
                let (key, value) =
                    word.split_once('=').ok_or_else(|| format!("-p {word}: there is no '='"))?;
                section(&mut args, &last, "-p")?.set(key.trim(), value.trim());
            }
            Short('t') | Long("tag") => {
                let value = text(words.value()?)?;
                section(&mut args, &last, "-t")?.set("tag", &value);
            }
            Short('m') | Long("match") => {
                let value = text(words.value()?)?;
                section(&mut args, &last, "-m")?.set("match", &value);
            }
            Short('f') | Long("flush") => args.flush = seconds(&mut words)?,
            Short('g') | Long("grace") => {
                let value = text(words.value()?)?;
                args.grace = value.parse().map_err(|_| format!("-g {value}: no number of seconds"))?;
            }
            Short('R') | Long("parser") => args.parsers.push(words.value()?.into()),
            Short('q') | Long("quiet") => args.log_level = 0,
            Short('v') | Long("verbose") => {
                args.log_level = if args.log_level >= DEBUG { TRACE } else { DEBUG };
            }
            Short('Y') | Long("enable-hot-reload") => args.hot_reload = true,
            Short('h') | Long("help") => {
                args.task = Task::Help;
                return Ok(args);
            }
            Short('V') | Long("version") => args.task = Task::Version,
            Long("host") => {
                let name = text(words.value()?)?;
                args.host = host(&name)
                    .ok_or_else(|| format!("--host {name}: not one of those that --list-hosts prints"))?;
            }
            Long("list-hosts") => args.task = Task::ListHosts,
            Long("without") => args.without.push(text(words.value()?)?),
            Long("without-builtin") => args.without.push("in_exec_wasi_plugin".to_owned()),
            Long("shared-name") => args.shared_name = true,
            Long("exit-when-idle") => args.exit_when_idle = Some(seconds(&mut words)?),
            Value(word) => return Err(format!("'{}' stands alone", word.display()).into()),
            other => return Err(other.unexpected()),
        }
    }
    if args.flush.is_zero() {
        return Err("-f: the flush interval must be above 0".into());
    }
    if args.task == Task::Run && args.inputs.is_empty() {
        return Err("there is no input: -i NAME".into());
    }
    if args.outputs.is_empty() {
        args.outputs.push(Section::new("stdout"));
    }
    Ok(args)
}

fn section<'a>(args: &'a mut Args, last: &Last, option: &str) -> Result<&'a mut Section, String> {
    let section = match last {
        Last::None => None,
        Last::Input => args.inputs.last_mut(),
        Last::Output => args.outputs.last_mut(),
    };
    section.ok_or_else(|| format!("{option} comes before any -i or -o"))
}

fn seconds(words: &mut lexopt::Parser) -> Result<Duration, lexopt::Error> {
    Ok(settings::seconds(&text(words.value()?)?)?)
}

fn text(word: OsString) -> Result<String, String> {
    word.into_string().map_err(|word| format!("'{}' is not UTF-8", word.display()))
}

fn host(name: &str) -> Option<&'static Host> {
    HOSTS.iter().find(|host| host.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Args, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn properties_go_to_the_last_section_named() {
        let args =
            parsed("-e a.so -i x -p A=b=c -t T -o file -m T -p path=. -i y -vv -f 0.25").expect("a line");
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(args.inputs[0].properties, [pair("A", "b=c"), pair("tag", "T")]);
        assert_eq!(args.inputs[1], Section::new("y"));
        assert_eq!(args.outputs[0].properties, [pair("match", "T"), pair("path", ".")]);
        assert_eq!((args.flush, args.log_level), (Duration::from_millis(250), TRACE));
    }

    #[test]
    fn help_ends_the_line_where_it_stands() {
        let args = parsed("-e a.so -h -i x --nonsense").expect("a line");
        assert_eq!((args.task, args.plugins.len(), args.inputs.len()), (Task::Help, 1, 0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, part) in [
            ("-p a=b", "before any -i"),
            ("-i x -p ab", "no '='"),
            ("-o null", "no input"),
            ("-i x -f 0", "above 0"),
            ("-i x -f soon", "'soon'"),
            ("-i x --host 9.9", "--list-hosts"),
            ("-i x stray", "stray"),
            ("-i", "argument"),
        ] {
            let error = parsed(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
