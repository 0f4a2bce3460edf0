//! `list`: what is in encrypted archives.

use std::io::{self, IsTerminal};

use cryptstream_archive::Limits;
use cryptstream_beneath::KnownFile;
use cryptstream_engine::{Engine, EngineOptions, Parser, Progress};
use cryptstream_format::Identity;

use super::parser::Task;
use super::parser_process::{ParserProcess, combine};
use crate::args::{DecryptInputs, ReportOptions};
use crate::commands::inputs::{Inputs, PendingInput};
use crate::commands::session::{CommandResult, Session};
use crate::keyring::{CachedIdentities, DecryptionKeys};
use crate::messages::{self, Context, Failure};
use crate::progress::Meter;
use crate::report;
use crate::report::list::{EntryList, ListReport, Listed};
use crate::request::{Input, engine_options};
use crate::system;
use crate::verb::Verb;

pub(in crate::commands) fn run(args: DecryptInputs, session: &Session) -> CommandResult {
    let options = session.options;
    let is_listed = args.file_list.files_from.is_some();
    let inputs = Inputs::of(args.files, is_listed)?;
    let are_several = inputs.are_several(is_listed);
    let keys = DecryptionKeys::read(&args.decryption, session.take_key())?;
    let workers = engine_options(&args.workers);
    let mut engine = Engine::with_options(workers.clone());
    let parser = engine.parser().map_err(|error| messages::engine(error, Verb::List))?;
    let (key_files, has_passphrase) = (keys.key_files(), keys.has_passphrase());
    let (mut count, mut first) = (0, None);
    for PendingInput { input, .. } in inputs.iter() {
        count += 1;
        first.get_or_insert(input);
    }
    let name = match &first {
        Some(input) if count == 1 => report::input_label(input),
        _ => format!("{count} files"),
    };
    let cached = CachedIdentities::new(keys.identities(&name)?);
    let mut lister = Lister {
        engine,
        parser,
        workers,
        identities: cached.identities(),
        key_files,
        has_passphrase,
        options,
    };
    let mut report = ListReport::new(options, are_several);
    for PendingInput { input, .. } in inputs.iter() {
        let mut entries = report.begin(&input)?;
        let listed = lister.list(&input, &mut entries);
        entries.end(listed)?;
        if report.is_closed() {
            break;
        }
    }
    Ok(report.end())
}

/// Lists one archive after the other.
struct Lister<'a> {
    engine: Engine,
    parser: Parser,
    workers: EngineOptions,
    identities: Vec<&'a dyn Identity>,
    key_files: Vec<KnownFile>,
    has_passphrase: bool,
    options: ReportOptions,
}

impl Lister<'_> {
    fn list(&mut self, input: &Input, entries: &mut EntryList<'_>) -> Result<Listed, Failure> {
        let failed = |error| messages::engine(error, Verb::List);
        let mut source = input.open().map_err(failed)?.parsed_by(&self.parser);
        let known = source.known();
        if let Some(path) = input.path()
            && self.key_files.iter().any(|key| key.is(&known))
        {
            return Err(messages::key_is_data(path));
        }
        // Not on the terminal that shows the list.
        let meter = Meter::new(report::input_label(input), self.options);
        let progress: &dyn Progress = match self.options.json || !io::stdout().is_terminal() {
            true => &meter,
            false => &(),
        };
        let task = Task { unpack: None, limits: Limits::NONE, sandbox: self.workers.sandbox };
        let parser = ParserProcess::new(&task, system::own_program());
        let (engine, identities) = (&mut self.engine, &self.identities);
        let (decrypted, listed, level) = parser.run(
            input.path_for_messages(),
            None,
            &mut |member| entries.take(&member),
            |pipe| {
                engine.decrypt(
                    cryptstream_engine::Decrypt::source(&mut source)
                        .to_pipe(pipe)
                        .identities(identities)
                        .progress(progress),
                )
            },
        )?;
        meter.clear();
        let is_armored = source.is_armored();
        let context =
            Context { has_passphrase: self.has_passphrase, is_armored, ..Verb::List.into() };
        let (summary, _) = combine(decrypted, listed).map_err(|error| {
            let is_after_end = error.is_after_end();
            let failure = error.into_failure(
                input.path_for_messages(),
                |error| messages::engine(error, context),
                |error| messages::archive::list(input.path_for_messages(), error),
            );
            messages::archive::of_list(failure, entries.has_printed() && !is_after_end)
        })?;
        Ok(Listed { summary, level })
    }
}
