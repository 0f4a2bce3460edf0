//! `encrypt` and `decrypt` of a single file or stream.

use std::time::Instant;

use cryptstream_format::{Identity, Recipient};
use zeroize::Zeroizing;

use super::{archive, range};
use crate::args::{Decrypt, Encrypt, Talk};
use crate::keyring::{OpeningKeys, SealingKeys};
use crate::messages::{self, Context, Failure};
use crate::progress::Meter;
use crate::report;
use crate::request::Transfer;

pub(super) fn encrypt(
    mut args: Encrypt,
    key: Option<Zeroizing<Vec<u8>>>,
    talk: Talk,
    is_stdout_data: &mut bool,
) -> Result<(), Failure> {
    let transfer = Transfer::encrypt(std::mem::take(&mut args.files), args.format, args.armor)?;
    *is_stdout_data = transfer.is_stdout_data();
    let keys = SealingKeys::read(&args.passphrase, &args.sealing, key)?;
    let source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let recipients = keys.recipients(transfer.form.format(), &transfer.output_label())?;
    let recipients: Vec<&(dyn Recipient + Sync)> = recipients.iter().map(AsRef::as_ref).collect();
    let mut source = transfer.take_typed(source)?;

    let started = Instant::now();
    let meter = Meter::of(&transfer, talk);
    let Transfer { target, commit, form, .. } = &transfer;
    let result = transfer.engine().encrypt(
        cryptstream_engine::Encrypt::source(&mut source)
            .target(target.clone())
            .form(*form)
            .recipients(&recipients)
            .commit(*commit)
            .progress(&meter),
    );
    meter.clear();
    let summary = result.map_err(|error| messages::engine(error, transfer.context(true)))?;
    report::done("encrypt", &transfer, summary, started.elapsed(), talk);
    Ok(())
}

pub(super) fn decrypt(
    mut args: Decrypt,
    key: Option<Zeroizing<Vec<u8>>>,
    talk: Talk,
    is_stdout_data: &mut bool,
) -> Result<(), Failure> {
    if let Some(range) = args.range {
        return range::run(args, range, key, talk, is_stdout_data);
    }
    let transfer = Transfer::decrypt(std::mem::take(&mut args.files))?;
    *is_stdout_data = transfer.is_stdout_data();
    let keys = OpeningKeys::read(&args.opening, key)?;
    let source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();
    let mut source = transfer.take_typed(source)?;

    let started = Instant::now();
    let meter = Meter::of(&transfer, talk);
    let result = transfer.engine().decrypt(
        cryptstream_engine::Decrypt::source(&mut source)
            .target(transfer.target.clone())
            .identities(&identities)
            .commit(transfer.commit)
            .progress(&meter),
    );
    meter.clear();
    let is_armored = source.is_armored();
    let context = Context { is_armored, ..transfer.context(has_passphrase) };
    let summary = result.map_err(|error| messages::engine(error, context))?;
    archive::note_zstd(&transfer.target);
    report::done("decrypt", &transfer, summary, started.elapsed(), talk);
    Ok(())
}
