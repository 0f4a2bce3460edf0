//! `decrypt --extract`: from an encrypted archive to a folder.

use std::path::{Path, PathBuf};
use std::time::Instant;

use cryptstream_archive::{Options, Unpacked};
use cryptstream_beneath::Dir;
use cryptstream_engine::program::{StagingFolder, umask};
use cryptstream_format::Identity;

use super::parser::Task;
use super::parser_process::{ParserProcess, UnpackFolder, combine};
use crate::args::{Decrypt, is_dash};
use crate::commands::session::{CommandResult, Session};
use crate::file_names::{AGE_SUFFIX, SUFFIX, ends_with, no_default_name};
use crate::keyring::DecryptionKeys;
use crate::messages::{self, Context, Failure};
use crate::progress::Meter;
use crate::report::{self, Status};
use crate::request::Transfer;
use crate::system;
use crate::verb::Verb;

pub(in crate::commands) fn run(args: Decrypt, session: &Session) -> CommandResult {
    let Decrypt { mut files, decryption, unpacking, .. } = args;
    let (force, sync) = (files.force, files.sync);
    messages::check_is_file(files.input.as_deref(), Verb::Extract)?;
    let output = match (files.output.take(), &files.input) {
        (Some(output), _) if !is_dash(output.as_os_str()) => output,
        (None, Some(input)) if !is_dash(input.as_os_str()) => unpacked_name(input)?,
        _ => return Err(messages::archive::no_folder_named().into()),
    };
    files.output = Some(output.clone());
    let transfer = Transfer::decrypt(Verb::Extract, files)?;
    let failed = |error| messages::engine(error, Verb::Extract);
    StagingFolder::check(&output, force).map_err(failed)?;
    let keys = DecryptionKeys::read(&decryption, session.take_key())?;
    let mut source = transfer.input.open().map_err(failed)?.parsed_by(&transfer.parser()?);
    keys.check(&source, &transfer.target)?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();

    let started = Instant::now();
    let meter = Meter::of(&transfer, session.options);
    let options = Options {
        any_links: unpacking.wants_any_links(),
        umask: umask(),
        drops_content: transfer.workers.cache.drops(source.expected_len(), sync),
    };
    let limits = unpacking.limits();
    let task = Task { unpack: Some(options), limits, sandbox: transfer.workers.sandbox };
    // Before the folder is created: an interruption then ends the process before it removes the
    // folder.
    let parser = ParserProcess::new(&task, system::own_program());
    let staging = StagingFolder::create(&output, force).map_err(failed)?;
    let input = transfer.input.path_for_messages();
    let folder = UnpackFolder::new(&staging);
    let folder = folder.map_err(|error| messages::archive::internal(input, &error))?;
    let engine = &mut transfer.engine();
    let mut nothing = |_| Ok(());
    let (decrypted, unpacked, level) = parser.run(input, Some(&folder), &mut nothing, |pipe| {
        engine.decrypt(
            cryptstream_engine::Decrypt::source(&mut source)
                .to_pipe(pipe)
                .identities(&identities)
                .progress(&meter),
        )
    })?;
    meter.clear();
    let context = Context { is_armored: source.is_armored(), ..transfer.context(has_passphrase) };
    let (summary, unpacked) = combine(decrypted, unpacked).map_err(|error| {
        error.into_failure(
            input,
            |error| messages::engine(error, context),
            |error| messages::archive::unpack(input, &output, error),
        )
    })?;
    let Unpacked { folder: own, differences, .. } = &unpacked.0;
    let modified = own.map(|(_, time)| (time.seconds, time.nanoseconds));
    // The mode comes from another process and is masked.
    let old = staging
        .commit(own.map(|(mode, _)| options.bits(mode)), modified, sync)
        .map_err(|error| messages::engine(error, context))?;
    if let Some(old) = &old {
        messages::warn(&messages::archive::old_name_kept(&output, old));
    }
    messages::archive::differences(differences).iter().for_each(|remark| messages::warn(remark));
    let (took, options) = (started.elapsed(), session.options);
    report::transfer::unpacked(&transfer, summary, &unpacked, level, took, options);
    Ok(Status::default())
}

impl<'a> UnpackFolder<'a> {
    fn new(staging: &'a StagingFolder) -> std::io::Result<Self> {
        use std::os::fd::AsFd;
        let dir = Dir::from(staging.folder().as_fd().try_clone_to_owned()?);
        Ok(Self { dir, change_lock: staging.change_lock() })
    }
}

/// The name of the folder that an archive becomes: without `.enc`, `.zst`, `.tar`.
pub(super) fn unpacked_name(input: &Path) -> Result<PathBuf, Failure> {
    let mut name = input.to_owned();
    let mut off = |suffixes: &[&str]| {
        let is_one = suffixes.iter().any(|suffix| ends_with(&name, suffix));
        if is_one {
            name.set_extension("");
        }
        is_one
    };
    if !off(&[SUFFIX, AGE_SUFFIX]) {
        return Err(no_default_name(input));
    }
    if !off(&[".tzst"]) {
        off(&[".zst"]);
        off(&[".tar"]);
    }
    Ok(name)
}
