//! Which host is this? One table, one look-up.
//!
//! Fluent Bit copies a plugin's registration by the size its own build gives the struct, and that struct
//! has changed four times. The size is read off the host's own built-in plugins, which every release
//! exports; version strings are not asked.

use std::ffi::CStr;

use super::abi;
use super::symbols::Symbols;
use crate::record::encode::WireFormat;

/// The layouts of `struct flb_input_plugin`, named as in `include/flb_abi.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table below says which releases each is")]
pub enum Generation {
    A,
    B,
    C,
    D,
    E,
}

/// Size of the struct in bytes, its generation, the releases that have it.
const GENERATIONS: &[(usize, Generation, &str)] = &[
    (size_of::<abi::flb_input_plugin_a>(), Generation::A, "2.0.0 to 2.0.6"),
    (size_of::<abi::flb_input_plugin_b>(), Generation::B, "2.0.7 to 3.1"),
    (size_of::<abi::flb_input_plugin_c>(), Generation::C, "3.2.0 to 3.2.2"),
    (size_of::<abi::flb_input_plugin_d>(), Generation::D, "3.2.3 to 5.0"),
    (size_of::<abi::flb_input_plugin_e>(), Generation::E, "5.1"),
];

/// Built-ins whose symbol tells the size. A build may leave any of them out.
const BUILT_INS: &[&CStr] = &[
    c"in_lib_plugin",
    c"in_emitter_plugin",
    c"in_dummy_plugin",
    c"in_tail_plugin",
    c"in_exec_plugin",
    c"in_random_plugin",
    c"in_head_plugin",
    c"in_storage_backlog_plugin",
    c"in_exec_wasi_plugin",
];

/// What is known of a host that we can work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostLayout {
    /// Layout of the input registration.
    pub generation: Generation,
    /// Bytes from one entry of a config map to the next.
    pub config_map_stride: usize,
    /// The record format it understands.
    pub wire: WireFormat,
}

/// The answer to "which host is this?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detection {
    /// No Fluent Bit at all: a test, a tool that looks at the library.
    NotAHost,
    /// A Fluent Bit with a layout that isn't in the table.
    Unknown {
        /// The sizes seen, in bytes.
        sizes: Vec<usize>,
    },
    /// A Fluent Bit we know how to serve.
    Known(HostLayout),
}

impl Detection {
    /// One clause for a refusal.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let Self::Unknown { sizes } = self else {
            return None;
        };
        let known: Vec<String> =
            GENERATIONS.iter().map(|(size, _, releases)| format!("{size} ({releases})")).collect();
        Some(format!(
            "unsupported Fluent Bit: its input plugin struct has {sizes:?} bytes, known are {}; \
             use a release of this plugin that knows this host",
            known.join(", ")
        ))
    }
}

/// Looks at the program this library was loaded into.
#[must_use]
pub fn detect(symbols: &Symbols) -> Detection {
    let has = |name: &CStr| symbols.address(name).is_some();
    if !has(c"flb_input_set_context") {
        return Detection::NotAHost;
    }
    let built_ins = BUILT_INS.iter().filter_map(|name| symbols.address(name));
    let mut sizes: Vec<usize> = built_ins.filter_map(|address| symbols.size(address)).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let Some(generation) = generation_of(&sizes) else {
        return Detection::Unknown { sizes };
    };
    // The value of an entry gained a member in 5.0.3, together with these functions.
    let wide = has(c"flb_config_map_get_raw") || has(c"flb_config_map_find");
    Detection::Known(HostLayout {
        generation,
        config_map_stride: if wide {
            size_of::<abi::flb_config_map_104>()
        } else {
            size_of::<abi::flb_config_map_96>()
        },
        wire: if has(c"flb_log_event_encoder_init") { WireFormat::Metadata } else { WireFormat::Legacy },
    })
}

/// All built-ins must agree on one known size.
fn generation_of(sizes: &[usize]) -> Option<Generation> {
    let [size] = sizes else {
        return None;
    };
    let row = GENERATIONS.iter().find(|(known, ..)| known == size)?;
    Some(row.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_size_is_a_generation_and_nothing_else_is() {
        assert_eq!(generation_of(&[144]), Some(Generation::A));
        assert_eq!(generation_of(&[152]), Some(Generation::B));
        assert_eq!(generation_of(&[160]), Some(Generation::C));
        assert_eq!(generation_of(&[208]), Some(Generation::D));
        assert_eq!(generation_of(&[232]), Some(Generation::E));
        for unknown in [&[][..], &[240], &[152, 160]] {
            assert_eq!(generation_of(unknown), None);
        }
    }

    #[test]
    fn a_process_that_is_no_fluent_bit_is_recognised() {
        let symbols = Symbols::of_program().unwrap();
        assert_eq!(detect(&symbols), Detection::NotAHost);
    }

    #[test]
    fn a_refusal_names_the_size_seen_and_those_known() {
        let text = Detection::Unknown { sizes: vec![240] }.refusal().unwrap();
        assert!(text.contains("[240] bytes") && text.contains("232 (5.1)"), "{text}");
    }
}
