//! What `-h`, `-V` and `--list-hosts` print.

use std::io::{Error, Result, Write};

use crate::args::Args;
use crate::context::Context;
use crate::hosts::HOSTS;
use crate::options;
use crate::surface::Surface;

const USAGE: &str = "\
Usage: exec-wasi [OPTION]
       exec-wasi compile FILE    (exec-wasi compile --help tells more)

A stand-in for Fluent Bit that loads one input plugin, for trying and testing.
Without options: a demonstration.

Available Options
  -e, --plugin=FILE        load a plugin; before -i (default: the one beside this program)
  -i, --input=NAME         set an input
  -o, --output=NAME        set an output: stdout (default), file, null
  -p, --prop=KEY=VALUE     set a property of the last -i or -o
  -t, --tag=TAG            same as -p tag=TAG
  -m, --match=MATCH        same as -p match=MATCH; '*' or the very tag
  -f, --flush=SECONDS      flush interval (default: 1)
  -g, --grace=SECONDS      wait so long for unsent records at shutdown (default: 5)
  -R, --parser=FILE        a parsers file; only 'Format json'
  -Y, --enable-hot-reload  SIGHUP reloads
  -v, -vv                  more messages
  -q, --quiet              no messages
  -V, --version            which release is imitated
  -h, --help               this help; after -i: the options of that input
      --host=VERSION       the release to imitate
      --list-hosts         all of them
      --without=SYMBOL     lack an exported symbol; may be repeated
      --without-builtin    lack the built-in exec_wasi
      --shared-name        the built-in's name is part of a longer string
      --exit-when-idle=S   end when no record has come for S seconds after the first

Properties of every input
  tag, alias, log_level, mem_buf_limit, threaded

Output properties
  stdout                   format=json_lines
  file                     path=DIR file=NAME format=plain|msgpack
  all                      down_for=SECONDS: take nothing for so long after the start";

/// The general help with the list of inputs, or the options of the last input named.
pub fn print(out: &mut impl Write, surface: &Surface, args: &Args, context: &Context) -> Result<()> {
    let plugins = context.plugins().all();
    let Some(section) = args.inputs.last() else {
        writeln!(out, "{USAGE}\n\nInputs")?;
        for plugin in &plugins {
            writeln!(out, "  {:<24} {}", plugin.name(), plugin.description())?;
        }
        return Ok(());
    };
    let named = plugins.iter().rfind(|plugin| plugin.name().eq_ignore_ascii_case(&section.name));
    let plugin = named.ok_or_else(|| Error::other(format!("invalid input plugin '{}'", section.name)))?;
    writeln!(out, "HELP\n{} input plugin\n", plugin.name())?;
    writeln!(out, "DESCRIPTION\n{}\n\nOPTIONS", plugin.description())?;
    let options = options::options(plugin, surface.host.map_stride).unwrap_or_default();
    let width = options.iter().map(|option| option.name.len()).max().unwrap_or(0) + 2;
    for option in options {
        writeln!(out, "{:width$}{}", option.name, option.description)?;
        let default = option.default.map(|value| format!("default: {value}, ")).unwrap_or_default();
        writeln!(out, "{:width$}> {default}type: {}\n", "", option.kind)?;
    }
    Ok(())
}

/// The version, and what it imitates.
pub fn version(out: &mut impl Write, host: &str) -> Result<()> {
    writeln!(out, "exec-wasi {}, posing as Fluent Bit v{host}", env!("CARGO_PKG_VERSION"))
}

/// One line for each release.
pub fn list_hosts(out: &mut impl Write) -> Result<()> {
    for host in HOSTS {
        let records = if host.has_metadata() { "records with metadata" } else { "legacy records" };
        let (name, layout, stride) = (host.name, host.layout, host.map_stride);
        writeln!(out, "{name:<8} layout {layout:?}, config map stride {stride}, {records}")?;
    }
    Ok(())
}
