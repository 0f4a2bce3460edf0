//! `decrypt --range`: a part of a file.

use std::time::Instant;

use cryptstream_engine::ByteRange;
use cryptstream_format::Identity;
use zeroize::Zeroizing;

use crate::args::{Decrypt, Talk};
use crate::keyring::OpeningKeys;
use crate::messages::{self, Context, Failure};
use crate::progress::Meter;
use crate::report;
use crate::request::Transfer;

pub(super) fn run(
    mut args: Decrypt,
    range: ByteRange,
    key: Option<Zeroizing<Vec<u8>>>,
    talk: Talk,
    is_stdout_data: &mut bool,
) -> Result<(), Failure> {
    let transfer = Transfer::decrypt_range(std::mem::take(&mut args.files))?;
    *is_stdout_data = transfer.is_stdout_data();
    let keys = OpeningKeys::read(&args.opening, key)?;
    let mut source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    // Before anybody is asked for a passphrase.
    source.begin_random_access().map_err(|error| messages::engine(error, Context::default()))?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();

    let started = Instant::now();
    let meter = Meter::of(&transfer, talk);
    let request = cryptstream_engine::Decrypt::source(&mut source)
        .target(transfer.target.clone())
        .identities(&identities)
        .commit(transfer.commit)
        .progress(&meter);
    let result = transfer.engine().decrypt_range(request, range);
    meter.clear();
    let opened =
        result.map_err(|error| messages::engine(error, transfer.context(has_passphrase)))?;
    report::done_range(&transfer, &opened, started.elapsed(), talk);
    Ok(())
}
