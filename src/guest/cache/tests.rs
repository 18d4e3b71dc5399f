//! What the cache promises, on folders of the tests' own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use super::store::entry_name;
use super::*;
use crate::event::Level;
use crate::guest::engine::{Berth, GuestEngine, Traits};
use crate::guest::native::Image;
use crate::guest::scan::digest;

/// A folder for one test; removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("exec-wasi-cache-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("parent/cache")
    }

    fn cache(&self) -> Cache {
        Cache { folder: Folder::open(&self.path(), true).unwrap() }
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Program {
    engine: Berth,
    digest: Digest,
    image: Image,
}

impl Program {
    /// Programs of different numbers are different ones of the same size.
    fn new(number: u8) -> Self {
        let engine = GuestEngine::berth(Traits::default()).unwrap();
        let text = format!("(module (func (export \"_start\") (drop (i32.const {number}))))");
        let image = Image::compiled(&engine.engine, text.as_bytes()).unwrap();
        Self { digest: digest(text.as_bytes()), image, engine }
    }

    fn name(&self) -> String {
        entry_name(&self.digest, &self.engine.engine)
    }

    fn store(&self, cache: &Cache) -> std::io::Result<()> {
        cache.store(&self.engine.engine, &self.digest, &self.image)
    }

    fn store_within(&self, limit_bytes: u64, cache: &Cache) -> std::io::Result<()> {
        cache.store_within(limit_bytes, &self.engine.engine, &self.digest, &self.image)
    }

    fn find(&self, cache: &Cache) -> Found {
        cache.find(&self.engine.engine, &self.digest)
    }

    fn is_found(&self, cache: &Cache) -> bool {
        matches!(self.find(cache), Found::Program(_))
    }
}

#[test]
fn what_was_stored_is_found_by_its_program_and_belongs_to_the_user_alone() {
    let (place, program) = (Place::new(), Program::new(1));
    let cache = place.cache();
    assert!(matches!(program.find(&cache), Found::Nothing));
    program.store(&cache).unwrap();
    let Found::Program(code) = program.find(&cache) else { panic!("not found") };
    let Code::Module(module) = code else { panic!("not a module") };
    assert!(module.get_export("_start").is_some());
    assert!(!Program::new(2).is_found(&cache));
    assert_eq!(place.files(), [program.name()]);
    assert!(is_entry_name(&program.name()), "{}", program.name());
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(place.path().join(program.name())), 0o700);
    assert_eq!(mode(place.path()), 0o700);
    assert_eq!(mode(place.0.join("parent")), 0o700);
}

#[test]
fn code_is_mapped_and_where_that_is_not_safe_it_is_copied() {
    let (place, program) = (Place::new(), Program::new(1));
    let mut cache = place.cache();
    program.store(&cache).unwrap();
    let path = place.path().join(program.name());
    let is_mapped = || {
        let mappings = fs::read_to_string("/proc/self/maps").unwrap();
        mappings.contains(path.to_str().unwrap())
    };
    for mappable in [true, false] {
        // Only a machine whose temporary files are local can tell.
        cache.folder.mappable &= mappable;
        let found = program.find(&cache);
        assert!(matches!(found, Found::Program(_)));
        assert_eq!(is_mapped(), cache.folder.mappable);
    }
    // Not among the file systems that are known to be local.
    assert!(!folder::is_local(&File::open("/proc").unwrap()));
}

#[test]
fn a_module_goes_on_running_when_its_entry_is_removed() {
    let (place, program) = (Place::new(), Program::new(1));
    let cache = place.cache();
    program.store(&cache).unwrap();
    let Found::Program(code) = program.find(&cache) else { panic!("not found") };
    fs::remove_dir_all(place.path()).unwrap();
    let ready = crate::guest::program::ready(&program.engine, &code);
    assert!(ready.is_ok());
}

#[test]
fn damage_is_found_wherever_it_is_and_heals() {
    let (place, program) = (Place::new(), Program::new(1));
    let cache = place.cache();
    program.store(&cache).unwrap();
    let path = place.path().join(program.name());
    let good = fs::read(&path).unwrap();
    let mut damages: Vec<(String, Vec<u8>, &str)> = Vec::new();
    for len in [0, 1, 19, 20, 64, good.len() / 2, good.len() - 20, good.len() - 1] {
        damages.push((format!("cut at {len}"), good[..len].to_vec(), "cut off"));
    }
    for at in [0, 100, good.len() / 2, good.len() - 21, good.len() - 20, good.len() - 9] {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        damages.push((format!("bit at {at}"), bytes, "checksum"));
    }
    damages.push(("garbage".into(), vec![0x5a; 10_000], "cut off"));
    let mut longer = good.clone();
    longer.extend_from_slice(&good[good.len() - 20..]);
    damages.push(("sealed twice".into(), longer, "checksum"));
    let mut sealed = Vec::new();
    entry::write(&mut sealed, b"no code at all").unwrap();
    damages.push(("sealed garbage".into(), sealed, "no native code"));
    for (what, bytes, reason) in damages {
        fs::write(&path, bytes).unwrap();
        match program.find(&cache) {
            Found::Damaged(why) => assert!(why.contains(reason), "{what}: {why}"),
            Found::Program(_) => panic!("{what}: taken"),
            Found::Nothing | Found::Forbidden(_) => panic!("{what}: not looked at"),
        }
        assert!(!path.exists(), "{what}");
        program.store(&cache).unwrap();
        assert!(program.is_found(&cache), "{what}");
    }
}

