//! `decrypt --salvage`: writes the intact parts of a damaged file, and zeros for the rest.

use std::path::Path;
use std::time::Instant;

use cryptstream_engine::{DamageReport, Target};
use cryptstream_format::Identity;

use super::session::{CommandResult, Session};
use crate::args::Decrypt;
use crate::keyring::DecryptionKeys;
use crate::messages::{self, Failure};
use crate::progress::Meter;
use crate::report;
use crate::request::Transfer;
use crate::verb::Verb;

pub(super) fn run(mut args: Decrypt, session: &Session) -> CommandResult {
    let transfer = Transfer::decrypt(Verb::Salvage, std::mem::take(&mut args.files))?;
    let needs_file = |name: &str| Err(messages::salvage_needs_file(Path::new(name)).into());
    let (input, output) = match (transfer.input.path(), &transfer.target) {
        (Some(input), Target::Path { path: output, .. } | Target::Beneath { path: output, .. }) => {
            (input, output)
        }
        (None, _) => return needs_file("standard input"),
        (_, Target::Object { path, .. }) => return Err(messages::objects::needs_file(path).into()),
        (_, Target::Stdout { .. } | Target::Pipe { .. }) => return needs_file("standard output"),
    };
    let started = Instant::now();
    let scan = salvage(&args, &transfer, session)?;
    let (took, options) = (started.elapsed(), session.options);
    Ok(report::salvage::done(&transfer, (input, output), &scan, took, options))
}

fn salvage(
    args: &Decrypt,
    transfer: &Transfer,
    session: &Session,
) -> Result<DamageReport, Failure> {
    let keys = DecryptionKeys::read(&args.decryption, session.take_key())?;
    let mut source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let context = transfer.context(keys.has_passphrase());
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();
    let meter = Meter::of(transfer, session.options);
    let request = cryptstream_engine::Salvage::source(&mut source)
        .target(transfer.target.clone())
        .identities(&identities)
        .commit(transfer.commit)
        .progress(&meter);
    let scan = transfer.engine().salvage(request);
    meter.clear();
    scan.map_err(|error| messages::engine(error, context))
}
