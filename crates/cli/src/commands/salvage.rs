//! `decrypt --salvage`: what is intact of a damaged file, with holes for the
//! rest.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use cryptstream_engine::{DamageReport, Target};
use cryptstream_format::Identity;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{Decrypt, Talk};
use crate::json::SCHEMA;
use crate::keyring::OpeningKeys;
use crate::messages::{self, Failure, inspect_verify};
use crate::progress::Meter;
use crate::report::{self, Status};
use crate::request::Transfer;

pub(super) fn run(mut args: Decrypt, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> ExitCode {
    let files = std::mem::take(&mut args.files);
    let transfer = match Transfer::decrypt(files) {
        Ok(transfer) => transfer,
        Err(failure) => return Status::refused(&failure, talk.json),
    };
    let (input, output) = match (transfer.input.path(), &transfer.target) {
        (Some(input), Target::Path { path: output, .. } | Target::Beneath { path: output, .. }) => {
            (input, output)
        }
        (None, _) => {
            return Status::refused(
                &messages::salvage_needs_file(Path::new("standard input")),
                talk.json,
            );
        }
        (_, Target::Stdout { .. }) => {
            return Status::refused(
                &messages::salvage_needs_file(Path::new("standard output")),
                talk.json,
            );
        }
    };
    let started = Instant::now();
    let scan = match salvage(&args, key, &transfer, talk) {
        Ok(scan) => scan,
        Err(failure) => return Status::refused(&failure, talk.json),
    };
    let failure = match (scan.is_intact(), scan.chunks_intact) {
        (true, _) => None,
        (false, 0) => Some(inspect_verify::nothing_to_salvage(input)),
        (false, _) => Some(inspect_verify::salvaged(input, output, &report::damage::share(&scan))),
    };
    let mut status = Status::default();
    if let Some(failure) = &failure {
        status.fail(failure, talk.json);
    }
    if report::is_for_programs(talk) {
        let seconds = started.elapsed().as_secs_f64();
        report::end(object(&transfer, &scan, failure.as_ref(), seconds), talk, false);
    } else if failure.is_some() && scan.chunks_intact > 0 {
        messages::note(report::damage::holes(&scan).trim_end());
    } else if talk.verbose {
        messages::note(&inspect_verify::nothing_damaged(input, output));
    }
    status.exit_code()
}

fn salvage(
    args: &Decrypt,
    key: Option<Zeroizing<Vec<u8>>>,
    transfer: &Transfer,
    talk: Talk,
) -> Result<DamageReport, Failure> {
    let keys = OpeningKeys::read(&args.opening, key)?;
    let mut source = transfer.begin()?;
    keys.check(&source, &transfer.target)?;
    let context = transfer.context(keys.has_passphrase());
    let identities = keys.identities(&report::input_label(&transfer.input))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();
    let meter = Meter::of(transfer, talk);
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
    report::put_ends(&mut object, &transfer.input, &transfer.target);
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
