//! `rekey`: the same content for others.

use std::path::Path;
use std::time::{Duration, Instant};

use cryptstream_engine::{Parser, RekeySummary, Rekeying, Target};
use cryptstream_format::{Format, Identity, Recipient};
use indicatif::HumanBytes;
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::{Rekey, Talk, is_dash};
use crate::keyring::{OpeningKeys, SealingKeys};
use crate::messages::{self, Failure, rekey as words};
use crate::progress::Meter;
use crate::report::{SCHEMA, end, is_for_programs, put_name};
use crate::request::{cores, worker_options};

pub(super) fn run(args: Rekey, key: Option<Zeroizing<Vec<u8>>>, talk: Talk) -> Result<(), Failure> {
    let Rekey { file, opening, new, reencrypt, reading } = args;
    if is_dash(file.as_os_str()) {
        return Err(words::not_a_stream());
    }
    let (passphrase, sealing) =
        new.into_flags(opening.plugin_timeout).ok_or_else(words::no_new_key)?;
    let old_keys = OpeningKeys::read(&opening, key)?;
    let new_keys = SealingKeys::read_beside(&passphrase, &sealing, None, Some(&old_keys))?;

    let has_passphrase = old_keys.has_passphrase();
    let failed = |error| words::failed(error, has_passphrase);
    let parser = Parser::new(&worker_options(&reading.into())).map_err(failed)?;
    let rekeying = Rekeying::open(&file, &parser).map_err(failed)?;
    let target = Target::Path { path: file.clone(), force: true };
    old_keys.check(rekeying.source(), &target)?;
    new_keys.check(rekeying.source(), &target)?;
    let identities = old_keys.identities(&messages::quoted(&file))?;
    let identities: Vec<&dyn Identity> = identities.iter().map(AsRef::as_ref).collect();
    // The old passphrase is asked for, and tried, before the new one.
    if new_keys.asks() {
        rekeying.check_keys(&identities).map_err(failed)?;
    }
    let recipients = new_keys.recipients(rekeying.format(), &messages::quoted(&file))?;
    let recipients: Vec<&(dyn Recipient + Sync)> = recipients.iter().map(AsRef::as_ref).collect();

    let started = Instant::now();
    let meter = Meter::new(messages::quoted(&file), talk);
    let result = if reencrypt {
        rekeying.reencrypt(&identities, &recipients, cores(), &meter)
    } else {
        rekeying.rekey(&identities, &recipients, &meter)
    };
    meter.clear();
    let summary = result.map_err(failed)?;
    report(&file, &summary, started.elapsed(), talk);
    Ok(())
}

fn report(file: &Path, summary: &RekeySummary, took: Duration, talk: Talk) {
    if summary.names_left > 0 {
        messages::warn(&words::names_left(file, summary.names_left));
    }
    if is_for_programs(talk) {
        let mut object = json!({
            "schema": SCHEMA,
            "command": "rekey",
            "type": "file",
            "files": 1,
            "failed": 0,
            "format": match summary.format {
                Format::Native => "native",
                Format::Age => "age",
            },
            "method": summary.method.name(),
            "header_before": summary.old_header_len,
            "header_after": summary.new_header_len,
            "bytes_in": summary.bytes_before,
            "bytes_out": summary.bytes_after,
            "bytes_written": summary.bytes_written,
            "names_left": summary.names_left,
            "seconds": took.as_secs_f64(),
            "workers": 0,
            "workers_died": 0,
            "segments_redone": 0,
            "sandbox": "none",
        });
        put_name(&mut object, "input", file);
        put_name(&mut object, "output", file);
        end(object, talk, false);
    } else if talk.verbose {
        let written = HumanBytes(summary.bytes_written).to_string();
        messages::note(&words::done(file, summary.method, &written, took));
    }
}
