//! What exists already in the copy, and what is done about it.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use cryptstream_beneath::{Dir, FileEntry, Folder, Followed, WalkEntry, follow_mode, kernel_path};
use cryptstream_engine::LostAttributes;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::case_collisions::CaseCollisions;
use super::compare::{Comparison, Output, SourceFile, Verdict, nanoseconds};
use super::copy_structure::{CopyFolder, Linked};
use super::event::Event;
use super::plan::Plan;
use super::prune::{IsKey, Prune};
use crate::file_names::{AGE_SUFFIX, SUFFIX, is_encrypted_name, with_suffix};
use crate::messages::{self, Failure};

/// What exists under the output's name.
pub(super) enum Present {
    Nothing,
    /// It cannot be looked up. Why, is reported when the output is created.
    Unknown,
    /// An output that is up to date.
    Fresh,
    ToReplace,
}

/// What is done about an existing output.
pub(super) enum Decision {
    Keep,
    Replace,
}

/// Decides what is done about an existing output, or refuses to replace it.
pub(super) fn decide(plan: &Plan, verdict: Verdict, output: &Path) -> Result<Decision, Failure> {
    let may_replace = plan.force || plan.newer;
    match verdict {
        Verdict::Same => Ok(Decision::Keep),
        // It may have been changed since.
        Verdict::Newer if may_replace && !plan.encrypts() => {
            Err(messages::tree::output_newer(output))
        }
        Verdict::Differs | Verdict::Newer if may_replace => Ok(Decision::Replace),
        Verdict::Differs | Verdict::Newer => Err(messages::tree::exists(output)),
    }
}

/// Decides what is done about existing outputs.
pub(super) struct Existing<'a> {
    plan: &'a Plan,
    /// Changes are only reported.
    is_dry: bool,
    is_key: &'a IsKey<'a>,
    on_event: &'a mut dyn FnMut(Event),
    case_collisions: CaseCollisions,
    comparison: Comparison<'a>,
    /// Devices without permission bits.
    without_modes: HashSet<u64>,
}

