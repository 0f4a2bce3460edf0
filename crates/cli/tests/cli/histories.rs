//! Random histories of a folder and its encrypted copy: after every run that reports success,
//! decrypting the copy gives the folder as it is. `CRYPTSTREAM_HISTORIES` sets the number of
//! rounds, and `CRYPTSTREAM_SEED` selects them.
//!
//! Every change gets a new time, because a change that keeps length and time is not noticed. That
//! is documented, as for rsync(1).

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::process::Signal;

use crate::common::group::Group;
use crate::common::tree::{Entry, assert_same, described};
use crate::common::{Dir, Done, Random, test_bytes};

/// The number of rounds in an ordinary test run.
const ROUNDS: usize = 12;
/// Names that are reused, so that entries replace each other.
const NAMES: [&str; 7] = ["a", "b", "c.enc", "d.age", "e f", "g", "ä"];

struct History {
    dir: Dir,
    random: Random,
    /// The number of changes, so that no two have the same time.
    clock: i64,
    /// A log of the changes, for failure messages.
    log: Vec<String>,
}

impl History {
    fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most).unwrap();
        usize::try_from(self.random.within(Duration::from_nanos(most)).as_nanos()).unwrap()
            % usize::try_from(most).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn note(&mut self, what: &str, path: &Path) {
        self.log.push(format!("{what} {}", path.strip_prefix(self.dir.root()).unwrap().display()));
    }

    /// Sets a new time, later or earlier than all others.
    fn date(&mut self, path: &Path, is_older: bool) {
        self.clock += 1;
        let days = if is_older { -self.clock } else { self.clock };
        set_time(path, 1_500_000_000 + days * 86_400, self.clock * 1_003 % 1_000_000_000);
    }

    /// The paths in the folder of these kinds.
    fn paths(&self, root: &str, is_wanted: impl Fn(&fs::Metadata) -> bool) -> Vec<PathBuf> {
        let root = self.dir.path(root);
        if !root.exists() {
            return Vec::new();
        }
        let all = described(&root).into_keys().filter(|name| !name.as_os_str().is_empty());
        // This entry stays, so that the folder is never empty.
        let all = all.filter(|name| !name.starts_with("anchor"));
        let all = all.map(|name| root.join(name));
        all.filter(|path| is_wanted(&fs::symlink_metadata(path).unwrap())).collect()
    }

    fn some(&mut self, root: &str, is_wanted: impl Fn(&fs::Metadata) -> bool) -> Option<PathBuf> {
        let paths = self.paths(root, is_wanted);
        (!paths.is_empty()).then(|| self.pick(&paths))
    }

    /// A free or used name in some folder.
    fn place(&mut self) -> PathBuf {
        let mut folders = self.paths("in", fs::Metadata::is_dir);
        folders.retain(|path| path.components().count() < self.dir.root().components().count() + 5);
        folders.push(self.dir.path("in"));
        let folder = self.pick(&folders);
        folder.join(self.pick(&NAMES))
    }

    fn content(&mut self) -> Vec<u8> {
        let len = match self.below(12) {
            0 => 0,
            1 => (1 << 20) + self.below(300_000),
            2..=4 => self.below(70_000),
            _ => self.below(300),
        };
        let mut content = test_bytes(len);
        let salt = u8::try_from(self.below(256)).unwrap();
        content.iter_mut().for_each(|byte| *byte ^= salt);
        content
    }

    /// Creates an entry of any kind under a free name, unless its output would be that of another
    /// entry.
    fn make(&mut self, path: &Path) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let stem = name.strip_suffix(".enc").unwrap_or(name);
        let beside = |name: String| fs::symlink_metadata(path.with_file_name(name));
        let is_clash = |kind: usize| match kind {
            0 => beside(format!("{name}.enc")).is_ok_and(|there| !there.is_file()),
            _ => stem != name && beside(stem.to_owned()).is_ok_and(|there| there.is_file()),
        };
        let kind = [0, 0, 0, 1, 2][self.below(5)];
        if is_clash(kind) {
            return;
        }
        match kind {
            0 => {
                fs::write(path, self.content()).unwrap();
                let mode = self.pick(&[0o600, 0o644, 0o640, 0o755, 0o444]);
                fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            }
            1 => fs::create_dir(path).unwrap(),
            _ => symlink(self.pick(&NAMES), path).unwrap(),
        }
        self.date(path, false);
        self.note(["file", "folder", "link"][kind], path);
    }

    /// Changes the folder or the copy.
    fn change(&mut self) {
        let is_any = |_: &fs::Metadata| true;
        match self.below(16) {
            0..=2 => {
                let path = self.place();
                if fs::symlink_metadata(&path).is_err() {
                    self.make(&path);
                }
            }
            // An edit, or another version put back with its own date, of any length or the same
            // one.
            number @ 3..=6 => {
                let Some(path) = self.some("in", fs::Metadata::is_file) else { return };
                let mut content = self.content();
                if number == 6 {
                    content.resize(fs::read(&path).unwrap().len(), 7);
                }
                let mode = fs::metadata(&path).unwrap().permissions();
                fs::remove_file(&path).unwrap();
                fs::write(&path, content).unwrap();
                fs::set_permissions(&path, mode).unwrap();
                let is_older = self.below(2) == 0;
                self.date(&path, is_older);
                self.note("edit", &path);
            }
            7 | 8 => {
                let Some(path) = self.some("in", is_any) else { return };
                remove(&path);
                self.note("remove", &path);
                if self.below(2) == 0 {
                    self.make(&path);
                }
            }
            9 => {
                let (Some(from), to) = (self.some("in", is_any), self.place()) else { return };
                let is_free = fs::symlink_metadata(&to).is_err() && !to.starts_with(&from);
                // Unless it would conflict.
                let is_plain = |path: &Path| path.extension().is_none();
                let has_enc = |path: &Path| {
                    let name = path.file_name().unwrap().to_str().unwrap();
                    fs::symlink_metadata(path.with_file_name(format!("{name}.enc"))).is_ok()
                };
                if is_free && is_plain(&to) && !has_enc(&to) {
                    fs::rename(&from, &to).unwrap();
                    self.note("rename", &from);
                    self.note("    to", &to);
                }
            }
            10 => {
                let Some(path) = self.some("in", |m| !m.is_symlink()) else { return };
                let modes: &[u32] = match path.is_dir() {
                    true => &[0o700, 0o755, 0o750, 0o1777],
                    false => &[0o600, 0o644, 0o640, 0o755, 0o400],
                };
                let mode = self.pick(modes);
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                self.note("chmod", &path);
            }
            11 => {
                let Some(path) = self.some("in", is_any) else { return };
                self.date(&path, false);
                self.note("touch", &path);
            }
            12 => {
                let Some(path) = self.some("out", fs::Metadata::is_file) else { return };
                let name = path.strip_prefix(self.dir.root()).unwrap().to_str().unwrap();
                let to = ["id", "id2"][self.below(2)];
                let recipient = self.dir.run(&["keygen", "-y", to]).ok().stdout_text();
                let args = ["rekey", name, "-i", "id", "-i", "id2", "--new-recipient"];
                let extra = self.below(3) == 0;
                let mut args: Vec<&str> = args.into_iter().chain([recipient.trim()]).collect();
                if extra {
                    args.push("--reencrypt");
                }
                // A copy that was damaged before is refused.
                self.dir.run(&args);
                self.note("rekey", &path);
            }
            13 => {
                let Some(path) = self.some("out", fs::Metadata::is_file) else { return };
                self.break_copy(&path);
            }
            14 => {
                let Some(path) = self.some("out", |m| !m.is_symlink()) else { return };
                let mode = if path.is_dir() { 0o700 } else { 0o666 };
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                self.note("chmod of the copy", &path);
            }
            _ => {
                let Some(path) = self.some("out", is_any) else { return };
                remove(&path);
                self.note("remove of the copy", &path);
            }
        }
    }

    /// Damages a copy so that its length or its beginning shows it, and keeps its time.
    fn break_copy(&mut self, path: &Path) {
        let metadata = fs::metadata(path).unwrap();
        let time = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        let mut content = fs::read(path).unwrap();
        match self.below(4) {
            0 => content.truncate(20),
            1 => drop(content.pop()),
            2 => content.push(0),
            _ => content.iter_mut().take(10).for_each(|byte| *byte = b'x'),
        }
        let mode = metadata.permissions();
        fs::remove_file(path).unwrap();
        fs::write(path, content).unwrap();
        fs::set_permissions(path, mode).unwrap();
        set_time(path, i64::try_from(time.as_secs()).unwrap(), i64::from(time.subsec_nanos()));
        self.note("break", path);
    }

    fn encrypt(&mut self, flags: &[&str]) -> Done {
        self.log.push(format!("encrypt {flags:?}"));
        self.dir.run(&[&["encrypt", "-i", "id", "in", "out"], flags].concat())
    }

    /// A run that is interrupted.
    fn interrupt(&mut self) {
        let args = ["encrypt", "-i", "id", "in", "out", "--newer", "--delete"];
        let group = Group::start(self.dir.command(&args));
        thread::sleep(self.random.within(Duration::from_millis(60)));
        let signal = self.pick(&[Signal::KILL, Signal::TERM]);
        // The run may have finished already.
        let _ = rustix::process::kill_process(group.pid, signal);
        group.wait();
        self.log.push(format!("interrupted by {signal:?}"));
    }

    /// The decrypted copy.
    fn restored(&self, may_fail: bool) -> PathBuf {
        let back = self.dir.path("back");
        let _ = fs::remove_dir_all(&back);
        let done = self.dir.run(&["decrypt", "-i", "id", "-i", "id2", "out", "back"]);
        assert!(may_fail || done.code() == Some(0), "{done:?}");
        back
    }

    /// Asserts that everything in the folder is decrypted. There may be more, and copies of removed
    /// files that were damaged before.
    fn check_contained(&self) {
        let (original, back) = (described(&self.dir.path("in")), described(&self.restored(true)));
        for (name, entry) in &original {
            assert!(back.get(name) == Some(entry), "{name:?} did not come back as it is");
        }
    }

    /// A folder of earlier decryptions contains what the reports said.
    fn check_kept(&mut self) {
        let args = ["decrypt", "-i", "id", "-i", "id2", "out", "kept", "--newer", "--json"];
        let done = self.dir.run(&args);
        let report = done.json(&done.stdout);
        let errors = report["errors"].as_array().unwrap();
        let named: Vec<PathBuf> =
            errors.iter().map(|error| self.dir.path(error["file"].as_str().unwrap())).collect();
        let all = described(&self.dir.path("in"));
        let kept: BTreeMap<PathBuf, Entry> = described(&self.dir.path("kept"));
        for (name, entry) in all.iter().filter(|(_, entry)| entry.is_file()) {
            let path = self.dir.path("kept").join(name);
            if named.iter().any(|named| path.starts_with(named)) {
                continue;
            }
            let there = kept.get(name).unwrap_or_else(|| panic!("{name:?} is missing"));
            assert!(entry.is_same_content(there), "{name:?} is stale, and nobody was told");
        }
        if !named.is_empty() {
            fs::remove_dir_all(self.dir.path("kept")).unwrap();
        }
    }

    fn round(&mut self) {
        for _ in 0..=self.below(6) {
            self.change();
        }
        match self.below(4) {
            0 => {
                let done = self.encrypt(&[]);
                match done.code() {
                    Some(0) => self.check_contained(),
                    code => assert_eq!(code, Some(73), "{done:?}"),
                }
            }
            1 => {
                let done = self.encrypt(&["--newer"]);
                match done.code() {
                    Some(0) => self.check_contained(),
                    code => assert_eq!(code, Some(73), "{done:?}"),
                }
            }
            2 => self.interrupt(),
            _ => {}
        }
        let told = self.encrypt(&["--newer", "--delete", "--dry-run", "--json"]).ok();
        let done = self.encrypt(&["--newer", "--delete", "--json"]).ok();
        let counts = |done: &Done| {
            let report = done.json(&done.stdout);
            ["files", "replaced", "kept", "failed"].map(|field| report[field].clone())
        };
        assert_eq!(counts(&told), counts(&done), "what was told and what was done");
        // Copies of removed files that no longer begin like one are named.
        let report = done.json(&done.stdout);
        for skipped in report["skipped_files"].as_array().unwrap() {
            remove(&self.dir.path(skipped["file"].as_str().unwrap()));
        }
        if report["skipped"] != 0 {
            self.encrypt(&["--newer", "--delete"]).ok();
        }
        assert_same(&self.dir.path("in"), &self.restored(false));
        self.check_kept();
        // Nothing else is reported.
        let again = self.encrypt(&["--json"]).ok();
        let report = again.json(&again.stdout);
        assert_eq!((&report["files"], &report["updated"]), (&0.into(), &0.into()), "{report}");
    }
}

fn set_time(path: &Path, tv_sec: i64, tv_nsec: i64) {
    let time = Timespec { tv_sec, tv_nsec };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn remove(path: &Path) {
    match fs::symlink_metadata(path).unwrap().is_dir() {
        true => fs::remove_dir_all(path).unwrap(),
        false => fs::remove_file(path).unwrap(),
    }
}

/// Prints the history if a test fails.
impl Drop for History {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.log.join("\n"));
        }
    }
}

#[test]
fn after_a_successful_run_the_copy_matches_the_folder() {
    let rounds = std::env::var("CRYPTSTREAM_HISTORIES").ok();
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let (dir, random) = (Dir::new(), Random::new());
    dir.keygen("id");
    dir.keygen("id2");
    fs::create_dir(dir.path("in")).unwrap();
    fs::write(dir.path("in/anchor"), "stays").unwrap();
    let mut history = History { dir, random, clock: 0, log: Vec::new() };
    for number in 0..rounds {
        history.log.clear();
        history.log.push(format!("-- round {number}"));
        history.round();
    }
}
