//! `--dry-run` for a single object: what would be read and written, and with how many requests.

use std::fs;
use std::path::Path;

use cryptstream_engine::{Error, OutputFormat, Target};
use cryptstream_format::armor::armored_len;
use cryptstream_format::payload::SEGMENT_LEN;
use cryptstream_format::{Format, Layout};
use cryptstream_remote::{Scheme, Traffic, plan_read, plan_write};
use serde_json::json;

use super::session::{CommandResult, Session};
use crate::args::{Decrypt, Encrypt, Files, Tree};
use crate::json::SCHEMA;
use crate::messages::{self, Failure};
use crate::objects;
use crate::report::{self, ReportWriter, Status};
use crate::request::{Input, Transfer};
use crate::verb::Verb;

/// The length of most headers that are filled up, and about that of others.
const HEADER_LEN: u64 = 4096;
const SHORT_HEADER_LEN: u64 = 256;

/// Whether a dry run of a single file is meant that is an object, or becomes one.
pub(super) fn is_of_object(files: &Files, tree: &Tree) -> bool {
    let is_object = |path: &std::path::PathBuf| {
        objects::url(path).is_some_and(|url| url.is_ok_and(|url| !url.is_prefix()))
    };
    let is_folder = files.input.as_ref().is_some_and(|path| path.is_dir());
    tree.is_dry_run_only()
        && files.more.is_empty()
        && !is_folder
        && files.input.iter().chain(&files.output).any(is_object)
}

pub(super) fn encrypt(args: Encrypt, session: &Session) -> CommandResult {
    let force = args.files.force;
    let transfer = Transfer::encrypt(Verb::Encrypt, args.files, args.format, args.armor)?;
    let len = input_len(&transfer)?;
    let output_len = len.map(|len| encrypted_len(&transfer, len)).transpose()?;
    report("encrypt", &transfer, (len, output_len), force, session)
}

pub(super) fn decrypt(args: Decrypt, session: &Session) -> CommandResult {
    let force = args.files.force;
    let transfer = Transfer::decrypt(Verb::Decrypt, args.files)?;
    let len = input_len(&transfer)?;
    // A little less, which the header would tell.
    report("decrypt", &transfer, (len, len), force, session)
}

/// The input's length in bytes, if it is known before it is read.
fn input_len(transfer: &Transfer) -> Result<Option<u64>, Failure> {
    let failed = |error| messages::engine(error, transfer.verb);
    match &transfer.input {
        Input::Object(url, _) => objects::len(url).map(Some).map_err(failed),
        Input::Path(path) => match fs::metadata(path) {
            Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
            Err(source) => Err(failed(Error::Open { path: path.clone(), source })),
        },
        _ => Ok(None),
    }
}

fn encrypted_len(transfer: &Transfer, len: u64) -> Result<u64, Failure> {
    let format = transfer.output_format.format();
    let layout = Layout::of_plaintext(format, len).map_err(|source| {
        let path = transfer.input.path_for_messages().to_owned();
        messages::engine(Error::TooLong { path, source }, transfer.verb)
    })?;
    let is_padded = format == Format::Native && len >= SEGMENT_LEN as u64;
    let header = if is_padded { HEADER_LEN } else { SHORT_HEADER_LEN };
    let len = header + layout.payload_len();
    Ok(match transfer.output_format {
        OutputFormat::Armored => armored_len(len),
        OutputFormat::Binary(_) => len,
    })
}

fn report(
    command: &str,
    transfer: &Transfer,
    (len, output_len): (Option<u64>, Option<u64>),
    force: bool,
    session: &Session,
) -> CommandResult {
    let read = match &transfer.input {
        Input::Object(..) => len.map(plan_read),
        _ => None,
    };
    let written = match (&transfer.target, output_len) {
        (Target::Object { path, .. }, Some(len)) => {
            let scheme = Scheme::of(path.as_os_str()).unwrap_or(Scheme::S3);
            Some(plan_write(scheme, len, force).map_err(|error| {
                let source = std::io::Error::other(error.to_string());
                let error = Error::Create { path: path.clone(), source };
                messages::engine(error, transfer.verb)
            })?)
        }
        _ => None,
    };
    if report::wants_json(session.options) {
        let sum = read.unwrap_or_default() + written.map_or_else(Traffic::default, |it| it.0);
        let mut object = json!({
            "schema": SCHEMA,
            "command": command,
            "type": "file",
            "dry_run": true,
            "files": 1,
            "failed": 0,
            "bytes_in": len,
            "bytes_out": output_len,
            "parts": written.map(|(_, parts)| parts),
            "planned": report::store::traffic(&sum),
        });
        report::insert_input_output(&mut object, &transfer.input, &transfer.target);
        report::end(object, session.options, false);
    } else if !session.options.quiet {
        let input = transfer.input.path().unwrap_or(Path::new("-"));
        let output = transfer.target.path().unwrap_or(Path::new("-"));
        let text =
            messages::objects::plan(command, (input, len), (output, output_len), read, written);
        let mut status = Status::default();
        ReportWriter::default().print(&text, &mut status);
        return Ok(status);
    }
    Ok(Status::default())
}