impl<'a> Existing<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        is_dry: bool,
        is_key: &'a IsKey<'a>,
        on_event: &'a mut dyn FnMut(Event),
    ) -> Self {
        let comparison = Comparison::new(plan.naming, &plan.parser, is_dry);
        let (case_collisions, without_modes) = (CaseCollisions::default(), HashSet::new());
        Self { plan, is_dry, is_key, on_event, case_collisions, comparison, without_modes }
    }

    /// Reports an event.
    pub(super) fn emit(&mut self, event: Event) {
        (self.on_event)(event);
    }

    /// Whether a key was read from this file.
    pub(super) fn is_key(&self, input: &SourceFile) -> bool {
        (self.is_key)(&input.stat, &|| input.real_path())
    }

    /// Whether `name` in `copy` may belong to another folder than the one in `original`, with a
    /// name that differs only in case.
    pub(super) fn is_case_collision(&mut self, original: &Dir, copy: &Dir, name: &OsStr) -> bool {
        self.case_collisions.has(original, name, copy, name, self.plan.rules.may_vanish)
    }

    /// Copies a link.
    pub(super) fn link(&mut self, copy: &Arc<CopyFolder>, found: &WalkEntry, path: &Path) -> Event {
        let Plan { force, newer, delete, .. } = *self.plan;
        if delete && self.clear_other(copy, &found.folder, &found.name, is_link) && self.is_dry {
            return Event::Link;
        }
        let encrypts = self.plan.encrypts();
        let comparison = &mut self.comparison;
        let original = nanoseconds(&found.stat);
        let compare = |dir: &Dir, there: &Stat| comparison.compare_times(dir, there, original);
        let may_replace = |order: Ordering| force || newer && (encrypts || order.is_le());
        match copy.link(found, path, self.is_dry, compare, may_replace) {
            Ok(Linked::Made | Linked::Kept) => Event::Link,
            Ok(Linked::Updated) => {
                (self.on_event)(Event::Relinked(copy.path(&found.name)));
                Event::Link
            }
            Err(failure) => Event::Failed(failure),
        }
    }

    /// Removes an entry of the copy that is of another kind than `is_right` demands, since the
    /// original shows that it is out of date. The copy of a file that the original still has is
    /// kept.
    pub(super) fn clear_other(
        &mut self,
        copy: &CopyFolder,
        original: &Folder,
        name: &OsStr,
        is_right: fn(&Stat) -> bool,
    ) -> bool {
        let (Ok(dir), Ok(original)) = (copy.dir(), original.dir()) else { return false };
        let stem = Path::new(name).file_stem().filter(|_| is_encrypted_name(name.as_ref()));
        let has_origin = |stem: &OsStr| original.stat(stem).is_ok_and(|stat| is_file(&stat));
        match dir.stat(name) {
            Ok(there) if is_right(&there) => false,
            Ok(there) if is_file(&there) && stem.is_some_and(has_origin) => false,
            Ok(_) => self.clear(copy, name),
            Err(_) => false,
        }
    }

    /// Removes an entry of the copy whose original is of another kind.
    fn clear(&mut self, copy: &CopyFolder, name: &OsStr) -> bool {
        let path = copy.path(name);
        let (plan, is_dry, is_key) = (self.plan, self.is_dry, self.is_key);
        // In a dry run it still exists at the end, and is reported then.
        let on_event: &mut dyn FnMut(Event) =
            if is_dry { &mut |_| {} } else { &mut *self.on_event };
        Prune { plan, is_dry, is_key, on_event }.clear(&copy.folder, name, &path)
    }

    /// Reports the outdated copy of a file that is now a folder or a link, in an existing copy
    /// and when encrypting. Decryption could not tell which one is right.
    pub(super) fn emit_stale_file(&mut self, copy: &CopyFolder, found: &WalkEntry, path: &Path) {
        if !self.plan.encrypts() || self.plan.delete || !copy.is_present() {
            return;
        }
        let Ok(dir) = copy.dir() else { return };
        for suffix in [SUFFIX, AGE_SUFFIX] {
            let name = with_suffix(&found.name, suffix);
            if dir.stat(&name).is_ok_and(|stat| is_file(&stat)) {
                let failure = messages::tree::stale(&copy.path(&name), path);
                (self.on_event)(Event::Failed(failure));
            }
        }
    }

    /// Reports the outdated copy of a folder or link that is now a file.
    pub(super) fn emit_stale_other(&mut self, copy: &CopyFolder, name: &OsStr, path: &Path) {
        if self.plan.encrypts()
            && !self.plan.delete
            && copy.had_other_kind(name)
            && let Ok(dir) = copy.dir()
            && dir.stat(name).is_ok_and(|there| is_folder(&there) || is_link(&there))
        {
            (self.on_event)(Event::Failed(messages::tree::stale(&copy.path(name), path)));
        }
    }

    /// Looks at what exists under the output's name.
    pub(super) fn present(
        &mut self,
        input: &SourceFile,
        copy: &CopyFolder,
        name: &OsStr,
        output: &Path,
    ) -> Result<Present, Failure> {
        let dir = copy.dir()?;
        let there = match dir.stat(name) {
            Ok(there) => there,
            Err(Errno::NOENT) => return Ok(Present::Nothing),
            Err(_) => return Ok(Present::Unknown),
        };
        if (self.is_key)(&there, &|| kernel_path(&*dir).map(|dir| dir.join(name))) {
            return Err(messages::key_is_output(output));
        }
        if !is_file(&there) {
            // It may be the copy of a folder or link that the original no longer has.
            let has_origin = |entry: &FileEntry| match entry.folder.dir().map(|dir| dir.stat(name))
            {
                Ok(Ok(there)) => !is_file(&there),
                Ok(Err(error)) => error != Errno::NOENT,
                Err(_) => true,
            };
            let is_cleared = self.plan.delete
                && input.entry.as_ref().is_some_and(|entry| !has_origin(entry))
                && self.clear(copy, name);
            return if is_cleared {
                Ok(Present::Nothing)
            } else {
                Err(messages::tree::not_a_file(output))
            };
        }
        let may_vanish = self.plan.rules.may_vanish;
        let mut is_case_collision = || {
            let Some(entry) = &input.entry else { return false };
            let folder = entry.folder.dir();
            folder.is_ok_and(|folder| {
                self.case_collisions.has(&folder, &entry.name, &dir, name, may_vanish)
            })
        };
        let verdict = match self.plan.force {
            true => Verdict::Differs,
            false => {
                let output = Output { folder: &copy.folder, dir: &dir, name, path: output };
                self.comparison.of(input, &output, &there)
            }
        };
        let may_replace = self.plan.force || self.plan.newer;
        // What this run has written must stay.
        if (verdict == Verdict::Same || may_replace) && is_case_collision() {
            return Err(messages::tree::case_collision(output));
        }
        Ok(match decide(self.plan, verdict, output)? {
            Decision::Keep => {
                self.follow(input, &dir, name, &there, output);
                Present::Fresh
            }
            Decision::Replace => Present::ToReplace,
        })
    }

    /// Gives an up-to-date output the permission bits of its input. Decrypted files never become
    /// accessible to more users.
    fn follow(&mut self, input: &SourceFile, dir: &Dir, name: &OsStr, there: &Stat, output: &Path) {
        let present = there.st_mode & 0o777;
        let is_known = self.without_modes.contains(&there.st_dev);
        if input.stat.st_mode & 0o777 == present || is_known {
            return;
        }
        let mode = match self.plan.encrypts() {
            true => input.mode(),
            false => input.mode() & present,
        };
        if mode == present {
            return;
        }
        let followed = match self.is_dry {
            true => Ok(Followed::Changed),
            false => follow_mode(dir, name, there, mode),
        };
        match followed {
            Ok(Followed::Unchanged) => {}
            Ok(Followed::Changed) => (self.on_event)(Event::Mode(output.to_owned(), mode)),
            Ok(Followed::Refused) | Err(_) => {
                self.without_modes.insert(there.st_dev);
                let dropped = LostAttributes { mode: true, ..LostAttributes::default() };
                (self.on_event)(Event::LostAttributes(dropped));
            }
        }
    }
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

pub(super) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}