#[test]
fn an_entry_that_somebody_else_may_have_made_is_not_used() {
    let (place, program) = (Place::new(), Program::new(1));
    let cache = place.cache();
    let path = place.path().join(program.name());
    let expect = |reason: &str| match program.find(&cache) {
        Found::Damaged(why) => assert!(why.contains(reason), "{why}"),
        _ => panic!("{reason}"),
    };
    // As of another user, and as a guest's files are, with and without a umask.
    for mode in [0o720, 0o644, 0o600] {
        program.store(&cache).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        expect(&format!("it was not written here (mode {mode:04o})"));
    }

    program.store(&cache).unwrap();
    let elsewhere = place.0.join("elsewhere");
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    expect("it is a symbolic link");
    assert!(elsewhere.exists());

    fs::create_dir(&path).unwrap();
    expect("it is not a regular file; it can't be removed");

    // Only root can give files away; elsewhere this part can't be tried.
    fs::remove_dir(&path).unwrap();
    program.store(&cache).unwrap();
    if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
        expect("it belongs to user 12345");
    }
}

#[test]
fn a_folder_that_others_can_write_to_is_not_used() {
    let place = Place::new();
    let path = place.path();
    fs::create_dir_all(&path).unwrap();
    for mode in [0o777, 0o770, 0o702, 0o1777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let unusable = Folder::open(&path, false).unwrap_err();
        let expected = format!("can be written to by others (mode {mode:04o})");
        assert!(unusable.why.contains(&expected), "{unusable}");
        assert_eq!(unusable.level, Level::Warn);
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(Folder::open(&path, false).is_ok());
    if std::os::unix::fs::chown(&path, Some(12345), None).is_ok() {
        let unusable = Folder::open(&path, false).unwrap_err();
        assert!(unusable.why.contains("belongs to user 12345"), "{unusable}");
    }
}

#[test]
fn a_folder_that_can_not_be_made_is_said_once_and_louder_if_it_was_asked_for() {
    let place = Place::new();
    fs::write(place.0.join("file"), "").unwrap();
    let path = place.0.join("file/cache");
    let unusable = Folder::open(&path, true).unwrap_err();
    assert!(unusable.why.contains("can't be created: Not a directory"), "{unusable}");
    assert_eq!(unusable.level, Level::Warn);
    assert_eq!(Folder::open(&path, false).unwrap_err().level, Level::Info);

    let cache = InputCache::new(CachePlace::Folder(path));
    let mut told = Vec::new();
    for _ in 0..3 {
        assert!(cache.open(|unusable| told.push(unusable)).is_none());
    }
    assert_eq!(told, [unusable]);
    let off = InputCache::new(CachePlace::Off);
    assert!(off.open(|unusable| panic!("{unusable}")).is_none());
}

#[test]
fn writers_of_the_same_entry_do_not_disturb_each_other_or_readers() {
    let (place, program) = (Place::new(), Program::new(1));
    program.store(&place.cache()).unwrap();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let cache = place.cache();
                for _ in 0..50 {
                    program.store(&cache).unwrap();
                    assert!(program.is_found(&cache));
                }
            });
        }
    });
    assert_eq!(place.files(), [program.name()]);
}

#[test]
fn the_entries_used_longest_ago_make_room() {
    let place = Place::new();
    let cache = place.cache();
    let programs: Vec<Program> = (1..=4).map(Program::new).collect();
    let size = entry::size_bytes(programs[0].image.bytes());
    let age = |name: &str, seconds| {
        let file = File::options().write(true).open(place.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    };
    for (program, seconds) in programs[..3].iter().zip([300, 200, 100]) {
        program.store(&cache).unwrap();
        age(&program.name(), seconds);
    }
    for (name, seconds) in [("tmp-1-0", 7200), ("tmp-2-0", 60), ("README", 7200)] {
        fs::write(place.path().join(name), vec![0; 100_000]).unwrap();
        age(name, seconds);
    }
    // Used just now, so the second is the oldest.
    assert!(programs[0].is_found(&cache));
    programs[3].store_within(3 * size + size / 2, &cache).unwrap();
    let found: Vec<bool> = programs.iter().map(|program| program.is_found(&cache)).collect();
    assert_eq!(found, [true, false, true, true]);
    let files = place.files();
    let has = |name: &str| files.iter().any(|file| file == name);
    assert!(!has("tmp-1-0") && has("tmp-2-0") && has("README"), "{files:?}");

    let error = programs[1].store_within(size - 1, &cache).unwrap_err();
    assert!(error.to_string().contains("the cache at most"), "{error}");
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    // A device that is always full, where the system has it.
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let error = entry::write(full, b"code").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);

    // A name that can't be replaced by a file fails at the last step.
    let (place, program) = (Place::new(), Program::new(1));
    let cache = place.cache();
    fs::create_dir_all(place.path().join(program.name())).unwrap();
    assert!(program.store(&cache).is_err());
    assert_eq!(place.files(), [program.name()]);
}

#[test]
fn where_nothing_can_be_written_entries_are_still_read() {
    let (place, program) = (Place::new(), Program::new(1));
    program.store(&place.cache()).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let cache = place.cache();
    assert!(program.is_found(&cache));
    // Permissions don't bind root.
    if rustix::process::geteuid().as_raw() != 0 {
        assert!(Program::new(2).store(&cache).is_err());
    }
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(place.files(), [program.name()]);
}

#[test]
fn other_settings_are_other_entries() {
    let program = Program::new(1);
    let plain = wasmtime::Engine::default();
    assert_ne!(program.name(), entry_name(&program.digest, &plain));
    // The stack's size is no part of the code.
    let larger = GuestEngine::berth(Traits { stack_bytes: 2_000_000, ..Traits::default() }).unwrap();
    assert_eq!(program.name(), entry_name(&program.digest, &larger.engine));
}
