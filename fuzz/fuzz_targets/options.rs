//! Options in any shape: what is accepted lies within its bounds, what is refused says why, and neither
//! depends on anything but the text.
//!
//! The input is lines of `name=value`; a name may come several times.

#![no_main]

use flb_in_exec_wasi_fuzz::config::{Config, Given, OPTIONS, Properties};
use flb_in_exec_wasi_fuzz::schedule::Rhythm;
use libfuzzer_sys::fuzz_target;

struct Options<'a>(Vec<(&'a str, &'a [u8])>);

impl Properties for Options<'_> {
    fn values(&self, name: &str) -> Given {
        let same = self.0.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.to_vec()).collect::<Vec<_>>().into()
    }
}

fuzz_target!(|input: &[u8]| {
    let pairs = input.split(|&byte| byte == b'\n').filter_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|&byte| byte == b'=')?)?;
        Some((std::str::from_utf8(name).ok()?, &value[1..]))
    });
    let given = Options(pairs.collect());
    let read = Config::from_properties(&given);
    assert_eq!(read, Config::from_properties(&given));
    let config = match read {
        Ok(config) => config,
        Err(error) => {
            let said = error.to_string();
            assert!(OPTIONS.iter().any(|option| said.contains(option.name)), "{said}");
            return;
        }
    };
    assert!(!config.program.as_os_str().is_empty());
    assert!((65_536..=1 << 32).contains(&config.memory_limit_bytes));
    assert!((1_000_000..=256_000_000).contains(&config.stack_bytes));
    assert!((1..=1_000_000_000).contains(&config.line_limit_bytes));
    assert!(config.pipe_bytes >= 1);
    assert!(config.timeout.is_none_or(|timeout| !timeout.is_zero()));
    assert!(config.rhythm != Rhythm::Every(std::time::Duration::ZERO));
    assert!(config.env.iter().all(|(key, _)| !key.is_empty() && !key.contains('=')));
    for (number, one) in config.preopens.iter().enumerate() {
        assert!(!one.guest.is_empty() && !one.host.as_os_str().is_empty());
        assert!(config.preopens[..number].iter().all(|other| other.guest != one.guest));
    }
    // Nothing is granted that wasn't asked for.
    let asked = |name: &str| given.values(name).values.first().is_some_and(|value| !value.is_empty());
    assert!(config.preopens.is_empty() || asked("accessible_paths"));
    assert!(config.inherit_env.is_empty() || asked("inherit_env"));
    assert!(config.args.is_empty() || asked("args"));
});
