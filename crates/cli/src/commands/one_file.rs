//! `encrypt` and `decrypt` of a single file or stream.

use std::time::Instant;

use cryptstream_format::{Identity, Recipient};

use super::archive;
use super::session::{CommandResult, Session};
use crate::args::{Decrypt, Encrypt};
use crate::keyring::{DecryptionKeys, EncryptionKeys};
use crate::messages::{self, Context};
use crate::progress::Meter;
use crate::report::{self, Status};
use crate::request::Transfer;
use crate::verb::Verb;

pub(super) fn encrypt(mut args: Encrypt, session: &Session) -> CommandResult {
    let transfer =
        Transfer::encrypt(Verb::Encrypt, std::mem::take(&mut args.files), args.format, args.armor)?;
    messages::set_stdout_data(transfer.is_stdout_data());
    let keys = EncryptionKeys::read(&args.passphrase, &args.encryption, session.take_key())?;
    let source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let recipients = keys.recipients(transfer.output_format.format(), &transfer.output_label())?;
    let recipients: Vec<&(dyn Recipient + Sync)> = recipients.iter().map(AsRef::as_ref).collect();
    let mut source = transfer.take_typed(source)?;

    let started = Instant::now();
    let meter = Meter::of(&transfer, session.options);
    let result = transfer.encrypt_from(&mut source, &recipients, &meter);
    meter.clear();
    let summary = result.map_err(|error| messages::engine(error, transfer.context(true)))?;
    report::transfer::done("encrypt", &transfer, summary, started.elapsed(), session.options);
    Ok(Status::default())
}

pub(super) fn decrypt(mut args: Decrypt, session: &Session) -> CommandResult {
    let transfer = Transfer::decrypt(Verb::Decrypt, std::mem::take(&mut args.files))?;
    messages::set_stdout_data(transfer.is_stdout_data());
    let keys = DecryptionKeys::read(&args.decryption, session.take_key())?;
    let source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let has_passphrase = keys.has_passphrase();
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();
    let mut source = transfer.take_typed(source)?;

    let started = Instant::now();
    let meter = Meter::of(&transfer, session.options);
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
    report::transfer::done("decrypt", &transfer, summary, started.elapsed(), session.options);
    Ok(Status::default())
}
