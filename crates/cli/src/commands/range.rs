//! `decrypt --range`: a part of a file.

use std::time::Instant;

use super::session::{CommandResult, Session};
use crate::args::Decrypt;
use crate::keyring::DecryptionKeys;
use crate::messages;
use crate::progress::Meter;
use crate::report::{self, Status};
use crate::request::Transfer;
use cryptstream_format::Identity;

pub(super) fn run(mut args: Decrypt, session: &Session) -> CommandResult {
    let range = args.range.ok_or_else(|| messages::internal("no range was named"))?;
    let transfer = Transfer::decrypt_range(std::mem::take(&mut args.files))?;
    messages::set_stdout_data(transfer.is_stdout_data());
    let keys = DecryptionKeys::read(&args.decryption, session.take_key())?;
    let mut source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    // Before the user is asked for a passphrase.
    source.begin_random_access().map_err(|error| messages::engine(error, transfer.verb))?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();

    let started = Instant::now();
    let meter = Meter::of(&transfer, session.options);
    let request = cryptstream_engine::Decrypt::source(&mut source)
        .target(transfer.target.clone())
        .identities(&identities)
        .commit(transfer.commit)
        .progress(&meter);
    let result = transfer.engine().decrypt_range(request, range);
    meter.clear();
    let part = result.map_err(|error| messages::engine(error, transfer.context(has_passphrase)))?;
    report::transfer::range(&transfer, &part, started.elapsed(), session.options);
    Ok(Status::default())
}
