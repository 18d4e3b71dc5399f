//! A plugin's option table (its "config map"): walked at the imitated host's stride.

use std::ffi::{c_int, c_void};

use crate::abi::{MULT, Registration, flb_config_map_head, text};
use crate::log::error;
use crate::properties::Properties;

/// One entry, copied.
pub struct OptionEntry {
    pub name: String,
    pub kind: &'static str,
    pub default: Option<String>,
    pub description: String,
    repeatable: bool,
}

/// The table of a plugin; `None` if it has none.
pub fn options(plugin: &Registration, stride: usize) -> Option<Vec<OptionEntry>> {
    if plugin.config_map.is_null() {
        return None;
    }
    let mut found = Vec::new();
    let mut at = plugin.config_map;
    loop {
        // SAFETY: a registered plugin's table has entries of this stride up to one without a name.
        let entry = unsafe { &*at.cast::<flb_config_map_head>() };
        if entry.name.is_null() {
            return Some(found);
        }
        // SAFETY: names, defaults and descriptions are strings of the plugin's image.
        let string = |string| unsafe { text(string) };
        found.push(OptionEntry {
            name: string(entry.name),
            kind: kind(entry.type_),
            default: (!entry.def_value.is_null()).then(|| string(entry.def_value)),
            description: if entry.desc.is_null() { String::new() } else { string(entry.desc) },
            repeatable: entry.flags & MULT != 0,
        });
        // SAFETY: this entry wasn't the last.
        at = unsafe { at.byte_add(stride) }.cast::<c_void>();
    }
}

/// Checks what a user set against the table; the log says what is wrong.
pub fn check(plugin: &Registration, stride: usize, properties: &Properties) -> Result<(), ()> {
    let Some(options) = options(plugin, stride) else { return Ok(()) };
    let name = plugin.name();
    for key in properties.keys() {
        let Some(option) = options.iter().find(|option| option.name.eq_ignore_ascii_case(key)) else {
            let allowed = allowed(&options);
            error!("[config] {name}: unknown configuration property '{key}'. {allowed}");
            return Err(());
        };
        let count = properties.keys().filter(|other| other.eq_ignore_ascii_case(key)).count();
        if count > 1 && !option.repeatable {
            error!("[config] {name}: configuration property '{key}' is set {count} times");
            return Err(());
        }
    }
    Ok(())
}

fn allowed(options: &[OptionEntry]) -> String {
    let names: Vec<&str> = options.iter().map(|option| option.name.as_str()).collect();
    let list = match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{}, and {last}", others.join(", ")),
        None => String::new(),
    };
    format!("The following properties are allowed: {list}.")
}

fn kind(kind: c_int) -> &'static str {
    match kind {
        0 => "string",
        1 => "prefix",
        2 => "integer",
        3 => "boolean",
        4 => "double",
        5 => "size",
        6 => "time",
        7 => "deprecated",
        30..=34 => "multiple comma delimited strings",
        40..=44 => "multiple space delimited strings",
        50 => "variant",
        _ => "unknown type",
    }
}
