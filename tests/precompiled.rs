//! Programs compiled elsewhere: `exec-wasi compile` and the option `precompiled`.

mod host;

use std::fs;
use std::process::{Command, Output};

use host::{Guest, ONCE, Scene};

fn scene_with(content: impl AsRef<[u8]>) -> Scene {
    let scene = Scene::new();
    scene.file("guest.wat", content);
    scene
}

/// `exec-wasi compile` on this library.
fn compile(scene: &Scene, input: &str, output: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exec-wasi"));
    command.arg("compile").arg(scene.path(input)).arg("-o").arg(scene.path(output));
    command.arg("-e").arg(host::library());
    command.output().expect("it can be run")
}

#[track_caller]
fn assert_refused(output: &Output, reason: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains(reason), "{error}");
}

#[test]
fn a_precompiled_program_runs_only_where_it_is_trusted() {
    let scene = scene_with(Guest::new().out("hello\n").wat());
    let output = compile(&scene, "guest.wat", "guest.cwasm");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let program = scene.path("guest.cwasm").display().to_string();
    let plain = scene.path("guest.wat").display().to_string();
    let mut host = scene
        .input("exec_wasi", &[("wasi_path", &program), ("precompiled", "on"), ONCE])
        .input("exec_wasi", &[("wasi_path", &program), ONCE])
        .input("exec_wasi", &[("wasi_path", &plain), ("precompiled", "on"), ONCE])
        .start();
    host.wait_for_log(&format!(
        "[error] [input:exec_wasi:exec_wasi.1] Can't run wasi_path \"{program}\": it is a precompiled program: native code, which no sandbox confines; if you trust whoever made it, set option precompiled."
    ));
    assert_eq!(host.wait_for_lines(2), [b"hello", b"hello"]);
    let ended = host.stop();
    assert_eq!(ended.assert_clean().lines().len(), 2);
}

#[test]
fn a_precompiled_program_where_a_guest_may_write_is_refused() {
    let scene = scene_with(Guest::new().out("hello\n").wat());
    assert!(compile(&scene, "guest.wat", "guest.cwasm").status.success());
    let program = scene.path("guest.cwasm").display().to_string();
    let folder = scene.path("").display().to_string();
    let options =
        [("wasi_path", program.as_str()), ("precompiled", "on"), ("accessible_paths", &folder), ONCE];
    let mut host = scene.input("exec_wasi", &options).start();
    host.wait_for_log("where a program may write: what is run outside the sandbox must not lie there");
    assert!(host.stop().lines().is_empty());

    // That is the file's fault and not its content's: the same elsewhere runs, in whatever order they begin.
    let scene = scene_with(Guest::new().out("hello\n").wat());
    assert!(compile(&scene, "guest.wat", "guest.cwasm").status.success());
    let content = fs::read(scene.path("guest.cwasm")).unwrap();
    let [open, safe] = ["open/guest.cwasm", "safe/guest.cwasm"].map(|name| scene.file(name, &content));
    let grant = scene.path("open").display().to_string();
    let precompiled = ("precompiled", "on");
    let refused = [("wasi_path", open.as_str()), precompiled, ("accessible_paths", &grant), ONCE];
    let fine = [("wasi_path", safe.as_str()), precompiled, ONCE];
    let mut host = scene
        .input("exec_wasi", &refused)
        .input("exec_wasi", &fine)
        .input("exec_wasi", &refused)
        .input("exec_wasi", &fine)
        .start();
    host.wait_until("two refusals", |host| host.log().matches("where a program may write").count() == 2);
    assert_eq!(host.wait_for_lines(2), [b"hello", b"hello"]);
    assert_eq!(host.stop().assert_clean().lines().len(), 2);
}

#[test]
fn components_can_be_compiled_elsewhere_too() {
    let guest = Guest::new().out("hello\n");
    for component in [guest.component(), guest.async_component()] {
        let scene = scene_with(component);
        let output = compile(&scene, "guest.wat", "guest.cwasm");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let program = scene.path("guest.cwasm").display().to_string();
        let mut host =
            scene.input("exec_wasi", &[("wasi_path", &program), ("precompiled", "on"), ONCE]).start();
        assert_eq!(host.wait_for_lines(1), [b"hello"]);
        host.stop().assert_clean();
    }
}

#[test]
fn a_precompiled_program_of_another_version_or_damaged_is_refused_until_it_is_replaced() {
    let scene = scene_with(Guest::new().out("hello\n").wat());
    assert!(compile(&scene, "guest.wat", "guest.cwasm").status.success());
    let good = fs::read(scene.path("guest.cwasm")).unwrap();
    let version = b"exec-wasi 0.";
    let at = good.windows(version.len()).position(|bytes| bytes == version).expect("it says its version");
    let mut other = good.clone();
    other[at + version.len() - 2] = b'9';
    let end = other.len() - 20;
    let checksum = crc32fast::hash(&other[..end]).to_le_bytes();
    other[end..end + 4].copy_from_slice(&checksum);
    let program = scene.file("guest.cwasm", &other);
    let options = [("wasi_path", program.as_str()), ("precompiled", "on"), ("interval_nsec", "50000000")];
    let options = [&options[..], &[("interval_sec", "0")]].concat();
    let mut host = scene.input("exec_wasi", &options).start();
    host.wait_for_log("it is a precompiled program that does not fit this plugin (exec-wasi ");
    host.wait_for_log("compiled with incompatible version 'exec-wasi 9.");
    host.wait_for_log("compile it again with this version's `exec-wasi compile`, with --fuel");
    host.scene.replace("guest.cwasm", &good[..good.len() / 2]);
    host.wait_for_log("it is cut off; compile it again");
    let mut damaged = good.clone();
    damaged[good.len() / 2] ^= 1;
    host.scene.replace("guest.cwasm", &damaged);
    host.wait_for_log("its checksum is wrong; compile it again");
    host.scene.replace("guest.cwasm", &good);
    host.wait_for_lines(1);
    // Cut off in place while it runs, as a careless copy would.
    fs::write(&program, "").unwrap();
    host.wait_for_log("the file is empty");
    fs::write(&program, &good).unwrap();
    let before = host.lines().len();
    host.wait_for_lines(before + 5);
    host.stop().assert_clean();
}

#[test]
fn what_can_not_be_compiled_is_refused_and_leaves_no_file() {
    let scene = scene_with("(module)");
    scene.file("garbage.wasm", "garbage");
    scene.file("good.wat", Guest::new().wat());
    assert_refused(&compile(&scene, "guest.wat", "out.cwasm"), "it has no function \"_start\"");
    assert_refused(&compile(&scene, "garbage.wasm", "out.cwasm"), "it is no WebAssembly");
    assert_refused(&compile(&scene, "none.wasm", "out.cwasm"), "none.wasm\": No such file");
    assert_refused(&compile(&scene, "good.wat", "none/out.cwasm"), "can't write \"");
    assert_refused(&compile(&scene, "good.wat", "."), "it exists and is not a regular file");
    assert!(!scene.path("out.cwasm").exists());
    assert!(compile(&scene, "good.wat", "out.cwasm").status.success());
    assert_refused(&compile(&scene, "out.cwasm", "again.cwasm"), "it is compiled already");
}
