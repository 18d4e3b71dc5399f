//! The releases of Fluent Bit this program can pose as. Read by the build script as well.
//!
//! Each stands for a range of releases that look the same to a plugin; one row is one shared object
//! made from `surface.c`.

/// How the host lays out `struct flb_input_plugin`; the letters are those of `include/flb_abi.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    A,
    B,
    C,
    D,
    E,
    /// A layout no table knows: what a plugin meets on a host that is newer than itself.
    Unknown,
}

/// One imitated release.
#[derive(Debug)]
pub struct Host {
    /// What `--host` calls it.
    pub name: &'static str,
    /// 5.1.1 is 50101.
    pub version: u32,
    pub layout: Layout,
    /// Bytes from one `struct flb_config_map` to the next.
    pub map_stride: usize,
}

impl Host {
    const fn new(name: &'static str, version: u32, layout: Layout, map_stride: usize) -> Self {
        Self { name, version, layout, map_stride }
    }

    /// Records carry metadata: `[[time, metadata], body]` instead of `[time, body]`.
    pub fn has_metadata(&self) -> bool {
        self.version >= 20_100
    }

    /// SIGHUP reloads (if enabled) instead of ending the program, and handlers are re-installed.
    pub fn can_reload(&self) -> bool {
        self.version >= 20_100
    }
}

/// All of them, oldest first.
pub const HOSTS: &[Host] = &[
    Host::new("2.0.3", 20_003, Layout::A, 96),
    Host::new("2.0.14", 20_014, Layout::B, 96),
    Host::new("2.2.3", 20_203, Layout::B, 96),
    Host::new("3.2.1", 30_201, Layout::C, 96),
    Host::new("4.2.8", 40_208, Layout::D, 96),
    Host::new("5.0.9", 50_009, Layout::D, 104),
    Host::new("5.1.1", 50_101, Layout::E, 104),
    Host::new("unknown", 60_000, Layout::Unknown, 104),
];

/// The one that is taken unless `--host` says otherwise.
pub const DEFAULT: &str = "5.1.1";
