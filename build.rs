//! Link arguments of the plugin, the embedded host's C surface, and on demand a check of the bindings.

#[path = "build/bindings.rs"]
#[cfg(feature = "check-bindings")]
mod bindings;
#[path = "build/surface.rs"]
mod surface;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Our registration has the same name as the host's built-in: refer to our own (ABI notes, 9.5).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Bsymbolic");
    // The host unmaps plugins at exit and on reload; our threads and statics must outlive that (D8).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    surface::build_surfaces();
    #[cfg(feature = "check-bindings")]
    bindings::check();
}
