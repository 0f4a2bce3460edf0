//! `decrypt --salvage`: writes the intact parts of a damaged file, and zeros for the rest.

use std::path::Path;
use std::time::Instant;

use cryptstream_engine::{DamageReport, Target};
use cryptstream_format::Identity;
use serde_json::{Value, json};

use super::session::{CommandResult, Session};
use crate::args::Decrypt;
use crate::json::SCHEMA;
use crate::keyring::DecryptionKeys;
use crate::messages::{self, Failure, inspect_verify};
use crate::progress::Meter;
use crate::report::{self, Status};
use crate::request::Transfer;

pub(super) fn run(mut args: Decrypt, session: &Session) -> CommandResult {
    let options = session.options;
    let transfer = Transfer::decrypt(std::mem::take(&mut args.files))?;
    let needs_file = |name: &str| Err(messages::salvage_needs_file(Path::new(name)).into());
    let (input, output) = match (transfer.input.path(), &transfer.target) {
        (Some(input), Target::Path { path: output, .. } | Target::Beneath { path: output, .. }) => {
            (input, output)
        }
        (None, _) => return needs_file("standard input"),
        (_, Target::Stdout { .. }) => return needs_file("standard output"),
    };
    let started = Instant::now();
    let scan = salvage(&args, &transfer, session)?;
    let failure = match (scan.is_intact(), scan.chunks_intact) {
        (true, _) => None,
        (false, 0) => Some(inspect_verify::nothing_to_salvage(input)),
        (false, _) => Some(inspect_verify::salvaged(input, output, &report::damage::share(&scan))),
    };
    let mut status = Status::default();
    if let Some(failure) = &failure {
        status.fail(failure, options.json);
    }
    if report::wants_json(options) {
        let seconds = started.elapsed().as_secs_f64();
        report::end(object(&transfer, &scan, failure.as_ref(), seconds), options, false);
    } else if failure.is_some() && scan.chunks_intact > 0 {
        messages::note(report::damage::holes(&scan).trim_end());
    } else if options.verbose {
        messages::note(&inspect_verify::nothing_damaged(input, output));
    }
    Ok(status)
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

fn object(
    transfer: &Transfer,
    scan: &DamageReport,
    failure: Option<&Failure>,
    seconds: f64,
) -> Value {
    let mut object = report::damage::object(scan);
    object["schema"] = json!(SCHEMA);
    object["command"] = json!("decrypt");
    object["salvaged"] = json!(true);
    object["type"] = json!("file");
    object["files"] = json!(1);
    object["failed"] = json!(u8::from(failure.is_some()));
    report::insert_input_output(&mut object, &transfer.input, &transfer.target);
    if scan.chunks_intact == 0 {
        object["output"] = Value::Null;
    }
    object["format"] = json!(report::format_name(scan.format));
    object["seconds"] = json!(seconds);
    if let Some(failure) = failure {
        object["error"] = failure.json();
    }
    object
}
