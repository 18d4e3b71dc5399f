//! Link arguments of the plugin, the embedded host's C surface, and on demand a check of the bindings.

#[path = "src/bin/exec-wasi/build_surface.rs"]
mod surface;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The host's executable exports a symbol of our registration's name; refer to our own.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    // The host unmaps plugins at exit and on reload; our threads and statics must outlive that.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    if glibc_packs_relocations() {
        // Tens of thousands of them, in a hundredth of the space.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,pack-relative-relocs");
    }
    if std::env::var("PROFILE").is_ok_and(|kind| kind == "release") && linker_takes("-Wl,--icf=all") {
        // Functions of the same code are one. lld does this, which is the usual linker on x86-64.
        println!("cargo::rustc-cdylib-link-arg=-Wl,--icf=all");
    }
    println!("cargo::rustc-env=EXEC_WASI_WASMTIME_VERSION={}", wasmtime_version());
    surface::build_surfaces();
    #[cfg(feature = "check-bindings")]
    bindings::check();
}

/// Whether the C library here understands packed relocations, which it does since 2.36. What is built here then
/// needs one that does.
fn glibc_packs_relocations() -> bool {
    let set = |name| std::env::var(name).unwrap_or_default();
    if set("TARGET") != set("HOST") || set("CARGO_CFG_TARGET_ENV") != "gnu" {
        return false;
    }
    // "glibc 2.36"
    let version = std::process::Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let version =
        version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let minor =
        version.trim().strip_prefix("glibc 2.").and_then(|minor| minor.split('.').next()?.parse().ok());
    minor.is_some_and(|minor: u32| minor >= 36)
}

/// Whether the linker that will be used knows an argument: an empty library is linked with it.
fn linker_takes(argument: &str) -> bool {
    let set = |name| std::env::var(name).unwrap_or_default();
    let folder = std::path::PathBuf::from(set("OUT_DIR"));
    let (source, library) = (folder.join("empty.rs"), folder.join("empty.so"));
    std::fs::write(&source, "").expect("a file in cargo's folder for us");
    let mut rustc = std::process::Command::new(set("RUSTC"));
    rustc.args(["--crate-type", "cdylib", "--target", &set("TARGET")]);
    rustc.args(["-C", &format!("link-arg={argument}")]);
    rustc.args(set("CARGO_ENCODED_RUSTFLAGS").split('\x1f').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = std::env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    let linked = rustc.arg(&source).arg("-o").arg(&library).output();
    linked.is_ok_and(|output| output.status.success())
}

/// The release of wasmtime that is built in: compiled programs are good for that one only.
fn wasmtime_version() -> String {
    println!("cargo::rerun-if-changed=Cargo.lock");
    let lock = std::fs::read_to_string("Cargo.lock").expect("cargo has written Cargo.lock");
    let package = lock.split("[[package]]").find(|package| package.contains("\nname = \"wasmtime\"\n"));
    let version = package.and_then(|package| package.split("version = \"").nth(1)?.split('"').next());
    version.expect("Cargo.lock names wasmtime and its version").to_owned()
}

/// Holds `src/host/bindings.rs` against `include/flb_abi.h`.
///
/// The generated file is kept in the repository, so that building needs no libclang. With the feature
/// `check-bindings` it is generated anew and the build fails when the two differ; with the environment
/// variable `UPDATE_BINDINGS=1` the kept file is replaced instead.
#[cfg(feature = "check-bindings")]
mod bindings {
    const KEPT: &str = "src/host/bindings.rs";
    const HEADER: &str = "include/flb_abi.h";

    pub fn check() {
        println!("cargo::rerun-if-changed={HEADER}");
        println!("cargo::rerun-if-changed={KEPT}");
        println!("cargo::rerun-if-env-changed=UPDATE_BINDINGS");
        let fresh = bindgen::Builder::default()
            .header(HEADER)
            .allowlist_file(HEADER)
            .allowlist_type("flb_.*|mk_list|cmt.*")
            .use_core()
            .layout_tests(true)
            .derive_debug(false)
            .prepend_enum_name(false)
            .disable_header_comment()
            .raw_line("// Made by bindgen from include/flb_abi.h; see build.rs. Not edited by hand.")
            .generate()
            .expect("bindgen reads include/flb_abi.h")
            .to_string();
        if std::env::var_os("UPDATE_BINDINGS").is_some() {
            std::fs::write(KEPT, fresh).expect("src/host/bindings.rs can be written");
            return;
        }
        let kept = std::fs::read_to_string(KEPT).unwrap_or_default();
        assert!(
            kept == fresh,
            "{KEPT} is not what bindgen makes of {HEADER}: build with UPDATE_BINDINGS=1 to replace it"
        );
    }
}
