//! Builds the embedded host's C surface: one small shared object per imitated release.
//!
//! They aren't linked but embedded as bytes; the program loads the one that is asked for when it starts.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

#[path = "hosts.rs"]
#[allow(dead_code, reason = "the build needs the table only")]
mod hosts;

use hosts::{HOSTS, Host, Layout};

const SOURCE: &str = "src/bin/exec-wasi/surface.c";
const HEADERS: &str = "include";

/// Compiles every surface and writes `surfaces.rs`, the table that embeds them, to `OUT_DIR`.
pub fn build_surfaces() {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    for input in
        [SOURCE, "src/bin/exec-wasi/hosts.rs", "include/flb_abi.h", "src/bin/exec-wasi/build_surface.rs"]
    {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let compiler = cc::Build::new()
        .cargo_metadata(false)
        .pic(true)
        .warnings(true)
        .extra_warnings(true)
        .warnings_into_errors(true)
        .get_compiler();
    let mut table = String::from("pub const IMAGES: &[(&str, &[u8])] = &[\n");
    for host in HOSTS {
        let object = out.join(format!("surface-{}.so", host.name));
        compile(&compiler, &root, host, &object);
        writeln!(table, "    ({:?}, include_bytes!({object:?})),", host.name)
            .expect("a string takes what is written to it");
    }
    table.push_str("];\n");
    std::fs::write(out.join("surfaces.rs"), table).expect("OUT_DIR can be written");
}

fn compile(compiler: &cc::Tool, root: &Path, host: &Host, object: &Path) {
    let layout = match host.layout {
        Layout::A => "flb_input_plugin_a",
        Layout::B => "flb_input_plugin_b",
        Layout::C => "flb_input_plugin_c",
        Layout::D => "flb_input_plugin_d",
        Layout::E => "flb_input_plugin_e",
        Layout::Unknown => "flb_input_plugin_unknown",
    };
    let status = compiler
        .to_command()
        .args(["-std=c11", "-shared", "-D_GNU_SOURCE"])
        .arg(format!("-DHOST_VERSION={}", host.version))
        .arg(format!("-DHOST_LAYOUT={layout}"))
        .arg(format!("-DHOST_CONFIG_MAP=flb_config_map_{}", host.map_stride))
        .arg("-I")
        .arg(root.join(HEADERS))
        .arg(root.join(SOURCE))
        .arg("-o")
        .arg(object)
        .status()
        .expect("the C compiler can be run");
    assert!(status.success(), "{SOURCE} can't be compiled as host {}", host.name);
}
