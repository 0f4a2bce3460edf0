//! The results in sentences, for the table and the page alike.

use super::results::{Operation, Results, Warmth};
use super::units;

/// What to do, in one line.
pub(super) fn recommendation(results: &Results) -> String {
    match results.recommended() {
        0 => "no workers (--processes 0)".to_owned(),
        1 => "1 worker process (--processes 1)".to_owned(),
        processes => format!("{processes} worker processes (--processes {processes})"),
    }
}

/// From where on a cold or a warm pool pays, as far as encrypting and
/// decrypting go.
pub(super) fn pays(results: &Results, warmth: Warmth) -> String {
    let encrypt = pays_at(results, warmth, Operation::Encrypt);
    let decrypt = pays_at(results, warmth, Operation::Decrypt);
    match encrypt == decrypt {
        true => encrypt,
        false => format!("{encrypt} encrypting, {decrypt} decrypting"),
    }
}

/// The same for one operation: by size, or where there is one size only, by
/// number of processes.
pub(super) fn pays_at(results: &Results, warmth: Warmth, operation: Operation) -> String {
    let all = results.pays();
    let which = all.iter().find(|pays| (pays.operation, pays.warmth) == (operation, warmth));
    let (bytes, processes) =
        which.map_or((None, None), |pays| (pays.from_bytes, pays.from_processes));
    match (results.file.is_none(), bytes, processes) {
        (true, Some(bytes), _) => format!("from {}", units::size(bytes)),
        (false, _, Some(1)) => "from 1 process".to_owned(),
        (false, _, Some(processes)) => format!("from {processes} processes"),
        (true, None, _) | (false, _, None) => "never".to_owned(),
    }
}

/// How near the best run of an operation came to the file copy.
pub(super) fn reached(results: &Results, operation: Operation) -> Option<String> {
    let size = results.largest()?;
    let best = size.best(operation);
    Some(format!(
        "{} of the file copy ({} of {}), {}",
        units::percent(size.share(best, operation)),
        units::rate(size.rate(best, operation).median),
        units::rate(size.copy_rate().median),
        best.contestant.label(),
    ))
}
